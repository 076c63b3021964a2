//! Sockets that a service manager passed to etui for the container's process (sd_listen_fds(3)).

use std::env;

use crate::error::{Error, Result};

/// What was passed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Passed {
    count: u32,
    names: Option<String>,
}

/// Tells the process of them; how many descriptors it inherits from 3 on, with those of `--preserve-fds`.
pub(super) fn pass_on(environment: &mut Vec<String>, preserved: u32) -> Result<u32> {
    let sockets = passed();
    sockets.tell(environment);
    sockets.beside(preserved)
}

/// What was passed to this very process (`LISTEN_PID`), and not to one that started it.
fn passed() -> Passed {
    let ours = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let count = env::var("LISTEN_FDS").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    match ours {
        true => Passed { count, names: env::var("LISTEN_FDNAMES").ok() },
        false => Passed::default(),
    }
}

impl Passed {
    /// How many descriptors the process inherits from 3 on, with those of `--preserve-fds`.
    fn beside(&self, preserved: u32) -> Result<u32> {
        self.count.checked_add(preserved).ok_or_else(|| {
            let count = self.count;
            Error::refused(format!(
                "--preserve-fds: {preserved}, and {count} sockets, are too many"
            ))
        })
    }

    /// Tells the process of them, in place of what its configuration may say: it is process 1 of the container.
    fn tell(&self, environment: &mut Vec<String>) {
        if self.count == 0 {
            return;
        }
        const OURS: [&str; 3] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];
        environment.retain(|entry| !OURS.contains(&entry.split('=').next().unwrap_or_default()));
        environment.push(format!("LISTEN_FDS={}", self.count));
        environment.push("LISTEN_PID=1".to_owned());
        environment.extend(self.names.iter().map(|names| format!("LISTEN_FDNAMES={names}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_does_not_say_what_was_passed() {
        let configured =
            ["LISTEN_FDS=7", "A=b", "LISTEN_FDNAMES=x", "LISTEN_PID=9", "LISTEN_FDSX=1"];
        let configured = configured.map(str::to_owned).to_vec();
        let told = |passed: Passed| {
            let mut environment = configured.clone();
            passed.tell(&mut environment);
            environment
        };
        assert_eq!(
            told(Passed { count: 2, names: None }),
            ["A=b", "LISTEN_FDSX=1", "LISTEN_FDS=2", "LISTEN_PID=1"]
        );
        let named = told(Passed { count: 1, names: Some("web".to_owned()) });
        assert_eq!(named.last().map(String::as_str), Some("LISTEN_FDNAMES=web"));
        assert_eq!(told(Passed::default()), configured);
    }

    #[test]
    fn too_many_are_refused() {
        let passed = Passed { count: 2, names: None };
        assert_eq!(passed.beside(1).unwrap(), 3);
        let error = passed.beside(u32::MAX - 1).unwrap_err().to_string();
        assert!(error.starts_with("--preserve-fds: "), "{error}");
    }
}
