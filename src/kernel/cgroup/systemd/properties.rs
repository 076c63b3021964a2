//! Limits and device rules as properties of a unit: so systemd knows them, shows them, and does not undo them when it
//! reloads. What has no property is written into the cgroup, as is what a property can't say exactly.

use super::unit::Property;
use super::value::Value;
use crate::kernel::cgroup::DeviceFilter;
use crate::kernel::cgroup::device_rules::{DeviceKind, DeviceRule, Devices};
use crate::kernel::cgroup::limits::{Limits, Otherwise, Write};

/// "No limit", in numbers of any unit.
const INFINITY: u64 = u64::MAX;

const USEC_PER_SEC: u64 = 1_000_000;

/// The period the kernel has where none is named, in microseconds (cgroup-v2.rst, `cpu.max`).
const USUAL_PERIOD: u64 = 100_000;

const CPU_WEIGHT: &str = "CPUWeight";

/// The weight of an idle cgroup, to systemd.
const IDLE: u64 = 0;

/// The release of systemd that knows it: older ones refuse it.
pub const FIRST_WITH_IDLE: u32 = 252;

/// The weight the kernel gives (cgroup-v2.rst, `cpu.weight`).
const USUAL_WEIGHT: u64 = 100;

/// The properties that say what the limits say, in their order.
pub fn of_limits(limits: &Limits) -> Vec<Property> {
    let mut properties: Vec<_> = limits.0.iter().flat_map(of_write).collect();
    let writes = |file, text: &str| {
        limits.0.iter().any(|write| write.file == file && write.text.trim() == text)
    };
    // What is idle no more has the usual weight again, as the kernel gives it, where no other is named.
    let weighs = properties.iter().any(|property| property.name == CPU_WEIGHT);
    if writes("cpu.idle", "0") && !weighs {
        properties.push(Property::new(CPU_WEIGHT, Value::Uint64(USUAL_WEIGHT)));
    }
    properties
}

/// Whether it makes a unit idle, which systemd can since [`FIRST_WITH_IDLE`].
pub fn is_idle(property: &Property) -> bool {
    property.name == CPU_WEIGHT && property.value == Value::Uint64(IDLE)
}

fn of_write(write: &Write) -> Vec<Property> {
    let text = write.text.trim();
    let amount = |name| number(text).map(|number| Property::new(name, Value::Uint64(number)));
    let one = match write.file.as_str() {
        "memory.max" => amount("MemoryMax"),
        "memory.high" => amount("MemoryHigh"),
        "memory.low" => amount("MemoryLow"),
        "memory.min" => amount("MemoryMin"),
        "memory.swap.max" => amount("MemorySwapMax"),
        "pids.max" => amount("TasksMax"),
        "cpu.weight" => amount(CPU_WEIGHT),
        "cpu.idle" if text == "1" => Some(Property::new(CPU_WEIGHT, Value::Uint64(IDLE))),
        "cpuset.cpus" => set("AllowedCPUs", text),
        "cpuset.mems" => set("AllowedMemoryNodes", text),
        "io.weight" => amount("IOWeight"),
        "io.bfq.weight" => io_weight(&write.otherwise),
        "cpu.max" => return cpu_quota(text),
        _ => None,
    };
    one.into_iter().collect()
}

/// What a scope is told for `memory.oom.group`: else a reload writes 0, a delegated scope's policy being `continue`. It is
/// said only at the start: no change of it is taken later.
pub fn oom_policy(limits: &Limits) -> Option<Property> {
    let write = limits.0.iter().rev().find(|write| write.file == "memory.oom.group")?;
    let policy = match write.text.trim() {
        "1" => "kill",
        "0" => "continue",
        _ => return None,
    };
    Some(Property::new("OOMPolicy", Value::string(policy)))
}

fn number(text: &str) -> Option<u64> {
    if text == "max" { Some(INFINITY) } else { text.parse().ok() }
}

/// systemd has the scale of `io.weight` only.
fn io_weight(otherwise: &Otherwise) -> Option<Property> {
    let Otherwise::Instead { text, .. } = otherwise else { return None };
    text.parse().ok().map(|weight| Property::new("IOWeight", Value::Uint64(weight)))
}

