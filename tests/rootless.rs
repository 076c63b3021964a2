//! What a normal user may do: with ids of her own alone, with subordinate ones, without a cgroup handed to her; and
//! how what she may not do is told. The user is `nobody`, who has nothing of all that by himself.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use nix::mount::{MsFlags, mount, umount};
use serde_json::json;
use support::{Container, Kind, Outcome, only_on, runtime, skip, wait_for};

const NOBODY: u32 = 65534;

/// A bundle of hers, as `spec --rootless` writes it for her, that runs a shell with `script`.
fn of_a_user(script: &str) -> Container {
    let mut container = Container::new();
    fs::set_permissions(container.dir(), fs::Permissions::from_mode(0o711)).unwrap();
    fs::copy(runtime(), container.dir().join("runtime")).unwrap();
    for directory in [container.bundle(), container.root()] {
        chown(directory, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let bundle = container.bundle();
    as_user(&container, &["spec", "--rootless", "--bundle", bundle.to_str().unwrap()]).ok();
    let text = fs::read(container.bundle().join("config.json")).unwrap();
    container.config = serde_json::from_slice(&text).unwrap();
    container.set("/process/terminal", false);
    container.set("/process/args", json!(["sh", "-c", script]));
    container
}

/// The runtime as she calls it. It is copied to where she can read it.
fn as_user(container: &Container, arguments: &[&str]) -> Outcome {
    let user = NOBODY.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "env", "-i"]);
    command.arg(format!("PATH={}", std::env::var("PATH").unwrap()));
    command.arg(container.dir().join("runtime")).arg("--root").arg(container.root());
    command.args(arguments).current_dir("/");
    container.complete(command)
}

fn run(container: &Container) -> Outcome {
    container.write_config();
    let bundle = container.bundle();
    as_user(container, &["run", "--bundle", bundle.to_str().unwrap(), &container.id])
}

fn only_etui() -> bool {
    only_on(&[Kind::Etui], "a user without rights, on etui")
}

#[test]
fn a_user_without_subordinate_ids_has_one_id() {
    let container = of_a_user("id -u; cat /proc/self/uid_map");
    let outcome = run(&container).ok();
    assert_eq!(outcome.text().split_whitespace().collect::<Vec<_>>(), ["0", "0", "65534", "1"]);
    assert_eq!(outcome.stderr, "", "nothing was asked for that she can't have");
}

#[test]
fn a_container_without_a_cgroup_lives_and_dies() {
    if !only_etui() {
        return;
    }
    let container = of_a_user("sleep 1000");
    container.write_config();
    let bundle = container.bundle();
    let id = container.id.as_str();
    as_user(&container, &["run", "-d", "--bundle", bundle.to_str().unwrap(), id]).ok();
    let state = as_user(&container, &["state", id]).ok().json();
    assert_eq!(state["status"], "running");
    let cgroup = |pid: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
    };
    assert_eq!(cgroup(&state["pid"].to_string()), cgroup("self"), "it is where its maker is");
    let entered = as_user(&container, &["exec", id, "id", "-u"]).ok();
    assert_eq!(entered.text(), "0");
    for verb in [&["pause", id][..], &["ps", id], &["update", "--pids-limit", "5", id]] {
        as_user(&container, verb).says("the container has no cgroup of its own");
    }
    as_user(&container, &["kill", id, "KILL"]).ok();
    wait_for("its end", || as_user(&container, &["state", id]).ok().json()["status"] == "stopped");
    as_user(&container, &["delete", id]).ok();
}

#[test]
fn a_user_raises_the_oom_score() {
    let container = of_a_user("sleep 1000").with("/process/oomScoreAdj", 100);
    container.write_config();
    let bundle = container.bundle();
    as_user(&container, &["run", "-d", "--bundle", bundle.to_str().unwrap(), &container.id]).ok();
    // It was a race: whether the process hid before its score was written.
    for _ in 0..10 {
        let entered =
            as_user(&container, &["exec", &container.id, "cat", "/proc/self/oom_score_adj"]);
        assert_eq!(entered.ok().text(), "100");
    }
}

