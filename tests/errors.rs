//! What goes wrong, told in one line: a table of bad inputs with exit code, words, and nothing left behind.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use support::{Container, Kind, Outcome, has_controller, kind, only_on};

/// Runs a verb with a JSON log; holds what every error has to be: one line on standard error, the same
/// words in the last line of the log, an exit code, and nothing left behind by `create` and `run`.
#[track_caller]
fn assert_error(container: &Container, arguments: &[&str], code: i32, words: &str) -> Outcome {
    let log = container.dir().join("log.json");
    let mut command = container.command();
    command.arg("--log").arg(&log).args(["--log-format", "json"]).args(arguments);
    let outcome = container.complete(command);
    assert_ne!(outcome.code(), 0, "{arguments:?} succeeded: {outcome:#?}");
    if kind() != Kind::Etui {
        return outcome;
    }
    assert_eq!(outcome.code(), code, "{arguments:?}: {outcome:#?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{arguments:?}: {outcome:#?}");
    let lower = outcome.stderr.to_lowercase();
    assert!(lower.contains(&words.to_lowercase()), "no {words:?} for {arguments:?}: {outcome:#?}");
    let log = fs::read_to_string(log).expect("the log");
    let last: Value = serde_json::from_str(log.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["level"], "error", "{last}");
    assert!(last["time"].as_str().is_some_and(|time| time.contains('T')), "{last}");
    let message = last["msg"].as_str().expect("a message");
    assert!(
        outcome.stderr.contains(message),
        "log {message:?}, standard error {:?}",
        outcome.stderr
    );
    outcome
}

/// `create` and `run` of a bad bundle fail alike, and leave nothing.
#[track_caller]
fn assert_refused(container: &Container, words: &str) {
    container.write_config();
    assert_bundle_refused(container, words);
}

#[track_caller]
fn assert_bundle_refused(container: &Container, words: &str) {
    let bundle = container.bundle();
    for verb in ["create", "run"] {
        let arguments = [verb, "--bundle", bundle.to_str().unwrap(), &container.id];
        assert_error(container, &arguments, 1, words);
        container.assert_nothing_left();
    }
}

#[test]
fn no_bundle() {
    let container = Container::new();
    assert_error(&container, &["create", "--bundle", "/not/there", &container.id], 1, "/not/there");
    container.assert_nothing_left();
}

#[test]
fn no_config() {
    assert_bundle_refused(&Container::new(), "config.json");
}

#[test]
fn truncated_json() {
    let container = Container::new();
    let text = serde_json::to_string_pretty(&container.config).unwrap();
    fs::write(container.bundle().join("config.json"), &text[..text.len() / 2]).unwrap();
    assert_bundle_refused(&container, "config.json");
}

#[test]
fn an_empty_config() {
    let container = Container::new();
    fs::write(container.bundle().join("config.json"), "").unwrap();
    assert_bundle_refused(&container, "config.json");
}

