//! Every refusal of `plan`: what is asked for, and the words, which begin with the field's path.
#![allow(
    clippy::needless_pass_by_value,
    reason = "a table reads better with json!() than with &json!()"
)]

use std::path::Path;

use etui::error::{Kind, Result};
use etui::host::Host;
use etui::kernel::keyring::Session;
use etui::kernel::rootfs::Switch;
use etui::plan::{CgroupMaker, Plan, Request};
use etui::spec::Spec;
use serde_json::{Value, json};

use crate::host;

/// A container in namespaces of its own but the user's and the time's.
fn accepted() -> Value {
    let kinds = ["pid", "network", "mount", "ipc", "uts", "cgroup"];
    json!({
        "ociVersion": "1.3.0",
        "process": {"args": ["true"], "cwd": "/"},
        "root": {"path": "rootfs"},
        "linux": {"namespaces": kinds.map(|kind| json!({"type": kind}))}
    })
}

/// The document with a change of the form it has itself (RFC 7396): null removes.
fn merge(document: &mut Value, change: &Value) {
    let Value::Object(change) = change else {
        document.clone_from(change);
        return;
    };
    if !document.is_object() {
        *document = json!({});
    }
    let object = document.as_object_mut().expect("made so");
    for (key, value) in change {
        match value {
            Value::Null => drop(object.remove(key)),
            value => merge(object.entry(key).or_insert(Value::Null), value),
        }
    }
}

/// The plan of the accepted container with a change.
pub fn planned(change: &Value, host: &Host, switch: Switch) -> Result<Plan> {
    let mut document = accepted();
    merge(&mut document, change);
    let spec: Spec = serde_json::from_value(document).expect("the types are right");
    let bundle = Path::new("/bundle");
    let request = Request {
        id: "web",
        bundle,
        switch,
        keyring: Session::New,
        cgroups: CgroupMaker::Ourselves,
    };
    Plan::new(&request, &spec, host)
}

fn told(change: &Value, host: &Host, switch: Switch) -> Option<String> {
    let error = planned(change, host, switch).err()?;
    assert_eq!(error.kind(), Kind::Refused, "{error}");
    let told = error.to_string();
    assert!(!told.contains('\n'), "{told}");
    Some(told)
}

#[track_caller]
fn all_refused(table: &[(Value, &str)]) {
    let host = host();
    assert_eq!(told(&json!({}), &host, Switch::Pivot), None);
    for (change, words) in table {
        let told = told(change, &host, Switch::Pivot);
        assert!(told.as_ref().is_some_and(|told| told.starts_with(words)), "{change}: {told:?}");
    }
}

fn namespaces(namespaces: Value) -> Value {
    json!({"linux": {"namespaces": namespaces}})
}

fn mount(mount: Value) -> Value {
    json!({"mounts": [{"destination": "/fine", "type": "tmpfs"}, mount]})
}

fn device(device: Value) -> Value {
    json!({"linux": {"devices": [device]}})
}

fn resources(resources: Value) -> Value {
    json!({"linux": {"resources": resources}})
}

fn seccomp(seccomp: Value) -> Value {
    json!({"linux": {"seccomp": seccomp}})
}

fn hook(point: &str, hook: Value) -> Value {
    json!({"hooks": {point: [hook]}})
}

#[test]
fn of_the_top() {
    let long = "n".repeat(65);
    all_refused(&[
        (json!({"ociVersion": "2.0.0"}), "ociVersion: \"2.0.0\" is not supported"),
        (json!({"ociVersion": "1.x"}), "ociVersion: \"1.x\" is not of the form"),
        (json!({"root": null}), "root: is missing"),
        (json!({"root": {"path": ""}}), "root.path: is empty"),
        (json!({"hostname": long}), "hostname: \"nnn"),
        (json!({"hostname": "a\0b"}), "hostname: \"a\\0b\" contains a null byte"),
        (json!({"domainname": long}), "domainname: \"nnn"),
    ]);
}

