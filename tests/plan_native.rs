//! What a plan says of scheduling and memory, seen from inside: processors, policies, and what `exec` shares with init.

mod support;

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use support::{Container, Kind, only_on};

const PROCESSORS: &str = "grep Cpus_allowed_list /proc/self/status | cut -f2";

/// The processors this machine lets us run on, as the kernel lists them; none when there is but one.
fn several_processors() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap();
    let list = line.split_whitespace().nth(1).unwrap().to_owned();
    let several = list.contains(['-', ',']);
    if !several {
        support::skip("one processor only");
    }
    several.then_some(list)
}

/// A verb called by someone who is bound to the first processor.
fn bound_to_first(container: &Container, arguments: &[&str]) -> Command {
    let verb = container.command();
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(verb.get_program()).args(verb.get_args()).args(arguments);
    command.env("ETUI_TEST", &container.id);
    command
}

fn process_document(container: &Container, changes: &Value) -> String {
    let mut process = json!({
        "user": {"uid": 0, "gid": 0}, "cwd": "/", "env": ["PATH=/bin"], "args": ["true"]
    });
    process.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let path = container.dir().join("process.json");
    fs::write(&path, process.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_container_runs_on_all_processors_whatever_its_caller_is_bound_to() {
    let (Some(all), true) = (several_processors(), only_on(&[Kind::Etui], "the caller's")) else {
        return;
    };
    let container = Container::sh(PROCESSORS);
    container.write_config();
    let bundle = container.bundle();
    let run = ["run", "--bundle", bundle.to_str().unwrap(), &container.id];
    let outcome = container.complete(bound_to_first(&container, &run));
    assert_eq!(outcome.ok().text(), all);
}

#[test]
fn an_exec_runs_on_all_processors_or_on_those_it_names() {
    let (Some(all), true) = (several_processors(), only_on(&[Kind::Etui], "the caller's")) else {
        return;
    };
    let container = Container::sleeping();
    container.up();
    let exec = ["exec", &container.id, "sh", "-c", PROCESSORS];
    assert_eq!(container.complete(bound_to_first(&container, &exec)).ok().text(), all);

    let affinity = json!({"initial": "0", "final": "1"});
    let named = json!({"args": ["sh", "-c", PROCESSORS], "execCPUAffinity": affinity});
    let document = process_document(&container, &named);
    assert_eq!(container.verb(&["exec", "--process", &document, &container.id]).ok().text(), "1");
}

#[test]
fn memory_comes_from_where_the_policy_says() {
    if !only_on(&[Kind::Etui], "it is older than the field") {
        return;
    }
    let policy = |script: &str| {
        let policy = json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]});
        Container::sh(script).with("/linux/memoryPolicy", policy)
    };
    let mapped = policy("head -1 /proc/self/numa_maps").run().ok().stdout;
    assert!(mapped.contains(" bind=static:0 "), "{mapped}");

    let container = policy("sleep 1000");
    container.up();
    let mapped = container.exec_sh(&[], "head -1 /proc/self/numa_maps").ok().stdout;
    assert!(mapped.contains(" bind=static:0 "), "{mapped}");
}

#[test]
fn an_exec_has_the_containers_personality() {
    if !only_on(&[Kind::Etui], "it has the host's") {
        return;
    }
    let container = Container::sleeping().with("/linux/personality", json!({"domain": "LINUX32"}));
    container.up();
    assert_eq!(container.exec_sh(&[], "uname -m").ok().text(), "i686");
}

#[test]
fn what_a_process_document_leaves_out_is_as_with_the_containers_process() {
    let container =
        Container::sleeping().with("/process/oomScoreAdj", 321).with("/process/user/umask", 0o077);
    container.up();
    let script = "grep -E '^Cap(Prm|Bnd)' /proc/1/status; grep -E '^Cap(Prm|Bnd)' /proc/self/status; \
                  cat /proc/self/oom_score_adj; umask";
    let document = process_document(&container, &json!({"args": ["sh", "-c", script]}));
    if !only_on(&[Kind::Etui], "it has some of it from elsewhere") {
        return;
    }
    let outcome = container.verb(&["exec", "--process", &document, &container.id]).ok();
    let lines = outcome.lines();
    assert_eq!(lines[..2], lines[2..4]);
    assert_eq!(lines[4..], ["321", "0077"]);
}
