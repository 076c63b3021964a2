//! How a container comes to its root: by a mount namespace of its own, or out of the host's tree.

use std::fs;
use std::process::Command;

use nix::sys::utsname::uname;
use serde_json::json;

use crate::support::{Container, Kind, only_on, skip};

/// Whether the kernel makes a mount namespace of one tree alone (`OPEN_TREE_NAMESPACE`).
fn kernel_is_7() -> bool {
    let release = uname().expect("uname").release().to_string_lossy().into_owned();
    release
        .split('.')
        .next()
        .and_then(|major| major.parse().ok())
        .is_some_and(|major: u32| major >= 7)
}

/// How often a run of the container calls pivot_root(2).
fn pivots(container: &Container) -> usize {
    container.write_config();
    let runtime = container.command();
    let trace = container.dir().join("trace");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=pivot_root", "-o"]).arg(&trace);
    strace.arg(runtime.get_program()).args(runtime.get_args());
    strace.args(["run", "--bundle"]).arg(container.bundle()).arg(&container.id);
    strace.env("ETUI_TEST", &container.id);
    container.complete(strace).ok();
    fs::read_to_string(trace).expect("the trace").matches("pivot_root(").count()
}

#[test]
fn the_hosts_tree_is_not_even_copied_where_nobody_needs_it() {
    if !only_on(&[Kind::Etui], "crun does so from 1.29 on") {
        return;
    }
    if Command::new("strace").arg("-V").output().is_err() {
        return skip("strace is not there");
    }
    let plain = Container::sh("test -c /dev/null && test ! -s /proc/version");
    let plain =
        plain.with("/linux/maskedPaths", json!(["/proc/version", "/proc/cpuinfo", "/proc/fs"]));
    assert_eq!(pivots(&plain), usize::from(!kernel_is_7()));

    let hooks = json!({ "createRuntime": [{ "path": "/bin/true" }] });
    assert_eq!(pivots(&Container::sh("true").with("/hooks", hooks)), 1);
}
