//! Annotations of crun's that engines set.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Container, Kind, only_on};

fn with_annotation(container: Container, key: &str, value: impl Into<Value>) -> Container {
    container.with("/annotations", json!({ key: value.into() }))
}

#[test]
fn a_delegated_cgroup_is_below_the_one_with_the_limits() {
    if !only_on(&[Kind::Etui], "crun has it with systemd only") {
        return;
    }
    let script = "grep ^0:: /proc/self/cgroup; exec sleep 1000";
    let container = with_annotation(Container::sh(script), "run.oci.delegate-cgroup", "/payload");
    container.up();
    crate::support::wait_for("output", || !container.output().is_empty());
    // The namespace was made above.
    assert_eq!(container.output().trim(), "0::/payload");
    let seen = fs::read_to_string(format!("/proc/{}/cgroup", container.pid())).unwrap();
    assert!(seen.contains(&format!("0::/{}/payload\n", container.id)), "{seen}");
    container.exec(&["true"]).ok();
    container.verb(&["pause", &container.id]).ok();
    assert_eq!(container.status(), "paused");
    container.verb(&["resume", &container.id]).ok();
    assert_eq!(
        container.verb(&["ps", "-f", "json", &container.id]).ok().json(),
        json!([container.pid()])
    );
    container.verb(&["delete", "--force", &container.id]).ok();
    container.assert_nothing_left();
}

#[test]
fn a_delegated_cgroup_is_no_path() {
    if !only_on(&[Kind::Etui], "crun takes any path") {
        return;
    }
    let container = with_annotation(Container::new(), "run.oci.delegate-cgroup", "../elsewhere");
    container.create().exits(1).says("is not the name of one cgroup");
}

/// `struct sock_filter`: for each of these calls EPERM, all others are allowed.
fn forbidding(calls: &[u32]) -> Vec<u8> {
    let instruction = |code: u16, jt: u8, jf: u8, k: u32| {
        [&code.to_ne_bytes()[..], &[jt, jf], &k.to_ne_bytes()].concat()
    };
    let mut program = instruction(0x20, 0, 0, 0);
    for call in calls {
        program.extend(instruction(0x15, 0, 1, *call));
        program.extend(instruction(0x06, 0, 0, 0x0005_0001));
    }
    program.extend(instruction(0x06, 0, 0, 0x7fff_0000));
    program
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0u32, |bits, &byte| bits << 8 | u32::from(byte))
            << (8 * (3 - group.len()));
        for digit in 0..=group.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
        }
        text.extend(std::iter::repeat_n('=', 3 - group.len()));
    }
    text
}

#[test]
fn a_compiled_filter_takes_the_place_of_the_profile() {
    if !only_on(&[Kind::Etui, Kind::Crun], "an annotation of crun's") {
        return;
    }
    let calls = [libc::SYS_mkdirat, libc::SYS_mkdir].map(|call| u32::try_from(call).unwrap());
    let filter = base64(&forbidding(&calls));
    let script = "mkdir /tmp/a; chmod 700 /tmp && echo changed; exec sleep 1000";
    let container = with_annotation(Container::sh(script), "run.oci.seccomp_bpf_data", filter)
        .with(
            "/linux/seccomp",
            json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{ "names": ["chmod", "fchmodat"], "action": "SCMP_ACT_ERRNO" }]
            }),
        );
    container.up();
    crate::support::wait_for("output", || container.output().contains("changed"));
    assert!(!container.rootfs().join("tmp/a").exists());
    container.exec(&["mkdir", "/tmp/b"]).says("not permitted");
}

#[test]
fn a_filter_that_is_none_is_refused() {
    if !only_on(&[Kind::Etui], "in other words") {
        return;
    }
    let container = with_annotation(Container::new(), "run.oci.seccomp_bpf_data", "none!");
    container.create().exits(1).says("it is not base64");
}

#[test]
fn a_label_has_one_of_four_kinds() {
    if !only_on(&[Kind::Etui], "crun takes any word") {
        return;
    }
    let container = with_annotation(Container::new(), "run.oci.mount_context_type", "othercontext");
    container.create().exits(1).says("is none of context, fscontext");
    // Without a label it has nothing to do.
    with_annotation(Container::new(), "run.oci.mount_context_type", "rootcontext").run().ok();
}
