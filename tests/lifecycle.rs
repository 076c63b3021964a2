//! The verbs, as a caller uses them: states, exit codes, what is printed. Runs on etui, crun and runc.

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Container, Kind, kind, only_on, wait_for};

#[test]
fn run_prints_what_the_process_prints() {
    let outcome = Container::sh("echo hello; echo oops >&2").run().ok();
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("hello\n", "oops\n"));
}

#[test]
fn run_exits_as_the_process_does() {
    Container::sh("exit 7").run().exits(7);
}

#[test]
fn run_exits_with_128_and_the_signal_that_killed_the_process() {
    let mut container = Container::sh("kill -TERM $$; sleep 5");
    // Without a pid namespace the process is no init, which would ignore the signal.
    without_namespace(&mut container, "pid");
    container.run().exits(128 + 15);
}

#[test]
fn run_leaves_nothing() {
    let container = Container::new();
    container.run().ok();
    container.assert_nothing_left();
}

#[test]
fn create_waits_for_start() {
    let container = Container::sh("echo started");
    container.create().ok();
    assert_eq!(container.status(), "created");
    assert_eq!(container.output(), "");
    container.start().ok();
    container.wait_until("stopped");
    assert_eq!(container.output(), "started\n");
    container.delete().ok();
    container.assert_nothing_left();
}

#[test]
fn state_tells_what_the_specification_asks_for() {
    let container = Container::sleeping().with("/annotations", json!({ "org.example.a": "b" }));
    container.up();
    let state = container.state();
    assert_eq!(state["id"], container.id.as_str());
    assert_eq!(state["status"], "running");
    assert_eq!(state["bundle"], container.bundle().to_str().unwrap());
    assert_eq!(state["annotations"], json!({ "org.example.a": "b" }));
    assert!(state["ociVersion"].as_str().unwrap().starts_with("1."), "{state}");
    let cmdline = fs::read_to_string(format!("/proc/{}/cmdline", container.pid())).unwrap();
    assert_eq!(cmdline, "sleep\x001000\0");
}

#[test]
fn state_has_runcs_fields() {
    if !only_on(&[Kind::Etui, Kind::Runc], "its own fields") {
        return;
    }
    let container = Container::sleeping();
    container.create().ok();
    let state = container.state();
    let fields: Vec<_> = state.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["bundle", "created", "id", "ociVersion", "owner", "pid", "rootfs", "status"];
    assert_eq!(fields, expected);
    assert_eq!(state["owner"], "");
    // What the state complies with, whatever the bundle does.
    assert_eq!(state["ociVersion"], container.verb(&["features"]).ok().json()["ociVersionMax"]);
    assert_eq!(state["rootfs"], container.rootfs().to_str().unwrap());
    assert!(state["created"].as_str().unwrap().ends_with('Z'), "{state}");
}

#[test]
fn a_stopped_container_has_no_pid() {
    if !only_on(&[Kind::Etui, Kind::Runc], "crun keeps the pid") {
        return;
    }
    let container = Container::new();
    container.up();
    container.wait_until("stopped");
    assert_eq!(container.state()["pid"], 0);
}

#[test]
fn start_refuses_a_running_and_a_stopped_container() {
    let container = Container::sleeping();
    container.up();
    assert_ne!(container.start().code(), 0);
    assert_eq!(container.status(), "running");
    container.kill("KILL").ok();
    container.wait_until("stopped");
    assert_ne!(container.start().code(), 0);
}

#[test]
fn kill_takes_names_and_numbers() {
    for signal in ["USR1", "SIGUSR1", "10"] {
        let container = Container::sh(
            "trap 'echo caught; exit 0' USR1; echo ready; while :; do usleep 5000; done",
        );
        container.up();
        wait_for("the trap", || container.output().contains("ready"));
        container.kill(signal).ok();
        container.wait_until("stopped");
        assert_eq!(container.output(), "ready\ncaught\n", "kill {signal}");
    }
}

