//! What a cgroup has used. A file that this kernel or this cgroup has not got is passed over: its numbers stay zero.

use std::collections::BTreeMap;

use super::Directory;
use super::events::flat_keyed;
use crate::error::Result;

/// Everything the controllers count.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Processor time.
    pub cpu: Cpu,
    /// Memory and swap.
    pub memory: Memory,
    /// Tasks.
    pub pids: Pids,
    /// Block devices.
    pub io: Io,
    /// Huge pages, by size (`2MB`).
    pub hugetlb: BTreeMap<String, Hugetlb>,
    /// RDMA resources in use, by device, then by name (`rdma.current`).
    pub rdma: BTreeMap<String, BTreeMap<String, u64>>,
}

/// Processor time, in microseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cpu {
    /// All of it.
    pub usage: u64,
    /// In user mode.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// Periods of `cpu.max` that began.
    pub periods: u64,
    /// Periods in which the quota ran out.
    pub throttled_periods: u64,
    /// How long processes had to wait for the next period.
    pub throttled: u64,
    /// How long processes waited for a processor.
    pub pressure: Option<Pressure>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// Memory.
    pub usage: Usage,
    /// Swap alone.
    pub swap: Usage,
    /// `memory.stat`: what the memory is used for.
    pub details: BTreeMap<String, u64>,
    /// `memory.events`: how often a limit was met.
    pub events: BTreeMap<String, u64>,
    /// How long processes waited for memory.
    pub pressure: Option<Pressure>,
}

/// What is used of something limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Now.
    pub current: u64,
    /// At the most; 0 where the kernel doesn't say (memory before 5.19, swap before 6.5).
    pub peak: u64,
    /// `u64::MAX` is unlimited.
    pub limit: u64,
}

/// Tasks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pids {
    /// Now.
    pub current: u64,
    /// `None` is unlimited.
    pub limit: Option<u64>,
}

/// Block devices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Io {
    /// One for each device that was used.
    pub devices: Vec<IoDevice>,
    /// How long processes waited for block devices.
    pub pressure: Option<Pressure>,
}

/// One block device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IoDevice {
    /// Major number.
    pub major: u64,
    /// Minor number.
    pub minor: u64,
    /// Its counters, by the names of `io.stat` (`rbytes`, `wbytes`, `rios`, `wios`, `dbytes`, `dios`).
    pub counters: BTreeMap<String, u64>,
}

/// Huge pages of one size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hugetlb {
    /// Bytes reserved; on kernels before 5.7, bytes in use.
    pub usage: u64,
    /// How often the limit was met.
    pub failures: u64,
}

/// Pressure stall information (the kernel's psi.rst).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pressure {
    /// Some process waited.
    pub some: Stall,
    /// All of them waited.
    pub full: Stall,
}

/// Shares of time in percent, and a total.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stall {
    /// Over the last ten seconds.
    pub avg10: f64,
    /// Over the last minute.
    pub avg60: f64,
    /// Over the last five minutes.
    pub avg300: f64,
    /// Microseconds since the cgroup was made.
    pub total: u64,
}

/// Reads everything.
pub fn read(cgroup: &Directory) -> Result<Statistics> {
    Ok(Statistics {
        cpu: cpu(cgroup)?,
        memory: memory(cgroup)?,
        pids: pids(cgroup)?,
        io: io(cgroup)?,
        hugetlb: hugetlb(cgroup)?,
        rdma: rdma(cgroup)?,
    })
}

fn cpu(cgroup: &Directory) -> Result<Cpu> {
    let text = cgroup.read_if_there("cpu.stat")?.unwrap_or_default();
    let mut cpu = Cpu { pressure: pressure(cgroup, "cpu.pressure")?, ..Cpu::default() };
    for (key, value) in flat_keyed(&text) {
        match key {
            "usage_usec" => cpu.usage = value,
            "user_usec" => cpu.user = value,
            "system_usec" => cpu.system = value,
            "nr_periods" => cpu.periods = value,
            "nr_throttled" => cpu.throttled_periods = value,
            "throttled_usec" => cpu.throttled = value,
            _ => {}
        }
    }
    Ok(cpu)
}

