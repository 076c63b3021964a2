//! What the tests of the filter share: a machine that runs classic BPF, and a plain reading of a profile to hold its
//! answers against. The reading shares no code with the compiler but the table of numbers.

#![allow(dead_code, reason = "each test binary uses its own part")]

use etui::kernel::seccomp::{Action, Arch, Condition, Operator, Profile, Rule, Syscall};
use seccompiler::sock_filter;

/// A call as the kernel shows it to a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    pub arch: Arch,
    pub number: u32,
    pub args: [u64; 6],
}

/// Runs the program over a call. Panics on what the kernel's checker would refuse, and on an instruction for which
/// the kernel would not remember a constant answer (seccomp_is_const_allow).
pub fn run(program: &[sock_filter], call: &Call) -> u32 {
    let mut data = Vec::with_capacity(64);
    data.extend(call.number.to_ne_bytes());
    data.extend(call.arch.audit_token().to_ne_bytes());
    data.extend(0_u64.to_ne_bytes());
    call.args.iter().for_each(|arg| data.extend(arg.to_ne_bytes()));
    let word = |at: u32| {
        let at = usize::try_from(at).unwrap();
        u32::from_ne_bytes(data[at..at + 4].try_into().unwrap())
    };
    let (mut accumulator, mut at) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at].clone();
        at += 1;
        let mut jump_if = |holds| at += usize::from(if holds { jt } else { jf });
        match code {
            0x20 => accumulator = word(k),
            0x54 => accumulator &= k,
            0x05 => at += usize::try_from(k).unwrap(),
            0x15 => jump_if(accumulator == k),
            0x25 => jump_if(accumulator > k),
            0x35 => jump_if(accumulator >= k),
            0x06 => return k,
            other => panic!("instruction {other:#x} at {}", at - 1),
        }
    }
}

/// What the kernel's checker asks of jumps and ends: all inside, the last instruction an answer.
pub fn check_form(program: &[sock_filter]) {
    assert!(program.len() <= 4096);
    assert_eq!(program.last().unwrap().code, 0x06);
    for (at, instruction) in program.iter().enumerate() {
        let furthest = match instruction.code {
            0x05 => usize::try_from(instruction.k).unwrap(),
            0x15 | 0x25 | 0x35 => usize::from(instruction.jt.max(instruction.jf)),
            _ => 0,
        };
        assert!(at + furthest < program.len(), "the jump at {at} leaves the program");
    }
}

/// What the profile says of a call, read off it directly.
pub fn expected(profile: &Profile, native: Arch, call: &Call) -> Action {
    let x32 = call.arch == Arch::X86_64 && call.number & 0x4000_0000 != 0;
    let beyond_x32 = call.arch == Arch::X86_64 && call.number >= 0x8000_0000;
    let arch = if x32 || beyond_x32 { Arch::X32 } else { call.arch };
    if arch != native && !profile.architectures.contains(&arch) {
        let skipped = arch == Arch::X32 && native == Arch::X86_64 && call.number == u32::MAX;
        return if skipped { profile.default_action } else { Action::KillThread };
    }
    let rules = || profile.rules.iter().filter(|rule| rule.action != profile.default_action);
    let named = |rule: &&Rule| names(rule, arch, call.number);
    if let Some(rule) = rules().filter(named).find(|rule| rule.conditions.is_empty()) {
        return rule.action;
    }
    let detours = || rules().filter(|rule| takes_detour(rule, arch, call, profile.default_action));
    let direct = rules().filter(named).filter(|rule| applies(rule, arch, call));
    // In the order of the profile, the first of the strictest.
    let mut matching: Vec<&Rule> = direct.chain(detours()).collect();
    matching.sort_by_key(|rule| profile.rules.iter().position(|other| std::ptr::eq(*rule, other)));
    let strictest = matching.iter().map(|rule| rule.action.laxity()).min();
    if let Some(rule) = matching.iter().find(|rule| Some(rule.action.laxity()) == strictest) {
        return rule.action;
    }
    let named_at_all = profile.rules.iter().any(|rule| names(rule, arch, call.number));
    if !named_at_all && is_newer(profile, arch, call.number) {
        return match profile.default_action {
            Action::Allow | Action::Log | Action::Trace(_) | Action::Notify => {
                profile.default_action
            }
            _ => Action::Errno(38),
        };
    }
    profile.default_action
}

fn names(rule: &Rule, arch: Arch, number: u32) -> bool {
    rule.syscalls.iter().any(|syscall| syscall.number(arch) == Some(number))
}

/// Above every ordinary number that a rule names.
fn is_newer(profile: &Profile, arch: Arch, number: u32) -> bool {
    let syscalls = profile.rules.iter().flat_map(|rule| &rule.syscalls);
    let numbers = syscalls.filter_map(|syscall| syscall.number(arch));
    let ordinary = numbers.filter(|&number| arch != Arch::Arm || number < 0xf_0000);
    ordinary.max().is_some_and(|highest| number > highest)
}

fn applies(rule: &Rule, arch: Arch, call: &Call) -> bool {
    let holds = |condition: &Condition| holds(condition, arch, call);
    let arguments: Vec<_> = rule.conditions.iter().map(|c| c.argument.index()).collect();
    let mut distinct = arguments.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.len() < arguments.len() {
        rule.conditions.iter().any(holds)
    } else {
        rule.conditions.iter().all(holds)
    }
}

fn holds(condition: &Condition, arch: Arch, call: &Call) -> bool {
    let bits = match arch {
        Arch::X86_64 | Arch::Aarch64 => u64::MAX,
        Arch::X86 | Arch::X32 | Arch::Arm => 0xffff_ffff,
    };
    let argument = call.args[condition.argument.index()] & bits;
    let value = condition.value & bits;
    match condition.operator {
        Operator::NotEqual => argument != value,
        Operator::Less => argument < value,
        Operator::LessOrEqual => argument <= value,
        Operator::Equal => argument == value,
        Operator::GreaterOrEqual => argument >= value,
        Operator::Greater => argument > value,
        Operator::MaskedEqual { mask } => argument & mask & bits == value & mask,
    }
}

const SOCKET_CALLS: &str = "socket bind connect listen accept getsockname getpeername socketpair send recv sendto \
    recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg";
const IPC_CALLS: &str = "semop semget semctl semtimedop - - - - - - msgsnd msgrcv msgget msgctl - - - - - - shmat \
    shmdt shmget shmctl";

/// The number on x86 and the first argument by which a call may be made otherwise.
fn detour(syscall: Syscall) -> Option<(u32, u64)> {
    let place = |calls: &'static str| {
        let mut calls = calls.split_whitespace().zip(1..);
        calls.find(|(name, _)| *name == syscall.name()).map(|(_, call)| call)
    };
    let socket = place(SOCKET_CALLS).map(|call| (102, call));
    socket.or_else(|| place(IPC_CALLS).map(|call| (117, call)))
}

fn takes_detour(rule: &Rule, arch: Arch, call: &Call, default: Action) -> bool {
    let bits = if call.number == 117 { 0xffff } else { 0xffff_ffff };
    let made = (call.number, call.args[0] & bits);
    arch == Arch::X86
        && (rule.conditions.is_empty() || rule.action.laxity() < default.laxity())
        && rule.syscalls.iter().any(|syscall| detour(*syscall) == Some(made))
}
