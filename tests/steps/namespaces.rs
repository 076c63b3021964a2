//! Namespaces: new, the host's, joined by path; identity maps, time offsets, host names, the network.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use serde_json::json;

use crate::support::{Container, Kind, kind, only_on, skip};

const SCRIPT: &str =
    "for n in cgroup ipc mnt net pid uts time user; do readlink /proc/self/ns/$n; done";

fn of_host(kind: &str) -> String {
    fs::read_link(format!("/proc/thread-self/ns/{kind}")).unwrap().to_str().unwrap().to_owned()
}

#[test]
fn listed_ones_are_new_and_others_are_the_hosts() {
    let outcome = Container::sh(SCRIPT).run().ok();
    let lines = outcome.lines();
    for (line, kind) in
        lines.iter().zip(["cgroup", "ipc", "mnt", "net", "pid", "uts", "time", "user"])
    {
        let expected_new = !["time", "user"].contains(&kind);
        assert_eq!(*line != of_host(kind), expected_new, "{kind}: {line}");
    }
}

#[test]
fn a_container_may_have_the_hosts_network_and_pids() {
    let mut container = Container::sh(SCRIPT);
    let namespaces = container.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| {
        !["network", "pid", "ipc"].contains(&namespace["type"].as_str().unwrap())
    });
    container.set("/linux/readonlyPaths", json!([]));
    let outcome = container.run().ok();
    let lines = outcome.lines();
    assert_eq!(
        (lines[1], lines[3], lines[4]),
        (&*of_host("ipc"), &*of_host("net"), &*of_host("pid"))
    );
}

#[test]
fn joins_namespaces_by_path() {
    let first = Container::sleeping();
    first.up();
    let mut second = Container::sh(&format!("hostname; ps | grep -c '[s]leep 1000'; {SCRIPT}"));
    let pid = first.pid();
    let path = |name: &str| format!("/proc/{pid}/ns/{name}");
    second.set(
        "/linux/namespaces",
        json!([
            { "type": "pid", "path": path("pid") }, { "type": "network", "path": path("net") },
            { "type": "ipc", "path": path("ipc") }, { "type": "uts", "path": path("uts") },
            { "type": "cgroup", "path": path("cgroup") }, { "type": "mount" }
        ]),
    );
    second.config.as_object_mut().unwrap().remove("hostname");
    let outcome = second.run().ok();
    let lines = outcome.lines();
    assert_eq!(lines[..2], ["inside", "1"], "{outcome:#?}");
    for (line, name) in lines[2..].iter().zip(["cgroup", "ipc", "mnt", "net", "pid", "uts"]) {
        let of_first = fs::read_link(path(name)).unwrap();
        assert_eq!(*line == of_first.to_str().unwrap(), name != "mnt", "{name}: {line}");
    }
}

