//! The runtime killed by SIGKILL at many moments: afterwards `delete --force` leaves nothing.
//!
//! `strace` counts how often a *named* call is made, so a verb is watched once from start to end; every call it was seen to
//! make, and how many of that name came before, is a moment at which it can be killed.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Container, Kind, only_on};

/// A system call, and which one of its name it is, from 1 on.
type Moment = (String, usize);

fn strace(container: &Container, options: &[&str], arguments: &[&str]) -> support::Outcome {
    let runtime = container.command();
    let mut strace = Command::new("strace");
    strace.arg("-qq").args(options);
    strace.arg(runtime.get_program()).args(runtime.get_args()).args(arguments);
    strace.env("ETUI_TEST", &container.id).stdin(Stdio::null());
    container.complete(strace)
}

/// Every moment of a verb that gets to its end.
fn moments(container: &Container, arguments: &[&str]) -> Vec<Moment> {
    let log = container.dir().join("strace");
    strace(container, &["-o", log.to_str().unwrap()], arguments).ok();
    let mut seen = BTreeMap::new();
    let text = fs::read_to_string(&log).unwrap();
    fs::remove_file(&log).unwrap();
    let names = text.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name);
    names
        .filter(|name| name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_'))
        .map(|name| {
            let count = seen.entry(name.to_owned()).or_insert(0);
            *count += 1;
            (name.to_owned(), *count)
        })
        .collect()
}

/// The verb's words for this container.
fn words<'a>(container: &'a Container, bundle: &'a Path, verb: &[&'a str]) -> Vec<&'a str> {
    verb.iter()
        .map(|word| match *word {
            "BUNDLE" => bundle.to_str().unwrap(),
            "ID" => container.id.as_str(),
            other => other,
        })
        .collect()
}

/// Kills `verb` at every `step`th system call from the `first` on, each time on a container of its own.
fn kill_at_every(step: usize, first: usize, prepare: impl Fn(&Container), verb: &[&str]) {
    if !only_on(&[Kind::Etui], "leaves cgroups or processes behind") {
        return;
    }
    let fresh = || {
        let container = Container::sleeping();
        container.write_config();
        prepare(&container);
        container
    };
    let remove = |container: &Container| {
        container.verb(&["delete", "--force", &container.id]).ok();
        container.assert_nothing_left();
    };
    let watched = fresh();
    let moments = moments(&watched, &words(&watched, &watched.bundle(), verb));
    remove(&watched);
    // `start` makes the fewest.
    assert!(moments.len() > 40, "only {} system calls seen", moments.len());
    let mut killed = 0;
    for (name, count) in moments.iter().skip(first).step_by(step) {
        let container = fresh();
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let options = ["-o", "/dev/null", "-e", "trace=all", "-e", &inject];
        let bundle = container.bundle();
        let outcome = strace(&container, &options, &words(&container, &bundle, verb));
        killed += usize::from(!outcome.status.success());
        remove(&container);
    }
    let tried = moments.iter().skip(first).step_by(step).count();
    assert!(killed * 10 >= tried * 8, "killed at {killed} of {tried} moments only");
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
