//! The numbers as JSON, with the names and units that readers of runc's `events` look for: those of cgroup v1, which
//! counted processor time in nanoseconds and swap together with memory.

use std::collections::BTreeMap;

use serde::Serialize;

use super::intel_rdt::IntelRdt;
use crate::kernel::cgroup::statistics;
use crate::kernel::rdt;

/// `data` of an event of type `stats`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Statistics {
    cpu: Cpu,
    cpuset: Cpuset,
    memory: Memory,
    pids: Pids,
    blkio: Blkio,
    hugetlb: BTreeMap<String, Hugetlb>,
    intel_rdt: IntelRdt,
    /// Always `null`: interfaces are not made by a runtime that reads `config.json`.
    network_interfaces: (),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Cpu {
    usage: CpuUsage,
    throttling: Throttling,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Pressure>,
}

/// Nanoseconds. cgroup v2 doesn't count processors apart (`percpu`).
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct CpuUsage {
    #[serde(skip_serializing_if = "is_zero")]
    total: u64,
    kernel: u64,
    user: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Throttling {
    #[serde(skip_serializing_if = "is_zero")]
    periods: u64,
    #[serde(skip_serializing_if = "is_zero")]
    throttled_periods: u64,
    /// Nanoseconds.
    #[serde(skip_serializing_if = "is_zero")]
    throttled_time: u64,
}

/// Of cgroup v1 alone: all zero.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Cpuset {
    cpu_exclusive: u64,
    mem_hardwall: u64,
    mem_exclusive: u64,
    memory_migrate: u64,
    memory_spread_page: u64,
    memory_spread_slab: u64,
    memory_pressure: u64,
    sched_load_balance: u64,
    sched_relax_domain_level: i64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Memory {
    #[serde(skip_serializing_if = "is_zero")]
    cache: u64,
    usage: MemoryEntry,
    /// Together with memory, as cgroup v1 had it.
    swap: MemoryEntry,
    /// Of cgroup v1 alone.
    kernel: MemoryEntry,
    /// Of cgroup v1 alone.
    #[serde(rename = "kernelTCP")]
    kernel_tcp: MemoryEntry,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    raw: BTreeMap<String, u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Pressure>,
    event_count: BTreeMap<String, u64>,
}

/// Bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct MemoryEntry {
    limit: u64,
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    #[serde(skip_serializing_if = "is_zero")]
    max: u64,
    failcnt: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Pids {
    #[serde(skip_serializing_if = "is_zero")]
    current: u64,
    #[serde(skip_serializing_if = "is_zero")]
    limit: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Blkio {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_service_bytes_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    io_serviced_recursive: Vec<BlkioEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    psi: Option<Pressure>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct BlkioEntry {
    #[serde(skip_serializing_if = "is_zero")]
    major: u64,
    #[serde(skip_serializing_if = "is_zero")]
    minor: u64,
    op: &'static str,
    #[serde(skip_serializing_if = "is_zero")]
    value: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
struct Hugetlb {
    #[serde(skip_serializing_if = "is_zero")]
    usage: u64,
    failcnt: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Pressure {
    some: Stall,
    full: Stall,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Stall {
    avg10: f64,
    avg60: f64,
    avg300: f64,
    total: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(super) fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Statistics {
    /// The same, with what resctrl tells.
    pub(super) fn with_rdt(mut self, rdt: Option<rdt::statistics::Statistics>) -> Self {
        self.intel_rdt = rdt.map(IntelRdt::from).unwrap_or_default();
        self
    }
}

impl From<statistics::Statistics> for Statistics {
    fn from(all: statistics::Statistics) -> Self {
        Statistics {
            cpu: all.cpu.into(),
            memory: all.memory.into(),
            pids: Pids { current: all.pids.current, limit: all.pids.limit.unwrap_or(0) },
            blkio: all.io.into(),
            hugetlb: (all.hugetlb.into_iter())
                .map(|(size, one)| (size, Hugetlb { usage: one.usage, failcnt: one.failures }))
                .collect(),
            ..Statistics::default()
        }
    }
}

impl From<statistics::Cpu> for Cpu {
    fn from(cpu: statistics::Cpu) -> Self {
        let nanoseconds = |microseconds: u64| microseconds.saturating_mul(1000);
        Cpu {
            usage: CpuUsage {
                total: nanoseconds(cpu.usage),
                kernel: nanoseconds(cpu.system),
                user: nanoseconds(cpu.user),
            },
            throttling: Throttling {
                periods: cpu.periods,
                throttled_periods: cpu.throttled_periods,
                throttled_time: nanoseconds(cpu.throttled),
            },
            psi: cpu.pressure.map(Pressure::from),
        }
    }
}

impl From<statistics::Memory> for Memory {
    fn from(memory: statistics::Memory) -> Self {
        let statistics::Memory { usage, swap, details, events, pressure } = memory;
        Memory {
            cache: details.get("file").copied().unwrap_or(0),
            usage: MemoryEntry {
                limit: usage.limit,
                usage: usage.current,
                max: usage.peak,
                ..MemoryEntry::default()
            },
            // The peaks of the two need not have been at the same time: there is no peak of the sum.
            swap: MemoryEntry {
                limit: usage.limit.saturating_add(swap.limit),
                usage: usage.current + swap.current,
                ..MemoryEntry::default()
            },
            raw: details,
            psi: pressure.map(Pressure::from),
            event_count: events,
            ..Memory::default()
        }
    }
}

impl From<statistics::Io> for Blkio {
    fn from(io: statistics::Io) -> Self {
        let entries = |counters: [(&str, &'static str); 2]| {
            let mut entries = Vec::new();
            for device in &io.devices {
                for (counter, op) in counters {
                    entries.extend(device.counters.get(counter).map(|value| BlkioEntry {
                        major: device.major,
                        minor: device.minor,
                        op,
                        value: *value,
                    }));
                }
            }
            entries
        };
        Blkio {
            io_service_bytes_recursive: entries([("rbytes", "Read"), ("wbytes", "Write")]),
            io_serviced_recursive: entries([("rios", "Read"), ("wios", "Write")]),
            psi: io.pressure.map(Pressure::from),
        }
    }
}

impl From<statistics::Pressure> for Pressure {
    fn from(pressure: statistics::Pressure) -> Self {
        let stall = |stall: statistics::Stall| Stall {
            avg10: stall.avg10,
            avg60: stall.avg60,
            avg300: stall.avg300,
            total: stall.total,
        };
        Pressure { some: stall(pressure.some), full: stall(pressure.full) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_container_has_the_fields_readers_insist_on() {
        let document = serde_json::to_value(Statistics::default()).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "cpu": {"usage": {"kernel": 0, "user": 0}, "throttling": {}},
                "cpuset": {
                    "cpu_exclusive": 0, "mem_hardwall": 0, "mem_exclusive": 0, "memory_migrate": 0,
                    "memory_spread_page": 0, "memory_spread_slab": 0, "memory_pressure": 0,
                    "sched_load_balance": 0, "sched_relax_domain_level": 0
                },
                "memory": {
                    "usage": {"limit": 0, "failcnt": 0}, "swap": {"limit": 0, "failcnt": 0},
                    "kernel": {"limit": 0, "failcnt": 0}, "kernelTCP": {"limit": 0, "failcnt": 0},
                    "event_count": {}
                },
                "pids": {}, "blkio": {}, "hugetlb": {}, "intel_rdt": {}, "network_interfaces": null
            })
        );
    }

    #[test]
    fn units_and_sums_are_those_of_cgroup_v1() {
        let usage = |current, peak, limit| statistics::Usage { current, peak, limit };
        let mut all = statistics::Statistics::default();
        all.cpu.usage = 3;
        all.cpu.throttled = 2;
        all.memory.usage = usage(100, 150, 1000);
        all.memory.swap = usage(10, 20, 500);
        all.memory.details.insert("file".into(), 7);
        all.pids = statistics::Pids { current: 4, limit: Some(32) };
        all.io.devices.push(statistics::IoDevice {
            major: 8,
            minor: 0,
            counters: [("rbytes".to_owned(), 512), ("wios".to_owned(), 3)].into(),
        });
        all.hugetlb.insert("2MB".into(), statistics::Hugetlb { usage: 5, failures: 1 });
        let document = serde_json::to_value(Statistics::from(all)).unwrap();
        assert_eq!(document["cpu"]["usage"]["total"], 3000);
        assert_eq!(document["cpu"]["throttling"]["throttledTime"], 2000);
        assert_eq!(document["memory"]["cache"], 7);
        assert_eq!(document["memory"]["usage"]["max"], 150);
        assert_eq!(document["memory"]["swap"]["usage"], 110);
        assert_eq!(document["memory"]["swap"]["limit"], 1500);
        assert_eq!(document["pids"], serde_json::json!({"current": 4, "limit": 32}));
        let read = serde_json::json!([{"major": 8, "op": "Read", "value": 512}]);
        assert_eq!(document["blkio"]["ioServiceBytesRecursive"], read);
        assert_eq!(document["blkio"]["ioServicedRecursive"][0]["op"], "Write");
        assert_eq!(document["hugetlb"]["2MB"], serde_json::json!({"usage": 5, "failcnt": 1}));
    }
}
