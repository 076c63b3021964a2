//! The gate between `create` and `start`, and what becomes of a program that can't be executed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{ExitStatus, Stdio};

use serde_json::json;

use crate::support::{Container, Kind, only_on, wait_for};

/// A file that is executable and that no kernel knows how to execute.
fn unknown_format(container: &Container) {
    let program = container.rootfs().join("bin/unknown");
    fs::write(&program, [0x7f, b'?', 0, 1, 2, 3]).unwrap();
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn start_fails_when_execve_fails() {
    if !only_on(&[Kind::Etui], "its start has returned before execve") {
        return;
    }
    let container = Container::new().with("/process/args", json!(["/bin/unknown"]));
    unknown_format(&container);
    container.create().ok();
    container.start().exits(1).says("exec format error");
    assert_eq!(container.status(), "stopped");
}

#[test]
fn run_fails_when_execve_fails() {
    let container = Container::new().with("/process/args", json!(["/bin/unknown"]));
    unknown_format(&container);
    let outcome = container.run();
    assert_ne!(outcome.code(), 0, "{outcome:#?}");
    assert!(outcome.stderr.to_lowercase().contains("exec format error"), "{outcome:#?}");
    container.assert_nothing_left();
}

#[test]
fn poststart_hooks_run_after_execve() {
    if !only_on(&[Kind::Etui], "its poststart hooks may run before execve") {
        return;
    }
    let mut container = Container::sleeping();
    let seen = container.dir().join("seen");
    let script = format!("pid=$(jq .pid); tr '\\0' ' ' </proc/$pid/cmdline >{}", seen.display());
    container.set("/hooks", json!({ "poststart": [{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] }] }));
    container.up();
    assert_eq!(fs::read_to_string(seen).unwrap(), "sleep 1000 ");
}

#[test]
fn poststart_hooks_do_not_run_when_execve_fails() {
    if !only_on(&[Kind::Etui], "its poststart hooks may run before execve") {
        return;
    }
    let mut container = Container::new().with("/process/args", json!(["/bin/unknown"]));
    unknown_format(&container);
    let seen = container.dir().join("seen");
    container.set(
        "/hooks",
        json!({ "poststart": [{ "path": "/usr/bin/touch", "args": ["touch", seen] }] }),
    );
    container.create().ok();
    container.start().exits(1);
    assert!(!seen.exists());
}

#[test]
fn a_created_container_survives_its_creator() {
    let container = Container::sh("echo alive");
    container.create().ok();
    // A second start finds the gate open: only one of them may succeed.
    container.start().ok();
    assert_ne!(container.start().code(), 0);
    wait_for("its output", || container.output() == "alive\n");
}

#[test]
fn only_one_of_many_starts_succeeds() {
    if !only_on(&[Kind::Etui], "a start that comes too late waits for ever, or reports success") {
        return;
    }
    let container = Container::sleeping();
    container.create().ok();
    let race = |_| {
        let mut command = container.command();
        command.args(["start", &container.id]).stderr(Stdio::null());
        command.spawn().expect("the runtime starts")
    };
    let racers: Vec<_> = (0..4).map(race).collect();
    let succeeded = racers
        .into_iter()
        .filter_map(|mut racer| racer.wait().ok())
        .filter(ExitStatus::success)
        .count();
    assert_eq!(succeeded, 1);
    assert_eq!(container.status(), "running");
}

#[test]
fn a_killed_created_container_does_not_start() {
    let container = Container::sh("echo never");
    container.create().ok();
    container.kill("KILL").ok();
    container.wait_until("stopped");
    assert_ne!(container.start().code(), 0);
    assert_eq!(container.output(), "");
}

/// Between the gate and execve only hooks take time: while one sleeps, init is killed.
fn killed_in_its_hook(container: &mut Container) {
    let script = "sleep 30";
    container.set("/hooks", json!({ "startContainer": [{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"] }] }));
}

fn kill_once_in_hook(container: &Container) {
    let pid = container.pid();
    let children = format!("/proc/{pid}/task/{pid}/children");
    wait_for("the hook", || fs::read_to_string(&children).is_ok_and(|pids| !pids.is_empty()));
    container.kill("KILL").ok();
}

#[test]
fn start_fails_when_init_is_killed_before_execve() {
    if !only_on(&[Kind::Etui], "its start has returned before execve") {
        return;
    }
    let mut container = Container::sleeping();
    killed_in_its_hook(&mut container);
    container.create().ok();
    let mut start = container.command();
    let start = start.args(["start", &container.id]).stderr(Stdio::piped()).spawn().unwrap();
    kill_once_in_hook(&container);
    let outcome = start.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(!outcome.status.success(), "{told}");
    assert!(told.contains("ended before it executed its program"), "{told}");
}

#[test]
fn run_fails_when_init_is_killed_before_execve() {
    if !only_on(&[Kind::Etui], "it knows no difference") {
        return;
    }
    let mut container = Container::sleeping();
    killed_in_its_hook(&mut container);
    container.write_config();
    let mut run = container.command();
    run.args(["run", "--detach", "--bundle"]).arg(container.bundle()).arg(&container.id);
    let run =
        run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the container", || {
        let state = container.verb(&["state", &container.id]);
        state.code() == 0 && state.json()["pid"] != 0
    });
    kill_once_in_hook(&container);
    let outcome = run.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&outcome.stderr).into_owned();
    assert!(!outcome.status.success(), "{told}");
    assert!(told.contains("init was killed by signal 9"), "{told}");
    container.assert_nothing_left();
}
