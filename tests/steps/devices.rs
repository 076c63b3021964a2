//! `/dev`: its nodes, its links, the devices of the configuration, and who may use them.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Container, Kind, has_controller, kind, only_on, skip};

#[test]
fn dev_has_the_default_nodes() {
    let script = "cd /dev; for n in null zero full random urandom tty; do stat -c '%n %F %a %t:%T %u:%g' $n; done";
    let outcome = Container::sh(script).run().ok();
    let node = |name, minor| format!("{name} character special file 666 {minor} 0:0");
    let expected = [
        node("null", "1:3"),
        node("zero", "1:5"),
        node("full", "1:7"),
        node("random", "1:8"),
        node("urandom", "1:9"),
        node("tty", "5:0"),
    ];
    assert_eq!(outcome.lines(), expected);
}

#[test]
fn dev_has_the_default_links() {
    let script = "cd /dev; for n in fd stdin stdout stderr ptmx; do echo $n $(readlink $n); done";
    assert_eq!(
        Container::sh(script).run().ok().lines(),
        [
            "fd /proc/self/fd",
            "stdin /proc/self/fd/0",
            "stdout /proc/self/fd/1",
            "stderr /proc/self/fd/2",
            "ptmx pts/ptmx"
        ]
    );
}

#[test]
fn the_default_nodes_work() {
    let script = "echo x >/dev/null && head -c 3 /dev/zero | od -An -tx1 && head -c 8 /dev/urandom | wc -c \
        && (echo x >/dev/full) 2>&1 | grep -o 'No space'";
    let container =
        Container::sh(script).with("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    assert_eq!(container.run().ok().lines(), [" 00 00 00", "8", "No space"]);
}

#[test]
fn listed_devices_are_made() {
    let container = Container::sh("cd /dev; stat -c '%n %F %a %t:%T %u:%g' deep/er/zero pipe; cat </dev/own >&2")
        .with("/linux/devices", json!([
            { "path": "/dev/deep/er/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 5, "gid": 6 },
            { "path": "/dev/pipe", "type": "p", "fileMode": 0o600 },
            { "path": "/dev/own", "type": "c", "major": 1, "minor": 3 }
        ]));
    assert_eq!(
        container.run().ok().lines(),
        ["deep/er/zero character special file 640 1:5 5:6", "pipe fifo 600 0:0 0:0"]
    );
}

#[test]
fn a_user_namespace_has_the_default_nodes() {
    let mut container = Container::sh(
        "cd /dev; for n in null zero full random urandom tty; do stat -c '%n %t:%T' $n; done; echo x >null",
    );
    container.give_user_namespace();
    let expected = ["null 1:3", "zero 1:5", "full 1:7", "random 1:8", "urandom 1:9", "tty 5:0"];
    assert_eq!(container.run().ok().lines(), expected);
}

#[test]
fn the_device_filter_denies_what_is_not_allowed() {
    // The filter needs no controller; only peers need a machine that lets them raise RLIMIT_MEMLOCK.
    let script = "mknod /tmp/kmsg c 1 11; cat /tmp/kmsg 2>&1 | grep -o 'not permitted'; head -c 1 /dev/zero | wc -c";
    let container = Container::sh(script)
        .with("/linux/resources", json!({ "devices": [{ "allow": false, "access": "rwm" }] }));
    if kind() != Kind::Etui && !has_controller("memory") {
        return;
    }
    assert_eq!(container.run().ok().lines(), ["not permitted", "1"]);
}

#[test]
fn the_device_filter_allows_what_is_listed() {
    // The console is no default device, and any machine has one.
    if std::fs::File::open("/dev/console").is_err() {
        return skip("this machine's console can't be opened");
    }
    if kind() != Kind::Etui && !has_controller("memory") {
        return;
    }
    let script = "mknod /tmp/console c 5 1; (: </tmp/console) && echo opened; \
        (: >/tmp/console) 2>&1 | grep -o 'not permitted'";
    let allowed = json!({ "allow": true, "type": "c", "major": 5, "minor": 1, "access": "r" });
    let container = Container::sh(script).with(
        "/linux/resources",
        json!({ "devices": [{ "allow": false, "access": "rwm" }, allowed] }),
    );
    let outcome = container.run().ok();
    assert_eq!(outcome.lines(), ["opened", "not permitted"], "{outcome:#?}");
}

fn bind(source: &str, destination: &str) -> Value {
    json!({ "destination": destination, "type": "bind", "source": source, "options": ["bind"] })
}

#[test]
fn a_mount_takes_the_place_of_a_default_node() {
    let script = "cd /dev; stat -c '%n %t:%T' random full; cat zero";
    let mut container = Container::sh(script);
    let file = container.dir().join("file");
    std::fs::write(&file, "of the host\n").unwrap();
    container.set("/mounts/-", bind("/dev/urandom", "/dev/random"));
    container.set("/mounts/-", bind("/dev/null", "/dev//full"));
    container.set("/mounts/-", bind(file.to_str().unwrap(), "/dev/zero"));
    assert_eq!(container.run().ok().lines(), ["random 1:9", "full 1:3", "of the host"]);
}

#[test]
fn in_a_user_namespace_too_a_mount_takes_the_place_of_a_default_node() {
    if !only_on(&[Kind::Etui], "the host's node is bound over it") {
        return;
    }
    let mut container = Container::sh("stat -c %t:%T /dev/random");
    container.give_user_namespace();
    container.set("/mounts/-", bind("/dev/urandom", "/dev/random"));
    assert_eq!(container.run().ok().text(), "1:9");
}

#[test]
fn a_mount_takes_no_place_of_a_listed_device() {
    if !only_on(&[Kind::Etui], "it is left as it is") {
        return;
    }
    let device = json!({ "path": "/dev/random", "type": "c", "major": 1, "minor": 8 });
    Container::new()
        .with("/mounts/-", bind("/dev/urandom", "/dev/random"))
        .with("/linux/devices", json!([device]))
        .run()
        .says("/dev/random: another file is there already");
}

/// As in a container that lacks CAP_MKNOD, or under a device filter: the host's nodes will do.
#[test]
fn where_mknod_is_refused_the_hosts_nodes_are_bound() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it fails") {
        return;
    }
    if !Path::new("/usr/bin/setpriv").exists() {
        return skip("setpriv is not there");
    }
    let run = |container: &Container| {
        container.write_config();
        let own = container.command();
        let mut command = std::process::Command::new("setpriv");
        command.args(["--bounding-set", "-mknod"]).arg(own.get_program()).args(own.get_args());
        command.args(["run", "--bundle"]).arg(container.bundle()).arg(&container.id);
        command.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
        container.complete(command)
    };
    let script = "cd /dev; for n in null zero full random urandom tty; do stat -c '%n %F %t:%T' $n; done; \
        echo x >null && stat -c %F pipe";
    let mut container = Container::sh(script);
    for set in ["bounding", "effective", "permitted"] {
        container.set(&format!("/process/capabilities/{set}"), json!([]));
    }
    container.set("/linux/devices", json!([{ "path": "/dev/pipe", "type": "p" }]));
    let node = |name, number| format!("{name} character special file {number}");
    let expected = [
        node("null", "1:3"),
        node("zero", "1:5"),
        node("full", "1:7"),
        node("random", "1:8"),
        node("urandom", "1:9"),
        node("tty", "5:0"),
        "fifo".to_owned(),
    ];
    assert_eq!(run(&container).ok().lines(), expected);
    if kind() == Kind::Etui {
        let other = json!({ "path": "/dev/full", "type": "c", "major": 1, "minor": 5 });
        container.set("/linux/devices", json!([other]));
        run(&container).says("/dev/full: the host's node of this path is another device");
    }
}