/// Fields of a wrong type or an impossible value, and what the error has to name.
fn bad_fields() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("/process/args", json!("sh"), "process.args"),
        ("/process/args", json!([]), "process.args"),
        ("/process/args", json!(["sh", 1]), "process.args[1]"),
        ("/process/cwd", json!("tmp"), "process.cwd"),
        ("/process/cwd", json!(""), "process.cwd"),
        ("/process/user/uid", json!("root"), "process.user.uid"),
        ("/process/user/uid", json!(-1), "process.user.uid"),
        (
            "/process/rlimits",
            json!([{ "type": "RLIMIT_NONE", "soft": 1, "hard": 1 }]),
            "rlimits[0]",
        ),
        ("/process/rlimits", json!([{ "type": "RLIMIT_CORE", "soft": 2, "hard": 1 }]), "rlimit"),
        (
            "/process/ioPriority",
            json!({ "class": "IOPRIO_CLASS_NONE_SUCH", "priority": 1 }),
            "ioPriority",
        ),
        ("/process/scheduler", json!({ "policy": "SCHED_NONE_SUCH" }), "scheduler"),
        ("/process/env", json!("PATH=/bin"), "process.env"),
        ("/root/path", json!("nothere"), "root.path"),
        ("/root/path", json!(7), "root.path"),
        ("/ociVersion", json!("2.0.0"), "ociVersion"),
        ("/ociVersion", json!("not a version"), "ociVersion"),
        ("/mounts", json!([{ "destination": 5 }]), "mounts[0].destination"),
        (
            "/mounts/0",
            json!({ "destination": "/x", "type": "nonesuch", "source": "none" }),
            "nonesuch",
        ),
        (
            "/mounts/0",
            json!({ "destination": "/x", "type": "bind", "source": "/not/there", "options": ["bind"] }),
            "/not/there",
        ),
        (
            "/linux/namespaces",
            json!([{ "type": "mount" }, { "type": "pid" }, { "type": "pid" }]),
            "linux.namespaces",
        ),
        ("/linux/namespaces/0", json!({ "type": "nonesuch" }), "nonesuch"),
        ("/linux/namespaces/0", json!({ "type": "pid", "path": "/not/there" }), "/not/there"),
        (
            "/linux/namespaces/0",
            json!({ "type": "pid", "path": "/proc/self/ns/net" }),
            "linux.namespaces",
        ),
        (
            "/linux/resources",
            json!({ "memory": { "limit": "much" } }),
            "linux.resources.memory.limit",
        ),
        ("/linux/resources", json!({ "unified": { "none.such": "1" } }), "none.such"),
        ("/linux/sysctl", json!({ "vm.swappiness": "1" }), "vm.swappiness"),
        ("/linux/sysctl", json!({ "../../sysrq-trigger": "h" }), "sysctl"),
        (
            "/linux/devices",
            json!([{ "path": "/dev/x", "type": "z", "major": 1, "minor": 3 }]),
            "devices[0]",
        ),
        ("/linux/rootfsPropagation", json!("nonesuch"), "rootfsPropagation"),
        (
            "/linux/seccomp",
            json!({ "defaultAction": "SCMP_ACT_NONE_SUCH" }),
            "linux.seccomp.defaultAction",
        ),
        ("/linux/timeOffsets", json!({ "boottime": { "secs": 1 } }), "time"),
        ("/hooks", json!({ "createRuntime": [{ "path": "relative" }] }), "hooks"),
        ("/hooks", json!({ "createRuntime": [{ "path": "/bin/true", "timeout": -1 }] }), "timeout"),
    ]
}

#[test]
fn bad_fields_are_named() {
    if !only_on(&[Kind::Etui], "takes some of these, and leaves things behind") {
        return;
    }
    let is_refused = |pointer: &str, value: &Value, words: &str| {
        let container = Container::new().with(pointer, value.clone());
        std::panic::catch_unwind(|| assert_refused(&container, words)).is_ok()
    };
    let mut wrong = bad_fields();
    wrong.retain(|(pointer, value, words)| !is_refused(pointer, value, words));
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}

#[test]
fn no_process() {
    let mut container = Container::new();
    container.config.as_object_mut().unwrap().remove("process");
    if only_on(&[Kind::Etui], "words of its own") {
        assert_refused(&container, "process");
    }
}

#[test]
fn a_host_name_without_a_uts_namespace() {
    let mut container = Container::new();
    let namespaces = container.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "uts");
    assert_refused(&container, "hostname");
}

#[test]
fn a_limit_whose_controller_is_not_there() {
    if !only_on(&[Kind::Etui], "words of its own") || has_no_use(has_controller("memory")) {
        return;
    }
    let container =
        Container::new().with("/linux/resources", json!({ "memory": { "limit": 64 << 20 } }));
    assert_refused(&container, "linux.resources.memory");
}

/// Where the controller is there, the refusal can't be seen.
fn has_no_use(controller: bool) -> bool {
    if controller {
        support::skip("the memory controller is on this machine's cgroup v2 tree");
    }
    controller
}