#[test]
fn of_the_process() {
    let process = |change: Value| json!({ "process": change });
    let limit = |kind: &str, soft, hard| json!({"type": kind, "soft": soft, "hard": hard});
    all_refused(&[
        (process(json!(null)), "process: process property must not be empty"),
        (process(json!({"args": null})), "process.args: args must not be empty"),
        (process(json!({"args": ["a", "b\0"]})), "process.args[1]: \"b\\0\" contains a null byte"),
        (process(json!({"cwd": null})), "process.cwd: Cwd property must not be empty"),
        (process(json!({"cwd": "here"})), "process.cwd: Cwd must be an absolute path"),
        (process(json!({"cwd": "/a\0"})), "process.cwd: \"/a\\0\" contains a null byte"),
        (process(json!({"env": ["A"]})), "process.env[0]: \"A\" is not of the form NAME=value"),
        (process(json!({"env": ["A=1", "=1"]})), "process.env[1]: \"=1\": the name must"),
        (process(json!({"env": ["A=\0"]})), "process.env[0]: \"A=\\0\" contains a null byte"),
        (process(json!({"user": {"umask": 512}})), "process.user.umask: 512"),
        (process(json!({"user": {"uid": 4294967295u32}})), "process.user.uid: 4294967295"),
        (process(json!({"user": {"gid": 4294967295u32}})), "process.user.gid: 4294967295"),
        (process(json!({"oomScoreAdj": -1001})), "process.oomScoreAdj: -1001"),
        (
            process(json!({"terminal": true, "consoleSize": {"height": 1, "width": 65536}})),
            "process.consoleSize: 65536",
        ),
        (process(json!({"rlimits": [limit("NOFILE", 1, 1)]})), "process.rlimits[0].type: "),
        (
            process(json!({"rlimits": [limit("RLIMIT_CPU", 1, 1), limit("RLIMIT_CPU", 1, 1)]})),
            "process.rlimits[1].type: RLIMIT_CPU is listed twice",
        ),
        (process(json!({"rlimits": [limit("RLIMIT_CPU", 2, 1)]})), "process.rlimits[0].soft: "),
        (process(json!({"scheduler": {}})), "process.scheduler.policy: "),
        (
            process(json!({"scheduler": {"policy": "SCHED_FIFO"}})),
            "process.scheduler.priority: 0 is not between 1 and 99",
        ),
        (process(json!({"ioPriority": {"class": "BE"}})), "process.ioPriority.class: \"BE\""),
        (
            process(json!({"ioPriority": {"class": "IOPRIO_CLASS_RT", "priority": 8}})),
            "process.ioPriority.priority: 8",
        ),
        (
            process(json!({"execCPUAffinity": {"initial": "x"}})),
            "process.execCPUAffinity.initial: ",
        ),
    ]);
}

#[test]
fn of_mounts() {
    let bind = |change: Value| {
        let mut document = json!({"destination": "/m", "source": "/s", "type": "bind"});
        merge(&mut document, &change);
        mount(document)
    };
    let map = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
    all_refused(&[
        (mount(json!({"type": "tmpfs"})), "mounts[1] (): destination: is missing"),
        (mount(json!({"destination": "/a\0", "type": "tmpfs"})), "mounts[1] (/a\0): destination: "),
        (mount(json!({"destination": "/m"})), "mounts[1] (/m): type: is missing"),
        (mount(json!({"destination": "/m", "type": "a\0"})), "mounts[1] (/m): type: contains"),
        (bind(json!({"source": null})), "mounts[1] (/m): source: a bind mount needs one"),
        (bind(json!({"source": "/s\0"})), "mounts[1] (/m): source: contains a null byte"),
        (
            bind(json!({"options": ["size=1"]})),
            "mounts[1] (/m): options: \"size=1\" is not a valid option",
        ),
        (bind(json!({"options": ["r\0o"]})), "mounts[1] (/m): options: \"r\\0o\" contains"),
        (bind(json!({"uidMappings": map})), "mounts[1] (/m): uidMappings and gidMappings: one"),
        (bind(json!({"options": ["idmap"]})), "mounts[1] (/m): options: idmap without"),
        (
            mount(json!({"destination": "/m", "type": "tmpfs", "options": ["ridmap"]})),
            "mounts[1] (/m): options idmap and ridmap, and mappings, are for bind mounts only",
        ),
        (
            mount(json!({"destination": "/m", "type": "proc", "options": ["tmpcopyup"]})),
            "mounts[1] (/m): options: tmpcopyup is for tmpfs only",
        ),
    ]);
}

#[test]
fn of_hooks() {
    all_refused(&[
        (hook("prestart", json!({"path": "a"})), "hooks.prestart[0].path: \"a\" is not absolute"),
        (hook("createRuntime", json!({})), "hooks.createRuntime[0].path: \"\" is not absolute"),
        (hook("createContainer", json!({"path": "/a\0"})), "hooks.createContainer[0].path: "),
        (
            hook("startContainer", json!({"path": "/a", "args": ["a", "\0"]})),
            "hooks.startContainer[0].args[1]: \"\\0\" contains a null byte",
        ),
        (
            hook("poststart", json!({"path": "/a", "env": ["\0"]})),
            "hooks.poststart[0].env[0]: \"\\0\" contains a null byte",
        ),
        (
            hook("poststop", json!({"path": "/a", "timeout": 0})),
            "hooks.poststop[0].timeout: 0 is not greater than zero",
        ),
    ]);
}

