//! `/dev`: its nodes, its links, the devices of the configuration, and who may use them.

use serde_json::json;

use crate::support::{Container, Kind, has_controller, kind, skip};

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
