//! Hostile processes of a container, and hostile arguments of `exec`.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::support::{Container, Kind, only_on, processes_of, wait_for};

/// CVE-2016-3697: a number is a number, even where the image has a user of that name.
#[test]
fn a_user_named_like_a_number_is_not_root() {
    let container = Container::sleeping();
    fs::write(container.rootfs().join("etc/passwd"), "1000:x:0:0:root:/root:/bin/sh\n").unwrap();
    container.up();
    let outcome =
        container.exec_sh(&["--user", "1000"], "id -u; grep CapEff /proc/self/status").ok();
    assert_eq!(outcome.lines(), ["1000", "CapEff:\t0000000000000000"]);
}

/// CVE-2016-9962: a process on its way in shows neither its program nor its descriptors.
#[test]
fn an_entering_process_can_not_be_looked_into() {
    let script = "cd /proc; while :; do for p in [0-9]*; do e=$(readlink $p/exe) || continue; \
        case $e in */busybox) echo $p >/tmp/looked ;; *) echo $p $e; ls -l $p/fd ;; esac; done; done 2>/dev/null";
    let container = Container::sh(script);
    container.up();
    for _ in 0..20 {
        container.exec(&["true"]).ok();
    }
    assert_eq!(container.output(), "");
    let looked = container.rootfs().join("tmp/looked");
    wait_for("the attack to see processes of the container", || looked.exists());
}

/// CVE-2022-29162: no capability is inheritable unless asked for.
#[test]
fn an_exec_inherits_no_capabilities() {
    let container = Container::sleeping();
    container.up();
    let outcome =
        container.exec_sh(&["--cap", "CAP_NET_RAW"], "grep CapInh /proc/self/status").ok();
    assert_eq!(outcome.text(), "CapInh:\t0000000000000000");
}

/// CVE-2023-25809: the host's cgroups are not writable through the container's mount of them.
#[test]
fn the_cgroup_tree_is_not_writable() {
    for with_user_namespace in [false, true] {
        let mut container =
            Container::sh("mkdir /sys/fs/cgroup/made 2>&1; find /sys/fs/cgroup -name made");
        let namespaces = container.config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "cgroup");
        if with_user_namespace {
            container.give_user_namespace();
        }
        let outcome = container.run();
        assert!(!outcome.lines().iter().any(|line| line.ends_with("/made")), "{outcome:#?}");
    }
}

/// Prints the canary of the host when the working directory leads out of the container.
fn look_out(container: &Container) -> String {
    let canary = container.dir().join("canary");
    fs::write(&canary, "SEEN").unwrap();
    let upward = "../".repeat(12);
    format!("cat {upward}{0} {0} 2>/dev/null; true", &canary.to_str().unwrap()[1..])
}

/// A command whose caller has the host's root open as descriptors 7 and 8.
fn with_root_open(container: &Container, arguments: &[&str]) -> Command {
    let own = container.command();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" 7</ 8</", "sh"]).arg(own.get_program()).args(own.get_args());
    shell.args(arguments).env("ETUI_TEST", &container.id);
    shell
}

/// CVE-2024-21626: a working directory behind a descriptor that leaked into the container.
#[test]
fn a_leaked_descriptor_is_no_working_directory() {
    for number in 3..12 {
        let mut container = Container::new();
        let script = look_out(&container);
        container.set("/process/args", json!(["sh", "-c", script]));
        container.set("/process/cwd", format!("/proc/self/fd/{number}"));
        container.write_config();
        let bundle = container.bundle();
        let arguments = ["run", "--bundle", bundle.to_str().unwrap(), &container.id];
        let outcome = container.complete(with_root_open(&container, &arguments));
        assert_eq!(outcome.stdout, "", "{number}: {outcome:#?}");
    }
}

/// The same for `exec`, whose target may also be a link of the image.
#[test]
fn a_leaked_descriptor_is_no_working_directory_of_an_exec() {
    let container = Container::sleeping();
    container.up();
    let script = look_out(&container);
    for number in 3..12 {
        let link = format!("/tmp/link{number}");
        container.exec(&["ln", "-s", &format!("/proc/self/fd/{number}"), &link]).ok();
        for cwd in [format!("/proc/self/fd/{number}"), link] {
            let arguments = ["exec", "--cwd", &cwd, &container.id, "sh", "-c", &script];
            let outcome = container.complete(with_root_open(&container, &arguments));
            assert_eq!(outcome.stdout, "", "{cwd}: {outcome:#?}");
        }
    }
}

/// CVE-2024-21626 again: the program itself behind a leaked descriptor.
#[test]
fn a_leaked_descriptor_leads_to_no_program_of_the_host() {
    let container = Container::sleeping();
    container.up();
    let marker = container.dir().join("host-program");
    fs::copy(container.rootfs().join("bin/busybox"), &marker).unwrap();
    for number in 3..12 {
        let program = format!("/proc/self/fd/{number}{}", marker.display());
        let arguments = ["exec", &container.id, &program, "echo", "SEEN"];
        let outcome = container.complete(with_root_open(&container, &arguments));
        assert_eq!(outcome.stdout, "", "{number}: {outcome:#?}");
    }
}

