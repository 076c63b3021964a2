//! `checkpoint` and `restore`. Needs root, and for most of it a criu(8) that works on this kernel.

mod support;

use std::fs;
use std::io::{PipeReader, pipe};
use std::process::{Child, Command};

use serde_json::json;

use support::{Container, Kind, Outcome, only_on, skip, wait_for};

/// A container that counts, and whose standard streams are pipes, for criu knows no file outside.
struct Counter {
    container: Container,
    _output: PipeReader,
}

const SCRIPT: &str = "i=0; while sleep 0.05; do i=$((i + 1)); echo $i > /tmp/count; done";

impl Counter {
    /// None where criu does not work; noted as skipped.
    fn new() -> Option<Counter> {
        if !only_on(&[Kind::Etui, Kind::Runc], "crun's flags differ") {
            return None;
        }
        let works = Command::new("criu").arg("check").output();
        if !works.is_ok_and(|output| output.status.success()) {
            skip("no criu that works here");
            return None;
        }
        let mut container = Container::sh(SCRIPT);
        // To hold packets back criu needs iptables, which this is not about.
        let namespaces = container.config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "network");
        let (reader, writer) = pipe().unwrap();
        container.write_config();
        let mut run = container.command();
        run.args(["run", "--detach", "--bundle"]).arg(container.bundle()).arg(&container.id);
        run.stdin(pipe().unwrap().0).stdout(writer.try_clone().unwrap()).stderr(writer);
        assert!(run.status().unwrap().success());
        let counter = Counter { container, _output: reader };
        counter.wait_for_more();
        Some(counter)
    }

    fn count(&self) -> u32 {
        let text = fs::read_to_string(self.container.rootfs().join("tmp/count"));
        text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    fn wait_for_more(&self) {
        let before = self.count();
        wait_for("counting", || self.count() > before);
    }

    fn checkpoint(&self, flags: &[&str]) -> Outcome {
        let images = self.container.dir().join("images");
        let images = ["checkpoint", "--image-path", images.to_str().unwrap()];
        self.container.verb(&[&images, flags, &[&self.container.id]].concat())
    }

    fn restore(&mut self, flags: &[&str]) -> Child {
        let (reader, writer) = pipe().unwrap();
        let mut restore = self.container.command();
        restore.arg("restore").arg("--image-path").arg(self.container.dir().join("images"));
        restore.arg("--bundle").arg(self.container.bundle()).args(flags).arg(&self.container.id);
        restore.stdin(pipe().unwrap().0).stdout(writer.try_clone().unwrap()).stderr(writer);
        self._output = reader;
        restore.spawn().unwrap()
    }
}

#[test]
fn a_container_ends_and_goes_on_where_it_was() {
    let Some(mut counter) = Counter::new() else { return };
    counter.checkpoint(&[]).ok();
    counter.container.assert_nothing_left();
    let count = counter.count();
    assert!(counter.restore(&["--detach"]).wait().unwrap().success());
    counter.wait_for_more();
    assert!(counter.count() >= count, "it began anew");
    assert_eq!(counter.container.status(), "running");
    let own = counter.container.exec_sh(&[], "hostname; grep ^0:: /proc/1/cgroup").ok();
    assert_eq!(own.lines(), ["inside", "0::/"]);
    counter.container.kill("KILL").ok();
    counter.container.wait_until("stopped");
}

#[test]
fn a_container_may_be_left_running() {
    let Some(counter) = Counter::new() else { return };
    counter.checkpoint(&["--leave-running"]).ok();
    assert_eq!(counter.container.status(), "running");
    counter.wait_for_more();
}

#[test]
fn memory_may_be_written_before() {
    let Some(mut counter) = Counter::new() else { return };
    let before = counter.container.dir().join("before");
    let before = ["checkpoint", "--pre-dump", "--image-path", before.to_str().unwrap()];
    let outcome = counter.container.verb(&[&before[..], &[&counter.container.id]].concat());
    if outcome.stderr.contains("does not track memory") {
        return skip("this kernel does not track memory");
    }
    outcome.ok();
    counter.wait_for_more();
    counter.checkpoint(&["--parent-path", "/before"]).says("must be relative");
    counter.checkpoint(&["--parent-path", "../before"]).ok();
    assert!(counter.restore(&["--detach"]).wait().unwrap().success());
    counter.wait_for_more();
}

#[test]
fn restore_in_the_foreground_ends_as_the_process_does() {
    let Some(mut counter) = Counter::new() else { return };
    counter.checkpoint(&[]).ok();
    let pid_file = counter.container.dir().join("pid");
    let mut restore = counter.restore(&["--pid-file", pid_file.to_str().unwrap()]);
    counter.wait_for_more();
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), counter.container.pid().to_string());
    counter.container.kill("TERM").ok();
    counter.container.kill("KILL").ok();
    assert_eq!(restore.wait().unwrap().code(), Some(137));
    counter.container.assert_nothing_left();
}

#[test]
fn without_criu_it_is_refused_and_nothing_happens() {
    if !only_on(&[Kind::Etui], "runc says it in other words") {
        return;
    }
    let container = Container::sleeping();
    container.up();
    let images = container.dir().join("images");
    let mut command = container.command();
    command.env("PATH", "/nowhere").args(["checkpoint", "--image-path"]).arg(&images);
    command.arg(&container.id);
    container.complete(command).exits(1).says("criu(8) is not installed, or not on PATH");
    assert!(!images.exists());
    assert_eq!(container.status(), "running");
}

#[test]
fn only_a_running_container_can_be_written_down() {
    let container = Container::sleeping();
    container.create().ok();
    container.verb(&["checkpoint", &container.id]).exits(1);
    let missing = container.verb(&["checkpoint", "nosuch"]).exits(1);
    assert!(missing.stderr.contains("does not exist"), "{missing:?}");
}

#[test]
fn a_bad_value_is_refused() {
    if !only_on(&[Kind::Etui], "the others take some of them") {
        return;
    }
    let container = Container::sleeping().with("/annotations", json!({}));
    container.up();
    for (flags, words) in [
        (["--manage-cgroups-mode", "hard"], "invalid manage-cgroups-mode"),
        (["--page-server", "here"], "ADDRESS:PORT"),
        (["--empty-ns", "pid"], "not supported"),
    ] {
        let arguments = ["checkpoint", flags[0], flags[1], &container.id];
        container.verb(&arguments).exits(1).says(words);
    }
}