/// systemd keeps the quota of a second, in whole percents (10 ms): rounded up, so that what it may write later is never
/// less than what was asked.
fn cpu_quota(text: &str) -> Vec<Property> {
    const STEP: u64 = USEC_PER_SEC / 100;
    let mut words = text.split_whitespace();
    let (quota, period) = (words.next().and_then(number), words.next().map(str::parse::<u64>));
    let period = match period {
        Some(Ok(period)) if period > 0 => Some(period),
        None => None,
        Some(_) => return Vec::new(),
    };
    let Some(quota) = quota else { return Vec::new() };
    let a_second = match quota {
        INFINITY => INFINITY,
        quota => {
            let exact = quota.saturating_mul(USEC_PER_SEC) / period.unwrap_or(USUAL_PERIOD);
            exact.div_ceil(STEP).saturating_mul(STEP)
        }
    };
    let period = period.map(|period| Property::new("CPUQuotaPeriodUSec", Value::Uint64(period)));
    let quota = Property::new("CPUQuotaPerSecUSec", Value::Uint64(a_second));
    period.into_iter().chain([quota]).collect()
}

/// A list such as `0-3,8` as a bit mask, the lowest byte first.
fn set(name: &str, list: &str) -> Option<Property> {
    const HIGHEST: usize = 1 << 16;
    let mut mask = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        if last > HIGHEST {
            return None;
        }
        for position in first..=last {
            if mask.len() <= position / 8 {
                mask.resize(position / 8 + 1, 0);
            }
            mask[position / 8] |= 1 << (position % 8);
        }
    }
    Some(Property::new(name, Value::bytes(mask)))
}

/// The device filter, as far as systemd can say it: a list of what is allowed, without exceptions. Where a rule denies
/// what one before it allows, or names less than systemd can, the list is wider than the filter; the filter itself is
/// attached beside it, and a device is usable only when both allow it.
pub fn of_devices(filter: &DeviceFilter) -> Vec<Property> {
    let rules = filter.effective();
    let everything =
        rules.first().is_some_and(|rule| rule.devices == Devices::All && rule.allows());
    let policy = if everything { "auto" } else { "strict" };
    let allowed = rules.iter().filter(|rule| !everything && rule.allows()).filter_map(allow);
    vec![
        Property::new("DevicePolicy", Value::string(policy)),
        Property::new("DeviceAllow", Value::array("(ss)", allowed)),
    ]
}