/// An absent or unusable program: create itself says so, in the words that Docker looks for.
#[test]
fn a_program_that_can_not_be_executed() {
    let cases = [
        (json!(["/bin/nothere"]), "no such file or directory"),
        (json!(["nothere"]), "executable file not found"),
        (json!(["/etc/passwd"]), "permission denied"),
        (json!(["/tmp"]), "permission denied"),
        (json!(["/bin/sh/x"]), "not a directory"),
    ];
    for (arguments, words) in cases {
        let name = arguments[0].to_string();
        let container = Container::new().with("/process/args", arguments);
        container.write_config();
        let bundle = container.bundle();
        let outcome =
            container.verb(&["create", "--bundle", bundle.to_str().unwrap(), &container.id]);
        assert_ne!(outcome.code(), 0, "{name}: {outcome:#?}");
        container.assert_nothing_left();
        if kind() == Kind::Etui {
            assert_refused(&container, words);
        }
    }
}

#[test]
fn a_mount_that_fails_names_its_field() {
    for (mount, words) in [
        (
            json!({ "destination": "/in", "type": "bind", "source": "/not/there", "options": ["bind"] }),
            r#"error mounting "/not/there" to rootfs at "/in": open("#,
        ),
        (
            json!({ "destination": "/in", "type": "nosuchfs", "source": "none" }),
            r#"error mounting "none" to rootfs at "/in": fsopen("nosuchfs")"#,
        ),
    ] {
        let mut container = Container::new();
        let position = container.config["mounts"].as_array().unwrap().len();
        container.set("/mounts/-", mount);
        assert_refused(&container, &format!("mounts[{position}]: {words}"));
    }
    let mut container = Container::new();
    container.give_user_namespace();
    let position = container.config["mounts"].as_array().unwrap().len();
    container.set("/mounts/-", json!({ "destination": "/in", "type": "bind", "source": "/not/there", "options": ["bind"] }));
    let words = r#"error mounting "/not/there" to rootfs at "/in": open("#;
    assert_refused(&container, &format!("mounts[{position}]: {words}"));
}

