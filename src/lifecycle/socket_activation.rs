//! Sockets that a service manager passed to etui for the container's process (sd_listen_fds(3)).

use std::env;

/// What was passed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// How many descriptors, from 3 on.
    pub count: u32,
    /// What tells the process of them; it is process 1 of the container.
    pub environment: Vec<String>,
}

/// What was passed to this very process (`LISTEN_PID`), and not to one that started it.
pub(super) fn passed() -> Passed {
    let ours = env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let count = env::var("LISTEN_FDS").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    if !ours || count == 0 {
        return Passed::default();
    }
    let mut environment = vec![format!("LISTEN_FDS={count}"), "LISTEN_PID=1".to_owned()];
    if let Ok(names) = env::var("LISTEN_FDNAMES") {
        environment.push(format!("LISTEN_FDNAMES={names}"));
    }
    Passed { count, environment }
}
