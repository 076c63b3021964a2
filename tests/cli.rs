//! The command line as callers of a runtime know it: usage, exit codes, logs, formats. Needs no privileges; runs on any
//! runtime that `RUNTIME` names and that has runc's command line.

mod cli_support;

use std::fs;
use std::path::Path;

use cli_support::{command, run, runtime};

fn root() -> tempfile::TempDir {
    tempfile::tempdir().expect("tmp")
}

fn is_etui() -> bool {
    runtime().file_name().is_some_and(|name| name == "etui")
}

/// Command line, exit code, what standard error says.
const FAILURES: &[(&str, i32, &str)] = &[
    ("state none", 1, "container does not exist"),
    ("start none", 1, "container does not exist"),
    ("kill none", 1, "container does not exist"),
    ("kill none KILL", 1, "container does not exist"),
    ("delete none", 1, "container does not exist"),
    ("pause none", 1, "container does not exist"),
    ("resume none", 1, "container does not exist"),
    ("ps none", 1, "container does not exist"),
    ("update --memory 1g none", 1, "container does not exist"),
    ("events --stats none", 1, "container does not exist"),
    ("exec none true", 255, "container does not exist"),
    ("state a/b", 1, "invalid container ID format"),
    ("list --format xml", 1, "invalid format option"),
    ("--log-format xml list", 1, "invalid log-format: xml"),
];

#[test]
fn failures_have_their_code_and_words() {
    let root = root();
    for (line, code, words) in FAILURES {
        let outcome = run(root.path(), line);
        assert_eq!(outcome.code, *code, "{line}: {outcome:?}");
        assert!(outcome.stderr.contains(words), "{line}: {outcome:?}");
        assert_eq!(outcome.stderr.lines().count(), 1, "{line}: {outcome:?}");
        assert_eq!(outcome.stdout, "", "{line}");
    }
}

/// Command line, what standard error says.
const MISUSES: &[(&str, &str)] = &[
    ("state", "\"state\" requires exactly 1 argument(s)"),
    ("state a b", "\"state\" requires exactly 1 argument(s)"),
    ("start a b", "\"start\" requires exactly 1 argument(s)"),
    ("create", "\"create\" requires exactly 1 argument(s)"),
    ("run a b", "\"run\" requires exactly 1 argument(s)"),
    ("delete", "\"delete\" requires exactly 1 argument(s)"),
    ("kill", "\"kill\" requires a minimum of 1 argument(s)"),
    ("kill a TERM b", "\"kill\" requires a maximum of 2 argument(s)"),
    ("exec", "\"exec\" requires a minimum of 1 argument(s)"),
    ("ps", "\"ps\" requires a minimum of 1 argument(s)"),
    ("list a", "\"list\" requires exactly 0 argument(s)"),
    ("pause", "\"pause\" requires exactly 1 argument(s)"),
    ("state --bogus a", "flag provided but not defined: -bogus"),
    ("exec --bogus a b", "flag provided but not defined: -bogus"),
    ("--bogus list", "flag provided but not defined: -bogus"),
];

#[test]
fn misuse_shows_help_and_says_why() {
    let root = root();
    for (line, words) in MISUSES {
        let outcome = run(root.path(), line);
        assert_eq!(outcome.code, 1, "{line}: {outcome:?}");
        assert!(outcome.stdout.starts_with("Incorrect Usage"), "{line}: {outcome:?}");
        assert!(outcome.stdout.contains("USAGE:"), "{line}: {outcome:?}");
        assert!(outcome.stderr.replace('\\', "").contains(words), "{line}: {outcome:?}");
    }
}

#[test]
fn an_unknown_verb_is_no_help_topic() {
    let outcome = run(root().path(), "frobnicate a");
    assert_ne!(outcome.code, 0);
    assert!(outcome.stderr.contains("No help topic for 'frobnicate'"), "{outcome:?}");
}

#[test]
fn help_is_no_failure() {
    let root = root();
    for line in ["", "--help", "-h", "help", "state --help", "exec -h", "update -h", "help kill"] {
        let outcome = run(root.path(), line);
        assert_eq!(outcome.code, 0, "{line}: {outcome:?}");
        assert!(outcome.stdout.starts_with("NAME:\n"), "{line}: {outcome:?}");
        assert!(outcome.stdout.contains("\n\nUSAGE:\n"), "{line}: {outcome:?}");
    }
}

#[test]
fn the_version_is_in_runcs_form() {
    let outcome = run(root().path(), "--version");
    let first = outcome.stdout.lines().next().expect("a line");
    let name = runtime().file_name().expect("a name").to_string_lossy().into_owned();
    assert!(first.starts_with(&format!("{name} version ")), "{first}");
    assert!(outcome.stdout.lines().any(|line| line.starts_with("spec: 1.")), "{outcome:?}");
    assert_eq!(run(root().path(), "-v").stdout, outcome.stdout);
}

