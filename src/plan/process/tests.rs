//! Tables of what is planned and what is refused.

use serde_json::{Value, json};

use super::*;

fn planned(changes: &Value) -> Result<Process> {
    let mut process = json!({"cwd": "/", "args": ["true"]});
    process.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let process: spec::Process = serde_json::from_value(process).unwrap();
    plan(Some(&process), OfContainer::default())
}

#[test]
fn the_least_process_has_the_defaults() {
    let process = planned(&json!({})).unwrap();
    assert_eq!(process.user.umask, 0o022);
    assert_eq!(process.capabilities, Sets::default());
    assert_eq!(process.terminal, None);
    assert_eq!(process.oom_score_adj, None);
}

#[test]
fn refusals_name_the_field() {
    let table = [
        (json!({"cwd": ""}), "process.cwd: Cwd property must not be empty"),
        (json!({"cwd": "a"}), "process.cwd: Cwd must be an absolute path"),
        (json!({"args": []}), "process.args: args must not be empty"),
        (json!({"args": ["a\u{0}"]}), "process.args[0]: "),
        (json!({"env": ["A=1", "B"]}), "process.env[1]: \"B\" is not of the form"),
        (json!({"env": ["=1"]}), "process.env[0]: \"=1\": the name must not be empty"),
        (json!({"user": {"umask": 4096}}), "process.user.umask: 4096 (octal 10000)"),
        (json!({"rlimits": [{"type": "RLIMIT_FUN"}]}), "process.rlimits[0].type: wrong rlimit"),
        (
            json!({"rlimits": [{"type": "RLIMIT_CPU"}, {"type": "RLIMIT_CPU"}]}),
            "process.rlimits[1].type: RLIMIT_CPU is listed twice",
        ),
        (
            json!({"rlimits": [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]}),
            "process.rlimits[0].soft: 2 is above hard, 1",
        ),
        (json!({"oomScoreAdj": 1001}), "process.oomScoreAdj: 1001 is not between"),
        (
            json!({"terminal": true, "consoleSize": {"height": 70000, "width": 1}}),
            "process.consoleSize: 70000",
        ),
        (json!({"execCPUAffinity": {"final": "3-1"}}), "process.execCPUAffinity.final: "),
    ];
    for (changes, expected) in &table {
        let error = planned(changes).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{changes}: {error}");
    }
    assert_eq!(
        plan(None, OfContainer::default()).unwrap_err().to_string(),
        "process: process property must not be empty"
    );
}

#[test]
fn of_one_name_the_last_entry_stays_where_it_stands() {
    let process = planned(&json!({"env": ["A=1", "B=2", "A=3", "C=", "B=2"]})).unwrap();
    assert_eq!(process.env, ["A=3", "C=", "B=2"]);
}

#[test]
fn a_size_counts_only_with_a_terminal() {
    let size = json!({"height": 40, "width": 100});
    assert_eq!(planned(&json!({"consoleSize": size})).unwrap().terminal, None);
    let terminal = planned(&json!({"terminal": true, "consoleSize": size})).unwrap().terminal;
    let size = WindowSize { rows: 40, columns: 100 };
    assert_eq!(terminal, Some(Terminal { size: Some(size) }));
}

#[test]
fn unknown_capabilities_are_passed_over() {
    let sets = json!({"bounding": ["CAP_KILL", "CAP_FLY"], "ambient": []});
    let process = planned(&json!({"capabilities": sets})).unwrap();
    let expected = Sets { bounding: CapSet(1 << 5), ..Sets::default() };
    assert_eq!(process.capabilities, expected);
}

#[test]
fn every_resource_has_its_number() {
    let names = "AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK";
    let limits: Vec<Value> = names
        .split(' ')
        .map(|name| json!({"type": format!("RLIMIT_{name}"), "soft": 1, "hard": 2}))
        .collect();
    let planned = planned(&json!({"rlimits": limits})).unwrap().rlimits;
    assert_eq!(planned.len(), 16);
    assert_eq!(planned[9].resource.name(), "RLIMIT_NOFILE");
}
