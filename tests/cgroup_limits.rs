//! Limits from documents to the kernel and back: for every controller this machine has on its cgroup v2 tree. Needs root.

mod support;

use std::process::Command;

use etui::host::Host;
use etui::kernel::cgroup::{Directory, Path, cgroupfs, limits};
use etui::plan::resources;
use etui::spec::Resources;
use etui::spec::bundle::parse;

/// Controller, document, and the files with the text they then begin with.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    (
        "cpu",
        r#"{"cpu":{"shares":2048,"quota":20000,"period":50000,"burst":10000}}"#,
        &[("cpu.weight", "174"), ("cpu.max", "20000 50000"), ("cpu.max.burst", "10000")],
    ),
    ("cpu", r#"{"cpu":{"quota":-1}}"#, &[("cpu.max", "max 100000")]),
    ("cpu", r#"{"cpu":{"idle":1,"shares":2048}}"#, &[("cpu.idle", "1")]),
    ("cpuset", r#"{"cpu":{"cpus":"0","mems":"0"}}"#, &[("cpuset.cpus", "0"), ("cpuset.mems", "0")]),
    (
        "memory",
        r#"{"memory":{"limit":67108864,"reservation":33554432,"swap":67108864},"unified":{"memory.high":"50331648"}}"#,
        &[("memory.max", "67108864"), ("memory.low", "33554432"), ("memory.high", "50331648")],
    ),
    ("memory", r#"{"memory":{"limit":-1}}"#, &[("memory.max", "max")]),
    ("pids", r#"{"pids":{"limit":32}}"#, &[("pids.max", "32")]),
    ("pids", r#"{"pids":{"limit":0}}"#, &[("pids.max", "1")]),
    (
        "hugetlb",
        r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#,
        &[("hugetlb.2MB.max", "4194304"), ("hugetlb.2MB.rsvd.max", "4194304")],
    ),
];

/// Makes a cgroup two levels down with the limits of the document, hands it to `check`, and removes both levels.
fn with_limits(host: &Host, test: &str, wanted: &Resources, check: impl FnOnce(&Directory)) {
    let name = format!("etui-test-limits-{test}-{}", std::process::id());
    let limits = resources::limits(wanted, host).unwrap();
    let path = Path::below_root(format!("{name}/inner"));
    let new = cgroupfs::create(&host.cgroup_mount, &path, &host.controllers, &limits).unwrap();
    limits::apply(new.directory(), &limits).unwrap();
    check(new.directory());
    drop(new);
    assert!(!host.cgroup_mount.join(name).exists());
}

#[test]
fn the_kernel_takes_what_is_planned() {
    let host = Host::probe().unwrap();
    assert_eq!(host.effective_uid, 0, "this test makes cgroups: run it as root");
    for (position, (controller, document, expected)) in CASES.iter().enumerate() {
        if !host.has_controller(controller) {
            eprintln!("the cgroup v2 tree has no {controller} controller: {document} not tried");
            continue;
        }
        let wanted = parse(document.as_bytes()).unwrap();
        with_limits(&host, &position.to_string(), &wanted, |cgroup| {
            for (file, text) in *expected {
                assert_eq!(cgroup.read(file).unwrap().trim_end(), *text, "{file} of {document}");
            }
        });
    }
}

#[test]
fn a_quota_and_its_burst_can_be_raised_and_lowered() {
    let host = Host::probe().unwrap();
    if !host.has_controller("cpu") {
        support::skip("the cgroup v2 tree has no cpu controller");
        return;
    }
    let document = |quota, burst| {
        let text = format!(r#"{{"cpu":{{"quota":{quota},"period":100000,"burst":{burst}}}}}"#);
        resources::limits(&parse(text.as_bytes()).unwrap(), &host).unwrap()
    };
    with_limits(&host, "burst", &Resources::default(), |cgroup| {
        for (quota, burst) in [(10000, 10000), (90000, 90000), (5000, 5000)] {
            limits::change(cgroup, &document(quota, burst)).unwrap().commit();
            assert_eq!(cgroup.read("cpu.max.burst").unwrap().trim_end(), burst.to_string());
        }
        limits::change(cgroup, &document(1000, 2000)).unwrap_err();
        assert_eq!(cgroup.read("cpu.max").unwrap(), "5000 100000\n", "put back");
    });
}

#[test]
fn what_is_limited_is_counted() {
    let host = Host::probe().unwrap();
    if !host.has_controller("pids") || !host.has_controller("memory") {
        support::skip("the cgroup v2 tree has no pids or no memory controller");
        return;
    }
    let wanted = parse(br#"{"pids":{"limit":7},"memory":{"limit":67108864}}"#).unwrap();
    with_limits(&host, "counted", &wanted, |cgroup| {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        cgroup.add_process(child.id().cast_signed()).unwrap();
        let counted = etui::kernel::cgroup::statistics::read(cgroup).unwrap();
        assert_eq!((counted.pids.current, counted.pids.limit), (1, Some(7)));
        assert_eq!(counted.memory.usage.limit, 67_108_864);
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
