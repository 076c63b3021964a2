//! What the process is: user, groups, capabilities, limits, environment, working directory, signals.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use serde_json::json;

use crate::support::{Container, Kind, only_on, skip};

const STATUS: &str = "grep -E '^(Cap|NoNewPrivs|SigBlk|SigIgn|SigCgt)' /proc/self/status";

#[test]
fn has_its_user_and_groups() {
    let container = Container::sh("id -u; id -g; id -G")
        .with("/process/user", json!({ "uid": 1000, "gid": 1001, "additionalGids": [5, 77] }));
    assert_eq!(container.run().ok().lines(), ["1000", "1001", "1001 5 77"]);
}

#[test]
fn keeps_no_group_of_the_caller() {
    let container = Container::sh("grep Groups /proc/self/status").with("/process/user/gid", 9);
    let mut command = container.command();
    container.write_config();
    command.args(["run", "--bundle"]).arg(container.bundle()).arg(&container.id);
    let mut with_groups = Command::new("setpriv");
    with_groups.args(["--groups", "4,24,27"]).arg(command.get_program()).args(command.get_args());
    with_groups.env("ETUI_TEST", &container.id);
    let groups = container.complete(with_groups).ok().stdout.replace("Groups:", "");
    assert_eq!(groups.trim(), "");
}

#[test]
fn keeps_the_callers_groups_where_an_annotation_says_so() {
    if !only_on(&[Kind::Etui, Kind::Crun], "crun's annotation") {
        return;
    }
    let container = Container::sh("grep Groups /proc/self/status")
        .with("/annotations", json!({ "run.oci.keep_original_groups": "1" }));
    let mut command = container.command();
    container.write_config();
    command.args(["run", "--bundle"]).arg(container.bundle()).arg(&container.id);
    let mut with_groups = Command::new("setpriv");
    with_groups.args(["--groups", "4,24"]).arg(command.get_program()).args(command.get_args());
    with_groups.env("ETUI_TEST", &container.id);
    let groups = container.complete(with_groups).ok().stdout.replace("Groups:", "");
    assert_eq!(groups.trim(), "4 24");
}

#[test]
fn is_not_looked_up_beside_its_working_directory() {
    let container = Container::new()
        .with("/process/env", json!(["PATH=bin"]))
        .with("/process/args", json!(["true"]));
    if !only_on(&[Kind::Etui, Kind::Runc], "a relative PATH counts") {
        return;
    }
    container.run().exits(1).says("cannot run executable found relative to current directory");
}

#[test]
fn what_it_can_not_have_is_told_in_the_log_and_not_to_the_container() {
    let container =
        Container::sh("echo out").with("/process/capabilities/ambient", json!(["CAP_KILL"]));
    if !only_on(&[Kind::Etui], "it warns in other words") {
        return;
    }
    let log = container.dir().join("log");
    let mut command = container.command();
    container.write_config();
    command.arg("--log").arg(&log).args(["run", "--bundle"]).arg(container.bundle());
    command.arg(&container.id);
    let outcome = container.complete(command).ok();
    assert_eq!(outcome.stderr, "");
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains("CAP_KILL"), "{log}");
}

#[test]
fn has_its_umask() {
    let container = Container::sh("umask").with("/process/user/umask", 0o027);
    assert_eq!(container.run().ok().text(), "0027");
}

#[test]
fn has_a_umask_of_022_when_none_is_asked_for() {
    assert_eq!(Container::sh("umask").run().ok().text(), "0022");
}

#[test]
fn has_its_environment_and_nothing_else() {
    let container = Container::new()
        .with("/process/args", json!(["env"]))
        .with("/process/env", json!(["PATH=/bin", "A=1", "EMPTY="]));
    let outcome = container.run().ok();
    let mut lines = outcome.lines();
    lines.sort_unstable();
    assert_eq!(lines, ["A=1", "EMPTY=", "HOME=/root", "PATH=/bin"]);
}

