//! Processors, scheduler, I/O priority, memory policy and execution domain of the calling thread.

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::error::{Call, Error, Result};
use crate::sys::sched;
pub use crate::sys::sched::Attributes as Scheduler;

/// I/O scheduling class and priority (ioprio_set(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IoPriority {
    /// `IOPRIO_CLASS_*`: 1 real-time, 2 best-effort, 3 idle.
    pub class: u8,
    /// 0 (highest) to 7.
    pub level: u8,
}

/// Where new pages come from (set_mempolicy(2)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPolicy {
    /// `MPOL_*`, with its `MPOL_F_*` flags.
    pub mode: u32,
    /// The nodes it is about; empty where the mode takes none.
    pub nodes: NumberSet,
}

/// Execution domains (personality(2)) that the specification names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Personality {
    /// `PER_LINUX`.
    Linux = 0,
    /// `PER_LINUX32`: uname(2) tells of a 32-bit machine.
    Linux32 = 8,
}

/// A set of processors or memory nodes: bit N of word N / 64.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberSet(Vec<u64>);

/// The highest number a list may name: far above what a kernel can be built for (8192 processors, 1024 nodes).
const MAX_NUMBER: usize = 65_535;

impl NumberSet {
    /// From a list such as `0-3,7` (cpuset(7), "List format").
    pub fn parse(list: &str) -> Result<NumberSet> {
        let mut set = NumberSet::default();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last) = (parse_number(first, list)?, parse_number(last, list)?);
            if first > last {
                return Err(Error::refused(format!("{list:?}: {item:?} is a reversed range")));
            }
            (first..=last).for_each(|number| set.insert(number));
        }
        Ok(set)
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn insert(&mut self, number: usize) {
        let word = number / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (number % 64);
    }
}

fn parse_number(text: &str, list: &str) -> Result<usize> {
    match text.trim().parse() {
        Ok(number) if number <= MAX_NUMBER => Ok(number),
        _ => Err(Error::refused(format!(
            "{list:?}: {text:?} is not a number from 0 to {MAX_NUMBER}"
        ))),
    }
}

/// As many processors as any kernel has: the kernel takes those of them that the cpuset allows.
const ALL_PROCESSORS: [u64; 128] = [u64::MAX; 128];

/// Lets process `pid` run on every processor of its cpuset, whatever its caller was bound to.
pub fn reset_affinity(pid: Pid) -> Result<()> {
    sched::set_affinity(pid.as_raw(), &ALL_PROCESSORS)
        .call(|| format!("sched_setaffinity({pid}, all)"))
}

/// Lets process `pid` run on these processors only.
pub fn set_affinity(pid: Pid, processors: &NumberSet) -> Result<()> {
    sched::set_affinity(pid.as_raw(), &processors.0)
        .call(|| format!("sched_setaffinity({pid}, {:x?})", processors.0))
        .map_err(|error| match error.errno() {
            Some(Errno::EINVAL) => error.hint("none of these processors is in the cpuset"),
            _ => error,
        })
}

/// Sets the scheduler.
pub fn set_scheduler(scheduler: &Scheduler) -> Result<()> {
    let result = sched::set_attributes(scheduler).call(|| format!("sched_setattr({scheduler:?})"));
    result.map_err(|error| match error.errno() {
        Some(Errno::EPERM) => error.hint(
            "it needs CAP_SYS_NICE in the initial user namespace; a SCHED_DEADLINE process scheduler can't be used together with AllowedCPUs (linux.resources.cpu.cpus)",
        ),
        Some(Errno::EBUSY) => error.hint("the processors have no deadline bandwidth left"),
        _ => error,
    })
}

/// Sets the I/O priority.
pub fn set_io_priority(priority: IoPriority) -> Result<()> {
    const CLASS_SHIFT: u32 = 13;
    let value = u32::from(priority.class) << CLASS_SHIFT | u32::from(priority.level);
    sched::set_io_priority(value).call(|| format!("ioprio_set({value:#x})"))
}

/// Sets the memory policy.
pub fn set_memory_policy(policy: &MemoryPolicy) -> Result<()> {
    sched::set_memory_policy(policy.mode, &policy.nodes.0)
        .call(|| format!("set_mempolicy({:#x}, {:x?})", policy.mode, policy.nodes.0))
}

/// Sets the execution domain.
pub fn set_personality(personality: Personality) -> Result<()> {
    sched::set_personality(personality as u32).call(|| format!("personality({personality:?})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_numbers_becomes_bits() {
        assert_eq!(NumberSet::parse("0-3,7").unwrap().0, [0b1000_1111]);
        assert_eq!(NumberSet::parse(" 1 , 64 ").unwrap().0, [2, 1]);
        assert_eq!(NumberSet::parse("1025").unwrap().0.len(), 17);
        assert!(NumberSet::parse("").unwrap().is_empty());
    }

    #[test]
    fn a_bad_list_is_refused_with_its_words() {
        for bad in ["a", "3-1", "-1", "1-", "99999999", "0-99999999"] {
            let error = NumberSet::parse(bad).unwrap_err().to_string();
            assert!(error.contains(bad), "{error}");
        }
    }

    #[test]
    fn the_affinity_of_a_thread_can_be_narrowed_and_reset() {
        let me = nix::unistd::gettid();
        reset_affinity(me).unwrap();
        let before = nix::sched::sched_getaffinity(me).unwrap();
        let first = (0..1024).find(|cpu| before.is_set(*cpu).unwrap()).unwrap();
        set_affinity(me, &NumberSet::parse(&first.to_string()).unwrap()).unwrap();
        let now = nix::sched::sched_getaffinity(me).unwrap();
        assert_eq!((0..1024).filter(|cpu| now.is_set(*cpu).unwrap()).count(), 1);
        reset_affinity(me).unwrap();
        assert_eq!(nix::sched::sched_getaffinity(me).unwrap(), before);
    }
}
