//! The runtime killed by SIGKILL at many moments: afterwards `delete --force` leaves nothing.
//!
//! `strace` kills it at its Nth system call: N goes up until a run gets to its end.

mod support;

use std::process::{Command, Stdio};

use support::{Container, Kind, only_on};

/// Runs a verb under `strace`, which kills the runtime at its `nth` system call. Whether it got to its end.
fn killed_at(container: &Container, nth: usize, arguments: &[&str]) -> bool {
    let runtime = container.command();
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-o", "/dev/null", "-e", "trace=all", "-e"]);
    strace.arg(format!("inject=all:signal=KILL:when={nth}"));
    strace.arg(runtime.get_program()).args(runtime.get_args()).args(arguments);
    strace.env("ETUI_TEST", &container.id).stdin(Stdio::null());
    container.complete(strace).status.success()
}

/// Kills `verb` at every `step`th system call from `first` on, each time on a container of its own.
fn kill_at_every(step: usize, first: usize, prepare: impl Fn(&Container), verb: &[&str]) {
    if !only_on(&[Kind::Etui], "leaves cgroups or processes behind") {
        return;
    }
    for (moments, nth) in (first..4000).step_by(step).enumerate() {
        let container = Container::sleeping();
        container.write_config();
        prepare(&container);
        let bundle = container.bundle();
        let arguments: Vec<&str> = verb
            .iter()
            .map(|word| match *word {
                "BUNDLE" => bundle.to_str().unwrap(),
                "ID" => container.id.as_str(),
                other => other,
            })
            .collect();
        let got_to_its_end = killed_at(&container, nth, &arguments);
        container.verb(&["delete", "--force", &container.id]).ok();
        container.assert_nothing_left();
        if got_to_its_end {
            assert!(moments > 0, "never killed: does strace run here?");
            return;
        }
    }
    panic!("{verb:?} has never got to its end");
}

const CREATE: [&str; 4] = ["create", "--bundle", "BUNDLE", "ID"];
const RUN: [&str; 5] = ["run", "--detach", "--bundle", "BUNDLE", "ID"];

#[test]
fn create_killed_early_or_late() {
    kill_at_every(10, 1, |_| {}, &CREATE);
}

#[test]
fn create_killed_in_between() {
    kill_at_every(10, 6, |_| {}, &CREATE);
}

#[test]
fn run_killed() {
    kill_at_every(11, 3, |_| {}, &RUN);
}

#[test]
fn start_killed() {
    kill_at_every(5, 1, |container| drop(container.create().ok()), &["start", "ID"]);
}

#[test]
fn exec_killed() {
    kill_at_every(8, 1, Container::up, &["exec", "--detach", "ID", "sleep", "77"]);
}

#[test]
fn delete_killed() {
    kill_at_every(5, 1, Container::up, &["delete", "--force", "ID"]);
}

#[test]
fn a_container_outlives_the_runtime_that_waits_for_it() {
    if !only_on(&[Kind::Etui], "words of its own") {
        return;
    }
    let container = Container::sleeping();
    container.write_config();
    let mut command = container.command();
    command.args(["run", "--bundle"]).arg(container.bundle()).arg(&container.id);
    let mut child = command.stdin(Stdio::null()).spawn().expect("the runtime starts");
    support::wait_for("running", || {
        let state = container.verb(&["state", &container.id]);
        state.status.success() && state.json()["status"] == "running"
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(container.status(), "running");
    container.verb(&["delete", "--force", &container.id]).ok();
    container.assert_nothing_left();
}

#[test]
fn signals_during_create_leave_nothing() {
    if !only_on(&[Kind::Etui], "leaves state behind") {
        return;
    }
    for signal in ["TERM", "INT", "HUP"] {
        let mut container = Container::sleeping();
        let touched = container.dir().join("touched");
        let script = format!("touch {}; exec sleep 5", touched.display());
        let hook = serde_json::json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] }]);
        container.set("/hooks", serde_json::json!({ "createRuntime": hook }));
        container.write_config();
        let mut command = container.command();
        command.args(["create", "--bundle"]).arg(container.bundle()).arg(&container.id);
        let mut child =
            command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("the runtime starts");
        support::wait_for("the hook", || touched.exists());
        let kill = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        assert!(!child.wait().unwrap().success(), "{signal}");
        container.assert_nothing_left();
    }
}