/// A row of `DeviceAllow` (systemd.resource-control(5)): a node by its numbers, or all of one major number, or of a kind.
fn allow(rule: &DeviceRule) -> Option<Value> {
    let Devices::Named { kind, major, minor } = rule.devices else { return None };
    let kind = if kind == DeviceKind::Block { "block" } else { "char" };
    let device = match (major, minor) {
        (Some(major), Some(minor)) => format!("/dev/{kind}/{major}:{minor}"),
        (Some(major), None) => format!("{kind}-{major}"),
        (None, _) => format!("{kind}-*"),
    };
    let row = [Value::string(device), Value::string(rule.access.to_string())];
    Some(Value::Struct(row.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::cgroup::device_rules::{Access, Verdict};
    use crate::kernel::cgroup::devices::WithoutRights;

    fn of(file: &str, text: &str) -> Vec<(String, Value)> {
        let limits = Limits(vec![Write::new("field", file, text)]);
        of_limits(&limits).into_iter().map(|property| (property.name, property.value)).collect()
    }

    fn amount(name: &str, value: u64) -> (String, Value) {
        (name.to_owned(), Value::Uint64(value))
    }

    #[test]
    fn amounts_are_numbers_and_max_is_infinity() {
        assert_eq!(of("memory.max", "1048576"), [amount("MemoryMax", 1 << 20)]);
        assert_eq!(of("memory.swap.max", "0"), [amount("MemorySwapMax", 0)]);
        assert_eq!(of("pids.max", "max"), [amount("TasksMax", u64::MAX)]);
        assert_eq!(of("cpu.weight", "79"), [amount("CPUWeight", 79)]);
    }

    #[test]
    fn idle_is_a_weight_and_its_end_is_one_too() {
        assert_eq!(of("cpu.idle", "1"), [amount("CPUWeight", 0)]);
        assert!(is_idle(&of_limits(&Limits(vec![Write::new("field", "cpu.idle", "1")]))[0]));
        assert_eq!(of("cpu.idle", "0"), [amount("CPUWeight", 100)]);
        let both = ["cpu.idle", "cpu.weight"].map(|file| Write::new("field", file, "0"));
        assert_eq!(of_limits(&Limits(both.to_vec())).len(), 1);
    }

    #[test]
    fn what_has_no_property_has_none() {
        for file in ["io.max", "cpu.max.burst", "hugetlb.2MB.max", "memory.oom.group"] {
            assert_eq!(of(file, "1"), [], "{file}");
        }
        assert_eq!(of("memory.max", "50%"), []);
    }

    #[test]
    fn a_group_that_is_killed_as_one_is_a_policy() {
        let policy = |text: &str| {
            let limits = Limits(vec![Write::new("field", "memory.oom.group", text)]);
            oom_policy(&limits).map(|property| (property.name, property.value))
        };
        let named = |policy: &str| Some(("OOMPolicy".to_owned(), Value::string(policy)));
        assert_eq!(policy("1\n"), named("kill"));
        assert_eq!(policy("0"), named("continue"));
        assert_eq!(policy("max"), None);
        assert_eq!(oom_policy(&Limits(Vec::new())), None);
    }

    #[test]
    fn a_quota_is_of_a_second_and_rounded_up_to_a_percent() {
        let period = |usec| amount("CPUQuotaPeriodUSec", usec);
        let quota = |usec| amount("CPUQuotaPerSecUSec", usec);
        assert_eq!(of("cpu.max", "50000 100000"), [period(100_000), quota(500_000)]);
        assert_eq!(of("cpu.max", "12345 100000"), [period(100_000), quota(130_000)]);
        assert_eq!(of("cpu.max", "300000 200000"), [period(200_000), quota(1_500_000)]);
        assert_eq!(of("cpu.max", "20000"), [quota(200_000)]);
        assert_eq!(of("cpu.max", "max"), [quota(u64::MAX)]);
        assert_eq!(of("cpu.max", "1000 0"), []);
    }

    #[test]
    fn lists_are_bit_masks() {
        let mask = |list: &str| of("cpuset.cpus", list).pop().map(|(_, value)| value);
        assert_eq!(mask("0-3,8"), Some(Value::bytes([0x0f, 0x01])));
        assert_eq!(mask("17"), Some(Value::bytes([0, 0, 2])));
        assert_eq!(mask("a"), None);
        assert_eq!(mask("0-99999999"), None);
    }

    fn rule(verdict: Verdict, devices: Devices) -> DeviceRule {
        DeviceRule { verdict, devices, access: Access::ALL }
    }

    fn device_properties(rules: Vec<DeviceRule>) -> Vec<Property> {
        of_devices(&DeviceFilter { rules, without_rights: WithoutRights::Fail })
    }

    #[test]
    fn what_is_allowed_is_listed_by_numbers() {
        let node = |kind, major, minor| Devices::Named { kind, major, minor };
        let properties = device_properties(vec![
            rule(Verdict::Allow, Devices::All),
            rule(Verdict::Deny, Devices::All),
            rule(Verdict::Allow, node(DeviceKind::Character, Some(1), Some(3))),
            rule(Verdict::Allow, node(DeviceKind::Character, Some(136), None)),
            rule(Verdict::Allow, node(DeviceKind::Block, None, None)),
            rule(Verdict::Deny, node(DeviceKind::Block, Some(8), None)),
        ]);
        let row = |device: &str| Value::Struct(vec![Value::string(device), Value::string("rwm")]);
        let rows = [row("/dev/char/1:3"), row("char-136"), row("block-*")];
        assert_eq!(properties[0].value, Value::string("strict"));
        assert_eq!(properties[1].value, Value::array("(ss)", rows));
    }

    #[test]
    fn where_all_is_allowed_systemd_restricts_nothing() {
        let properties = device_properties(vec![rule(Verdict::Allow, Devices::All)]);
        assert_eq!(properties[0].value, Value::string("auto"));
        assert_eq!(properties[1].value, Value::array("(ss)", []));
    }
}