#[test]
fn a_program_on_a_mount_without_exec() {
    let container = Container::sh("true");
    let program = container.rootfs().join("tmp/program");
    fs::copy(container.rootfs().join("bin/busybox"), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let tmp = container.rootfs().join("tmp");
    let mut container = container.with("/process/args", json!(["/noexec/program"]));
    container.set("/mounts/-", json!({ "destination": "/noexec", "type": "bind", "source": tmp, "options": ["bind", "noexec"] }));
    assert_refused(&container, "permission denied");
}

#[test]
fn bad_ids() {
    let container = Container::new();
    container.write_config();
    let bundle = container.bundle();
    for id in ["", ".", "..", "../x", "a/b", "a b", "a\nb", "ä", "a*"] {
        let arguments = ["create", "--bundle", bundle.to_str().unwrap(), "--", id];
        if kind() == Kind::Etui {
            assert_error(&container, &arguments, 1, "id");
        }
        container.assert_nothing_left();
    }
}

#[test]
fn an_id_in_use() {
    let container = Container::sleeping();
    container.up();
    let bundle = container.bundle();
    for verb in ["create", "run"] {
        let arguments = [verb, "--bundle", bundle.to_str().unwrap(), &container.id];
        assert_error(&container, &arguments, 1, "exists");
    }
    assert_eq!(container.status(), "running");
}

#[test]
fn an_unknown_signal() {
    let container = Container::sleeping();
    container.up();
    for signal in ["NONESUCH", "999", "-1", "SIGSIG"] {
        assert_error(&container, &["kill", &container.id, "--", signal], 1, "signal");
    }
    assert_eq!(container.status(), "running");
}

#[test]
fn delete_of_a_running_container() {
    let container = Container::sleeping();
    container.up();
    let words = "that is not stopped: running";
    assert_error(&container, &["delete", &container.id], 1, words);
}

#[test]
fn verbs_on_a_container_that_is_not_there() {
    let container = Container::new();
    let id = "etui-test-none";
    let words = "container does not exist";
    for verb in ["state", "start", "kill", "delete", "pause", "resume", "ps", "update"] {
        assert_error(&container, &[verb, id], 1, words);
    }
    assert_error(&container, &["exec", id, "true"], 255, words);
    container.assert_nothing_left();
}

#[test]
fn verbs_on_a_container_in_the_wrong_state() {
    let container = Container::new();
    container.up();
    container.wait_until("stopped");
    for verb in ["start", "pause", "resume"] {
        assert_error(&container, &[verb, &container.id], 1, "container");
    }
    assert_error(&container, &["kill", &container.id], 1, "container not running");
    assert_error(&container, &["exec", &container.id, "true"], 255, "container");
}

#[test]
fn exec_errors_exit_with_255() {
    let container = Container::sleeping();
    container.up();
    let id = container.id.as_str();
    for (arguments, words) in [
        (vec!["exec", id, "/bin/nothere"], "no such file or directory"),
        (vec!["exec", id, "nothere"], "executable file not found"),
        (vec!["exec", id, "/etc/passwd"], "permission denied"),
        (vec!["exec", "--cwd", "relative", id, "true"], "cwd"),
        (vec!["exec", "--user", "someone", id, "true"], "user"),
        (vec!["exec", "--process", "/not/there", id], "/not/there"),
        (vec!["exec", "--pid-file", "/not/there/pid", id, "true"], "/not/there"),
    ] {
        assert_error(&container, &arguments, 255, words);
    }
    assert_eq!(container.status(), "running");
}

#[test]
fn a_pid_file_that_can_not_be_written() {
    let container = Container::sleeping();
    container.write_config();
    let bundle = container.bundle();
    let arguments = [
        "create",
        "--pid-file",
        "/not/there/pid",
        "--bundle",
        bundle.to_str().unwrap(),
        &container.id,
    ];
    assert_error(&container, &arguments, 1, "/not/there");
    container.assert_nothing_left();
}

#[test]
fn a_console_socket_that_is_not_there() {
    let container = Container::sleeping().with("/process/terminal", true);
    container.write_config();
    let bundle = container.bundle();
    let arguments = [
        "create",
        "--console-socket",
        "/not/there",
        "--bundle",
        bundle.to_str().unwrap(),
        &container.id,
    ];
    assert_error(&container, &arguments, 1, "/not/there");
    container.assert_nothing_left();
}

#[test]
fn terminals_without_a_place_to_go() {
    let container = Container::sleeping().with("/process/terminal", true);
    container.write_config();
    let bundle = container.bundle();
    let arguments = ["create", "--bundle", bundle.to_str().unwrap(), &container.id];
    assert_error(&container, &arguments, 1, "console socket");
    container.assert_nothing_left();
}

#[test]
fn bad_command_lines() {
    let container = Container::new();
    for arguments in [
        &["nonesuch"][..],
        &["create"],
        &["state"],
        &["state", "a", "b"],
        &["--log-format", "xml", "list"],
        &["list", "--format", "xml"],
        &["create", "--no-such-flag", "x"],
        &["create", "--preserve-fds", "many", "x"],
        &["exec", "x"],
        &["--root", "/", "list"],
    ] {
        let outcome = container.verb(arguments);
        // A panic aborts: 134.
        assert!([1, 3, 255].contains(&outcome.code()), "{arguments:?}: {outcome:#?}");
    }
}

#[test]
fn a_list_goes_on_after_a_broken_entry() {
    if !only_on(&[Kind::Etui, Kind::Runc], "words of its own") {
        return;
    }
    let container = Container::sleeping();
    container.up();
    let broken = container.root().join("broken");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("state.json"), "{").unwrap();
    let outcome = container.verb(&["list", "--quiet"]).ok();
    fs::remove_dir_all(&broken).unwrap();
    assert!(outcome.stdout.contains(&container.id), "{outcome:#?}");
}