#[test]
fn has_the_home_of_the_containers_passwd() {
    let home = |uid: u32| {
        let container = Container::sh("echo $HOME").with("/process/user/uid", uid);
        container.run().ok().text().to_owned()
    };
    assert_eq!(home(0), "/root");
    assert_eq!(home(1000), "/home/someone");
    assert_eq!(home(4242), "/");
}

#[test]
fn keeps_a_home_that_is_asked_for() {
    let container = Container::sh("echo $HOME").with("/process/env/-", "HOME=/elsewhere");
    assert_eq!(container.run().ok().text(), "/elsewhere");
}

#[test]
fn has_exactly_its_capabilities() {
    // CAP_KILL is bit 5, CAP_NET_BIND_SERVICE bit 10, CAP_SYS_CHROOT bit 18.
    let container = Container::sh(STATUS).with(
        "/process/capabilities",
        json!({
            "bounding": ["CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT"],
            "permitted": ["CAP_KILL", "CAP_NET_BIND_SERVICE"],
            "effective": ["CAP_KILL"],
            "inheritable": ["CAP_KILL"],
            "ambient": ["CAP_KILL"]
        }),
    );
    let container = container.with("/process/user/uid", 1000);
    let status = container.run().ok().stdout;
    for (set, bits) in
        [("Inh", 0x20), ("Prm", 0x20), ("Eff", 0x20), ("Bnd", 0x40420), ("Amb", 0x20)]
    {
        assert!(status.contains(&format!("Cap{set}:\t{bits:016x}")), "Cap{set} {bits:x}: {status}");
    }
}

#[test]
fn root_has_no_more_than_its_bounding_set() {
    let one = json!({ "bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"] });
    let status = Container::sh(STATUS).with("/process/capabilities", one).run().ok().stdout;
    for (set, bits) in [("Inh", 0), ("Prm", 1), ("Eff", 1), ("Bnd", 1), ("Amb", 0)] {
        assert!(status.contains(&format!("Cap{set}:\t{bits:016x}")), "Cap{set} {bits:x}: {status}");
    }
}

#[test]
fn has_no_capability_when_the_configuration_has_no_word_of_them() {
    if !only_on(&[Kind::Etui, Kind::Crun], "it keeps the caller's") {
        return;
    }
    let mut container = Container::sh("grep Cap /proc/self/status");
    container.config["process"].as_object_mut().unwrap().remove("capabilities");
    let status = container.run().ok().stdout;
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
    }
}

#[test]
fn an_exec_has_the_containers_capabilities() {
    let container = Container::sleeping();
    container.up();
    let inside = container.exec_sh(&[], "grep Cap /proc/1/status").ok().stdout;
    assert_eq!(container.exec_sh(&[], "grep Cap /proc/self/status").ok().stdout, inside);
}

#[test]
fn has_no_new_privs_as_asked() {
    for (asked, expected) in [(true, "NoNewPrivs:\t1"), (false, "NoNewPrivs:\t0")] {
        let container = Container::sh(STATUS).with("/process/noNewPrivileges", asked);
        let status = container.run().ok().stdout;
        assert!(status.contains(expected), "{asked}: {status}");
    }
}

/// A verb run by a caller that ignores and blocks a few signals.
fn with_spoilt_signals(container: &Container, arguments: &[&str]) -> String {
    let own = container.command();
    let mut env = Command::new("env");
    env.args(["--ignore-signal=QUIT,USR1,CHLD,PIPE", "--block-signal=USR2,WINCH"]);
    env.arg(own.get_program()).args(own.get_args()).args(arguments).env("ETUI_TEST", &container.id);
    container.complete(env).ok().stdout
}

#[track_caller]
fn assert_fresh(status: &str) {
    assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
    assert!(status.contains("SigIgn:\t0000000000000000"), "{status}");
}

#[test]
fn has_a_fresh_signal_mask_and_dispositions() {
    if !only_on(&[Kind::Etui], "what the caller ignores stays ignored") {
        return;
    }
    // Not through a shell: it has signals of its own that it ignores.
    let container = Container::sh("").with("/process/args", json!(["cat", "/proc/self/status"]));
    container.write_config();
    let bundle = container.bundle();
    let arguments = ["run", "--bundle", bundle.to_str().unwrap(), &container.id];
    assert_fresh(&with_spoilt_signals(&container, &arguments));
}