#[test]
fn kill_sends_term_when_no_signal_is_named() {
    let container =
        Container::sh("trap 'echo term; exit 0' TERM; echo ready; while :; do usleep 5000; done");
    container.up();
    wait_for("the trap", || container.output().contains("ready"));
    container.verb(&["kill", &container.id]).ok();
    container.wait_until("stopped");
    assert_eq!(container.output(), "ready\nterm\n");
}

#[test]
fn kill_of_a_stopped_container_fails() {
    let container = Container::new();
    container.up();
    container.wait_until("stopped");
    container.kill("TERM").exits(1);
}

#[test]
fn kill_all_reaches_every_process() {
    let mut container = Container::sh("sleep 1000 & sleep 1000 & wait");
    without_namespace(&mut container, "pid");
    container.up();
    wait_for("both sleepers", || support::processes_of(&container.id).len() >= 3);
    container.verb(&["kill", "--all", &container.id, "KILL"]).ok();
    wait_for("their end", || support::processes_of(&container.id).is_empty());
}

#[test]
fn delete_refuses_a_running_container() {
    let container = Container::sleeping();
    container.up();
    container.delete().exits(1);
    assert_eq!(container.status(), "running");
}

#[test]
fn delete_force_kills_a_running_container() {
    let container = Container::sleeping();
    container.up();
    container.verb(&["delete", "--force", &container.id]).ok();
    container.assert_nothing_left();
}

#[test]
fn delete_force_of_none_succeeds() {
    Container::new().verb(&["delete", "--force", "etui-test-none"]).ok();
}

#[test]
fn delete_of_a_created_container_ends_it() {
    if !only_on(&[Kind::Etui, Kind::Runc], "crun asks for --force") {
        return;
    }
    let container = Container::new();
    container.create().ok();
    container.delete().ok();
    container.assert_nothing_left();
}

#[test]
fn delete_ends_what_runs_on_without_a_pid_namespace() {
    let mut container = Container::sh("sleep 1000 & exit 0");
    without_namespace(&mut container, "pid");
    container.up();
    container.wait_until("stopped");
    container.verb(&["delete", "--force", &container.id]).ok();
    container.assert_nothing_left();
}

#[test]
fn run_detached_returns_while_the_process_runs() {
    let container = Container::sleeping();
    container.run_with(&["--detach"]).ok();
    assert_eq!(container.status(), "running");
}

#[test]
fn run_keep_keeps_the_stopped_container() {
    let container = Container::sh("exit 3");
    container.run_with(&["--keep"]).exits(3);
    assert_eq!(container.status(), "stopped");
    container.delete().ok();
    container.assert_nothing_left();
}

/// Its process may run: only `--force` may take away what is left.
#[test]
fn a_damaged_record_is_deleted_by_force_only() {
    let container = Container::sleeping();
    container.up();
    let pid = container.pid();
    let record = container.root().join(&container.id).join("state.json");
    let whole = fs::read(&record).unwrap();
    fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    assert_ne!(container.delete().code(), 0);
    assert!(record.exists());
    fs::write(&record, whole).unwrap();
    assert_eq!(container.pid(), pid);
}

#[test]
fn the_pid_file_holds_the_pid_and_nothing_else() {
    let container = Container::sleeping();
    let file = container.dir().join("pid");
    container.create_with(&["--pid-file", file.to_str().unwrap()]).ok();
    assert_eq!(fs::read_to_string(file).unwrap(), container.pid().to_string());
}

#[test]
fn an_exec_pid_file_holds_the_new_process() {
    let container = Container::sleeping();
    container.up();
    let file = container.dir().join("pid");
    let flags = ["--detach", "--pid-file", file.to_str().unwrap()];
    container.exec_sh(&flags, "exec sleep 999").ok();
    let pid = fs::read_to_string(file).unwrap();
    let cmdline = || fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    wait_for("the process", || cmdline() == "sleep\x00999\0");
}

#[test]
fn exec_runs_inside_and_exits_as_its_process() {
    let container = Container::sleeping();
    container.up();
    let outcome = container.exec(&["sh", "-c", "hostname; echo oops >&2; exit 9"]).exits(9);
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("inside\n", "oops\n"));
}

