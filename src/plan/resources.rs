//! From `linux.resources` to what is written into the cgroup (config-linux.md, "Control groups"). The numbers of the
//! specification are cgroup v1's; here they become version 2's.

mod block_io;
mod devices;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::host::Host;
use crate::kernel::cgroup::Limits;
use crate::kernel::cgroup::limits::{Otherwise, Write};
use crate::spec::Resources;
use crate::spec::resources::{Cpu, HugepageLimit, Memory, Pids, Rdma};
use crate::warning::warn;

pub use devices::device_filter;

/// What a limit is called that limits nothing.
const UNLIMITED: &str = "max";

/// The limits that `linux.resources` asks for, in the order they are written; `unified` comes last and so overrides.
/// A limit whose controller the cgroup v2 tree hasn't got is refused. Fields that only cgroup v1 knows are ignored,
/// but for limits of real-time tasks, which are refused too.
pub fn limits(resources: &Resources, host: &Host) -> Result<Limits> {
    let limits = all(resources)?;
    must_have_controllers(&limits, host)?;
    Ok(limits)
}

/// The limits of a container that gets no cgroup: there are none, and whoever asks for some is told.
pub fn limits_without_cgroup(resources: &Resources) -> Result<Limits> {
    if !all(resources)?.is_empty() {
        warn("linux.resources: not in force, for the container has no cgroup of its own");
    }
    Ok(Limits::default())
}

fn all(resources: &Resources) -> Result<Limits> {
    let mut writes = Vec::new();
    writes.extend(resources.pids.as_ref().and_then(pids));
    if let Some(wanted) = &resources.memory {
        writes.extend(memory(wanted)?);
    }
    if let Some(wanted) = &resources.block_io {
        writes.extend(block_io::writes(wanted)?);
    }
    if let Some(wanted) = &resources.cpu {
        no_realtime(wanted)?;
        writes.extend(cpu(wanted));
        writes.extend(cpuset(wanted));
    }
    for (position, wanted) in resources.hugepage_limits.iter().enumerate() {
        writes.extend(hugepages(position, wanted)?);
    }
    for (device, wanted) in &resources.rdma {
        writes.push(rdma(device, wanted)?);
    }
    for (key, text) in &resources.unified {
        writes.extend(unified(key, text)?);
    }
    Ok(Limits(writes))
}

fn field(name: &str) -> String {
    format!("linux.resources.{name}")
}

/// -1 is unlimited on cgroup v1.
fn number(value: i64) -> String {
    if value == -1 { UNLIMITED.to_owned() } else { value.to_string() }
}

/// A limit of 0 is written as 1: no container can have less than its first process.
fn pids(wanted: &Pids) -> Option<Write> {
    let limit = match wanted.limit? {
        ..0 => -1,
        limit => limit.max(1),
    };
    Some(Write::new(field("pids.limit"), "pids.max", number(limit)))
}

/// Absent and 0 both mean: not asked for. Swap comes first: where both are lowered, nothing is pushed into swap that
/// would have to leave it again.
fn memory(wanted: &Memory) -> Result<Vec<Write>> {
    if wanted.kernel.is_some() || wanted.kernel_tcp.is_some() {
        warn("linux.resources.memory.kernel and kernelTCP are ignored: only cgroup v1 had them");
    }
    let mut writes = Vec::new();
    if let Some(text) = swap(wanted)? {
        let write = Write::new(field("memory.swap"), "memory.swap.max", &*text);
        // Without swap in the kernel there is no such file; none and unlimited are then the same.
        let harmless = text == "0" || text == UNLIMITED;
        let otherwise = if harmless { Otherwise::PassOverMissing } else { Otherwise::Fail };
        writes.push(write.or(otherwise));
    }
    for (name, file, value) in [
        ("memory.limit", "memory.max", wanted.limit),
        ("memory.reservation", "memory.low", wanted.reservation),
    ] {
        match value.unwrap_or(0) {
            0 => {}
            value @ -1.. => writes.push(Write::new(field(name), file, number(value))),
            value => return Err(Error::refused(format!("{}: {value} is negative", field(name)))),
        }
    }
    Ok(writes)
}

/// cgroup v1 limits memory and swap together, version 2 swap alone.
fn swap(wanted: &Memory) -> Result<Option<String>> {
    let limit = wanted.limit.unwrap_or(0);
    let refuse = |reason: &str| Err(Error::refused(format!("{}: {reason}", field("memory.swap"))));
    match wanted.swap.unwrap_or(0) {
        0 if limit == -1 => Ok(Some(UNLIMITED.to_owned())),
        0 => Ok(None),
        -1 => Ok(Some(UNLIMITED.to_owned())),
        ..-1 => refuse("it is negative"),
        _ if limit <= 0 => refuse("unable to set swap limit without memory limit"),
        total if total < limit => refuse("memory+swap limit should be >= memory limit"),
        total => Ok(Some((total - limit).to_string())),
    }
}

/// config-linux.md, "Unified": what cgroup v2 has nothing for "MUST generate an error"; 0 means: not asked for.
fn no_realtime(wanted: &Cpu) -> Result<()> {
    let runtime =
        wanted.realtime_runtime.filter(|runtime| *runtime != 0).map(|_| "realtimeRuntime");
    let period = wanted.realtime_period.filter(|period| *period != 0).map(|_| "realtimePeriod");
    match runtime.or(period) {
        Some(name) => {
            let name = field(&format!("cpu.{name}"));
            Err(Error::refused(format!("{name}: cgroup v2 has no limits for real-time tasks")))
        }
        None => Ok(()),
    }
}