#[test]
fn of_namespaces() {
    let with_time = json!([{"type": "mount"}, {"type": "time", "path": "/proc/1/ns/time"}]);
    let offsets = |namespaces: Value, offsets: Value| json!({"linux": {"namespaces": namespaces, "timeOffsets": offsets}});
    let time = json!([{"type": "mount"}, {"type": "time"}]);
    let map = json!([{"containerID": 0, "hostID": 1, "size": 1}]);
    all_refused(&[
        (json!({"linux": null}), "linux.namespaces: without a mount namespace"),
        (namespaces(json!([])), "linux.namespaces: without a mount namespace"),
        (namespaces(json!([{}])), "linux.namespaces[0]: unknown namespace \"\""),
        (namespaces(json!([{"type": "net"}])), "linux.namespaces[0]: unknown namespace \"net\""),
        (
            namespaces(json!([{"type": "mount"}, {"type": "mount", "path": "/a"}])),
            "linux.namespaces[1]: type: \"mount\" is listed twice",
        ),
        (
            namespaces(json!([{"type": "mount"}, {"type": "pid", "path": "ns/pid"}])),
            "linux.namespaces[1]: path: \"ns/pid\" is not absolute",
        ),
        (
            namespaces(json!([{"type": "mount", "path": "/a\0"}])),
            "linux.namespaces[0]: path: \"/a\\0\" contains a null byte",
        ),
        (
            json!({"hostname": "h", "linux": {"namespaces": [{"type": "mount"}]}}),
            "hostname: unable to set hostname without a private UTS namespace",
        ),
        (
            json!({"domainname": "h", "linux": {"namespaces": [{"type": "mount"}]}}),
            "domainname: unable to set domainname without a private UTS namespace",
        ),
        (namespaces(json!([{"type": "mount"}, {"type": "user"}])), "linux.uidMappings, "),
        (json!({"linux": {"uidMappings": map, "gidMappings": map}}), "linux.uidMappings, "),
        (offsets(json!([{"type": "mount"}]), json!({"boottime": {"secs": 1}})), "linux.timeOff"),
        (offsets(with_time, json!({"boottime": {"secs": 1}})), "linux.timeOffsets: needs a new"),
        (offsets(time.clone(), json!({"realtime": {}})), "linux.timeOffsets: \"realtime\""),
        (
            offsets(time, json!({"boottime": {"nanosecs": 1_000_000_000}})),
            "linux.timeOffsets.boottime.nanosecs: 1000000000 is a second or more",
        ),
    ]);
}

#[test]
fn of_linux() {
    let linux = |change: Value| json!({ "linux": change });
    all_refused(&[
        (device(json!({"type": "c", "path": "dev"})), "linux.devices[0]: path: \"dev\" is not abs"),
        (device(json!({"type": "c", "path": "/\0"})), "linux.devices[0]: path: \"/\\0\" contains"),
        (device(json!({"path": "/d"})), "linux.devices[0]: type: \"\" is none of c, u, b, p"),
        (
            device(json!({"path": "/d", "type": "b", "major": -1})),
            "linux.devices[0]: major: -1 is negative",
        ),
        (
            linux(json!({"netDevices": {"eth0": {"name": ".."}}})),
            "linux.netDevices.eth0: invalid network device name",
        ),
        (linux(json!({"intelRdt": {"closID": "a/b"}})), "linux.intelRdt.closID: invalid"),
        (linux(json!({"cgroupsPath": "/"})), "linux.cgroupsPath: \"/\" is the root"),
        (linux(json!({"cgroupsPath": "/a/../.."})), "linux.cgroupsPath: \"/a/../..\" is the root"),
        (linux(json!({"cgroupsPath": "a\0"})), "linux.cgroupsPath: \"a\\0\" contains a null byte"),
        (linux(json!({"maskedPaths": ["/\0"]})), "linux.maskedPaths[0]: \"/\\0\" contains"),
        (linux(json!({"readonlyPaths": ["/", "\0"]})), "linux.readonlyPaths[1]: \"\\0\" contains"),
        (linux(json!({"rootfsPropagation": "none"})), "linux.rootfsPropagation: \"none\""),
        (linux(json!({"sysctl": {"kernel.hostname": "a"}})), "linux.sysctl: \"kernel.hostname\""),
        (linux(json!({"sysctl": {"vm.overcommit_memory": "1"}})), "linux.sysctl: \"vm.over"),
        (linux(json!({"sysctl": {"user.max_user_namespaces": "1"}})), "linux.sysctl: \"user.max"),
        (linux(json!({"memoryPolicy": {"mode": "BIND"}})), "linux.memoryPolicy.mode: \"BIND\""),
        (
            linux(json!({"memoryPolicy": {"mode": "MPOL_BIND", "nodes": "1-0"}})),
            "linux.memoryPolicy.nodes: \"1-0\"",
        ),
        (
            linux(json!({"memoryPolicy": {"mode": "MPOL_BIND", "flags": ["F"]}})),
            "linux.memoryPolicy.flags[0]: \"F\"",
        ),
        (linux(json!({"personality": {"domain": "BSD"}})), "linux.personality.domain: \"BSD\""),
    ]);
}

