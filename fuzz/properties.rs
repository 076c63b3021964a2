//! What holds of any bytes whatever, one function for each place where bytes from outside come in: none panics, what is
//! refused is refused in a line, what is read is written and read again as the same.

#![allow(dead_code, reason = "each target uses one of them")]

#[path = "../tests/seccomp_support/mod.rs"]
mod seccomp_support;

use std::path::Path;

use etui::error::{Error, Result};
use etui::host::{Host, UserNamespace};
use etui::kernel::cgroup::systemd::Realm;
use etui::kernel::keyring::Session;
use etui::kernel::rootfs::Switch;
use etui::kernel::seccomp::{self, Arch, Filter, Profile};
use etui::launch::channel::Channel;
use etui::launch::messages::{ToInit, ToParent};
use etui::plan::process::OfContainer;
use etui::plan::{self, CgroupMaker, Plan, Request};
use etui::record::Record;
use etui::spec::bundle::parse;
use etui::spec::{Process, Seccomp, Spec};
use seccomp_support::{ARCHS, Call, Reading, check_form, run};

/// A whole `config.json`: parsed and planned.
pub fn config(data: &[u8]) {
    let Some(spec) = read::<Spec>(data) else { return };
    let by_systemd = CgroupMaker::Systemd { root: Path::new("/"), realm: Realm::System };
    let makers = [CgroupMaker::Ourselves, CgroupMaker::Nobody, by_systemd];
    for (host, cgroups) in hosts().into_iter().flat_map(|host| makers.map(|by| (host.clone(), by)))
    {
        let request = Request {
            id: "fuzzed",
            bundle: Path::new("/bundle"),
            switch: Switch::Pivot,
            keyring: Session::New,
            cgroups,
        };
        let Some(plan) = told_in_a_line(Plan::new(&request, &spec, &host)) else { continue };
        assert!(!plan.process.args.is_empty() && plan.process.cwd.is_absolute());
        assert!(plan.mounts.iter().all(|mount| mount.destination.is_absolute()));
        let Some(cgroup) = plan.cgroup else { continue };
        assert_ne!(cgroup.directory(&host.cgroup_mount), host.cgroup_mount);
        assert!(cgroup.directory(&host.cgroup_mount).starts_with(&host.cgroup_mount));
    }
}

/// A process document: parsed and planned.
pub fn process(data: &[u8]) {
    let Some(process) = read::<Process>(data) else { return };
    let planned = plan::process::plan(Some(&process), OfContainer::default());
    let Some(planned) = told_in_a_line(planned) else { return };
    assert!(planned.env.iter().all(|entry| entry.contains('=') && !entry.contains('\0')));
}

/// A system call profile: compiled, and run against a plain reading of it.
pub fn seccomp(data: &[u8]) {
    let Some(profile) = read::<Seccomp>(data) else { return };
    let Some(Some(profile)) = told_in_a_line(plan::seccomp::profile(&profile)) else { return };
    for native in [Arch::X86_64, Arch::Aarch64] {
        let compiled = seccomp::compile_for(native, &profile);
        let Some(filter) = told_in_a_line(compiled) else { continue };
        check_form(&filter.program);
        let reading = Reading::new(&profile, native);
        for call in calls(&profile) {
            let answer = run(&filter.program, &call);
            assert_eq!(answer, reading.answer(&call).code(), "{call:?}");
        }
    }
}

/// What a state directory holds: the record and the stored filter.
pub fn record(data: &[u8]) {
    if let Ok(record) = serde_json::from_slice::<Record>(data) {
        let written = serde_json::to_vec(&record).expect("plain data");
        assert_eq!(serde_json::from_slice::<Record>(&written).expect("just written"), record);
    }
    if let Some(filter) = told_in_a_line(Filter::from_bytes(data)) {
        assert_eq!(filter.to_bytes(), data);
    }
}

/// What parent and init say to each other.
pub fn channel(data: &[u8]) {
    if let Some(message) = told_in_a_line(ToParent::parse(data, None)) {
        let again = ToParent::parse(&message.bytes(), None).expect("just written");
        assert_eq!(again.bytes(), message.bytes());
    }
    let hear = |wait: fn(&Channel) -> Result<()>| {
        let (speaker, listener) = Channel::pair().expect("a socket pair");
        speaker.send(data, &[]).expect("a buffer");
        drop(speaker);
        told_in_a_line(wait(&listener));
    };
    hear(|listener| ToInit::Start.wait(listener));
    hear(|listener| ToInit::wait_filter(listener).map(drop));
    hear(|listener| ToParent::receive(listener).map(drop));
}

/// The document, which is written and read again as the same; none where it is refused.
fn read<T>(data: &[u8]) -> Option<T>
where
    T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + std::fmt::Debug,
{
    let document = told_in_a_line(parse::<T>(data))?;
    let written = serde_json::to_vec(&document).expect("plain data");
    assert_eq!(parse::<T>(&written).expect("just written"), document);
    Some(document)
}

fn told_in_a_line<T>(result: Result<T>) -> Option<T> {
    let check = |error: Error| {
        let told = error.to_string();
        assert!(!told.is_empty() && !told.contains(['\n', '\r']), "{told:?}");
    };
    result.map_err(check).ok()
}

fn hosts() -> [Host; 2] {
    let root = Host {
        cgroup_mount: "/sys/fs/cgroup".into(),
        controllers: ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"]
            .map(str::to_owned)
            .into(),
        own_cgroup: "/engine".into(),
        ..Host::default()
    };
    let nested = Host {
        controllers: Vec::new(),
        own_cgroup: "/".into(),
        user_namespace: UserNamespace::Nested,
        ..root.clone()
    };
    [root, nested]
}

/// Calls at the edges of what the profile tells apart; not more of them than can be run.
fn calls(profile: &Profile) -> Vec<Call> {
    const MOST_RULES: usize = 24;
    let rules = || profile.rules.iter().take(MOST_RULES);
    let values: Vec<u64> = rules()
        .flat_map(|rule| rule.conditions.iter().map(|condition| condition.value))
        .take(MOST_RULES)
        .flat_map(|value| [value, value.wrapping_add(1), value.wrapping_sub(1), value << 32])
        .chain([0, 1, u64::MAX])
        .collect();
    let mut calls = Vec::new();
    for arch in ARCHS {
        // The kernel tells x32's calls from others by their numbers alone.
        let as_seen = if arch == Arch::X32 { Arch::X86_64 } else { arch };
        let named = rules().flat_map(|rule| rule.syscalls.iter().take(MOST_RULES));
        let named = named.filter_map(|syscall| syscall.number(arch));
        let beside = named.flat_map(|number| [number, number.wrapping_add(1)]);
        for number in beside.chain([0, 102, 117, 0x4000_0000, u32::MAX]) {
            calls.extend(values.iter().map(|value| Call {
                arch: as_seen,
                number,
                args: [*value; 6],
            }));
        }
    }
    calls
}
