//! Filters in the kernel: loaded by a thread (a filter holds for the thread that loads it) or, where it kills, by a
//! forked child; then real calls. Needs root, or else sets no_new_privs itself.

use std::arch::asm;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc;
use std::thread;

use etui::kernel::seccomp::{
    Action, Arch, Argument, Condition, Filter, Flags, Operator, Profile, Rule, Syscall, compile,
    supports,
};
use nix::libc::{self, c_long};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// A call that takes no arguments, so that any may be passed.
const HARMLESS: (&str, c_long) = ("getppid", libc::SYS_getppid);

fn profile(default_action: Action, rules: Vec<Rule>) -> Profile {
    let architectures = vec![];
    Profile { default_action, architectures, rules, flags: Flags::NONE, listener: None }
}

fn rule(names: &[&str], action: Action, conditions: Vec<Condition>) -> Rule {
    let syscalls = names.iter().filter_map(|name| Syscall::named(name)).collect();
    Rule { syscalls, action, conditions }
}

fn load(filter: &Filter) -> Option<OwnedFd> {
    // SAFETY: sets a bit of this thread.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    filter.load().unwrap()
}

/// What the call answers: a number from 0, or the errno below 0.
fn call(number: c_long, args: [u64; 6]) -> c_long {
    let [a, b, c, d, e, f] = args;
    // SAFETY: the tests make calls that touch no memory.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    match io::Error::last_os_error().raw_os_error() {
        Some(errno) if answer == -1 => -c_long::from(errno),
        _ => answer,
    }
}

/// How a child ends that loads the filter, makes its calls and then leaves with their answer as its exit code.
fn child(filter: &Filter, calls: impl Fn() -> c_long) -> WaitStatus {
    // SAFETY: the child makes system calls only: nothing it does takes a lock that another thread may hold.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => waitpid(child, None).unwrap(),
        ForkResult::Child => {
            load(filter);
            let code = libc::c_int::try_from(calls()).unwrap_or(255);
            // SAFETY: ends the child without running what belongs to the parent.
            unsafe { libc::_exit(code) }
        }
    }
}

fn exited(status: WaitStatus) -> i32 {
    match status {
        WaitStatus::Exited(_, code) => code,
        other => panic!("{other:?}"),
    }
}

fn killed(status: WaitStatus) -> Signal {
    match status {
        WaitStatus::Signaled(_, signal, _) => signal,
        other => panic!("{other:?}"),
    }
}

/// In a thread of its own: what the harmless call answers to each of the arguments under the profile.
fn answers(profile: &Profile, arguments: &[u64]) -> Vec<c_long> {
    let filter = compile(profile).unwrap();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            load(&filter);
            arguments.iter().map(|&a| call(HARMLESS.1, [a, 0, 0, 0, 0, a])).collect()
        });
        thread.join().unwrap()
    })
}

type Holds = fn(u64, u64) -> bool;

#[test]
fn operators_compare_all_64_bits() {
    let values = [0, 5, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0005, 0x8000_0000_0000_0000, u64::MAX];
    let arguments: Vec<u64> = values
        .iter()
        .flat_map(|&value| [value, value.wrapping_add(1), value.wrapping_sub(1), value << 1])
        .collect();
    for value in values {
        let operators: [(Operator, Holds); 7] = [
            (Operator::NotEqual, |a, b| a != b),
            (Operator::Less, |a, b| a < b),
            (Operator::LessOrEqual, |a, b| a <= b),
            (Operator::Equal, |a, b| a == b),
            (Operator::GreaterOrEqual, |a, b| a >= b),
            (Operator::Greater, |a, b| a > b),
            (Operator::MaskedEqual { mask: 0x1_0000_0004 }, |a, b| {
                a & 0x1_0000_0004 == b & 0x1_0000_0004
            }),
        ];
        for (operator, holds) in operators {
            let argument = Argument::new(5).unwrap();
            let conditions = vec![Condition { argument, operator, value }];
            let rule = rule(&[HARMLESS.0], Action::Errno(99), conditions);
            let answers = answers(&profile(Action::Allow, vec![rule]), &arguments);
            for (argument, answer) in arguments.iter().zip(answers) {
                let held = answer == -99;
                assert_eq!(held, holds(*argument, value), "{argument:#x} {operator:?} {value:#x}");
            }
        }
    }
}

