//! The verb `update`: other limits for a container that runs.

use super::container::Container;
use super::{Global, cgroup, rdt};
use crate::error::{Context, Error, Kind, Result};
use crate::host::Host;
use crate::kernel::cgroup::{Directory, Limits, limits, processes};
use crate::kernel::rdt::Change;
use crate::plan;
use crate::record::Record;
use crate::record::store::Store;
use crate::spec::Resources;
use crate::spec::resources::{Cpu, Memory};
use crate::spec::state::Status;

/// Changes the limits that `wanted` names, and the lines `schemata` of the container's RDT group, and leaves the others,
/// and the device filter, as they are. Where one can't be changed, none is.
pub fn update(global: &Global, id: &str, wanted: &Resources, schemata: &[String]) -> Result<()> {
    let container = load_running(global, id)?;
    let cgroup = cgroup::open(&container)?;
    let wanted = complete(wanted, &cgroup)?;
    let limits = plan::resources::limits(&wanted, &Host::probe()?)?;
    if let Some(memory) = &wanted.memory {
        must_leave_room(memory, &cgroup)?;
    }
    let change = limits::change(&cgroup, &limits)?;
    let rdt = update_rdt(global, id, schemata)?;
    if !container.record.systemd_unit.is_empty() {
        tell_systemd(&container.record, &limits)?;
        // What systemd has just written is rounded.
        limits::apply(&cgroup, &limits)?;
    }
    if let Some(rdt) = rdt {
        rdt.commit();
    }
    change.commit();
    Ok(())
}

/// It would write the old limits again when it reloads.
fn tell_systemd(record: &Record, limits: &Limits) -> Result<()> {
    let mut systemd = cgroup::systemd_of(record)?;
    systemd
        .change(&record.systemd_unit, limits)
        .with_context(|| format!("tell systemd of the limits of {}", record.systemd_unit))
}

/// Changes lines of the container's RDT group, which it gets where it has none yet.
fn update_rdt(global: &Global, id: &str, schemata: &[String]) -> Result<Option<Change>> {
    if schemata.is_empty() {
        return Ok(None);
    }
    let store = Store::new(&global.root);
    let _lock = store.lock(id)?;
    let mut container = load_running(global, id)?;
    if container.record.config.intel_rdt.is_none() {
        let cgroup = cgroup::open(&container)?;
        rdt::make_for_running(&mut container.record, &store, || processes::threads(&cgroup))?;
    }
    rdt::change(&container.record, schemata)
}

fn load_running(global: &Global, id: &str) -> Result<Container> {
    let container = Container::load(global, id)?;
    match container.status()? {
        Status::Stopped => Err(Error::new("container not running").of_kind(Kind::NotRunning)),
        _ => Ok(container),
    }
}

/// Two files hold what is two fields: the half that isn't named keeps its value.
fn complete(wanted: &Resources, cgroup: &Directory) -> Result<Resources> {
    let mut wanted = wanted.clone();
    match &mut wanted.cpu {
        Some(cpu @ Cpu { quota: None, period: Some(_), .. }) => {
            cpu.quota = first_number(cgroup, "cpu.max")?;
        }
        // The kernel would keep it; systemd has to be told, for it reckons with the quota of a second.
        Some(cpu) if cpu.period.is_none() && cpu.quota.is_some_and(|quota| quota != 0) => {
            cpu.period = cpu_period(cgroup)?;
        }
        _ => {}
    }
    if let Some(memory @ Memory { limit: None, swap: Some(1..), .. }) = &mut wanted.memory {
        memory.limit = first_number(cgroup, "memory.max")?;
    }
    Ok(wanted)
}

fn first_number(cgroup: &Directory, file: &str) -> Result<Option<i64>> {
    let text = cgroup.read_if_there(file)?;
    Ok(text.and_then(|text| text.split_whitespace().next()?.parse().ok()))
}

fn cpu_period(cgroup: &Directory) -> Result<Option<u64>> {
    let text = cgroup.read_if_there("cpu.max")?;
    Ok(text.and_then(|text| text.split_whitespace().nth(1)?.parse().ok()))
}

/// With `checkBeforeUpdate` a limit below what is in use is refused, where the kernel would reclaim, and kill what it
/// can't reclaim (config-linux.md, "Memory").
fn must_leave_room(memory: &Memory, cgroup: &Directory) -> Result<()> {
    if memory.check_before_update != Some(true) {
        return Ok(());
    }
    let Some(usage) = first_number(cgroup, "memory.current")? else { return Ok(()) };
    let refuse = |what: &str, limit: i64| {
        Err(Error::refused(format!("rejecting {what} limit {limit} <= usage {usage}"))
            .context("linux.resources.memory.checkBeforeUpdate"))
    };
    match (memory.swap, memory.limit) {
        (Some(swap @ 1..), _) if swap <= usage => refuse("memory+swap", swap),
        (_, Some(limit @ 1..)) if limit <= usage => refuse("memory", limit),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::spec::bundle::parse;

    fn cgroup() -> (tempfile::TempDir, Directory) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("cpu.max"), "20000 200000\n").unwrap();
        fs::write(directory.path().join("memory.max"), "1000\n").unwrap();
        fs::write(directory.path().join("memory.current"), "500\n").unwrap();
        let cgroup = Directory::open(directory.path()).unwrap();
        (directory, cgroup)
    }

    #[test]
    fn the_half_that_is_not_named_keeps_its_value() {
        let (_directory, cgroup) = cgroup();
        let wanted = parse(br#"{"cpu":{"period":50000},"memory":{"swap":1500}}"#).unwrap();
        let complete = complete(&wanted, &cgroup).unwrap();
        assert_eq!(complete.cpu.unwrap().quota, Some(20000));
        assert_eq!(complete.memory.unwrap().limit, Some(1000));
        let wanted = parse(br#"{"cpu":{"quota":50000}}"#).unwrap();
        assert_eq!(super::complete(&wanted, &cgroup).unwrap().cpu.unwrap().period, Some(200_000));
    }

    #[test]
    fn a_limit_below_what_is_used_is_refused_only_when_asked() {
        let (_directory, cgroup) = cgroup();
        let memory = |check, limit, swap| Memory {
            check_before_update: Some(check),
            limit: Some(limit),
            swap: Some(swap),
            ..Memory::default()
        };
        must_leave_room(&memory(false, 400, 400), &cgroup).unwrap();
        must_leave_room(&memory(true, 600, 700), &cgroup).unwrap();
        must_leave_room(&memory(true, -1, -1), &cgroup).unwrap();
        let error = must_leave_room(&memory(true, 500, -1), &cgroup).unwrap_err();
        assert!(error.to_string().ends_with("rejecting memory limit 500 <= usage 500"));
        let error = must_leave_room(&memory(true, 400, 450), &cgroup).unwrap_err();
        assert!(error.to_string().ends_with("rejecting memory+swap limit 450 <= usage 500"));
    }
}