#[test]
fn an_exec_has_a_fresh_signal_mask_and_dispositions() {
    if !only_on(&[Kind::Etui], "what the caller ignores stays ignored") {
        return;
    }
    let container = Container::sleeping();
    container.up();
    assert_fresh(&with_spoilt_signals(
        &container,
        &["exec", &container.id, "cat", "/proc/self/status"],
    ));
}

#[test]
fn is_killed_by_sigpipe() {
    // A writer that ignores SIGPIPE goes on after its reader has ended; one that doesn't is killed.
    let container = Container::sh("(yes; echo $? >&2) | head -1 >/dev/null");
    assert_eq!(container.run().ok().stderr.trim(), "141");
}

#[test]
fn has_its_resource_limits() {
    let container = Container::sh("ulimit -n; ulimit -Hn; ulimit -c").with(
        "/process/rlimits",
        json!([
            { "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 },
            { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 }
        ]),
    );
    assert_eq!(container.run().ok().lines(), ["100", "200", "0"]);
}

/// Without CAP_SYS_RESOURCE, a process that is not root's any more is out of its parent's reach.
#[test]
fn a_user_has_its_resource_limits() {
    if !only_on(&[Kind::Etui, Kind::Runc], "an exec has the caller's") {
        return;
    }
    let mut container = Container::sh("ulimit -n; ulimit -Hn")
        .with("/process/rlimits", json!([{ "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 }]))
        .with("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    assert_eq!(container.run().ok().lines(), ["100", "200"]);
    container.set("/process/args", json!(["sleep", "1000"]));
    container.up();
    assert_eq!(container.exec_sh(&[], "ulimit -n; ulimit -Hn").ok().lines(), ["100", "200"]);
}

#[test]
fn an_exec_has_the_containers_resource_limits() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it has the caller's") {
        return;
    }
    let container = Container::sleeping()
        .with("/process/rlimits", json!([{ "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 }]));
    container.up();
    assert_eq!(container.exec_sh(&[], "ulimit -n; ulimit -Hn").ok().lines(), ["100", "200"]);
}

#[test]
fn has_its_oom_score() {
    let container = Container::sh("cat /proc/self/oom_score_adj").with("/process/oomScoreAdj", 321);
    assert_eq!(container.run().ok().text(), "321");
}

#[test]
fn has_its_nice_value_and_io_priority() {
    let container = Container::sh("cut -d' ' -f19 /proc/self/stat; ionice")
        .with("/process/scheduler", json!({ "policy": "SCHED_OTHER", "nice": 7 }))
        .with("/process/ioPriority", json!({ "class": "IOPRIO_CLASS_BE", "priority": 6 }));
    assert_eq!(container.run().ok().lines(), ["7", "best-effort: prio 6"]);
}

#[test]
fn has_its_personality() {
    let container =
        Container::sh("uname -m").with("/linux/personality", json!({ "domain": "LINUX32" }));
    assert_eq!(container.run().ok().text(), "i686");
}

#[test]
fn has_its_memory_policy() {
    if !only_on(&[Kind::Etui], "newer releases have it") {
        return;
    }
    if !std::path::Path::new("/proc/self/numa_maps").exists() {
        return skip("this kernel knows no memory policies");
    }
    let policy = json!({ "mode": "MPOL_BIND", "nodes": "0" });
    let container =
        Container::sh("head -1 /proc/self/numa_maps").with("/linux/memoryPolicy", policy);
    let maps = container.run().ok();
    assert!(maps.stdout.contains(" bind:0 "), "{maps:#?}");
}

#[test]
fn starts_in_its_working_directory() {
    assert_eq!(
        Container::sh("pwd").with("/process/cwd", "/home/someone").run().ok().text(),
        "/home/someone"
    );
}

#[test]
fn makes_a_working_directory_that_is_not_there() {
    assert_eq!(
        Container::sh("pwd").with("/process/cwd", "/not/there").run().ok().text(),
        "/not/there"
    );
}

#[test]
fn enters_a_directory_that_only_the_runtime_may_enter() {
    let container = Container::sh("readlink /proc/self/cwd")
        .with("/process/user", json!({ "uid": 1000, "gid": 1000 }))
        .with("/process/cwd", "/var/private");
    let private = container.rootfs().join("var/private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(container.run().ok().text(), "/var/private");
}

#[test]
fn enters_a_directory_that_only_its_user_may_enter() {
    // Root of a user namespace has no power over a file whose group is not mapped there; its owner has.
    let mut container = Container::sh("pwd").with("/process/cwd", "/var/private");
    container.give_user_namespace();
    container.set("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    let private = container.rootfs().join("var/private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).unwrap();
    chown(&private, Some(100_000 + 1000), Some(0)).unwrap();
    assert_eq!(container.run().ok().text(), "/var/private");
}

#[test]
fn finds_its_program_along_its_own_path() {
    let container = Container::new()
        .with("/process/args", json!(["program"]))
        .with("/process/env", json!(["PATH=/nowhere:/opt/bin:/bin"]));
    fs::create_dir_all(container.rootfs().join("opt/bin")).unwrap();
    let program = container.rootfs().join("opt/bin/program");
    fs::write(&program, "#!/bin/sh\necho found $0\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(container.run().ok().text(), "found /opt/bin/program");
}

#[test]
fn has_a_session_keyring_of_its_own() {
    let container = Container::sh("cat /proc/keys").with("/linux/maskedPaths", json!([]));
    // In this order, for a keyring is seen for a while after its last process.
    let without = container.run_with(&["--no-new-keyring"]).ok().stdout;
    assert!(!without.contains(&container.id), "{without}");
    let keys = container.run().ok().stdout;
    assert!(keys.contains(&container.id), "{keys}");
}

#[test]
fn leads_a_session_of_its_own() {
    let mut container = Container::sh("read -r stat </proc/self/stat; set -- $stat; echo $1 $5 $6");
    container.set("/process/args/0", "/bin/sh");
    let outcome = container.run().ok();
    let [pid, group, session] = outcome.text().split(' ').collect::<Vec<_>>()[..] else {
        panic!("{outcome:?}")
    };
    assert_eq!((pid, group, session), ("1", "1", "1"));
}

#[test]
fn orphans_become_children_of_a_runtime_that_waits() {
    if !only_on(&[Kind::Etui, Kind::Runc], "no subreaper") {
        return;
    }
    let script = "(sh -c 'usleep 30000; grep PPid /proc/self/status' &); usleep 100000; echo $PPID";
    let mut container = Container::sh(script);
    let namespaces = container.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "pid");
    let outcome = container.run().ok();
    let [orphans_parent, own_parent] = outcome.lines()[..] else { panic!("{outcome:?}") };
    assert_eq!(orphans_parent, format!("PPid:\t{own_parent}"));
}

#[test]
fn is_not_dumpable_by_accident() {
    // After execve of a readable program, the kernel makes the process dumpable again: /proc/self belongs to it.
    let container = Container::sh("stat -c %u /proc/self/fd")
        .with("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    assert_eq!(container.run().ok().text(), "1000");
}

#[test]
fn rdt_groups_are_refused_where_the_machine_has_none() {
    if !only_on(&[Kind::Etui], "runc passes over them") {
        return;
    }
    if fs::read_to_string("/proc/self/mountinfo").unwrap().contains(" - resctrl ") {
        return crate::support::skip("this machine has resctrl");
    }
    let container = Container::sleeping();
    container.up();
    container.verb(&["update", "--l3-cache-schema", "L3:0=f", &container.id]).says("not found");
    let container = Container::new().with("/linux/intelRdt", json!({ "closID": "gold" }));
    container.run().exits(1).says("linux.intelRdt: Intel RDT resctrl mount point not found");
    container.assert_nothing_left();
}