fn memory(cgroup: &Directory) -> Result<Memory> {
    Ok(Memory {
        usage: usage(cgroup, "memory")?,
        swap: usage(cgroup, "memory.swap")?,
        details: counters(cgroup, "memory.stat")?,
        events: counters(cgroup, "memory.events")?,
        pressure: pressure(cgroup, "memory.pressure")?,
    })
}

fn usage(cgroup: &Directory, prefix: &str) -> Result<Usage> {
    let Some(current) = number(cgroup, &format!("{prefix}.current"))? else {
        return Ok(Usage::default());
    };
    Ok(Usage {
        current,
        peak: number(cgroup, &format!("{prefix}.peak"))?.unwrap_or(0),
        limit: number(cgroup, &format!("{prefix}.max"))?.unwrap_or(u64::MAX),
    })
}

fn pids(cgroup: &Directory) -> Result<Pids> {
    let current = match number(cgroup, "pids.current")? {
        Some(current) => current,
        None => processes(cgroup)?,
    };
    Ok(Pids { current, limit: number(cgroup, "pids.max")? })
}

/// As runc has it without the controller: processes, not tasks; of a threaded cgroup, which does not list them, threads.
fn processes(cgroup: &Directory) -> Result<u64> {
    let listed = match cgroup.read_if_there("cgroup.procs")? {
        Some(listed) => listed,
        None => cgroup.read_if_there("cgroup.threads")?.unwrap_or_default(),
    };
    Ok(listed.lines().count() as u64)
}

fn io(cgroup: &Directory) -> Result<Io> {
    let text = cgroup.read_if_there("io.stat")?.unwrap_or_default();
    let devices = nested_keyed(&text).filter_map(|(device, counters)| {
        let (major, minor) = device.split_once(':')?;
        Some(IoDevice { major: major.parse().ok()?, minor: minor.parse().ok()?, counters })
    });
    Ok(Io { devices: devices.collect(), pressure: pressure(cgroup, "io.pressure")? })
}

/// Which sizes there are, the names of the files tell.
fn hugetlb(cgroup: &Directory) -> Result<BTreeMap<String, Hugetlb>> {
    let mut all = BTreeMap::new();
    // All of these names are the kernel's own.
    for name in cgroup.files()?.into_iter().filter_map(|name| name.into_string().ok()) {
        let size = name.strip_prefix("hugetlb.").and_then(|rest| rest.strip_suffix(".current"));
        let Some(size) = size.filter(|size| !size.contains('.')) else { continue };
        let reserved = number(cgroup, &format!("hugetlb.{size}.rsvd.current"))?;
        let usage = match reserved {
            Some(reserved) => reserved,
            None => number(cgroup, &name)?.unwrap_or(0),
        };
        // One file counts the refusals of both: pages and reservations.
        let events = counters(cgroup, &format!("hugetlb.{size}.events"))?;
        let failures = events.get("max").copied().unwrap_or(0);
        all.insert(size.to_owned(), Hugetlb { usage, failures });
    }
    Ok(all)
}

fn rdma(cgroup: &Directory) -> Result<BTreeMap<String, BTreeMap<String, u64>>> {
    let text = cgroup.read_if_there("rdma.current")?.unwrap_or_default();
    Ok(nested_keyed(&text).map(|(device, counters)| (device.to_owned(), counters)).collect())
}

/// Pressure is `None` where the kernel doesn't keep it (`psi=0`).
fn pressure(cgroup: &Directory, name: &str) -> Result<Option<Pressure>> {
    Ok(cgroup.read_if_there(name)?.map(|text| {
        let mut pressure = Pressure::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("some", rest)) => pressure.some = stall(rest),
                Some(("full", rest)) => pressure.full = stall(rest),
                _ => {}
            }
        }
        pressure
    }))
}

