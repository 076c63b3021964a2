//! The moments in which a process of the runtime is on its way into a container, stretched with strace.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::support::{Container, Kind, only_on, processes_of, wait_for};

/// A verb of the runtime under strace, which interferes with a system call of its own or of a process it makes.
fn interfered(container: &Container, inject: &str, arguments: &[&str]) -> Command {
    let runtime = container.command();
    let call = inject.split(':').next().unwrap();
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-f", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    strace.args(["-e", &format!("inject={inject}")]);
    strace.arg(runtime.get_program()).args(runtime.get_args()).args(arguments);
    strace.env("ETUI_TEST", &container.id).stdin(Stdio::null());
    strace
}

/// `run --detach` or `create` under strace, in the background.
fn begin(container: &Container, inject: &str, verb: &[&str]) -> Child {
    container.write_config();
    let bundle = container.bundle();
    let arguments = [verb, &["--bundle", bundle.to_str().unwrap(), container.id.as_str()]].concat();
    let mut strace = interfered(container, inject, &arguments);
    strace.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// A file that only the host's root may read.
fn secret(container: &Container) -> PathBuf {
    let path = container.dir().join("secret");
    fs::write(&path, "SEEN").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Until it has changed its root, init is in the file system of the host.
#[test]
fn an_exec_does_not_follow_init_into_the_hosts_files() {
    if !only_on(&[Kind::Etui], "its init is made by other calls") {
        return;
    }
    let container = Container::sleeping();
    let secret = secret(&container);
    let mut run =
        begin(&container, "pivot_root,move_mount:delay_enter=150000", &["run", "--detach"]);
    let mut entered = false;
    wait_for("the container to run", || {
        let seen = container.verb(&["exec", &container.id, "cat", secret.to_str().unwrap()]);
        assert!(!seen.stdout.contains("SEEN"), "{seen:#?}");
        entered |= seen.stderr.contains("No such file");
        entered
    });
    // strace stays with the container.
    container.verb(&["delete", "--force", &container.id]).ok();
    assert!(run.wait().unwrap().success());
}

/// Whoever owns a user namespace has every right over what is in it, and a process that is born among others would be theirs to
/// look into: it is still where the host's files are.
#[test]
fn a_process_that_is_born_among_others_can_not_be_looked_into() {
    if !only_on(&[Kind::Etui], "its init is made by other calls") {
        return;
    }
    let mut first = Container::sleeping();
    first.give_user_namespace();
    for set in ["bounding", "effective", "permitted"] {
        first.set(&format!("/process/capabilities/{set}/-"), "CAP_SYS_PTRACE");
    }
    first.up();
    let secret = secret(&first);
    // Who can look into a process sees with rights of its own.
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();

    let mut second = Container::sleeping();
    second.give_user_namespace();
    let pid = first.pid();
    for namespace in second.config["linux"]["namespaces"].as_array_mut().unwrap() {
        for kind in ["user", "pid"] {
            if namespace["type"] == kind {
                namespace["path"] = json!(format!("/proc/{pid}/ns/{kind}"));
            }
        }
    }
    let linux = second.config["linux"].as_object_mut().unwrap();
    linux.remove("uidMappings");
    linux.remove("gidMappings");

    let mut create = begin(&second, "setresgid:delay_enter=700000", &["create"]);
    let script = format!(
        "for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do \
         cat /proc/[0-9]*/root{} 2>/dev/null; sleep 0.05; done; ls /proc | grep -c '^[0-9]*$'",
        secret.display()
    );
    let seen = first.exec_sh(&[], &script);
    wait_for("the second one", || second.verb(&["state", &second.id]).status.success());
    second.verb(&["delete", "--force", &second.id]).ok();
    create.wait().unwrap();
    assert!(!seen.stdout.contains("SEEN"), "{seen:#?}");
    // The other one's init was among those that were looked at.
    let processes: u32 = seen.lines().last().unwrap().parse().unwrap();
    assert!(processes > 3, "{seen:#?}");
}

/// The process that makes the network namespace shares our descriptors: what it has not said can't be taken for one.
#[test]
fn a_killed_maker_of_the_network_gives_no_descriptor() {
    if !only_on(&[Kind::Etui], "its network is made otherwise") {
        return;
    }
    let container = Container::new();
    container.write_config();
    let bundle = container.bundle();
    for call in
        ["unshare:signal=KILL:when=1", "socket:signal=KILL:when=1", "ioctl:error=EPERM:when=1"]
    {
        let arguments = ["run", "--bundle", bundle.to_str().unwrap(), &container.id];
        let outcome = container.complete(interfered(&container, call, &arguments));
        assert_eq!(outcome.code(), 1, "{call}: {outcome:#?}");
        outcome.says("make the network namespace");
        container.assert_nothing_left();
    }
}

/// A user namespace may forbid setgroups for good; groups of the caller's would open files of the host.
#[test]
fn no_group_of_the_caller_gets_into_a_user_namespace_that_forbids_to_drop_it() {
    if !only_on(&[Kind::Etui], "keeps them") {
        return;
    }
    let mut holder = Command::new("unshare");
    holder.args(["--user", "--map-root-user", "sleep", "1000"]);
    let mut holder = holder.spawn().unwrap();
    let path = format!("/proc/{}/ns/user", holder.id());
    let own = fs::read_link("/proc/self/ns/user").unwrap();
    wait_for("a user namespace", || fs::read_link(&path).is_ok_and(|link| link != own));

    let mut container = Container::sh("grep Groups /proc/self/status");
    fs::set_permissions(container.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    container.set("/linux/namespaces/-", json!({ "type": "user", "path": path }));
    // It maps one id.
    container.set("/mounts", json!([{ "destination": "/proc", "type": "proc", "source": "proc" }]));
    container.write_config();
    let runtime = container.command();
    let mut with_groups = Command::new("setpriv");
    with_groups.args(["--groups", "0,6,42"]).arg(runtime.get_program()).args(runtime.get_args());
    with_groups.args(["run", "--bundle"]).arg(container.bundle()).arg(&container.id);
    with_groups.env("ETUI_TEST", &container.id);
    let outcome = container.complete(with_groups);
    let _ = holder.kill();
    let _ = holder.wait();
    assert_eq!(outcome.ok().stdout.replace("Groups:", "").trim(), "");
}

/// Hooks act for the host: where they are born, numbers of processes are the host's, and no neighbour can kill them.
#[test]
fn hooks_are_not_born_in_the_pid_namespace_that_is_joined() {
    let first = Container::sleeping();
    first.up();
    let mut second = Container::new();
    let pid = first.pid();
    for namespace in second.config["linux"]["namespaces"].as_array_mut().unwrap() {
        if namespace["type"] == "pid" {
            namespace["path"] = json!(format!("/proc/{pid}/ns/pid"));
        }
    }
    let log = second.dir().join("log");
    let script = format!("readlink /proc/self/ns/pid >>{}", log.display());
    let hook =
        json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] }]);
    second.set(
        "/hooks",
        json!({ "createRuntime": hook.clone(), "poststart": hook.clone(), "poststop": hook }),
    );
    second.run().ok();
    let host = fs::read_link("/proc/self/ns/pid").unwrap();
    let log = fs::read_to_string(log).unwrap();
    assert_eq!(log.lines().collect::<Vec<_>>(), [host.to_str().unwrap(); 3]);
}

/// `run` may be held up, or killed, between the start of the program and its last word on the record.
#[test]
fn a_container_whose_program_executes_runs_whatever_the_record_says() {
    if !only_on(&[Kind::Etui], "its record is written by other calls") {
        return;
    }
    let container = Container::sh("echo up >/tmp/up; exec sleep 1000");
    let up = container.rootfs().join("tmp/up");
    // The third one publishes the record.
    let mut run = begin(&container, "renameat:delay_enter=3000000:when=3", &["run", "--detach"]);
    wait_for("the program", || up.exists());
    assert_eq!(container.status(), "running");
    container.exec(&["true"]).ok();
    assert_ne!(container.delete().code(), 0, "it runs");
    // strace ends with what it watches.
    let runtime = processes_of(&container.id)
        .into_iter()
        .find(|(_, command)| command.contains(" run ") && !command.starts_with("strace"));
    let (pid, _) = runtime.expect("the runtime is held up");
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGKILL).unwrap();
    wait_for("the same without it", || container.status() == "running");
    container.exec(&["true"]).ok();
    container.kill("KILL").ok();
    container.wait_until("stopped");
    container.delete().ok();
    let _ = run.wait();
}
