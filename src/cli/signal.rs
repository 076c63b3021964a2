//! Signals by number or name, as kill(1) has them.

use std::str::FromStr;

use nix::sys::signal::Signal;

use crate::error::{Error, Result};

/// The kernel's last signal on x86_64 and aarch64 (signal(7), "Real-time signals").
const LAST: i32 = 64;

/// The number of the signal called `name`: a number (0 only asks whether the process is there), or a name in upper or lower case with `SIG` or without. Real-time
/// signals are `RTMIN+n` and `RTMAX-n`.
pub fn named(name: &str) -> Result<i32> {
    let unknown = || Error::refused(format!("unknown signal {name:?}"));
    if let Ok(number) = name.parse::<i32>() {
        return if (0..=LAST).contains(&number) { Ok(number) } else { Err(unknown()) };
    }
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(number) = real_time(short) {
        return Ok(number);
    }
    let short = match short {
        "CLD" => "CHLD",
        "IOT" => "ABRT",
        "POLL" => "IO",
        short => short,
    };
    Signal::from_str(&format!("SIG{short}")).map(|signal| signal as i32).map_err(|_| unknown())
}

/// The number of a real-time signal, counted from either end as glibc counts: it keeps 32 and 33 for itself.
fn real_time(short: &str) -> Option<i32> {
    // Not libc's: other C libraries keep more for themselves, but what callers and containers mean is this.
    let (first, last): (i32, i32) = (34, 64);
    let number = match (short.strip_prefix("RTMIN"), short.strip_prefix("RTMAX")) {
        (Some(""), _) => first,
        (_, Some("")) => last,
        (Some(up), _) => first.checked_add(up.strip_prefix('+')?.parse().ok()?)?,
        (_, Some(down)) => last.checked_sub(down.strip_prefix('-')?.parse().ok()?)?,
        (None, None) => return None,
    };
    (first..=last).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_and_numbers() {
        let known = [
            ("9", 9),
            ("KILL", 9),
            ("SIGKILL", 9),
            ("sigterm", 15),
            ("Term", 15),
            ("CLD", 17),
            ("37", 37),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmax-1", 63),
            ("64", 64),
            ("0", 0),
        ];
        for (name, number) in known {
            assert_eq!(named(name).expect(name), number, "{name}");
        }
    }

    #[test]
    fn what_is_none() {
        for bad in
            ["", "65", "-9", "FOO", "SIG", "SIGSIGKILL", "RTMIN+31", "RTMIN-1", "RTMIN+-1", "9x"]
        {
            let error = named(bad).expect_err(bad);
            assert_eq!(error.to_string(), format!("unknown signal {bad:?}"));
        }
    }

    proptest! {
        #[test]
        fn any_name_is_survived(name: String) {
            if let Ok(number) = named(&name) {
                prop_assert!((0..=LAST).contains(&number));
            }
        }
    }
}
