//! Points in time as RFC 3339 writes them, in UTC. Knows no time zone, and no clock but the system's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECONDS_A_DAY: u64 = 86_400;

/// How exactly a point in time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Whole seconds, as in logs: `2026-01-02T15:04:05Z`.
    Seconds,
    /// Nanoseconds without trailing zeros, as in a container's state: `2026-01-02T15:04:05.0625Z`.
    Nanoseconds,
}

/// Now.
pub fn now(precision: Precision) -> String {
    // A clock before 1970 has never been set: the epoch says so as well as anything.
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format(since_epoch, precision)
}

/// The point in time that is `since_epoch` after the first moment of 1970, without leap seconds.
pub fn format(since_epoch: Duration, precision: Precision) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil_date(seconds / SECONDS_A_DAY);
    let second_of_day = seconds % SECONDS_A_DAY;
    let (hour, minute, second) =
        (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    let nanoseconds = since_epoch.subsec_nanos();
    if precision == Precision::Nanoseconds && nanoseconds > 0 {
        let fraction = format!(".{nanoseconds:09}");
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// Year, month and day of the Gregorian calendar, from days since 1970-01-01.
///
/// Counts from 0000-03-01: with leap days at the end of a year, every 400 years (146 097 days), 100 years (36 524) and
/// 4 years (1 461) look alike, and the lengths of months from March on repeat every five (153 days).
fn civil_date(days_since_epoch: u64) -> (u64, u64, u64) {
    const DAYS_FROM_YEAR_0_TO_EPOCH: u64 = 719_468;
    let days = days_since_epoch + DAYS_FROM_YEAR_0_TO_EPOCH;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let leap_days = day_of_era / 1_460 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days + day_of_era / 36_524) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Values of `date -u --date=@SECONDS`.
    #[test]
    fn known_dates() {
        let known = [
            (0, "1970-01-01T00:00:00Z"),
            (68_169_599, "1972-02-28T23:59:59Z"),
            (68_169_600, "1972-02-29T00:00:00Z"),
            (951_868_799, "2000-02-29T23:59:59Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_767_366_245, "2026-01-02T15:04:05Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ];
        for (seconds, text) in known {
            assert_eq!(format(Duration::from_secs(seconds), Precision::Seconds), text);
        }
    }

    #[test]
    fn fractions_lose_their_trailing_zeros() {
        let text = |nanos| format(Duration::new(0, nanos), Precision::Nanoseconds);
        assert_eq!(text(0), "1970-01-01T00:00:00Z");
        assert_eq!(text(62_500_000), "1970-01-01T00:00:00.0625Z");
        assert_eq!(text(123_456_789), "1970-01-01T00:00:00.123456789Z");
    }

    fn days_in(year: u64, month: u64) -> u64 {
        let leap =
            year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        match month {
            2 => 28 + u64::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    proptest! {
        #[test]
        fn tomorrow_follows_today(day in 0u64..3_000_000) {
            let (year, month, today) = civil_date(day);
            let expected = match today == days_in(year, month) {
                false => (year, month, today + 1),
                true if month < 12 => (year, month + 1, 1),
                true => (year + 1, 1, 1),
            };
            prop_assert_eq!(civil_date(day + 1), expected);
        }
    }
}