#[test]
fn a_flag_may_have_one_dash_and_stand_behind() {
    let root = root();
    for line in ["-log-format=text list -format json", "list -f=json", "list --format=json"] {
        assert_eq!(run(root.path(), line).stdout, "null\n", "{line}");
    }
    assert_eq!(run(root.path(), "list --quiet=true").stdout, "");
    assert!(run(root.path(), "list --quiet=false").stdout.starts_with("ID "));
}

#[test]
fn nothing_to_list() {
    let root = root();
    let heading = "ID          PID         STATUS      BUNDLE      CREATED     OWNER\n";
    assert_eq!(run(root.path(), "list").stdout, heading);
    assert_eq!(run(root.path(), "list -f json").stdout, "null\n");
    assert_eq!(run(root.path(), "list -q").stdout, "");
}

#[test]
fn a_root_that_was_named_must_be_there() {
    if !is_etui() {
        // runc 1.1 makes it.
        return;
    }
    let root = root();
    let outcome = run(&root.path().join("none"), "list");
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.stderr.contains("no such file or directory"), "{outcome:?}");
    let outcome = run(Path::new("/"), "list");
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(
        outcome.stderr.contains("option --root argument should not be set to /"),
        "{outcome:?}"
    );
}

#[test]
fn the_log_has_the_reason_and_standard_error_repeats_it() {
    let root = root();
    let log = root.path().join("log.json");
    for _ in 0..2 {
        let mut command = command(root.path());
        command.arg("--log").arg(&log).args(["--log-format", "json", "state", "none"]);
        let output = command.output().expect("the runtime starts");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "container does not exist\n");
    }
    let text = fs::read_to_string(&log).expect("a log");
    assert_eq!(text.lines().count(), 2, "appended: {text}");
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["level"], "error");
        assert_eq!(line["msg"], "container does not exist");
        let time = line["time"].as_str().expect("text");
        assert_eq!(time.as_bytes()[10], b'T', "{time}");
    }
}

#[test]
fn misuse_of_a_verb_reaches_the_log_too() {
    let root = root();
    let log = root.path().join("log");
    let mut command = command(root.path());
    command.arg("--log").arg(&log).args(["state", "--bogus"]);
    assert_eq!(command.output().expect("the runtime starts").status.code(), Some(1));
    let text = fs::read_to_string(&log).expect("a log");
    assert!(text.starts_with("time=\""), "{text}");
    assert!(
        text.ends_with("level=error msg=\"flag provided but not defined: -bogus\"\n"),
        "{text}"
    );
}

#[test]
fn a_log_that_cannot_be_opened_is_an_error() {
    let root = root();
    let outcome = run(root.path(), "--log /nowhere/log list");
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("no such file or directory"), "{outcome:?}");
}

#[test]
fn spec_writes_a_config_once() {
    let root = root();
    let bundle = root.path().to_str().expect("text");
    assert_eq!(run(root.path(), &format!("spec --bundle {bundle}")).code, 0);
    let text = fs::read_to_string(root.path().join("config.json")).expect("written");
    assert!(text.starts_with("{\n\t\"ociVersion\": \"1."), "{text}");
    assert!(text.ends_with('}'), "{text}");
    let config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(config["process"]["args"], serde_json::json!(["sh"]));
    assert_eq!(config["process"]["noNewPrivileges"], true);
    assert_eq!(config["root"], serde_json::json!({"path": "rootfs", "readonly": true}));
    assert_eq!(config["mounts"].as_array().map(Vec::len), Some(7));

    let outcome = run(root.path(), &format!("spec -b {bundle}"));
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("File config.json exists. Remove it first"), "{outcome:?}");
}

#[test]
fn features_are_json() {
    let outcome = run(root().path(), "features");
    assert!(outcome.stdout.starts_with("{\n    \"ociVersionMin\": \"1.0.0\""), "{outcome:?}");
    let features: serde_json::Value = serde_json::from_str(&outcome.stdout).expect("JSON");
    assert_eq!(features["hooks"].as_array().map(Vec::len), Some(6));
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
}

#[test]
fn completions_and_manual_pages_come_of_the_same_definitions() {
    if !is_etui() {
        return;
    }
    let root = root();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(root.path(), &format!("completion {shell}"));
        assert!(script.stdout.contains("console-socket"), "{shell}: {script:?}");
    }
    assert_eq!(run(root.path(), "completion csh").code, 1);
    let pages = root.path().join("man");
    assert_eq!(run(root.path(), &format!("man {}", pages.display())).code, 0);
    let page = fs::read_to_string(pages.join("etui-exec.1")).expect("a page");
    assert!(page.contains("console\\-socket"), "{page}");
}
