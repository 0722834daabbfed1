//! `strftime_now`: today's date in a chat template.
//!
//! Differs from Python: the time is UTC (Python's is local), so that a rendered prompt does not depend on where it is
//! rendered; names of days and months are English.

use jiff::Timestamp;
use jiff::fmt::strtime::{BrokenDownTime, Config};
use jiff::tz::Offset;

/// The present moment (UTC) in a `strftime` format.
pub(crate) fn format_now(format: &str) -> String {
    format_time(format, Timestamp::now())
}

/// A moment (UTC) in a `strftime` format. Unknown directives, and those that ask for a time zone, stay as they are.
fn format_time(format: &str, moment: Timestamp) -> String {
    BrokenDownTime::from(Offset::UTC.to_datetime(moment))
        .to_string_with_config(&Config::new().lenient(true), format)
        .unwrap_or_else(|_| format.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: &str, seconds: i64, expected: &str) {
        assert_eq!(format_time(format, Timestamp::from_second(seconds).unwrap()), expected);
    }

    #[test]
    fn moments_are_written_as_python_writes_them() {
        check(
            "%A %a %d %B %b %Y %y %m %H:%M:%S 100%% %Q",
            0,
            "Thursday Thu 01 January Jan 1970 70 01 00:00:00 100% %Q",
        );
        check("%Y-%m-%d %a %H:%M:%S", 951_827_696, "2000-02-29 Tue 12:34:56");
        check("%Y-%m-%d %a", 4_102_444_800, "2100-01-01 Fri");
        check("%e %j %I:%M %p %z 5%", 951_827_696, "29 060 12:34 PM %z 5%");
    }
}