#[test]
fn errno_trace_and_log_answer_as_they_should() {
    let answer = |action| {
        let rules = vec![rule(&[HARMLESS.0], action, vec![])];
        answers(&profile(Action::Allow, rules), &[0])[0]
    };
    assert_eq!(answer(Action::Errno(1)), -c_long::from(libc::EPERM));
    assert_eq!(answer(Action::Errno(4095)), -4095);
    // Without a tracer the call isn't made.
    assert_eq!(answer(Action::Trace(1)), -c_long::from(libc::ENOSYS));
    assert_eq!(answer(Action::Log), c_long::from(std::os::unix::process::parent_id()));
}

#[test]
fn kill_and_trap_end_with_sigsys() {
    for action in [Action::KillProcess, Action::KillThread, Action::Trap] {
        let rules = vec![rule(&[HARMLESS.0], action, vec![])];
        let filter = compile(&profile(Action::Allow, rules)).unwrap();
        assert_eq!(
            killed(child(&filter, || call(HARMLESS.1, [0; 6]))),
            Signal::SIGSYS,
            "{action:?}"
        );
    }
}

#[test]
fn default_refuses_and_newer_calls_do_not_exist() {
    let rules = vec![rule(&["exit_group", "execveat"], Action::Allow, vec![])];
    let mut profile = profile(Action::Errno(33), rules);
    let newer = Syscall::named("listmount").unwrap().number(Arch::NATIVE).unwrap();
    let both = || match (call(HARMLESS.1, [0; 6]), call(c_long::from(newer), [0; 6])) {
        (-33, newer) => -newer,
        (other, _) => -other + 100,
    };
    let status = child(&compile(&profile).unwrap(), both);
    assert_eq!(exited(status), libc::ENOSYS);
    profile.rules.push(rule(&["listmount"], Action::Errno(77), vec![]));
    assert_eq!(exited(child(&compile(&profile).unwrap(), both)), 77);
}

