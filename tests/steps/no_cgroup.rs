//! `--cgroup-manager=disabled`: a container in its caller's cgroup.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::support::{Container, Kind, Outcome, only_on, wait_for};

/// `Podman --cgroups=disabled` gives the flag to `create` alone.
fn verb(container: &Container, verb: &str, flags: &[&str]) -> Outcome {
    container.write_config();
    let mut command: Command = container.command();
    command.args(["--cgroup-manager", "disabled", verb, "--bundle"]).arg(container.bundle());
    command.args(flags).arg(&container.id);
    container.complete(command)
}

fn cgroup_of(pid: u32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    text.lines().find_map(|line| line.strip_prefix("0::")).unwrap().to_owned()
}

#[test]
fn a_container_lives_and_ends_in_its_callers_cgroup() {
    if !only_on(&[Kind::Etui, Kind::Crun], "runc has no such flag") {
        return;
    }
    let container = Container::sleeping();
    verb(&container, "create", &[]).ok();
    container.start().ok();
    assert_eq!(container.status(), "running");
    assert_eq!(cgroup_of(container.pid()), cgroup_of(std::process::id()));
    assert!(!container.cgroup().exists());
    container.exec(&["true"]).ok();
    container.kill("KILL").ok();
    container.wait_until("stopped");
    container.delete().ok();
    container.assert_nothing_left();
}

#[test]
fn what_takes_a_cgroup_is_refused_with_the_reason() {
    if !only_on(&[Kind::Etui], "in other words") {
        return;
    }
    let container = Container::sleeping();
    verb(&container, "create", &[]).ok();
    container.start().ok();
    let id = container.id.as_str();
    for refused in [
        vec!["pause", id],
        vec!["ps", id],
        vec!["events", "--stats", id],
        vec!["update", "--pids-limit", "10", id],
        vec!["exec", "--cgroup", "below", id, "true"],
    ] {
        let outcome = container.verb(&refused).says("the container has no cgroup of its own");
        assert!(outcome.stderr.contains("--cgroup-manager=disabled"), "{outcome:?}");
    }
    container.verb(&["delete", "--force", id]).ok();
}

#[test]
fn run_works_too_and_limits_are_warned_of() {
    if !only_on(&[Kind::Etui], "crun says nothing") {
        return;
    }
    let container = Container::sh("exit 7");
    assert_eq!(verb(&container, "run", &[]).exits(7).stderr, "");
    let container = container.with("/linux/resources", json!({ "pids": { "limit": 5 } }));
    let outcome = verb(&container, "run", &[]).exits(7);
    assert!(outcome.stderr.contains("linux.resources: not in force"), "{outcome:?}");
    container.assert_nothing_left();
}

#[test]
fn a_container_that_others_share_their_pid_namespace_with_ends_with_its_init() {
    if !only_on(&[Kind::Etui], "crun says nothing") {
        return;
    }
    let mut container = Container::sh("sleep 1000 & exec sleep 1000");
    let namespaces = container.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "pid");
    verb(&container, "create", &[]).ok();
    container.start().ok();
    wait_for("both", || crate::support::processes_of(&container.id).len() == 2);
    container.kill("KILL").ok();
    container.wait_until("stopped");
    // Nobody knows the other one any more: the documents say so.
    let left = crate::support::processes_of(&container.id);
    assert_eq!(left.len(), 1, "{left:?}");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(left[0].0.cast_signed()),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    container.delete().ok();
}
