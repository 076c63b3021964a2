//! From `process.scheduler`, `process.ioPriority`, `linux.memoryPolicy` and `linux.personality` to the kernel's types.

use crate::error::{Context, Error, Result};
use crate::kernel::scheduling::{IoPriority, MemoryPolicy, NumberSet, Personality, Scheduler};
use crate::spec::linux;
use crate::spec::process as config;
use crate::warning;

/// `SCHED_*` of sched(7); the specification also names `SCHED_ISO`, which Linux reserves and refuses.
const POLICIES: [(&str, u32); 7] = [
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_ISO", 4),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
];

/// `SCHED_FLAG_*` of sched_setattr(2).
const SCHEDULER_FLAGS: [(&str, u64); 7] = [
    ("SCHED_FLAG_RESET_ON_FORK", 0x01),
    ("SCHED_FLAG_RECLAIM", 0x02),
    ("SCHED_FLAG_DL_OVERRUN", 0x04),
    ("SCHED_FLAG_KEEP_POLICY", 0x08),
    ("SCHED_FLAG_KEEP_PARAMS", 0x10),
    ("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
    ("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40),
];

/// `IOPRIO_CLASS_*` of ioprio_set(2).
const IO_CLASSES: [(&str, u8); 3] =
    [("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)];

/// `MPOL_*` of set_mempolicy(2).
const MEMORY_MODES: [(&str, u32); 7] = [
    ("MPOL_DEFAULT", 0),
    ("MPOL_PREFERRED", 1),
    ("MPOL_BIND", 2),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
];

/// `MPOL_F_*` of set_mempolicy(2).
const MEMORY_FLAGS: [(&str, u32); 3] = [
    ("MPOL_F_NUMA_BALANCING", 1 << 13),
    ("MPOL_F_RELATIVE_NODES", 1 << 14),
    ("MPOL_F_STATIC_NODES", 1 << 15),
];

fn look_up<T: Copy>(table: &[(&str, T)], name: &str, field: &str) -> Result<T> {
    let found = table.iter().find(|(known, _)| *known == name);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = table.iter().map(|(known, _)| *known).collect();
        Error::refused(format!("{field}: {name:?} is none of {}", names.join(", ")))
    })
}

/// Plans `process.scheduler`.
pub(super) fn scheduler(scheduler: &config::Scheduler) -> Result<Scheduler> {
    let policy = look_up(&POLICIES, &scheduler.policy, "process.scheduler.policy")?;
    let refuse = |why: String| Err(Error::refused(format!("process.scheduler.{why}")));
    if !(-20..=19).contains(&scheduler.nice) {
        return refuse(format!("nice: {} is not between -20 and 19", scheduler.nice));
    }
    let real_time = matches!(scheduler.policy.as_str(), "SCHED_FIFO" | "SCHED_RR");
    if scheduler.priority != 0 && !real_time {
        return refuse("priority: can only be specified for SCHED_FIFO or SCHED_RR".to_owned());
    }
    if real_time && !(1..=99).contains(&scheduler.priority) {
        return refuse(format!("priority: {} is not between 1 and 99", scheduler.priority));
    }
    let timed = [scheduler.runtime, scheduler.deadline, scheduler.period] != [0; 3];
    if timed && scheduler.policy != "SCHED_DEADLINE" {
        return refuse(
            "runtime, deadline, period: can only be specified for SCHED_DEADLINE".to_owned(),
        );
    }
    let mut flags = 0;
    for (index, flag) in scheduler.flags.iter().enumerate() {
        flags |= look_up(&SCHEDULER_FLAGS, flag, &format!("process.scheduler.flags[{index}]"))?;
    }
    Ok(Scheduler {
        policy,
        flags,
        nice: scheduler.nice,
        priority: scheduler.priority.unsigned_abs(),
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
    })
}

/// Plans `process.ioPriority`.
pub(super) fn io_priority(priority: &config::IoPriority) -> Result<IoPriority> {
    let class = look_up(&IO_CLASSES, &priority.class, "process.ioPriority.class")?;
    match u8::try_from(priority.priority) {
        Ok(level @ 0..=7) => Ok(IoPriority { class, level }),
        _ => Err(Error::refused(format!(
            "process.ioPriority.priority: {} is not between 0 and 7",
            priority.priority
        ))),
    }
}

/// Plans `linux.memoryPolicy`.
pub(super) fn memory_policy(policy: &linux::MemoryPolicy) -> Result<MemoryPolicy> {
    let mut mode = look_up(&MEMORY_MODES, &policy.mode, "linux.memoryPolicy.mode")?;
    for (index, flag) in policy.flags.iter().enumerate() {
        mode |= look_up(&MEMORY_FLAGS, flag, &format!("linux.memoryPolicy.flags[{index}]"))?;
    }
    let nodes = NumberSet::parse(&policy.nodes).context("linux.memoryPolicy.nodes")?;
    Ok(MemoryPolicy { mode, nodes })
}

/// Plans `linux.personality`; the specification defines no flags, so they are passed over with a warning.
pub(super) fn personality(personality: &linux::Personality) -> Result<Personality> {
    if !personality.flags.is_empty() {
        warning::warn("linux.personality.flags: ignored, none is supported");
    }
    let domains = [("LINUX", Personality::Linux), ("LINUX32", Personality::Linux32)];
    look_up(&domains, &personality.domain, "linux.personality.domain")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn planned(value: Value) -> Result<Scheduler> {
        scheduler(&serde_json::from_value(value).unwrap())
    }

    #[test]
    fn a_scheduler_is_its_numbers() {
        let flags = json!(["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"]);
        let deadline = planned(json!({
            "policy": "SCHED_DEADLINE", "flags": flags, "runtime": 1, "deadline": 2, "period": 3
        }));
        let expected = Scheduler {
            policy: 6,
            flags: 5,
            runtime: 1,
            deadline: 2,
            period: 3,
            ..Default::default()
        };
        assert_eq!(deadline.unwrap(), expected);
        let batch = planned(json!({"policy": "SCHED_BATCH", "nice": -5})).unwrap();
        assert_eq!(batch, Scheduler { policy: 3, nice: -5, ..Default::default() });
    }

    #[test]
    fn contradictions_are_refused_by_field() {
        let table = [
            (json!({}), "process.scheduler.policy: \"\""),
            (json!({"policy": "SCHED_NOW"}), "process.scheduler.policy: \"SCHED_NOW\""),
            (json!({"policy": "SCHED_OTHER", "nice": 20}), "process.scheduler.nice: 20"),
            (json!({"policy": "SCHED_OTHER", "priority": 1}), "process.scheduler.priority: can"),
            (json!({"policy": "SCHED_FIFO", "priority": 100}), "process.scheduler.priority: 100"),
            (json!({"policy": "SCHED_RR"}), "process.scheduler.priority: 0"),
            (
                json!({"policy": "SCHED_RR", "priority": 1, "period": 9}),
                "process.scheduler.runtime",
            ),
            (json!({"policy": "SCHED_IDLE", "flags": ["A"]}), "process.scheduler.flags[0]: \"A\""),
        ];
        for (value, expected) in table {
            let error = planned(value.clone()).expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{value}: {error}");
        }
    }

    #[test]
    fn an_io_priority_has_a_class_and_a_level() {
        let of = |class: &str, priority| {
            io_priority(&config::IoPriority { class: class.to_owned(), priority })
        };
        assert_eq!(of("IOPRIO_CLASS_BE", 7).unwrap(), IoPriority { class: 2, level: 7 });
        assert!(of("IOPRIO_CLASS_BE", 8).is_err());
        assert!(of("IOPRIO_CLASS_BE", -1).is_err());
        assert!(of("BE", 0).is_err());
    }
}