/// A sub-cgroup of `exec` stays below the container's own.
#[test]
fn an_exec_does_not_leave_the_containers_cgroup() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it leaves the process behind") {
        return;
    }
    let container = Container::sleeping();
    container.up();
    for cgroup in ["..", "../..", "/..", "../other"] {
        let outcome = container.verb(&["exec", "--cgroup", cgroup, &container.id, "true"]);
        assert_ne!(outcome.code(), 0, "{cgroup}: {outcome:#?}");
    }
    assert!(!container.cgroup().join("../other").exists());
}

/// A container without a pid namespace and a signal to everything: the runtime and its caller go on.
#[test]
fn kill_all_of_a_container_reaches_no_process_outside() {
    let mut container = Container::sh("sleep 1000 & wait");
    let namespaces = container.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "pid");
    let mut outsider = Command::new("sleep").arg("20").spawn().unwrap();
    container.up();
    container.verb(&["kill", "--all", &container.id, "KILL"]).ok();
    crate::support::wait_for("their end", || processes_of(&container.id).is_empty());
    assert!(outsider.try_wait().unwrap().is_none());
    outsider.kill().unwrap();
    outsider.wait().unwrap();
}

/// Secrets in the caller's environment stay outside.
#[test]
fn the_callers_environment_does_not_get_in() {
    let container = Container::sh("cat /proc/*/environ | tr '\\0' '\\n' | grep SECRET");
    container.write_config();
    let mut command = container.command();
    command
        .env("SECRET_OF_THE_CALLER", "x")
        .args(["run", "--bundle"])
        .arg(container.bundle())
        .arg(&container.id);
    assert_eq!(container.complete(command).stdout, "");
}

/// Without pivot_root(2) the host's /proc stays in the mount namespace, and with one that is not masked the kernel allows
/// another one in a user namespace made inside: sysrq and the like, behind no mask.
#[test]
fn no_pivot_gives_no_proc_without_masks() {
    if !only_on(&[Kind::Etui], "it leaves one in sight, here at least") {
        return;
    }
    let script = "unshare -Urmpf sh -c 'mount -t proc proc /tmp && echo mounted'; unshare -Urm true && echo tried";
    for (flags, with_user_namespace) in
        [(vec![], false), (vec!["--no-pivot"], false), (vec!["--no-pivot"], true)]
    {
        let mut container = Container::sh(script);
        container.set("/process/noNewPrivileges", false);
        if with_user_namespace {
            container.give_user_namespace();
        }
        let outcome = container.run_with(&flags);
        if outcome.stdout.is_empty() {
            return crate::support::skip("no user namespaces inside of containers here");
        }
        assert_eq!(outcome.text(), "tried", "{flags:?}: {outcome:#?}");
    }
    // Nothing is unmounted outside.
    assert!(fs::metadata("/proc/self/status").is_ok() && fs::metadata("/sys/kernel").is_ok());
}

/// With fs.suid_dumpable = 1 a change of user opens a process to whoever has that user outside or inside.
#[test]
fn a_waiting_init_can_not_be_looked_into_by_its_user() {
    let container = Container::sleeping().with("/process/user/uid", 1000);
    container.create().ok();
    let owner = std::os::unix::fs::MetadataExt::uid(
        &fs::metadata(format!("/proc/{}/environ", container.pid())).unwrap(),
    );
    assert_eq!(owner, 0, "it is dumpable");
}

/// A shell makes cgroups below its own with `making`, enters the last one, and is found there; all of them go with it.
fn hide_in_a_cgroup(making: &str) {
    let mut container = Container::sh(&format!(
        "cd /sys/fs/cgroup; {making}; echo $$ > cgroup.procs && echo hidden; exec sleep 1000"
    ));
    container.set("/mounts/6/options", json!(["rw", "nosuid", "noexec", "nodev"]));
    container.up();
    crate::support::wait_for("its cgroup", || container.output() == "hidden\n");
    let listed = container.verb(&["ps", "--format", "json", &container.id]).ok();
    assert_eq!(listed.json(), json!([container.pid()]), "{making}");
    container.verb(&["delete", "--force", &container.id]).ok();
    container.assert_nothing_left();
}

/// Names that are easily overlooked: hidden ones, and ones that are no UTF-8.
#[test]
fn a_process_does_not_hide_in_a_cgroup_of_its_own() {
    hide_in_a_cgroup("mkdir .x && cd .x");
    hide_in_a_cgroup(r#"n=$(printf '\377'); mkdir "$n" && cd "$n""#);
}

/// A shell inside gets as far as a path of 4096 bytes; from outside the same way is longer.
#[test]
fn a_process_does_not_hide_in_a_cgroup_that_no_path_leads_to() {
    if !only_on(&[Kind::Etui], "the path is too long for it") {
        return;
    }
    let name = "n".repeat(253);
    hide_in_a_cgroup(&format!("for i in $(seq 16); do mkdir {name} && cd {name} || exit; done"));
}
