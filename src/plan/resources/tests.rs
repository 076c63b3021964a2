//! From documents to writes: each expected list is `field: file = text`, in order.

use super::*;
use crate::host::UserNamespace;
use crate::kernel::cgroup::devices::WithoutRights;
use crate::spec::Linux;
use crate::spec::bundle::parse;

fn host() -> Host {
    let controllers = ["cpu", "cpuset", "io", "memory", "pids", "hugetlb", "rdma", "misc"];
    Host {
        cgroup_mount: "/sys/fs/cgroup".into(),
        controllers: controllers.map(str::to_owned).to_vec(),
        ..Host::default()
    }
}

fn planned(json: &str) -> Result<Vec<String>> {
    let limits = limits(&parse(json.as_bytes())?, &host())?;
    Ok(limits
        .0
        .iter()
        .map(|write| {
            let name = write.field.strip_prefix("linux.resources.").unwrap();
            format!("{name}: {} = {}", write.file, write.text)
        })
        .collect())
}

#[track_caller]
fn plans(json: &str, expected: &[&str]) {
    assert_eq!(planned(json).unwrap(), expected, "{json}");
}

#[track_caller]
fn refuses(json: &str, expected: &str) {
    assert_eq!(planned(json).unwrap_err().to_string(), expected, "{json}");
}

#[test]
fn weights_follow_the_curve() {
    let pairs =
        [(2, 1), (3, 2), (100, 17), (1024, 100), (2048, 174), (4096, 303), (262_144, 10_000)];
    for (shares, weight) in pairs {
        assert_eq!(cpu_weight(shares), weight, "{shares} shares");
    }
    assert_eq!((cpu_weight(1), cpu_weight(u64::MAX)), (1, 10_000));
    let mut weights = (2..=262_144).map(cpu_weight);
    let mut last = weights.next().unwrap();
    assert!(weights.all(|weight| std::mem::replace(&mut last, weight) <= weight));
}