#[test]
fn what_a_user_may_not_is_told() {
    if !only_etui() {
        return;
    }
    let cases = [
        ("/linux/cgroupsPath", json!("/a/place"), "the cgroup above is not delegated to this user"),
        ("/process/oomScoreAdj", json!(-500), "needs CAP_SYS_RESOURCE"),
        (
            "/process/user/uid",
            json!(5),
            "user id 5 is not mapped in the container's user namespace",
        ),
        (
            "/linux",
            json!({ "namespaces": [{ "type": "mount" }, { "type": "uts" }, { "type": "ipc" }] }),
            "without privileges a container needs a user namespace of its own",
        ),
        (
            "/process/rlimits",
            json!([{ "type": "RLIMIT_NOFILE", "soft": 2_000_000_000, "hard": 2_000_000_000 }]),
            "raising a hard limit needs CAP_SYS_RESOURCE",
        ),
    ];
    for (field, value, told) in cases {
        let container = of_a_user("true").with(field, value);
        run(&container).exits(1).says(told);
    }
}

#[test]
fn limits_without_a_cgroup_are_refused() {
    if !only_etui() || !support::has_controller("pids") {
        return;
    }
    let container = of_a_user("true").with("/linux/resources", json!({ "pids": { "limit": 9 } }));
    run(&container).exits(1).says("the cgroup above is not delegated to this user");
}

#[test]
fn device_rules_that_cannot_be_enforced_are_warned_of() {
    if !only_etui() {
        return;
    }
    let rules = json!({ "devices": [{ "allow": false, "access": "rwm" }] });
    let container = of_a_user("echo ran").with("/linux/resources", rules);
    let outcome = run(&container).ok();
    assert_eq!(outcome.text(), "ran");
    assert!(outcome.stderr.contains("devices are not filtered"), "{outcome:#?}");
}

#[test]
fn ids_that_are_not_hers_are_refused() {
    if !only_etui() || !has_newuidmap() {
        return;
    }
    let mut container = of_a_user("true");
    map_a_range(&mut container);
    let _granted = grant(&container, "someone-else:100000:65536\n");
    run(&container).exits(1).says("/etc/subuid must grant the caller these ids");
}

#[test]
fn a_user_with_subordinate_ids_has_a_range() {
    if !has_newuidmap() {
        return;
    }
    let mut container = of_a_user("id -u; cat /proc/self/uid_map").with("/process/user/uid", 5);
    map_a_range(&mut container);
    let _granted = grant(&container, "nobody:100000:65536\n");
    let outcome = run(&container).ok();
    let words: Vec<_> = outcome.text().split_whitespace().collect();
    assert_eq!(words, ["5", "0", "65534", "1", "1", "100000", "65536"]);
}

#[test]
fn the_systems_own_state_directory_is_not_hers() {
    if !only_etui() {
        return;
    }
    let container = of_a_user("true");
    fs::set_permissions(container.root(), fs::Permissions::from_mode(0o755)).unwrap();
    chown(container.root(), Some(0), Some(0)).unwrap();
    run(&container).exits(1).says("set XDG_RUNTIME_DIR, or name another with --root");
}

fn has_newuidmap() -> bool {
    let here = Path::new("/usr/bin/newuidmap").exists();
    if !here {
        skip("no newuidmap here: apt-get install uidmap");
    }
    here
}

/// Herself as root, and 65536 more.
fn map_a_range(container: &mut Container) {
    let maps = json!([
        { "containerID": 0, "hostID": NOBODY, "size": 1 },
        { "containerID": 1, "hostID": 100_000, "size": 65_536 },
    ]);
    container.set("/linux/uidMappings", maps.clone());
    container.set("/linux/gidMappings", maps);
}

/// What subuid(5) and subgid(5) say, in the test's own mount namespace, until it is dropped.
struct Granted;

const GRANTS: [&str; 2] = ["/etc/subuid", "/etc/subgid"];

fn grant(container: &Container, line: &str) -> Granted {
    let file = container.dir().join("subordinate");
    fs::write(&file, line).unwrap();
    for target in GRANTS {
        mount(Some(&file), target, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    }
    Granted
}

impl Drop for Granted {
    fn drop(&mut self) {
        GRANTS.into_iter().for_each(|target| umount(target).unwrap());
    }
}

#[test]
fn whether_a_cgroup_may_be_missing_is_a_flags_matter() {
    if !only_etui() {
        return;
    }
    let container = of_a_user("echo here");
    container.write_config();
    let bundle = container.bundle();
    let run = |rootless| {
        let arguments = [rootless, "run", "--bundle", bundle.to_str().unwrap(), &container.id];
        as_user(&container, &arguments)
    };
    assert_eq!(run("--rootless=true").ok().text(), "here");
    assert_eq!(run("--rootless=auto").ok().text(), "here");
    run("--rootless=false").says("permission denied");
}
