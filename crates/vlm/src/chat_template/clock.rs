//! `strftime_now`: today's date in a chat template.
//!
//! Differs from Python: the time is UTC (Python's is local), so that a rendered prompt does not depend on where it is
//! rendered; names of days and months are English.

use std::time::{SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// The present moment (UTC) in a `strftime` format.
pub(super) fn format_now(format: &str) -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs());
    format_time(format, seconds)
}

/// A moment, in seconds since 1970-01-01 00:00 UTC, in a `strftime` format. Directives unknown here stay as they are.
pub fn format_time(format: &str, seconds: u64) -> String {
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_date(days);
    let (hour, minute, second) = (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    let month_name = MONTHS[month as usize - 1];
    // 1970-01-01 was a Thursday.
    let weekday = WEEKDAYS[(days as usize + 3) % 7];
    let directive = |character: char| match character {
        'Y' => year.to_string(),
        'y' => format!("{:02}", year % 100),
        'm' => format!("{month:02}"),
        'B' => month_name.to_owned(),
        'b' => month_name[..3].to_owned(),
        'd' => format!("{day:02}"),
        'A' => weekday.to_owned(),
        'a' => weekday[..3].to_owned(),
        'H' => format!("{hour:02}"),
        'M' => format!("{minute:02}"),
        'S' => format!("{second:02}"),
        '%' => "%".to_owned(),
        other => format!("%{other}"),
    };
    let mut text = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        match (character, characters.clone().next()) {
            ('%', Some(next)) => {
                text.push_str(&directive(next));
                characters.next();
            }
            _ => text.push(character),
        }
    }
    text
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Source: Hinnant, "chrono-compatible low-level date algorithms", `civil_from_days`.
fn civil_date(days: u64) -> (u64, u64, u64) {
    const DAYS_OF_ERA: u64 = 146_097;
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / DAYS_OF_ERA, shifted % DAYS_OF_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months are counted from March, so that the leap day is the last of the year.
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_python_writes_them() {
        let format = "%A %a %d %B %b %Y %y %m %H:%M:%S 100%% %Q";
        assert_eq!(
            format_time(format, 0),
            "Thursday Thu 01 January Jan 1970 70 01 00:00:00 100% %Q"
        );
        assert_eq!(
            format_time("%Y-%m-%d %a %H:%M:%S", 951_827_696),
            "2000-02-29 Tue 12:34:56"
        );
        assert_eq!(format_time("%Y-%m-%d %a", 4_102_444_800), "2100-01-01 Fri");
    }
}
