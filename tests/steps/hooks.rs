//! Hooks: which, when, where, with what state, and what becomes of one that fails.

use std::fs;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::{Container, Kind, kind, only_on};

/// A hook that runs a shell script; `$1` is its name.
fn hook(name: &str, script: &str) -> Value {
    json!([{ "path": "/bin/sh", "args": ["sh", "-c", script, "sh", name], "env": ["PATH=/usr/bin:/bin", "ONLY=this"] }])
}

const HOST_HOOKS: [&str; 5] =
    ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];

/// A container with every hook of the host's files, each of which appends a line to the file `log`.
fn logging(container: &mut Container, script: &str) -> std::path::PathBuf {
    let log = container.dir().join("log");
    for name in HOST_HOOKS {
        let script = format!("{{ {script}; }} >>{}", log.display());
        let object = container.config.as_object_mut().unwrap();
        object.entry("hooks").or_insert(json!({}))[name] = hook(name, &script);
    }
    log
}

#[test]
fn run_in_the_order_of_the_specification() {
    if !only_on(&[Kind::Etui, Kind::Crun], "its poststart hooks run in create") {
        return;
    }
    let mut container = Container::sh("echo program");
    let log = logging(&mut container, "echo $1");
    container.create().ok();
    assert_eq!(fs::read_to_string(&log).unwrap(), "prestart\ncreateRuntime\ncreateContainer\n");
    container.start().ok();
    assert_eq!(
        fs::read_to_string(&log).unwrap(),
        "prestart\ncreateRuntime\ncreateContainer\npoststart\n"
    );
    container.wait_until("stopped");
    container.delete().ok();
    assert!(fs::read_to_string(&log).unwrap().ends_with("poststart\npoststop\n"));
}

#[test]
fn get_the_state_on_standard_input() {
    let mut container = Container::sleeping().with("/annotations", json!({ "a": "b" }));
    let log = logging(&mut container, "cat | tr -d '\\n'; echo");
    container.up();
    container.verb(&["delete", "--force", &container.id]).ok();
    let log = fs::read_to_string(log).unwrap();
    let states: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(states.len(), HOST_HOOKS.len(), "{log}");
    for (name, state) in HOST_HOOKS.iter().zip(&states) {
        assert_eq!(state["id"], container.id.as_str(), "{name}: {state}");
        assert_eq!(state["bundle"], container.bundle().to_str().unwrap(), "{name}: {state}");
        assert_eq!(state["annotations"], json!({ "a": "b" }), "{name}: {state}");
    }
    let statuses: Vec<_> = states.iter().map(|state| state["status"].as_str().unwrap()).collect();
    assert_eq!(statuses[4], "stopped");
    if only_on(&[Kind::Etui], "status and pid of its own") {
        assert_eq!(statuses, ["creating", "creating", "creating", "running", "stopped"]);
        assert!(states[..4].iter().all(|state| state["pid"].as_u64().unwrap() > 0), "{states:?}");
    }
}

#[test]
fn get_their_own_environment_only() {
    let mut container = Container::new();
    let log = logging(
        &mut container,
        "env | grep -vE '^(PWD|SHLVL|_|OLDPWD)=' | sort | tr '\\n' ' '; echo",
    );
    container.run().ok();
    for line in fs::read_to_string(log).unwrap().lines() {
        assert_eq!(line, "ONLY=this PATH=/usr/bin:/bin ");
    }
}

#[test]
fn begin_in_the_bundle() {
    let mut container = Container::new();
    let log = container.dir().join("log");
    let script = format!("pwd >>{}", log.display());
    for name in ["prestart", "createRuntime", "poststart"] {
        let object = container.config.as_object_mut().unwrap();
        object.entry("hooks").or_insert(json!({}))[name] = hook(name, &script);
    }
    if !only_on(&[Kind::Etui, Kind::Runc], "its hooks begin where it was called") {
        return;
    }
    container.run().ok();
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(log.lines().collect::<Vec<_>>(), [container.bundle().to_str().unwrap(); 3]);
}

#[test]
fn run_in_the_namespaces_of_the_specification() {
    let mut container = Container::new();
    let log = logging(&mut container, "echo $1 $(readlink /proc/self/ns/mnt) $(hostname)");
    let host = fs::read_link("/proc/thread-self/ns/mnt").unwrap();
    let host = host.to_str().unwrap();
    container.run().ok();
    for line in fs::read_to_string(log).unwrap().lines() {
        let in_container = !line.contains(host);
        assert_eq!(in_container, line.starts_with("createContainer"), "{line}, host {host}");
    }
}

#[test]
fn create_container_hooks_see_the_mounts() {
    let mut container = Container::new();
    let log = container.dir().join("log");
    let root = container.rootfs();
    let script =
        format!("grep -c ' {}/dev ' /proc/self/mountinfo >{}", root.display(), log.display());
    container.set("/hooks", json!({ "createContainer": hook("createContainer", &script) }));
    container.run().ok();
    assert_eq!(fs::read_to_string(log).unwrap(), "1\n");
}

#[test]
fn start_container_hooks_run_inside_before_the_program() {
    let mut container = Container::sh("cat /tmp/hook");
    container.set(
        "/hooks",
        json!({ "startContainer": [
            { "path": "/bin/sh", "args": ["sh", "-c", "echo $(hostname) $ONLY >/tmp/hook"], "env": ["PATH=/bin", "ONLY=this"] }
        ] }),
    );
    container.create().ok();
    assert!(!container.rootfs().join("tmp/hook").exists());
    container.start().ok();
    container.wait_until("stopped");
    assert_eq!(container.output(), "inside this\n");
}

