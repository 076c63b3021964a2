//! The compiled program against a plain reading of the profile, over all numbers and the arguments where an answer
//! may change; and against seccompiler's own programs where those can say the same.
//!
//! Each of these changes to the compiler was tried, and made tests here fail:
//!
//! - tree: GREATER in place of GREATER-OR-EQUAL; EQUAL for an interval of more than one number;
//! - assembler: jumps of 256; no jump where a load does not fall through; low and high half exchanged;
//! - checks: high half ignored, or compared where arguments have 32 bits; "not greater" taken for "equal" in the high
//!   half; bits outside the mask compared; LESS as LESS-OR-EQUAL; one load shared by checks of different high halves,
//!   arguments or actions;
//! - contradictions: no order or the laxest first; the last unconditional rule; rules equal to the default kept;
//!   conditions on one argument all required;
//! - newer calls: ENOSYS one too late, under a TRACE default, counted from arm's private calls;
//! - architectures: own one only when listed, x32 always, -1 killed, a foreign one allowed or its whole process killed;
//! - detours on x86: open to a laxer rule with conditions, forgotten for a stricter one, ipc's version compared;
//! - neighbours not merged, listener flag forgotten, errno cut.
#![allow(clippy::needless_pass_by_value, reason = "proptest hands values over")]

mod seccomp_support;

use std::collections::{BTreeMap, HashSet};

use etui::kernel::seccomp::{
    Action, Arch, Argument, Condition, Filter, Flags, Operator, Profile, Rule, Syscall, compile_for,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use seccomp_support::{ARCHS, Call, Reading, check_form, run};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

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
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn program_says_what_the_profile_says_on_x86_64(profile in profile()) {
        hold_against_reading(&profile, Arch::X86_64)?;
    }

    #[test]
    fn program_says_what_the_profile_says_on_aarch64(profile in profile()) {
        hold_against_reading(&profile, Arch::Aarch64)?;
    }
}

/// Rules of one action that seccompiler can say too: an argument at most once in each.
fn rules_for_seccompiler() -> impl Strategy<Value = Vec<Rule>> {
    let conditions = vec(condition(), 1..4).prop_map(|mut conditions| {
        conditions.sort_by_key(|condition| condition.argument);
        conditions.dedup_by_key(|condition| condition.argument);
        conditions
    });
    let conditions = prop_oneof![1 => Just(vec![]), 3 => conditions];
    let rule = (vec(syscall(), 1..4), conditions).prop_map(|(syscalls, conditions)| Rule {
        syscalls,
        action: Action::Errno(7),
        conditions,
    });
    vec(rule, 1..20)
}

fn by_seccompiler(rules: &[Rule], arch: Arch, target: TargetArch) -> BpfProgram {
    let mut chains: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut unconditional = vec![];
    for rule in rules {
        for number in rule.syscalls.iter().filter_map(|syscall| syscall.number(arch)) {
            let chain = chains.entry(i64::from(number)).or_default();
            if rule.conditions.is_empty() {
                unconditional.push(i64::from(number));
            } else {
                let conditions = rule.conditions.iter().map(theirs).collect();
                chain.push(SeccompRule::new(conditions).unwrap());
            }
        }
    }
    // Its word for "whatever the arguments" is an empty chain.
    unconditional.into_iter().for_each(|number| drop(chains.insert(number, vec![])));
    let (other, matching) = (SeccompAction::Allow, SeccompAction::Errno(7));
    let filter = SeccompFilter::new(chains, other, matching, target).unwrap();
    filter.try_into().unwrap()
}

fn theirs(condition: &Condition) -> SeccompCondition {
    let operator = match condition.operator {
        Operator::NotEqual => SeccompCmpOp::Ne,
        Operator::Less => SeccompCmpOp::Lt,
        Operator::LessOrEqual => SeccompCmpOp::Le,
        Operator::Equal => SeccompCmpOp::Eq,
        Operator::GreaterOrEqual => SeccompCmpOp::Ge,
        Operator::Greater => SeccompCmpOp::Gt,
        Operator::MaskedEqual { mask } => SeccompCmpOp::MaskedEq(mask),
    };
    let index = u8::try_from(condition.argument.index()).unwrap();
    SeccompCondition::new(index, SeccompCmpArgLen::Qword, operator, condition.value).unwrap()
}