#[test]
fn exec_shares_every_namespace_and_the_cgroup() {
    let container = Container::sleeping();
    container.up();
    let script = "for p in 1 self; do for n in cgroup ipc mnt net pid uts; do readlink /proc/$p/ns/$n; done; done | sort -u";
    assert_eq!(container.exec_sh(&[], script).ok().lines().len(), 6);
    container.exec_sh(&["--detach"], "exec sleep 998").ok();
    let procs = fs::read_to_string(container.cgroup().join("cgroup.procs")).unwrap();
    assert_eq!(procs.lines().count(), 2);
}

#[test]
fn exec_enters_a_cgroup_below_the_containers_and_no_other() {
    if !only_on(&[Kind::Etui, Kind::Runc], "crun's --cgroup may lead anywhere") {
        return;
    }
    let container = Container::sleeping();
    container.up();
    fs::create_dir(container.cgroup().join("below")).unwrap();
    let own = container.exec_sh(&["--cgroup", "below"], "grep ^0:: /proc/self/cgroup").ok();
    assert_eq!(own.text(), "0::/below");
    container.exec_sh(&["--cgroup", "/../"], "true").exits(255).says("not a sub cgroup path");
    container
        .exec_sh(&["--cgroup", "cpu:/below"], "true")
        .exits(255)
        .says("unknown controller cpu");
    fs::remove_dir(container.cgroup().join("below")).unwrap();
}

#[test]
fn a_process_document_without_limits_gets_the_containers() {
    if !only_on(&[Kind::Etui, Kind::Runc], "crun gives it none") {
        return;
    }
    let container = Container::sleeping()
        .with("/process/rlimits", json!([{ "type": "RLIMIT_NOFILE", "soft": 77, "hard": 88 }]));
    container.up();
    let document = container.dir().join("process.json");
    let process = json!({ "args": ["sh", "-c", "ulimit -n"], "cwd": "/", "env": ["PATH=/bin"] });
    fs::write(&document, process.to_string()).unwrap();
    let outcome = container.verb(&["exec", "--process", document.to_str().unwrap(), &container.id]);
    assert_eq!(outcome.ok().text(), "77");
}

#[test]
fn exec_takes_flags() {
    let container = Container::sleeping();
    container.up();
    let flags = ["--user", "1000:1001", "--cwd", "/tmp", "--env", "A=b"];
    let outcome = container.exec_sh(&flags, "id -u; id -g; pwd; echo $A").ok();
    assert_eq!(outcome.lines(), ["1000", "1001", "/tmp", "b"]);
}

#[test]
fn exec_takes_additional_gids() {
    if !only_on(&[Kind::Etui, Kind::Runc], "no such flag") {
        return;
    }
    let container = Container::sleeping();
    container.up();
    let outcome =
        container.exec_sh(&["--additional-gids", "7", "--additional-gids", "9"], "id -G").ok();
    assert_eq!(outcome.text(), "0 7 9");
}

#[test]
fn exec_takes_a_process_from_a_file() {
    let container = Container::sleeping();
    container.up();
    let file = container.dir().join("process.json");
    let process = json!({
        "user": { "uid": 5, "gid": 6, "additionalGids": [8] }, "cwd": "/tmp", "env": ["PATH=/bin", "X=y"],
        "args": ["sh", "-c", "id -u; id -G; pwd; echo $X"]
    });
    fs::write(&file, process.to_string()).unwrap();
    let outcome =
        container.verb(&["exec", "--process", file.to_str().unwrap(), &container.id]).ok();
    assert_eq!(outcome.lines(), ["5", "6 8", "/tmp", "y"]);
}

#[test]
fn exec_into_a_created_container_works() {
    let container = Container::new();
    container.create().ok();
    assert_eq!(container.exec(&["hostname"]).ok().text(), "inside");
}

#[test]
fn exec_of_a_program_that_is_not_there_fails() {
    let container = Container::sleeping();
    container.up();
    let outcome = container.exec(&["/bin/nothere"]).says("no such file or directory");
    if only_on(&[Kind::Etui, Kind::Runc], "exit code") {
        outcome.exits(255);
    }
}