#[test]
fn processor_time() {
    plans(r#"{"cpu":{"shares":0,"quota":0,"period":0}}"#, &[]);
    plans(r#"{"cpu":{"shares":1024}}"#, &["cpu.shares: cpu.weight = 100"]);
    plans(r#"{"cpu":{"quota":50000}}"#, &["cpu.quota: cpu.max = 50000"]);
    plans(r#"{"cpu":{"quota":-1}}"#, &["cpu.quota: cpu.max = max"]);
    plans(r#"{"cpu":{"period":50000}}"#, &["cpu.period: cpu.max = max 50000"]);
    plans(r#"{"cpu":{"idle":1,"shares":500}}"#, &["cpu.idle: cpu.idle = 1"]);
    plans(
        r#"{"cpu":{"quota":20000,"period":100000,"burst":10000,"cpus":"0-1","mems":"0"}}"#,
        &[
            "cpu.burst: cpu.max.burst = 10000",
            "cpu.quota: cpu.max = 20000 100000",
            "cpu.burst: cpu.max.burst = 10000",
            "cpu.cpus: cpuset.cpus = 0-1",
            "cpu.mems: cpuset.mems = 0",
        ],
    );
    plans(r#"{"cpu":{"burst":5}}"#, &["cpu.burst: cpu.max.burst = 5"]);
}

#[test]
fn memory_and_swap() {
    plans(r#"{"memory":{"limit":0,"swap":0,"reservation":0,"swappiness":60}}"#, &[]);
    plans(
        r#"{"memory":{"limit":1000,"swap":1500,"reservation":500}}"#,
        &[
            "memory.swap: memory.swap.max = 500",
            "memory.limit: memory.max = 1000",
            "memory.reservation: memory.low = 500",
        ],
    );
    plans(
        r#"{"memory":{"limit":1000,"swap":1000}}"#,
        &["memory.swap: memory.swap.max = 0", "memory.limit: memory.max = 1000"],
    );
    plans(
        r#"{"memory":{"limit":-1}}"#,
        &["memory.swap: memory.swap.max = max", "memory.limit: memory.max = max"],
    );
    plans(r#"{"memory":{"swap":-1}}"#, &["memory.swap: memory.swap.max = max"]);
    refuses(
        r#"{"memory":{"swap":1000}}"#,
        "linux.resources.memory.swap: unable to set swap limit without memory limit",
    );
    refuses(
        r#"{"memory":{"limit":1000,"swap":999}}"#,
        "linux.resources.memory.swap: memory+swap limit should be >= memory limit",
    );
    refuses(r#"{"memory":{"limit":-2}}"#, "linux.resources.memory.limit: -2 is negative");
}

#[test]
fn processes() {
    plans(r#"{"pids":{}}"#, &[]);
    plans(r#"{"pids":{"limit":0}}"#, &["pids.limit: pids.max = 1"]);
    plans(r#"{"pids":{"limit":-1}}"#, &["pids.limit: pids.max = max"]);
    plans(r#"{"pids":{"limit":64}}"#, &["pids.limit: pids.max = 64"]);
}

#[test]
fn block_devices() {
    plans(r#"{"blockIO":{"weight":0,"leafWeight":10}}"#, &[]);
    plans(
        r#"{"blockIO":{"weight":500,
            "weightDevice":[{"major":8,"minor":0,"weight":10},{"major":8,"minor":1,"leafWeight":3}],
            "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":600}],
            "throttleWriteBpsDevice":[{"major":8,"minor":16,"rate":0}],
            "throttleReadIOPSDevice":[{"major":8,"minor":0,"rate":7}],
            "throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":8}]}}"#,
        &[
            "blockIO.weight: io.bfq.weight = 500",
            "blockIO.weightDevice[0]: io.bfq.weight = 8:0 10",
            "blockIO.throttleReadBpsDevice[0]: io.max = 8:0 rbps=600",
            "blockIO.throttleWriteBpsDevice[0]: io.max = 8:16 wbps=max",
            "blockIO.throttleReadIOPSDevice[0]: io.max = 8:0 riops=7",
            "blockIO.throttleWriteIOPSDevice[0]: io.max = 8:0 wiops=8",
        ],
    );
    refuses(
        r#"{"blockIO":{"weight":5}}"#,
        "linux.resources.blockIO.weight: 5 is not between 10 and 1000",
    );
    let resources = parse(br#"{"blockIO":{"weight":1000}}"#).unwrap();
    let instead = Otherwise::Instead { file: "io.weight".into(), text: "10000".into() };
    assert_eq!(limits(&resources, &host()).unwrap().0[0].otherwise, instead);
}

#[test]
fn huge_pages_and_rdma() {
    plans(
        r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4096}],
            "rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000},"mlx4_0":{"hcaObjects":5}}}"#,
        &[
            "hugepageLimits[0]: hugetlb.2MB.max = 4096",
            "hugepageLimits[0]: hugetlb.2MB.rsvd.max = 4096",
            "rdma.mlx4_0: rdma.max = mlx4_0 hca_object=5",
            "rdma.mlx5_1: rdma.max = mlx5_1 hca_handle=3 hca_object=10000",
        ],
    );
    for size in ["../2MB", "MB", "2mb", "64 KB", ""] {
        let json = format!(r#"{{"hugepageLimits":[{{"pageSize":"{size}","limit":1}}]}}"#);
        refuses(
            &json,
            &format!("linux.resources.hugepageLimits[0].pageSize: {size:?} is not a size like 2MB"),
        );
    }
}

#[test]
fn unified_comes_last_and_line_by_line() {
    plans(
        r#"{"unified":{"io.max":"8:0 rbps=1\n8:16 rbps=2\n","memory.high":"max","cpu.future":""},
            "pids":{"limit":5}}"#,
        &[
            "pids.limit: pids.max = 5",
            "unified.cpu.future: cpu.future = ",
            "unified.io.max: io.max = 8:0 rbps=1",
            "unified.io.max: io.max = 8:16 rbps=2",
            "unified.memory.high: memory.high = max",
        ],
    );
    for key in ["../memory.max", "a/b.c", "..", "memory", ""] {
        let error = planned(&format!(r#"{{"unified":{{"{key}":"1"}}}}"#)).unwrap_err();
        assert!(error.to_string().contains("must be the name of a file"), "{key}: {error}");
    }
    refuses(
        r#"{"unified":{"nonsense.max":"1"}}"#,
        "linux.resources.unified.nonsense.max: the cgroup v2 tree at /sys/fs/cgroup has no nonsense controller; \
         this kernel lacks it, or nobody has delegated it to us; or take this limit out of the config",
    );
    plans(
        r#"{"unified":{"cgroup.max.depth":"3"}}"#,
        &["unified.cgroup.max.depth: cgroup.max.depth = 3"],
    );
}

#[test]
fn a_controller_that_cgroup_v1_holds_is_refused_with_the_remedy() {
    let hybrid = Host {
        cgroup_mount: "/sys/fs/cgroup/unified".into(),
        legacy_controllers: vec!["memory".into(), "blkio".into()],
        ..Host::default()
    };
    for (json, name, controller) in [
        (r#"{"memory":{"limit":4096}}"#, "memory.limit", "memory"),
        (r#"{"blockIO":{"weight":100}}"#, "blockIO.weight", "io"),
    ] {
        let resources = parse(json.as_bytes()).unwrap();
        assert_eq!(
            limits(&resources, &hybrid).unwrap_err().to_string(),
            format!(
                "linux.resources.{name}: the cgroup v2 tree at /sys/fs/cgroup/unified has no {controller} controller, \
                 cgroup v1 holds it; boot with systemd.unified_cgroup_hierarchy=1, or take this limit out of the config"
            )
        );
    }
    assert!(limits(&Resources::default(), &hybrid).unwrap().is_empty());
}

#[test]
fn where_devices_can_not_be_filtered_only_a_user_is_told() {
    let linux: Linux =
        parse(br#"{"resources":{"devices":[{"allow":false,"access":"rwm"}]}}"#).unwrap();
    let without_rights = |host: &Host| device_filter(&linux, host).unwrap().without_rights;
    let nested = Host { user_namespace: UserNamespace::Nested, ..host() };
    assert_eq!(without_rights(&host()), WithoutRights::Fail);
    assert_eq!(without_rights(&nested), WithoutRights::PassOver);
    assert_eq!(without_rights(&Host { effective_uid: 1000, ..host() }), WithoutRights::Warn);
}

fn filter(json: &str) -> Result<Vec<String>> {
    let linux: Linux = parse(json.as_bytes())?;
    let filter = device_filter(&linux, &host())?;
    Ok(filter.rules.iter().map(ToString::to_string).collect())
}

#[test]
fn default_device_rules_come_last() {
    let rules = filter(
        r#"{"devices":[{"path":"/dev/null","type":"c","major":1,"minor":3},{"path":"/dev/fuse","type":"c"}],
            "resources":{"devices":[{"access":"rwm"},{"allow":true,"type":"b","major":8,"minor":-1,"access":"rm"}]}}"#,
    );
    assert_eq!(
        rules.unwrap(),
        [
            "deny a *:* rwm",
            "allow b 8:* rm",
            "allow c *:* m",
            "allow b *:* m",
            "allow c 1:8 rwm",
            "allow c 1:7 rwm",
            "allow c 5:0 rwm",
            "allow c 1:5 rwm",
            "allow c 1:9 rwm",
            "allow c 136:* rwm",
            "allow c 5:2 rwm",
            "allow c 10:200 rwm",
        ]
    );
}

#[test]
fn refuses_device_rules_that_make_no_sense() {
    for (rule, expected) in [
        (r#"{"type":"p","access":"r"}"#, r#"type: "p" is none of a, b, c"#),
        (r#"{"type":"c","access":""}"#, r#"access: "" is not made of r, w and m"#),
        (r#"{"type":"c","access":"rx"}"#, r#"access: "rx" is not made of r, w and m"#),
        (r#"{"type":"c","major":-2,"access":"r"}"#, "major: -2 is not a valid device number"),
        (
            r#"{"type":"c","minor":4294967296,"access":"r"}"#,
            "minor: 4294967296 is not a valid device number",
        ),
    ] {
        let error = filter(&format!(r#"{{"resources":{{"devices":[{rule}]}}}}"#)).unwrap_err();
        assert_eq!(error.to_string(), format!("linux.resources.devices[0]: {expected}"));
    }
}

#[test]
fn entries_that_limit_nothing_and_limits_that_v2_has_not_are_refused() {
    for (field, json) in [
        ("rdma.mlx5_1", r#"{"rdma": {"mlx5_1": {}}}"#),
        ("blockIO.weightDevice[0]", r#"{"blockIO": {"weightDevice": [{"major": 8, "minor": 0}]}}"#),
        ("cpu.realtimeRuntime", r#"{"cpu": {"realtimeRuntime": 5000, "realtimePeriod": 10000}}"#),
        ("cpu.realtimePeriod", r#"{"cpu": {"realtimePeriod": 10000}}"#),
    ] {
        let refused = planned(json).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("linux.resources.{field}: ")), "{refused}");
    }
    plans(r#"{"cpu": {"realtimeRuntime": 0, "realtimePeriod": 0}}"#, &[]);
}
