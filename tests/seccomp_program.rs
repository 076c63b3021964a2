//! The compiled program against a plain reading of the profile, over all numbers and the arguments where an answer
//! may change; and against seccompiler's own programs where those can say the same.
//!
//! Each of these changes to the compiler was tried, and made tests here fail:
//!
//! MUTATIONS
#![allow(clippy::needless_pass_by_value, reason = "proptest hands values over")]

mod seccomp_support;

use std::collections::HashSet;

use etui::kernel::seccomp::{
    Action, Arch, Argument, Condition, Filter, Flags, Operator, Profile, Rule, Syscall, compile_for,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use seccomp_support::{ARCHS, Call, Reading, check_form, run};

/// Names that meet often enough to contradict each other: low and high numbers, ones of few architectures, those
/// with a detour on x86, arm's private ones.
const NAMES: [&str; 28] = [
    "read",
    "write",
    "open",
    "personality",
    "clone",
    "clone3",
    "socket",
    "connect",
    "accept",
    "send",
    "semop",
    "shmget",
    "socketcall",
    "ipc",
    "mmap2",
    "old_mmap",
    "clock_gettime64",
    "file_setattr",
    "openat2",
    "execveat",
    "rt_sigaction",
    "set_tls",
    "cacheflush",
    "restart_syscall",
    "statx",
    "vfork",
    "readv",
    "close_range",
];

/// Values at whose edges 32-bit halves go wrong.
const VALUES: [u64; 12] = [
    0,
    1,
    5,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    0x1_0000_0005,
    0x5_0000_0001,
    0xffff_ffff_0000_0000,
    0xffff_ffff_ffff_fffe,
    u64::MAX,
];

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Allow),
        Just(Action::Log),
        Just(Action::Notify),
        Just(Action::Trap),
        Just(Action::KillThread),
        Just(Action::KillProcess),
        (1..4_u16).prop_map(Action::Errno),
        (1..3_u16).prop_map(Action::Trace),
    ]
}

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![8 => select(&VALUES[..]), 1 => any::<u64>()]
}

fn condition() -> impl Strategy<Value = Condition> {
    let operator = prop_oneof![
        1 => Just(Operator::NotEqual),
        1 => Just(Operator::Less),
        1 => Just(Operator::LessOrEqual),
        3 => Just(Operator::Equal),
        1 => Just(Operator::GreaterOrEqual),
        1 => Just(Operator::Greater),
        3 => value().prop_map(|mask| Operator::MaskedEqual { mask }),
    ];
    (0..6_u32, operator, value()).prop_map(|(argument, operator, value)| Condition {
        argument: Argument::new(argument).unwrap(),
        operator,
        value,
    })
}

fn syscall() -> impl Strategy<Value = Syscall> {
    let all: Vec<_> = Syscall::all().collect();
    let known = NAMES.iter().filter_map(|name| Syscall::named(name)).collect::<Vec<_>>();
    prop_oneof![3 => select(known), 1 => select(all)]
}

fn rule() -> impl Strategy<Value = Rule> {
    let conditions = prop_oneof![1 => vec(condition(), 0..1), 2 => vec(condition(), 1..4)];
    (vec(syscall(), 1..6), action(), conditions).prop_map(|(syscalls, action, conditions)| Rule {
        syscalls,
        action,
        conditions,
    })
}

fn profile() -> impl Strategy<Value = Profile> {
    (action(), subsequence(&ARCHS[..], 0..=5), vec(rule(), 0..40)).prop_map(
        |(default_action, architectures, rules)| Profile {
            default_action,
            architectures,
            rules,
            flags: Flags::NONE,
            listener: None,
        },
    )
}

/// Every number a kernel could mean, and the edges of what it can't.
fn numbers() -> impl Iterator<Item = u32> {
    let edges =
        [0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000, u32::MAX - 1, u32::MAX];
    let private = 0xe_ffff..0xf_0008;
    (0..1024).chain(private).chain(0x4000_0000..0x4000_0400).chain(edges)
}

/// For each argument the values at which a condition on it may change its mind.
fn interesting(profile: &Profile) -> [Vec<u64>; 6] {
    let mut values: [Vec<u64>; 6] = std::array::from_fn(|_| vec![0, u64::MAX]);
    for condition in profile.rules.iter().flat_map(|rule| &rule.conditions) {
        let mask = match condition.operator {
            Operator::MaskedEqual { mask } => mask,
            _ => u64::MAX,
        };
        let value = condition.value;
        values[condition.argument.index()].extend([
            value,
            value.wrapping_add(1),
            value.wrapping_sub(1),
            value ^ 0x1_0000_0000,
            value & 0xffff_ffff,
            value & mask,
            value & mask | !mask,
            value ^ (mask & mask.wrapping_neg()),
        ]);
    }
    values
}

/// Arguments that mix the interesting values, by a fixed stride so that a failure repeats itself.
fn arguments(values: &[Vec<u64>; 6], turn: usize) -> [u64; 6] {
    std::array::from_fn(|i| values[i][(turn * (2 * i + 1) + turn / 3 + i) % values[i].len()])
}

/// An architecture without 64-bit registers can't make a call with high halves.
fn narrowed(arch: Arch, args: [u64; 6]) -> [u64; 6] {
    match arch {
        Arch::X86 | Arch::Arm => args.map(|arg| arg & 0xffff_ffff),
        _ => args,
    }
}

fn hold_against_reading(profile: &Profile, native: Arch) -> Result<(), TestCaseError> {
    let Filter { program, .. } = compile_for(native, profile).unwrap();
    check_form(&program);
    let reading = Reading::new(profile, native);
    let values = interesting(profile);
    let conditional = profile
        .rules
        .iter()
        .filter(|rule| !rule.conditions.is_empty())
        .flat_map(|rule| &rule.syscalls)
        .flat_map(|syscall| ARCHS.map(|arch| syscall.number(arch)))
        .flatten()
        .chain([102, 117])
        .collect::<HashSet<u32>>();
    let tokens = [Arch::X86_64, Arch::X86, Arch::Aarch64, Arch::Arm];
    for (arch, number) in tokens.into_iter().flat_map(|arch| numbers().map(move |n| (arch, n))) {
        let turns = if conditional.contains(&number) { 40 } else { 1 };
        for turn in 0..turns {
            let mut args = arguments(&values, turn);
            if arch == Arch::X86 && (number == 102 || number == 117) && turn % 4 > 0 {
                args[0] = u64::try_from(turn).unwrap() | if turn > 30 { 0x1_0000 } else { 0 };
            }
            let call = Call { arch, number, args: narrowed(arch, args) };
            prop_assert_eq!(run(&program, &call), reading.answer(&call).code(), "{:?}", call);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn program_says_what_the_profile_says_on_x86_64(profile in profile()) {
        hold_against_reading(&profile, Arch::X86_64)?;
    }

    #[test]
    fn program_says_what_the_profile_says_on_aarch64(profile in profile()) {
        hold_against_reading(&profile, Arch::Aarch64)?;
    }
}
