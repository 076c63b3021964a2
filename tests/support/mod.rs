//! Runs a container runtime on small busybox bundles and tells what it left behind.
//!
//! The runtime is `$RUNTIME`, or the etui that Cargo built. Every test has a mount namespace of its own with
//! a cgroup v2 tree on `/sys/fs/cgroup`, so that etui, crun and runc see the same machine, and so that a
//! mount left behind is seen.
#![allow(dead_code, unused_imports, reason = "no test program uses all of it")]

mod command;
mod config;
mod container;
mod leftovers;
mod reaper;
mod rootfs;
mod runtime;
pub mod terminal;

pub use command::{Outcome, wait_for};
pub use container::Container;
pub use leftovers::processes_of;
pub use runtime::{Kind, kind, runtime};

/// Notes that the running test can't run here, and why; `make test` counts it as skipped.
///
/// Rust's test runner knows no skip at run time: the test that calls this returns right after.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("skipped {}: {reason}\n", thread.name().unwrap_or("?"));
    eprint!("{line}");
    if let Some(path) = std::env::var_os("ETUI_SKIPPED") {
        use std::io::Write;
        let file = std::fs::File::options().append(true).create(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("the list of skipped tests");
    }
}

/// Whether the runtime under test is one of these; where it isn't, the test is noted as skipped.
pub fn only_on(kinds: &[Kind], reason: &str) -> bool {
    let here = kinds.contains(&kind());
    if !here {
        skip(&format!("not on {:?}: {reason}", kind()));
    }
    here
}

/// Whether the cgroup v2 tree has this controller; where it hasn't, the test is noted as skipped.
pub fn has_controller(name: &str) -> bool {
    let controllers =
        std::fs::read_to_string("/sys/fs/cgroup/cgroup.subtree_control").unwrap_or_default();
    let here = controllers.split_whitespace().any(|controller| controller == name);
    if !here {
        skip(&format!("no {name} controller on this machine's cgroup v2 tree"));
    }
    here
}