fn stall(text: &str) -> Stall {
    let mut stall = Stall::default();
    for (key, value) in text.split(' ').filter_map(|pair| pair.split_once('=')) {
        match key {
            "avg10" => stall.avg10 = value.parse().unwrap_or(0.0),
            "avg60" => stall.avg60 = value.parse().unwrap_or(0.0),
            "avg300" => stall.avg300 = value.parse().unwrap_or(0.0),
            "total" => stall.total = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    stall
}

/// A file of one number; `max`, like a file that isn't there, is `None`.
fn number(cgroup: &Directory, name: &str) -> Result<Option<u64>> {
    Ok(cgroup.read_if_there(name)?.and_then(|text| text.trim().parse().ok()))
}

fn counters(cgroup: &Directory, name: &str) -> Result<BTreeMap<String, u64>> {
    let text = cgroup.read_if_there(name)?.unwrap_or_default();
    Ok(flat_keyed(&text).map(|(key, value)| (key.to_owned(), value)).collect())
}

/// The lines of a "nested keyed" file (cgroup-v2.rst, "Interface Files"): `key name=number name=number`.
fn nested_keyed(text: &str) -> impl Iterator<Item = (&str, BTreeMap<String, u64>)> {
    text.lines().filter_map(|line| {
        let mut words = line.split(' ');
        let key = words.next()?;
        let pairs = words.filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Some((key, pairs.collect()))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn statistics(files: &[(&str, &str)]) -> Statistics {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        read(&Directory::open(directory.path()).unwrap()).unwrap()
    }

    #[test]
    fn files_that_are_not_there_are_passed_over() {
        assert_eq!(statistics(&[]), Statistics::default());
    }

    #[test]
    fn processor_memory_and_tasks() {
        let statistics = statistics(&[
            (
                "cpu.stat",
                "usage_usec 9\nuser_usec 5\nsystem_usec 4\nnice_usec 0\nnr_periods 3\nnr_throttled 2\nthrottled_usec 1\n",
            ),
            (
                "cpu.pressure",
                "some avg10=1.50 avg60=0.25 avg300=0.00 total=77\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.max", "max\n"),
            ("memory.peak", "8192\n"),
            ("memory.swap.current", "10\n"),
            ("memory.swap.max", "100\n"),
            ("memory.stat", "anon 1\nfile 2\n"),
            ("memory.events", "low 0\noom_kill 3\n"),
            ("pids.current", "2\n"),
            ("pids.max", "max\n"),
        ]);
        let cpu = &statistics.cpu;
        assert_eq!((cpu.usage, cpu.user, cpu.system), (9, 5, 4));
        assert_eq!((cpu.periods, cpu.throttled_periods, cpu.throttled), (3, 2, 1));
        let pressure = cpu.pressure.unwrap();
        assert_eq!(pressure.some, Stall { avg10: 1.5, avg60: 0.25, avg300: 0.0, total: 77 });
        assert_eq!(pressure.full.total, 5);
        let memory = &statistics.memory;
        assert_eq!(memory.usage, Usage { current: 4096, peak: 8192, limit: u64::MAX });
        assert_eq!(memory.swap, Usage { current: 10, peak: 0, limit: 100 });
        assert_eq!((memory.details["file"], memory.events["oom_kill"]), (2, 3));
        assert_eq!(statistics.pids, Pids { current: 2, limit: None });
    }

    #[test]
    fn without_the_controller_processes_are_counted() {
        let pids = |files| statistics(files).pids;
        assert_eq!(pids(&[("cgroup.procs", "7\n8\n")]), Pids { current: 2, limit: None });
        assert_eq!(pids(&[("cgroup.threads", "7\n")]), Pids { current: 1, limit: None });
    }

    #[test]
    fn devices_and_huge_pages() {
        let statistics = statistics(&[
            ("io.stat", "8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n253:0 \n"),
            ("hugetlb.2MB.current", "1\n"),
            ("hugetlb.2MB.rsvd.current", "2097152\n"),
            ("hugetlb.2MB.events", "max 6\n"),
            ("hugetlb.1GB.current", "5\n"),
            ("hugetlb.1GB.events", "max 7\n"),
            ("rdma.current", "mlx4_0 hca_handle=2 hca_object=2000\n"),
        ]);
        let device = &statistics.io.devices[0];
        assert_eq!((device.major, device.minor, device.counters["wios"]), (8, 16, 4));
        assert!(statistics.io.devices[1].counters.is_empty());
        assert_eq!(statistics.hugetlb["2MB"], Hugetlb { usage: 2_097_152, failures: 6 });
        assert_eq!(statistics.hugetlb["1GB"], Hugetlb { usage: 5, failures: 7 });
        assert_eq!(statistics.hugetlb.len(), 2);
        assert_eq!(statistics.rdma["mlx4_0"]["hca_object"], 2000);
    }
}
