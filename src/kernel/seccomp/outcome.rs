//! What a profile says of each system call number.
//!
//! Where several rules speak of one call:
//!
//! - A rule whose action is the default is passed over (runc).
//! - A rule without conditions decides alone; of two, the first (libseccomp).
//! - Among rules with conditions, the strictest that matches decides, in the kernel's own order of precedence
//!   (seccomp(2): kill, trap, errno, notify, trace, log, allow); of equally strict ones, the first. libseccomp lets
//!   the shape of its tree decide, whatever their order, so a profile can't rely on more.
//!
//! Numbers that no rule names get the default action, but those above the highest that one does get ENOSYS, where
//! the default refuses: a C library tries a new call and takes another way only after ENOSYS (runc). arm's private
//! calls, far above all others, don't count as the highest.

use super::check::{Check, Width};
use super::{Action, Arch, Condition, Profile, Rule, multiplex};

/// The first of the numbers that have the same outcome; the next interval's first ends them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Interval<'p> {
    pub(super) first: u32,
    pub(super) outcome: Outcome<'p>,
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome<'p> {
    /// The action, whatever the arguments.
    Answer(Action),
    /// The first check that holds, or else the default.
    Checks { checks: Vec<Check<'p>>, width: Width },
}

/// On x86_64 numbers from here on are x32's.
const X32_BIT: u32 = 0x4000_0000;

/// ENOSYS, the same number on every architecture here.
const ENOSYS: u16 = 38;

/// Where arm's private calls begin.
const ARM_PRIVATE: u32 = 0xf_0000;

/// For each value of the kernel's `arch` field the intervals that cover all numbers; the machine's own first.
pub(super) fn sections(native: Arch, profile: &Profile) -> Vec<(u32, Vec<Interval<'_>>)> {
    let listed = |arch| profile.architectures.contains(&arch);
    let mut archs = vec![native];
    archs.extend([Arch::X86, Arch::Arm].into_iter().filter(|&arch| listed(arch)));
    archs.retain(|arch| arch.runs_on(native));
    let section = |arch: Arch| {
        let mut cover = Cover::default();
        cover.architecture(arch, 0, profile);
        if arch == Arch::X86_64 {
            if listed(Arch::X32) {
                cover.architecture(Arch::X32, X32_BIT, profile);
            } else {
                cover.refuse_x32(profile);
            }
        }
        (arch.audit_token(), cover.intervals)
    };
    archs.into_iter().map(section).collect()
}

/// Intervals in the making, in ascending order.
#[derive(Default)]
struct Cover<'p> {
    intervals: Vec<Interval<'p>>,
}

impl<'p> Cover<'p> {
    /// All numbers of an architecture, which begin at `first`.
    fn architecture(&mut self, arch: Arch, first: u32, profile: &'p Profile) {
        let mentions = mentions(arch, profile);
        let default = Outcome::Answer(profile.default_action);
        let highest = highest(arch, profile);
        self.from(first, default.clone());
        for group in mentions.chunk_by(|a, b| a.number == b.number) {
            let number = group[0].number;
            self.from(number, outcome(group, arch, profile.default_action));
            let after = match highest {
                Some(highest) if number >= highest => {
                    Outcome::Answer(beyond(profile.default_action))
                }
                _ => default.clone(),
            };
            self.from(number + 1, after);
        }
    }

    /// x32 isn't listed: its calls are of a foreign architecture. -1 is no x32 call, but what a tracer puts in the
    /// place of a call it wants skipped (libseccomp).
    fn refuse_x32(&mut self, profile: &Profile) {
        self.from(X32_BIT, Outcome::Answer(Action::KillThread));
        self.from(u32::MAX, Outcome::Answer(profile.default_action));
    }

    /// From this number on; overrules what was said of it and of those above.
    fn from(&mut self, first: u32, outcome: Outcome<'p>) {
        self.intervals.pop_if(|last| last.first == first);
        if self.intervals.last().is_none_or(|last| last.outcome != outcome) {
            self.intervals.push(Interval { first, outcome });
        }
    }
}

/// One thing a rule says of a number.
struct Mention<'p> {
    number: u32,
    /// The place of the rule in the profile.
    order: usize,
    check: Check<'p>,
}

/// All that the profile says of an architecture's calls, by number, in the profile's order.
fn mentions(arch: Arch, profile: &Profile) -> Vec<Mention<'_>> {
    let mut mentions = Vec::with_capacity(512);
    for (order, rule) in profile.rules.iter().enumerate() {
        let mut mention = |number, conditions| {
            mentions.push(Mention {
                number,
                order,
                check: Check { conditions, action: rule.action },
            });
        };
        for &syscall in &rule.syscalls {
            if let Some(number) = syscall.number(arch) {
                alternatives(&rule.conditions).for_each(|conditions| mention(number, conditions));
            }
            if arch == Arch::X86
                && let Some(detour) = multiplex::detour(syscall)
                && holds_on_a_detour(rule, profile.default_action)
            {
                mention(detour.number, &detour.condition);
            }
        }
    }
    mentions.sort_unstable_by_key(|mention| (mention.number, mention.order));
    mentions
}

/// Two conditions on the same argument make each condition an alternative.
fn alternatives(conditions: &[Condition]) -> impl Iterator<Item = &[Condition]> {
    let repeats = |(i, condition): (usize, &Condition)| {
        conditions[..i].iter().any(|earlier| earlier.argument == condition.argument)
    };
    let length = if conditions.iter().enumerate().any(repeats) { 1 } else { conditions.len() };
    let unconditional = conditions.is_empty().then_some(conditions);
    unconditional.into_iter().chain(conditions.chunks(length.max(1)))
}

/// The arguments of a call made on a detour lie in memory, where a filter can't look. So a rule with conditions holds
/// there whatever they are, but only when it is stricter than the default: nothing gets through unchecked.
fn holds_on_a_detour(rule: &Rule, default: Action) -> bool {
    rule.conditions.is_empty() || rule.action.laxity() < default.laxity()
}

/// What all mentions of one number come to.
fn outcome<'p>(mentions: &[Mention<'p>], arch: Arch, default: Action) -> Outcome<'p> {
    let checks = || mentions.iter().map(|mention| mention.check).filter(|c| c.action != default);
    if let Some(unconditional) = checks().find(|check| check.conditions.is_empty()) {
        return Outcome::Answer(unconditional.action);
    }
    let mut checks: Vec<_> = checks().collect();
    if checks.is_empty() {
        return Outcome::Answer(default);
    }
    // A stable sort: the first of equally strict ones stays first.
    checks.sort_by_key(|check| check.action.laxity());
    let width = if arch.is_wide() { Width::Whole } else { Width::Half };
    Outcome::Checks { checks, width }
}

/// The highest number the profile names, whatever the action.
fn highest(arch: Arch, profile: &Profile) -> Option<u32> {
    let syscalls = profile.rules.iter().flat_map(|rule| &rule.syscalls);
    let numbers = syscalls.filter_map(|syscall| syscall.number(arch));
    numbers.filter(|&number| arch != Arch::Arm || number < ARM_PRIVATE).max()
}

/// The answer to calls newer than the profile.
fn beyond(default: Action) -> Action {
    match default {
        Action::KillProcess | Action::KillThread | Action::Trap | Action::Errno(_) => {
            Action::Errno(ENOSYS)
        }
        Action::Notify | Action::Trace(_) | Action::Log | Action::Allow => default,
    }
}