fn hold_against_seccompiler(
    rules: Vec<Rule>,
    arch: Arch,
    target: TargetArch,
) -> Result<(), TestCaseError> {
    let theirs = by_seccompiler(&rules, arch, target);
    let profile = Profile { default_action: Action::Allow, rules, ..permissive() };
    let ours = compile_for(arch, &profile).unwrap().program;
    let values = interesting(&profile);
    for number in 0..600 {
        for turn in 0..20 {
            let call = Call { arch, number, args: arguments(&values, turn) };
            prop_assert_eq!(run(&ours, &call), run(&theirs, &call), "{:?}", call);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_seccompiler_on_x86_64(rules in rules_for_seccompiler()) {
        hold_against_seccompiler(rules, Arch::X86_64, TargetArch::x86_64)?;
    }

    #[test]
    fn agrees_with_seccompiler_on_aarch64(rules in rules_for_seccompiler()) {
        hold_against_seccompiler(rules, Arch::Aarch64, TargetArch::aarch64)?;
    }

    #[test]
    fn stored_form_comes_back_unchanged(profile in profile()) {
        let filter = compile_for(Arch::X86_64, &profile).unwrap();
        prop_assert_eq!(Filter::from_bytes(&filter.to_bytes()).unwrap(), filter);
    }

    #[test]
    fn reading_a_damaged_form_never_panics(bytes in vec(any::<u8>(), 0..64)) {
        let mut stored = b"etuiBPF1".to_vec();
        stored.extend(&bytes);
        prop_assert!(Filter::from_bytes(&bytes).is_err());
        if let Ok(filter) = Filter::from_bytes(&stored) {
            prop_assert_eq!(filter.to_bytes(), stored);
        }
    }
}

fn permissive() -> Profile {
    Profile {
        default_action: Action::Allow,
        architectures: vec![],
        rules: vec![],
        flags: Flags::NONE,
        listener: None,
    }
}

fn named(name: &str) -> Syscall {
    Syscall::named(name).unwrap()
}

/// The numbers of x86 that the profile names beyond those of its calls are the detours'.
#[test]
fn a_call_known_only_by_its_detour_is_known() {
    let rule = Rule {
        syscalls: vec![named("restart_syscall"), named("accept")],
        action: Action::Allow,
        conditions: Vec::new(),
    };
    let profile = Profile {
        default_action: Action::Trap,
        architectures: vec![Arch::X86],
        rules: vec![rule],
        ..permissive()
    };
    hold_against_reading(&profile, Arch::X86_64).unwrap();
}

#[test]
fn refuses_stored_forms_that_are_none() {
    let filter = compile_for(Arch::X86_64, &permissive()).unwrap();
    let bytes = filter.to_bytes();
    let refusal = |bytes: &[u8]| Filter::from_bytes(bytes).unwrap_err().to_string();
    let cut = &bytes[..bytes.len() - 1];
    assert_eq!(refusal(cut), "stored seccomp filter: cut off");
    assert_eq!(refusal(&bytes[..10]), "stored seccomp filter: cut off");
    assert_eq!(refusal(&bytes[..12]), "stored seccomp filter: 0 instructions");
    assert_eq!(refusal(b"etuiBPF2"), "stored seccomp filter: not one, or another version's");
    let mut flags = bytes.clone();
    flags[8] = 1;
    assert_eq!(refusal(&flags), "stored seccomp filter: unknown flags");
    let mut long = bytes.clone();
    long.extend(vec![0; 8 * 4096]);
    let count = filter.program.len() + 4096;
    assert_eq!(refusal(&long), format!("stored seccomp filter: {count} instructions"));
}

#[test]
fn refuses_a_program_longer_than_the_kernel_takes() {
    let argument = Argument::new(0).unwrap();
    let rule = |value| Rule {
        syscalls: vec![named("read")],
        action: Action::Errno(7),
        conditions: vec![Condition {
            argument,
            operator: Operator::NotEqual,
            value: (value << 32) | value,
        }],
    };
    let profile = Profile { rules: (0..1100_u64).map(rule).collect(), ..permissive() };
    let error = compile_for(Arch::X86_64, &profile).unwrap_err();
    assert_eq!(error.kind(), etui::error::Kind::Refused);
    let text = error.to_string();
    assert!(text.ends_with("instructions, the kernel accepts 4096"), "{text}");
}

#[test]
fn asks_for_a_listener_exactly_when_a_rule_notifies() {
    let mut profile = Profile { flags: Flags::WAIT_KILLABLE_RECV | Flags::LOG, ..permissive() };
    assert_eq!(compile_for(Arch::X86_64, &profile).unwrap().flags, Flags::LOG);
    let syscalls = vec![named("mount")];
    profile.rules.push(Rule { syscalls, action: Action::Notify, conditions: vec![] });
    let flags = compile_for(Arch::X86_64, &profile).unwrap().flags;
    assert_eq!(flags, Flags::WAIT_KILLABLE_RECV | Flags::LOG | Flags::NEW_LISTENER);
}

/// Docker's profile for three architectures: libseccomp's tree takes 1237 instructions, its list 991.
#[test]
fn docker_profile_stays_short() {
    let text = include_str!("fixtures/docker-seccomp.json");
    let seccomp: etui::spec::seccomp::Seccomp = serde_json::from_str(text).unwrap();
    let profile = etui::plan::seccomp::profile(&seccomp).unwrap().unwrap();
    let program = compile_for(Arch::X86_64, &profile).unwrap().program;
    assert!(program.len() <= 320, "{} instructions", program.len());
    hold_against_reading(&profile, Arch::X86_64).unwrap();
    hold_against_reading(&profile, Arch::Aarch64).unwrap();
}