#[test]
fn start_container_hooks_have_the_environment_of_the_process() {
    if !only_on(&[Kind::Etui, Kind::Runc], "no environment is none") {
        return;
    }
    let mut container =
        Container::sh("cat /tmp/hook").with("/process/env", json!(["PATH=/bin", "A=b"]));
    container.set(
        "/hooks",
        json!({ "startContainer": [
            { "path": "/bin/sh", "args": ["sh", "-c", "echo $A $HOME >/tmp/hook"] }
        ] }),
    );
    assert_eq!(container.run().ok().text(), "b /root");
}

#[test]
fn one_that_fails_ends_the_creation() {
    for name in ["prestart", "createRuntime", "createContainer"] {
        let mut container = Container::new();
        container.set("/hooks", json!({ name: hook(name, "echo the-reason >&2; exit 3") }));
        let outcome = container.create();
        assert_ne!(outcome.code(), 0, "{name}: {outcome:#?}");
        container.assert_nothing_left();
        if kind() != Kind::Crun {
            assert!(outcome.stderr.contains("the-reason"), "{name}: {outcome:#?}");
            assert!(outcome.stderr.contains(name), "{name}: {outcome:#?}");
        }
    }
}

#[test]
fn one_that_fails_at_start_ends_the_start() {
    for name in ["startContainer", "poststart"] {
        if !only_on(&[Kind::Etui], "it goes on after a failed poststart hook") {
            return;
        }
        let mut container = Container::sleeping();
        container.set("/hooks", json!({ name: hook(name, "echo the-reason >&2; exit 3") }));
        container.create().ok();
        container.start().exits(1).says("the-reason");
        container.wait_until("stopped");
    }
}

#[test]
fn one_that_fails_at_the_end_is_only_a_warning() {
    let mut container = Container::new();
    container.set("/hooks", json!({ "poststop": hook("poststop", "exit 3") }));
    container.run().ok();
    container.assert_nothing_left();
}

#[test]
fn those_at_the_end_run_although_their_words_go_nowhere() {
    if !only_on(&[Kind::Etui, Kind::Crun], "an annotation of crun's") {
        return;
    }
    let mut container = Container::sleeping();
    let ran = container.dir().join("ran");
    container
        .set("/hooks", json!({ "poststop": hook("poststop", &format!("> {}", ran.display())) }));
    let directory = container.dir().join("logs");
    fs::create_dir(&directory).unwrap();
    container
        .set("/annotations", json!({ "run.oci.hooks.stdout": directory.join("out").to_str() }));
    container.up();
    fs::remove_dir_all(&directory).unwrap();
    container.verb(&["delete", "--force", &container.id]).ok();
    assert!(ran.exists());
}

#[test]
fn one_that_takes_too_long_is_killed() {
    let mut container = Container::new();
    let mut slow = hook("createRuntime", "exec sleep 29");
    slow[0]["timeout"] = json!(1);
    container.set("/hooks", json!({ "createRuntime": slow }));
    let start = std::time::Instant::now();
    let outcome = container.create();
    assert_ne!(outcome.code(), 0, "{outcome:#?}");
    assert!(start.elapsed().as_secs() < 10);
    container.assert_nothing_left();
}

#[test]
fn one_that_outlives_its_container_harms_no_later_one_of_that_id() {
    if !only_on(&[Kind::Etui], "nobody else promises it") {
        return;
    }
    let mut container = Container::sleeping();
    let (began, go) = (container.dir().join("began"), container.dir().join("go"));
    let script =
        format!("> {}; until [ -e {} ]; do sleep 0.01; done", began.display(), go.display());
    container.set("/hooks", json!({ "createRuntime": hook("createRuntime", &script) }));
    container.write_config();
    let mut first = container.command();
    first.args(["create", "--bundle"]).arg(container.bundle()).arg(&container.id);
    let mut first =
        first.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !began.exists() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    container.verb(&["delete", "--force", &container.id]).ok();

    container.set("/hooks", json!({}));
    container.up();
    fs::write(&go, "").unwrap();
    assert!(!first.wait().unwrap().success());
    assert_eq!(container.status(), "running");
}

#[test]
fn one_that_is_not_there_ends_the_creation() {
    let mut container = Container::new();
    container.set("/hooks", json!({ "createRuntime": [{ "path": "/not/there" }] }));
    let outcome = container.create();
    assert_ne!(outcome.code(), 0, "{outcome:#?}");
    assert!(outcome.stderr.contains("/not/there"), "{outcome:#?}");
    container.assert_nothing_left();
}

#[test]
fn may_write_to_files_instead() {
    if !only_on(&[Kind::Etui, Kind::Crun], "an annotation of crun's") {
        return;
    }
    let mut container = Container::sleeping();
    let script = "echo out $1; echo err $1 >&2";
    for name in HOST_HOOKS {
        let object = container.config.as_object_mut().unwrap();
        object.entry("hooks").or_insert(json!({}))[name] = hook(name, script);
    }
    let inside =
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", script, "sh", "startContainer"] }]);
    container.set("/hooks/startContainer", inside);
    let (out, err) = (container.dir().join("out"), container.dir().join("err"));
    fs::write(&out, "before\n").unwrap();
    container.set("/process/user/uid", 1000);
    container.set(
        "/annotations",
        json!({ "run.oci.hooks.stdout": out.to_str(), "run.oci.hooks.stderr": err.to_str() }),
    );
    container.up();
    container.verb(&["delete", "--force", &container.id]).ok();
    let all =
        ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    let lines = |word: &str| all.map(|name| format!("{word} {name}\n")).concat();
    assert_eq!(fs::read_to_string(&out).unwrap(), format!("before\n{}", lines("out")));
    assert_eq!(fs::read_to_string(&err).unwrap(), lines("err"));
}
