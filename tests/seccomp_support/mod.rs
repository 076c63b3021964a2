//! What the tests of the filter share: a machine that runs classic BPF, and a plain reading of a profile to hold its
//! answers against. The reading shares no code with the compiler but the table of numbers.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::HashMap;

use etui::kernel::seccomp::{Action, Arch, Condition, Operator, Profile, Rule, Syscall};
use seccompiler::sock_filter;

pub const ARCHS: [Arch; 5] = [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm];

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

/// What a profile says of calls, read off it directly.
pub struct Reading<'p> {
    profile: &'p Profile,
    native: Arch,
    /// The rules that name a number, in the order of the profile.
    rules: HashMap<(Arch, u32), Vec<&'p Rule>>,
    /// The highest ordinary number that a rule names.
    highest: HashMap<Arch, u32>,
}

impl<'p> Reading<'p> {
    /// As a machine of architecture `native` should take it.
    pub fn new(profile: &'p Profile, native: Arch) -> Self {
        let (mut rules, mut highest) = (HashMap::new(), HashMap::new());
        for arch in ARCHS {
            for rule in &profile.rules {
                for number in rule.syscalls.iter().filter_map(|syscall| syscall.number(arch)) {
                    rules.entry((arch, number)).or_insert_with(Vec::new).push(rule);
                    if arch != Arch::Arm || number < 0xf_0000 {
                        let highest = highest.entry(arch).or_insert(number);
                        *highest = number.max(*highest);
                    }
                }
            }
        }
        Self { profile, native, rules, highest }
    }

    /// What becomes of a call.
    pub fn answer(&self, call: &Call) -> Action {
        let is_x32 = call.arch == Arch::X86_64 && call.number >= 0x4000_0000;
        let arch = if is_x32 { Arch::X32 } else { call.arch };
        if !self.is_listed(arch) {
            let skipped = is_x32 && self.native == Arch::X86_64 && call.number == u32::MAX;
            return if skipped { self.profile.default_action } else { Action::KillThread };
        }
        if let Some(action) = self.by_rule(arch, call) {
            return action;
        }
        let default = self.profile.default_action;
        let offers = |rule: &Rule| offers_detour(rule, call.number, default);
        let is_named = self.rules.contains_key(&(arch, call.number))
            || arch == Arch::X86 && self.profile.rules.iter().any(offers);
        let is_newer = self.highest.get(&arch).is_some_and(|&highest| call.number > highest);
        match self.profile.default_action {
            Action::KillProcess | Action::KillThread | Action::Trap | Action::Errno(_)
                if is_newer && !is_named =>
            {
                Action::Errno(38)
            }
            default => default,
        }
    }

    /// The other family's architectures are foreign to this machine, listed or not.
    fn is_listed(&self, arch: Arch) -> bool {
        let is_arm = |arch| matches!(arch, Arch::Aarch64 | Arch::Arm);
        let listed =
            self.profile.architectures.contains(&arch) && is_arm(arch) == is_arm(self.native);
        arch == self.native || listed
    }

    fn by_rule(&self, arch: Arch, call: &Call) -> Option<Action> {
        let default = self.profile.default_action;
        let named = self.rules.get(&(arch, call.number)).into_iter().flatten().copied();
        let named: Vec<_> = named.filter(|rule| rule.action != default).collect();
        if let Some(rule) = named.iter().find(|rule| rule.conditions.is_empty()) {
            return Some(rule.action);
        }
        let is_detour = arch == Arch::X86 && (call.number == 102 || call.number == 117);
        let of_all = self.profile.rules.iter().filter(|rule| is_detour && rule.action != default);
        let detours = of_all.filter(|rule| takes_detour(rule, call, default));
        let matching = named.into_iter().filter(|rule| applies(rule, arch, call)).chain(detours);
        let place = |rule: &Rule| self.profile.rules.iter().position(|one| std::ptr::eq(rule, one));
        let first_of_strictest = matching.min_by_key(|rule| (rule.action.laxity(), place(rule)));
        first_of_strictest.map(|rule| rule.action)
    }
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

/// Whether the rule speaks of calls that are made by this number and an argument, too.
fn offers_detour(rule: &Rule, number: u32, default: Action) -> bool {
    let by_it = |syscall: &Syscall| detour(*syscall).is_some_and(|(other, _)| other == number);
    (rule.conditions.is_empty() || rule.action.laxity() < default.laxity())
        && rule.syscalls.iter().any(by_it)
}

fn takes_detour(rule: &Rule, call: &Call, default: Action) -> bool {
    let bits = if call.number == 117 { 0xffff } else { 0xffff_ffff };
    let made = (call.number, call.args[0] & bits);
    offers_detour(rule, call.number, default)
        && rule.syscalls.iter().any(|syscall| detour(*syscall) == Some(made))
}