#[test]
fn joins_a_user_namespace_by_path() {
    let mut first = Container::sleeping();
    first.give_user_namespace();
    first.up();
    let mut second = Container::sh("cat /proc/self/uid_map; readlink /proc/self/ns/user");
    fs::set_permissions(second.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("/proc/{}/ns/user", first.pid());
    second.set("/linux/namespaces/-", json!({ "type": "user", "path": path }));
    let outcome = second.run().ok();
    let expected = fs::read_link(&path).unwrap();
    assert_eq!(outcome.lines()[0].split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
    assert_eq!(outcome.lines()[1], expected.to_str().unwrap());
}

#[test]
fn ids_are_mapped() {
    let mut container =
        Container::sh("cat /proc/self/uid_map /proc/self/gid_map; id -u; : >/tmp/new")
            .with("/process/user/uid", 7);
    container.give_user_namespace();
    fs::set_permissions(container.rootfs().join("tmp"), fs::Permissions::from_mode(0o777)).unwrap();
    let outcome = container.run().ok();
    let words: Vec<_> = outcome.stdout.split_whitespace().collect();
    assert_eq!(words, ["0", "100000", "65536", "0", "100000", "65536", "7"]);
    use std::os::unix::fs::MetadataExt;
    assert_eq!(fs::metadata(container.rootfs().join("tmp/new")).unwrap().uid(), 100_007);
}

#[test]
fn a_user_namespace_has_every_mount() {
    let mut container = Container::sh(
        "awk '{ print $2, $3 }' /proc/mounts; echo x >/dev/shm/new; ls /proc/self/fd",
    );
    container.give_user_namespace();
    let outcome = container.run().ok();
    for expected in
        ["/proc proc", "/dev tmpfs", "/dev/pts devpts", "/dev/mqueue mqueue", "/sys sysfs"]
    {
        assert!(outcome.lines().contains(&expected), "{expected}: {outcome:#?}");
    }
}

#[test]
fn an_exec_enters_the_user_namespace() {
    let mut container = Container::sleeping();
    container.give_user_namespace();
    container.up();
    let outcome =
        container.exec_sh(&["--user", "3:4"], "id -u; id -g; cat /proc/self/uid_map").ok();
    let words: Vec<_> = outcome.stdout.split_whitespace().collect();
    assert_eq!(words, ["3", "4", "0", "100000", "65536"]);
}

#[test]
fn clocks_are_offset() {
    let container = Container::sh("cut -d. -f1 /proc/uptime; cat /proc/self/timens_offsets")
        .with("/linux/namespaces/-", json!({ "type": "time" }))
        .with(
            "/linux/timeOffsets",
            json!({
                "boottime": { "secs": 100_000_000, "nanosecs": 5 }, "monotonic": { "secs": 1_000 }
            }),
        );
    let outcome = container.run().ok();
    assert!(outcome.lines()[0].parse::<u64>().unwrap() > 100_000_000, "{outcome:#?}");
    let words: Vec<_> = outcome.lines()[1].split_whitespace().collect();
    assert_eq!(words, ["monotonic", "1000", "0"]);
}

#[test]
fn an_exec_enters_the_time_namespace() {
    let container = Container::sleeping()
        .with("/linux/namespaces/-", json!({ "type": "time" }))
        .with("/linux/timeOffsets", json!({ "boottime": { "secs": 100_000_000 } }));
    container.up();
    let uptime = container.exec_sh(&[], "cut -d. -f1 /proc/uptime").ok();
    assert!(uptime.text().parse::<u64>().unwrap() > 100_000_000, "{uptime:#?}");
}

#[test]
fn host_names_are_set() {
    let container = Container::sh("hostname; cat /proc/sys/kernel/domainname")
        .with("/hostname", "a-name")
        .with("/domainname", "a-domain.example");
    assert_eq!(container.run().ok().lines(), ["a-name", "a-domain.example"]);
}

#[test]
fn loopback_is_up() {
    let container = Container::sh(
        "ip -o addr show lo | grep -o 'inet 127.0.0.1/8'; ip link show lo | grep -o LOWER_UP",
    );
    assert_eq!(container.run().ok().lines(), ["inet 127.0.0.1/8", "LOWER_UP"]);
}

#[test]
fn loopback_of_a_joined_network_is_left_alone() {
    if kind() != Kind::Etui && !only_on(&[Kind::Etui], "may set it up") {
        return;
    }
    let namespace = Command::new("unshare").args(["--net", "sleep", "20"]).spawn();
    let mut holder = namespace.unwrap();
    let path = format!("/proc/{}/ns/net", holder.id());
    crate::support::wait_for("the namespace", || {
        fs::read_link(&path).is_ok_and(|link| link.to_str() != Some(&of_host("net")))
    });
    let mut container = Container::sh("ip link show lo | grep -o '<LOOPBACK>'");
    container.set("/linux/namespaces/1", json!({ "type": "network", "path": path }));
    let outcome = container.run();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(outcome.ok().text(), "<LOOPBACK>");
}

#[test]
fn the_cgroup_namespace_is_rooted_in_the_containers_cgroup() {
    let container = Container::sleeping();
    container.up();
    assert_eq!(
        container.exec_sh(&[], "grep ^0:: /proc/1/cgroup /proc/self/cgroup").ok().lines(),
        ["/proc/1/cgroup:0::/", "/proc/self/cgroup:0::/"]
    );
    let pids = fs::read_to_string(container.cgroup().join("cgroup.procs")).unwrap();
    assert_eq!(pids.trim(), container.pid().to_string());
}

/// A network device of the machine moves in, under another name. The machine is a network namespace of this test's thread.
#[test]
fn network_devices_move_in() {
    let features = Container::new().verb(&["features"]).ok().json();
    if features["linux"]["netDevices"]["enabled"] != true {
        return skip("this runtime moves no network devices, by its features");
    }
    let mut container = Container::sh(
        "ip -o link show eth7 | grep -o 'mtu 1400'; ip -o addr show eth7 | grep -o 'inet 10[^ ]*'",
    );
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let ip = |arguments: &str| {
        let status = Command::new("ip").args(arguments.split(' ')).status();
        status.expect("ip, of iproute2").success()
    };
    if !ip("link add etui0 mtu 1400 type dummy") && !ip("link add etui0 mtu 1400 type veth") {
        return skip("this kernel makes no network devices");
    }
    assert!(ip("addr add 10.9.8.7/24 dev etui0"));
    container.set("/linux/netDevices", json!({ "etui0": { "name": "eth7" } }));
    assert_eq!(container.run().ok().lines(), ["mtu 1400", "inet 10.9.8.7/24"]);
}

#[test]
fn network_devices_keep_their_lasting_addresses_and_are_up() {
    if !only_on(&[Kind::Etui], "newer releases have it") {
        return;
    }
    let script =
        "ip -o addr show etui0 | grep -o 'fd00:[^ ]*'; ip -o link show etui0 | grep -o ',UP'";
    let mut container = Container::sh(script);
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let ip = |arguments: &str| Command::new("ip").args(arguments.split(' ')).status().unwrap();
    if !ip("link add etui0 type dummy").success() && !ip("link add etui0 type veth").success() {
        return skip("this kernel makes no network devices");
    }
    assert!(ip("addr add fd00::7/64 dev etui0 nodad").success());
    container.set("/linux/netDevices", json!({ "etui0": {} }));
    assert_eq!(container.run().ok().lines(), ["fd00::7/64", ",UP"]);
    assert!(!ip("link show etui0").success(), "it is gone from where it was");
}

#[test]
fn a_network_device_that_is_not_there_or_whose_name_is_taken_stops_the_container() {
    if !only_on(&[Kind::Etui], "newer releases have it") {
        return;
    }
    let mut container = Container::new();
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    container.set("/linux/netDevices", json!({ "nosuch": {} }));
    container.run().exits(1).says("nosuch");
    container.assert_nothing_left();
    let ip = |arguments: &str| Command::new("ip").args(arguments.split(' ')).status().unwrap();
    if !ip("link add etui0 type dummy").success() && !ip("link add etui0 type veth").success() {
        return skip("this kernel makes no network devices");
    }
    container.set("/linux/netDevices", json!({ "etui0": { "name": "lo" } }));
    container.run().exits(1).says("has one called");
    assert!(ip("link show etui0").success(), "it stays where it was");
    container.assert_nothing_left();
}