fn cpu(wanted: &Cpu) -> Vec<Write> {
    let mut writes = Vec::new();
    if let Some(idle) = wanted.idle {
        writes.push(Write::new(field("cpu.idle"), "cpu.idle", idle.to_string()));
    }
    // An idle cgroup has the least weight there is, and the kernel refuses another.
    let shares = wanted.shares.filter(|shares| *shares != 0 && wanted.idle != Some(1));
    if let Some(shares) = shares {
        let weight = cpu_weight(shares).to_string();
        writes.push(Write::new(field("cpu.shares"), "cpu.weight", weight));
    }
    let quota = cpu_quota(wanted);
    let burst = wanted
        .burst
        .map(|burst| Write::new(field("cpu.burst"), "cpu.max.burst", burst.to_string()));
    // The kernel refuses a burst above the quota: a lower burst must come before a lower quota, a higher one after a
    // higher quota.
    if quota.is_some() {
        writes.extend(burst.clone().map(|write| write.or(Otherwise::ComesAgain)));
    }
    writes.extend(quota);
    writes.extend(burst);
    writes
}

/// `cpu.max` is "quota period"; a quota alone leaves the period as it is.
fn cpu_quota(wanted: &Cpu) -> Option<Write> {
    let quota = wanted.quota.filter(|quota| *quota != 0);
    let period = wanted.period.filter(|period| *period != 0);
    let name = if quota.is_some() { "cpu.quota" } else { "cpu.period" };
    let quota = quota.filter(|quota| *quota > 0).map(|quota| quota.to_string());
    let quota = quota.unwrap_or_else(|| UNLIMITED.to_owned());
    let text = match (wanted.quota.unwrap_or(0), period) {
        (0, None) => return None,
        (_, None) => quota,
        (_, Some(period)) => format!("{quota} {period}"),
    };
    Some(Write::new(field(name), "cpu.max", text))
}

/// From cgroup v1's shares (2 to 262144, 1024 by default) to weights (1 to 10000, 100 by default): the curve through
/// those three points that runc (since 1.3.2), crun (since 1.23) and systemd's users agree on.
fn cpu_weight(shares: u64) -> u64 {
    match shares {
        ..=2 => 1,
        262_144.. => 10_000,
        _ => {
            #[expect(clippy::cast_precision_loss, reason = "below 2^18, exact")]
            let logarithm = (shares as f64).log2();
            let exponent = (logarithm * logarithm + 125.0 * logarithm) / 612.0 - 7.0 / 34.0;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 1 and 10000"
            )]
            let weight = 10_f64.powf(exponent).ceil() as u64;
            weight
        }
    }
}

fn cpuset(wanted: &Cpu) -> Vec<Write> {
    [("cpu.cpus", "cpuset.cpus", &wanted.cpus), ("cpu.mems", "cpuset.mems", &wanted.mems)]
        .into_iter()
        .filter(|(_, _, list)| !list.is_empty())
        .map(|(name, file, list)| Write::new(field(name), file, list.as_str()))
        .collect()
}

/// Pages in use, and pages reserved by mmap(2), which fail early instead of by SIGBUS.
fn hugepages(position: usize, wanted: &HugepageLimit) -> Result<[Write; 2]> {
    let name = field(&format!("hugepageLimits[{position}]"));
    let (size, limit) = (&wanted.page_size, wanted.limit.to_string());
    if !is_page_size(size) {
        return Err(Error::refused(format!("{name}.pageSize: {size:?} is not a size like 2MB")));
    }
    let used = Write::new(&*name, format!("hugetlb.{size}.max"), &*limit);
    let reserved = Write::new(name, format!("hugetlb.{size}.rsvd.max"), limit);
    Ok([used, reserved.or(Otherwise::PassOverMissing)])
}

/// It becomes part of a file's name.
fn is_page_size(size: &str) -> bool {
    let digits = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// config-linux.md, "RDMA": "You MUST specify at least one of the hcaHandles or hcaObjects in a given entry".
fn rdma(device: &str, wanted: &Rdma) -> Result<Write> {
    let name = field(&format!("rdma.{device}"));
    let limits = [("hca_handle", wanted.hca_handles), ("hca_object", wanted.hca_objects)];
    let limits: Vec<String> = limits
        .iter()
        .filter_map(|(name, limit)| limit.map(|limit| format!("{name}={limit}")))
        .collect();
    if limits.is_empty() {
        return Err(Error::refused(format!("{name}: limits neither hcaHandles nor hcaObjects")));
    }
    Ok(Write::new(name, "rdma.max", format!("{device} {}", limits.join(" "))))
}

/// As it is, line by line: the kernel's files that take several lines take one for each write.
fn unified(key: &str, text: &str) -> Result<Vec<Write>> {
    let name = field(&format!("unified.{key}"));
    if key.contains('/') || key.starts_with('.') || !key.contains('.') {
        return Err(Error::refused(format!(
            "{name}: the key must be the name of a file of the cgroup, such as memory.high"
        )));
    }
    let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    Ok(lines.map(|line| Write::new(&*name, key, line)).collect())
}

/// Before anything is made: a limit that can't be is not passed over.
fn must_have_controllers(limits: &Limits, host: &Host) -> Result<()> {
    let controllers = limits.controllers();
    let lacking = controllers.iter().find(|(name, _)| !host.has_controller(name));
    let Some((controller, name)) = lacking else {
        return Ok(());
    };
    let mount = host.cgroup_mount.display();
    let error = format!("{name}: the cgroup v2 tree at {mount} has no {controller} controller");
    Err(if host.has_legacy_controller(controller) {
        Error::refused(format!("{error}, cgroup v1 holds it")).hint(
            "boot with systemd.unified_cgroup_hierarchy=1, or take this limit out of the config",
        )
    } else {
        Error::refused(error).hint(
            "this kernel lacks it, or nobody has delegated it to us; or take this limit out of the config",
        )
    })
}