#[test]
fn of_resources() {
    let rule = |rule: Value| resources(json!({"devices": [{"allow": false, "access": "r"}, rule]}));
    all_refused(&[
        (rule(json!({"type": "p", "access": "r"})), "linux.resources.devices[1]: type: \"p\""),
        (rule(json!({"access": "x"})), "linux.resources.devices[1]: access: \"x\""),
        (rule(json!({"type": "c"})), "linux.resources.devices[1]: access: \"\""),
        (
            rule(json!({"type": "c", "major": -2, "access": "r"})),
            "linux.resources.devices[1]: major: -2 is not a valid device number",
        ),
        (resources(json!({"memory": {"limit": -2}})), "linux.resources.memory.limit: -2"),
        (resources(json!({"memory": {"swap": 1}})), "linux.resources.memory.swap: unable"),
        (resources(json!({"memory": {"limit": 2, "swap": 1}})), "linux.resources.memory.swap: mem"),
        (resources(json!({"blockIO": {"weight": 9}})), "linux.resources.blockIO.weight: 9"),
        (
            resources(json!({"blockIO": {"weightDevice": [{"weight": 1001}]}})),
            "linux.resources.blockIO.weightDevice[0]: 1001",
        ),
        (
            resources(json!({"hugepageLimits": [{"pageSize": "2mb"}]})),
            "linux.resources.hugepageLimits[0].pageSize: \"2mb\"",
        ),
        (resources(json!({"unified": {"../x.y": "1"}})), "linux.resources.unified.../x.y: "),
        (resources(json!({"unified": {"procs": "1"}})), "linux.resources.unified.procs: "),
    ]);
}

#[test]
fn of_seccomp() {
    let allow = "SCMP_ACT_ALLOW";
    all_refused(&[
        (seccomp(json!({"defaultAction": "ALLOW"})), "linux.seccomp.defaultAction: unknown action"),
        (seccomp(json!({"defaultAction": allow, "architectures": ["X"]})), "linux.seccomp.arch"),
        (seccomp(json!({"defaultAction": allow, "flags": ["X"]})), "linux.seccomp.flags[0]: "),
        (
            seccomp(json!({"defaultAction": allow, "listenerMetadata": "x"})),
            "linux.seccomp.listenerMetadata: ",
        ),
        (
            seccomp(
                json!({"defaultAction": allow, "syscalls": [{"names": ["read"], "action": "X"}]}),
            ),
            "linux.seccomp.syscalls[0].action: ",
        ),
    ]);
}

#[test]
fn of_what_this_host_has_not() {
    let host = Host {
        controllers: vec!["pids".to_owned()],
        legacy_controllers: vec!["memory".to_owned()],
        ..host()
    };
    let table = [
        (
            json!({"memory": {"limit": 1}}),
            "linux.resources.memory.limit: the cgroup v2 tree at /sys/fs/cgroup has no memory \
             controller, cgroup v1 holds it; ",
        ),
        (json!({"cpu": {"shares": 2}}), "linux.resources.cpu.shares: the cgroup v2 tree"),
        (json!({"rdma": {"a": {"hcaObjects": 1}}}), "linux.resources.rdma.a: the cgroup v2 tree"),
        (json!({"unified": {"io.weight": "1"}}), "linux.resources.unified.io.weight: the cgroup"),
        (json!({"unified": {"none.max": "1"}}), "linux.resources.unified.none.max: the cgroup"),
    ];
    for (wanted, words) in table {
        let told = told(&resources(wanted), &host, Switch::Pivot).unwrap();
        assert!(told.starts_with(words), "{told}");
    }
    assert_eq!(told(&resources(json!({"pids": {"limit": 1}})), &host, Switch::Pivot), None);
}

#[test]
fn of_flags_that_do_not_fit() {
    let private = json!({"linux": {"rootfsPropagation": "private"}});
    let told = told(&private, &host(), Switch::MoveAndChroot).unwrap();
    assert!(told.starts_with("linux.rootfsPropagation: private can't be had with --no-pivot"));
}