/// Makes a call as a 32-bit program would.
#[cfg(target_arch = "x86_64")]
fn call_x86(number: u32, argument: u32) -> i32 {
    let answer: i32;
    // SAFETY: rbx, which LLVM keeps for itself, is put back; the calls made so touch no memory.
    unsafe {
        asm!(
            "xchg {argument:r}, rbx",
            "int 0x80",
            "xchg {argument:r}, rbx",
            argument = inout(reg) u64::from(argument) => _,
            inlateout("eax") number.cast_signed() => answer,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    answer
}

/// Whether this kernel has the 32-bit entry at all.
#[cfg(target_arch = "x86_64")]
fn runs_x86() -> bool {
    let mut open = profile(Action::Allow, vec![]);
    open.architectures = vec![Arch::X86];
    let status = child(&compile(&open).unwrap(), || c_long::from(call_x86(20, 0)).min(1));
    matches!(status, WaitStatus::Exited(_, 1))
}

/// 20 is getpid to x86 and writev to x86_64.
#[cfg(target_arch = "x86_64")]
#[test]
fn x86_calls_are_judged_by_x86_rules() {
    if !runs_x86() {
        return;
    }
    let getpid = || c_long::from(call_x86(20, 0)).abs().min(2);
    let mut profile = profile(Action::Allow, vec![rule(&["getpid"], Action::Errno(1), vec![])]);
    assert_eq!(killed(child(&compile(&profile).unwrap(), getpid)), Signal::SIGSYS);
    profile.architectures = vec![Arch::X86];
    assert_eq!(exited(child(&compile(&profile).unwrap(), getpid)), 1);
}

/// On x86 socket(2) is also the first call of socketcall.
#[cfg(target_arch = "x86_64")]
#[test]
fn x86_detours_are_closed_too() {
    if !runs_x86() {
        return;
    }
    let mut profile = profile(Action::Allow, vec![rule(&["socket"], Action::Errno(99), vec![])]);
    profile.architectures = vec![Arch::X86];
    let filter = compile(&profile).unwrap();
    assert_eq!(exited(child(&filter, || c_long::from(-call_x86(102, 1)))), 99);
    // bind, with its arguments at address 0.
    assert_eq!(exited(child(&filter, || c_long::from(-call_x86(102, 2)))), libc::EFAULT);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn x32_calls_are_foreign_unless_listed() {
    let x32 = 0x4000_0000;
    let getppid = || -call(x32 | HARMLESS.1, [0; 6]);
    let mut profile = profile(Action::Allow, vec![rule(&[HARMLESS.0], Action::Errno(99), vec![])]);
    assert_eq!(killed(child(&compile(&profile).unwrap(), getppid)), Signal::SIGSYS);
    profile.architectures = vec![Arch::X32];
    assert_eq!(exited(child(&compile(&profile).unwrap(), getppid)), 99);
}

#[test]
fn listener_decides_in_place_of_the_kernel() {
    let rules = vec![rule(&[HARMLESS.0], Action::Notify, vec![])];
    let filter = compile(&profile(Action::Allow, rules)).unwrap();
    let (give, take) = mpsc::channel();
    let thread = thread::spawn(move || {
        give.send(load(&filter).unwrap()).unwrap();
        call(HARMLESS.1, [0; 6])
    });
    let listener: OwnedFd = take.recv().unwrap();
    // SAFETY: asks for flags only.
    let flags = unsafe { libc::fcntl(listener.as_raw_fd(), libc::F_GETFD) };
    assert_eq!(flags, libc::FD_CLOEXEC);
    let mut notification = MaybeUninit::<libc::seccomp_notif>::zeroed();
    // SAFETY: SECCOMP_IOCTL_NOTIF_RECV fills the zeroed structure.
    let received = unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            listener.as_raw_fd(),
            0xc050_2100_u64,
            notification.as_mut_ptr(),
        )
    };
    assert_eq!(received, 0, "{}", io::Error::last_os_error());
    // SAFETY: filled, and valid even as zeroes.
    let notification = unsafe { notification.assume_init() };
    assert_eq!(c_long::from(notification.data.nr), HARMLESS.1);
    let answer = libc::seccomp_notif_resp { id: notification.id, val: 4711, error: 0, flags: 0 };
    // SAFETY: SECCOMP_IOCTL_NOTIF_SEND reads the structure.
    let sent = unsafe {
        libc::syscall(libc::SYS_ioctl, listener.as_raw_fd(), 0xc018_2101_u64, &raw const answer)
    };
    assert_eq!(sent, 0, "{}", io::Error::last_os_error());
    assert_eq!(thread.join().unwrap(), 4711);
}

#[test]
fn flags_that_the_kernel_supports_load() {
    for flag in [Flags::LOG, Flags::SPEC_ALLOW, Flags::WAIT_KILLABLE_RECV] {
        let notify = rule(&["mount"], Action::Notify, vec![]);
        let profile = Profile { flags: flag, ..profile(Action::Allow, vec![notify]) };
        let filter = compile(&profile).unwrap();
        assert!(filter.flags.contains(flag | Flags::NEW_LISTENER));
        let loaded = thread::spawn(move || {
            load(&Filter { program: filter.program.clone(), flags: Flags::NONE });
            filter.load().is_ok()
        });
        assert_eq!(loaded.join().unwrap(), supports(flag), "{flag:?}");
    }
    assert!(supports(Flags::NONE));
    assert!(!etui::sys::seccomp::knows_flags(1 << 31));
}

#[test]
fn failure_to_load_names_the_call() {
    let mut filter = compile(&profile(Action::Allow, vec![])).unwrap();
    filter.program.pop();
    filter.program.pop();
    let failed = thread::spawn(move || {
        // SAFETY: sets a bit of this thread.
        unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        filter.load().unwrap_err().to_string()
    });
    let text = failed.join().unwrap();
    assert!(text.starts_with("seccomp(SECCOMP_SET_MODE_FILTER, 0x0, "), "{text}");
    assert!(text.ends_with("instructions): invalid argument"), "{text}");
}
