//! The five capability sets of capabilities(7).

use std::str::FromStr;

use nix::errno::Errno;

use crate::error::{Call, Result};
use crate::sys::capset::{self, BaseSets};
use crate::sys::prctl;
use crate::warning;

/// A set of capabilities: bit N is the capability of number N.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapSet(pub u64);

impl CapSet {
    /// The set of the capabilities of these names, and the names no capability has, in their order.
    pub fn from_names(names: &[String]) -> (CapSet, Vec<String>) {
        let mut set = CapSet::default();
        let mut unknown = Vec::new();
        for name in names {
            match caps::Capability::from_str(name) {
                Ok(capability) => set.0 |= capability.bitmask(),
                Err(_) => unknown.push(name.clone()),
            }
        }
        (set, unknown)
    }

    /// Whether the capability of this number is in it.
    pub fn contains(self, capability: u8) -> bool {
        capability <= prctl::MAX_CAPABILITY && self.0 & (1 << capability) != 0
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of its capabilities, by number; one that is newer than us is `capability N`.
    pub fn names(self) -> Vec<String> {
        self.numbers().map(name).collect()
    }

    fn numbers(self) -> impl Iterator<Item = u8> {
        (0..=prctl::MAX_CAPABILITY).filter(move |number| self.contains(*number))
    }
}

/// All five.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sets {
    /// What can ever be gained.
    pub bounding: CapSet,
    /// What is in force.
    pub effective: CapSet,
    /// What may be put in force.
    pub permitted: CapSet,
    /// What survives an execve of a file with inheritable capabilities.
    pub inheritable: CapSet,
    /// What survives an execve without file capabilities.
    pub ambient: CapSet,
}

/// What the kernel of this machine calls the highest capability, asked without a file.
pub fn last() -> u8 {
    let known = |number: &u8| prctl::bounding_read(*number).is_ok();
    (0..=prctl::MAX_CAPABILITY).take_while(known).last().unwrap_or(0)
}

/// What the calling thread has in force.
pub fn effective() -> Result<CapSet> {
    Ok(CapSet(capset::capget().call(|| "capget()")?.effective))
}

/// Drops what is not in `keep` from the bounding set, also capabilities that are newer than us. Needs `CAP_SETPCAP`.
pub fn drop_bounding(keep: CapSet) -> Result<()> {
    for capability in 0..=prctl::MAX_CAPABILITY {
        if keep.contains(capability) {
            continue;
        }
        match prctl::bounding_drop(capability) {
            Ok(()) => (),
            Err(Errno::EINVAL) => break,
            Err(Errno::EPERM) if prctl::bounding_read(capability) == Ok(false) => (),
            other => other.call(|| format!("prctl(PR_CAPBSET_DROP, {})", name(capability)))?,
        }
    }
    Ok(())
}

/// Sets the three base sets.
pub fn set(sets: &Sets) -> Result<()> {
    let base = BaseSets {
        effective: sets.effective.0,
        permitted: sets.permitted.0,
        inheritable: sets.inheritable.0,
    };
    let call =
        || format!("capset({:#x}, {:#x}, {:#x})", base.effective, base.permitted, base.inheritable);
    capset::capset(&base).call(call).map_err(|error| match refusal(sets) {
        Some(reason) if error.errno() == Some(Errno::EPERM) => error.hint(reason),
        _ => error,
    })
}

/// Why the kernel says EPERM, which it does not tell.
fn refusal(sets: &Sets) -> Option<String> {
    let own = capset::capget().ok()?;
    let missing = CapSet(sets.permitted.0 & !own.permitted);
    if !missing.is_empty() {
        return Some(format!("etui itself does not have {}", missing.names().join(", ")));
    }
    let not_permitted = CapSet(sets.effective.0 & !sets.permitted.0);
    if !not_permitted.is_empty() {
        return Some(format!("effective but not permitted: {}", not_permitted.names().join(", ")));
    }
    None
}

/// Makes the ambient set be `set`. What can't be raised, because it is not both permitted and inheritable, is warned of.
pub fn set_ambient(set: CapSet) -> Result<()> {
    prctl::ambient_clear().call(|| "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)")?;
    for capability in set.numbers() {
        match prctl::ambient_raise(capability) {
            Err(Errno::EPERM) => warning::warn(format!(
                "process.capabilities.ambient: {} is not raised: it must be permitted and inheritable",
                name(capability)
            )),
            other => other.call(|| format!("prctl(PR_CAP_AMBIENT_RAISE, {})", name(capability)))?,
        }
    }
    Ok(())
}

fn name(number: u8) -> String {
    let named = caps::all().into_iter().find(|capability| capability.index() == number);
    named.map_or_else(|| format!("capability {number}"), |capability| capability.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_become_bits_and_unknown_ones_are_told() {
        let names = strings(&["CAP_CHOWN", "CAP_NET_RAW", "CAP_FLY", "cap_kill"]);
        let (set, unknown) = CapSet::from_names(&names);
        assert_eq!(set, CapSet(1 | 1 << 13));
        assert_eq!(unknown, strings(&["CAP_FLY", "cap_kill"]));
        assert_eq!(set.names(), strings(&["CAP_CHOWN", "CAP_NET_RAW"]));
    }

    #[test]
    fn the_last_capability_is_at_least_that_of_the_oldest_kernel() {
        let newest_of_5_9 = caps::Capability::CAP_CHECKPOINT_RESTORE.index();
        assert!(last() >= newest_of_5_9);
        assert_eq!(CapSet(1 << 63).names(), strings(&["capability 63"]));
    }
}
