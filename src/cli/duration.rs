//! Durations as Go writes them: numbers with units, such as `500ms` or `1m30s`.

use std::time::Duration;

/// What `text` means; zero where it is less than nothing.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    // The only one that needs no unit.
    if digits == "0" {
        return Some(Duration::ZERO);
    }
    if digits.is_empty() {
        return None;
    }
    let duration = Duration::try_from_secs_f64(seconds(digits)?).ok()?;
    Some(if is_negative { Duration::ZERO } else { duration })
}

fn seconds(mut rest: &str) -> Option<f64> {
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += factor * number.parse::<f64>().ok()?;
        rest = tail;
    }
    Some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        assert_eq!(parse("5s"), Some(Duration::from_secs(5)));
        assert_eq!(parse("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(parse("1.5ms"), Some(Duration::from_micros(1500)));
        for nothing in ["0", "-1s", "0s", "+0"] {
            assert_eq!(parse(nothing), Some(Duration::ZERO), "{nothing}");
        }
        for bad in ["", "5", "s", "1x", "1..5s", "9e99h", "-", "--1s"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
