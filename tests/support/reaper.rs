//! The test program as the parent of orphans, which containerd's shim and conmon are in real life.
//!
//! A pid namespace ends only when its processes have been waited for, those of `exec` by the parent they
//! got outside. Left to the machine's process 1, that may take a second.

use std::fs;
use std::sync::Once;
use std::thread;
use std::time::Duration;

use nix::sys::prctl::set_child_subreaper;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

/// From now on, orphans that lived in the cgroup of a test's container are waited for.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        set_child_subreaper(true).expect("a subreaper");
        thread::spawn(|| {
            loop {
                children().into_iter().filter(|pid| is_of_a_container(*pid)).for_each(reap);
                thread::sleep(Duration::from_millis(5));
            }
        });
    });
}

fn children() -> Vec<Pid> {
    let tasks = fs::read_dir("/proc/self/task").expect("/proc").flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pids: Vec<Pid> = lists
        .flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|pid| pid.parse().ok().map(Pid::from_raw))
        .collect();
    pids
}

/// A runtime that the test itself waits for is in the test's own cgroup.
fn is_of_a_container(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cgroup"))
        .is_ok_and(|cgroup| cgroup.contains("/etui-test-"))
}

fn reap(pid: Pid) {
    // It runs still, or it has just been waited for: either is fine.
    let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
}