#[test]
fn list_tells_every_container() {
    let container = Container::sleeping();
    container.up();
    let table = container.verb(&["list"]).ok().stdout;
    let heading: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    let id = if kind() == Kind::Crun { "NAME" } else { "ID" };
    assert_eq!(heading[..4], [id, "PID", "STATUS", "BUNDLE"]);
    assert!(table.contains(&container.id) && table.contains("running"), "{table}");
    let quiet = container.verb(&["list", "--quiet"]).ok();
    assert_eq!(quiet.text(), container.id);
    let json = container.verb(&["list", "--format", "json"]).ok().json();
    assert_eq!(json[0]["id"], container.id.as_str());
    assert_eq!(json[0]["owner"], "root");
}

#[test]
fn list_of_nothing_is_empty() {
    let container = Container::new();
    assert_eq!(container.verb(&["list", "--quiet"]).ok().text(), "");
    if only_on(&[Kind::Etui, Kind::Runc], "crun prints []") {
        assert_eq!(container.verb(&["list", "--format", "json"]).ok().json(), Value::Null);
    }
}

#[test]
fn ps_tells_the_processes() {
    let container = Container::sleeping();
    container.up();
    let pids = container.verb(&["ps", "--format", "json", &container.id]).ok().json();
    assert_eq!(pids, json!([container.pid()]));
    let table = container.verb(&["ps", &container.id]).ok().stdout;
    assert!(table.lines().next().unwrap().contains("PID"), "{table}");
    assert!(table.contains(&container.pid().to_string()), "{table}");
}

#[test]
fn pause_stops_the_clock_of_every_process() {
    let container = Container::sh("while :; do echo tick; usleep 2000; done");
    container.up();
    wait_for("a tick", || !container.output().is_empty());
    container.verb(&["pause", &container.id]).ok();
    assert_eq!(container.status(), "paused");
    let ticks = container.output().len();
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(container.output().len(), ticks);
    container.verb(&["resume", &container.id]).ok();
    assert_eq!(container.status(), "running");
    wait_for("another tick", || container.output().len() > ticks);
}

#[test]
fn exec_refuses_a_paused_container() {
    let container = Container::sleeping();
    container.up();
    container.verb(&["pause", &container.id]).ok();
    let outcome = container.exec(&["true"]);
    container.verb(&["resume", &container.id]).ok();
    assert_ne!(outcome.code(), 0, "{outcome:#?}");
}

#[test]
fn delete_force_ends_a_paused_container() {
    let container = Container::sleeping();
    container.up();
    container.verb(&["pause", &container.id]).ok();
    container.verb(&["delete", "--force", &container.id]).ok();
    container.assert_nothing_left();
}

#[test]
fn spec_writes_a_config_that_runs() {
    let mut container = Container::new();
    container.verb(&["spec", "--bundle", container.bundle().to_str().unwrap()]).ok();
    let text = fs::read_to_string(container.bundle().join("config.json")).unwrap();
    let cgroup = container.config["linux"]["cgroupsPath"].clone();
    container.config = serde_json::from_str(&text).unwrap();
    container.set("/process/terminal", false);
    container.set("/process/args", json!(["echo", "from the default"]));
    container.set("/linux/cgroupsPath", cgroup);
    assert_eq!(container.run().ok().text(), "from the default");
}

#[test]
fn spec_keeps_a_config_that_is_there() {
    let container = Container::new();
    container.write_config();
    let before = fs::read(container.bundle().join("config.json")).unwrap();
    container.verb(&["spec", "--bundle", container.bundle().to_str().unwrap()]).exits(1);
    assert_eq!(fs::read(container.bundle().join("config.json")).unwrap(), before);
}

#[test]
fn features_is_the_specifications_document() {
    let features = Container::new().verb(&["features"]).ok().json();
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert_eq!(features["hooks"].as_array().unwrap().len(), 6);
    let namespaces = features["linux"]["namespaces"].as_array().unwrap();
    assert!(namespaces.contains(&json!("cgroup")), "{namespaces:?}");
    assert!(features["mountOptions"].as_array().unwrap().contains(&json!("rbind")));
}

/// Takes one namespace out of the container's config.
fn without_namespace(container: &mut Container, kind: &str) {
    let namespaces = container.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != kind);
}
