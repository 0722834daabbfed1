//! Numbers as people read them.

/// Where there is no figure.
pub const NONE: &str = "–";

/// One decimal: percentages and scores.
pub fn one_decimal(value: f64) -> String {
    // No negative zero: it would read as a direction.
    let rounded = (value * 10.0).round() / 10.0 + 0.0;
    format!("{rounded:.1}")
}

/// One decimal with its sign, a minus rather than a hyphen.
pub fn signed(value: f64) -> String {
    let text = one_decimal(value.abs());
    match one_decimal(value) == "0.0" || text == "0.0" {
        true => "0.0".into(),
        false if value < 0.0 => format!("−{text}"),
        false => format!("+{text}"),
    }
}

/// Three significant digits; very large and very small numbers in powers of ten.
pub fn significant(value: f64) -> String {
    let magnitude = value.abs();
    if value == 0.0 {
        return "0".into();
    }
    if !(1e-3..1e6).contains(&magnitude) {
        return format!("{value:.1e}").replace(".0e", "e").replace('-', "−");
    }
    let decimals = (2 - magnitude.log10().floor() as i32).max(0) as usize;
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    text.replace('-', "−")
}

/// A p-value: three decimals, or that it is small.
pub fn probability(p: f64) -> String {
    if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
}

/// Seconds as hours, minutes and seconds, the two largest that matter.
pub fn duration(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_precision_they_deserve() {
        for (value, expected) in [
            (0.0, "0"),
            (1.0, "1"),
            (0.012_345, "0.0123"),
            (153.62, "154"),
            (-2.5, "−2.5"),
            (1e-5, "1e−5"),
            (1.26e7, "1.3e7"),
            (999_999.0, "999999"),
            (0.1, "0.1"),
            (9.996, "10"),
        ] {
            assert_eq!(significant(value), expected, "{value}");
        }
    }

    #[test]
    fn signs_are_shown_and_zero_has_none() {
        for (value, expected) in [(1.25, "+1.3"), (-1.0, "−1.0"), (-0.01, "0.0"), (0.04, "0.0"), (0.0, "0.0")] {
            assert_eq!(signed(value), expected, "{value}");
        }
        assert_eq!(one_decimal(-0.01), "0.0");
    }

    #[test]
    fn durations_name_two_units() {
        for (seconds, expected) in
            [(0.4, "0.4 s"), (42.4, "42 s"), (59.6, "1 min 0 s"), (192.0, "3 min 12 s"), (3_901.0, "1 h 5 min")]
        {
            assert_eq!(duration(seconds), expected);
        }
    }
}
