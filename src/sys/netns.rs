//! A network namespace that is made beside us: by a process that shares our memory and our descriptors (clone(2),
//! `CLONE_VM`, `CLONE_FILES`), and so costs next to nothing to make.
//!
//! It makes a few system calls and ends. What it shares it must not disturb: it writes to its own stack and its [`Job`]
//! only, allocates nothing, takes no lock, and calls no function of the C library, whose `errno` is ours too. It never
//! returns to code of ours, and what it works on is never given back, so it does no harm whenever it ends.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use nix::errno::Errno;
use syscalls::{Sysno, raw_syscall};

use super::ioctl::{SET_INTERFACE_FLAGS, interface_flags};
use super::pidfd::{self, Ended};

/// `SIOCGSKNS` of <linux/sockios.h> (Linux 4.9): a descriptor of a socket's network namespace.
const GET_NAMESPACE_OF_SOCKET: usize = 0x894c;

/// The exit status of a maker that has made it.
const DONE: c_int = 0;

/// Far more than five system calls need.
const STACK: usize = 16 << 10;

/// The calls, as an error names them.
const CALLS: [&str; 4] = [
    "unshare(CLONE_NEWNET)",
    "socket(AF_UNIX, SOCK_DGRAM)",
    "ioctl(SIOCSIFFLAGS, \"lo\", IFF_UP)",
    "ioctl(SIOCGSKNS)",
];

#[repr(C, align(16))]
struct Job {
    stack: UnsafeCell<MaybeUninit<[u8; STACK]>>,
    /// `lo`, up.
    loopback: libc::ifreq,
    /// Which of [`CALLS`] was made last.
    call: AtomicUsize,
    /// What it answered: in the end the namespace's descriptor, or an errno below zero.
    answer: AtomicI32,
}

/// A namespace in the making. Dropped, it is made all the same and nobody has it, but for its descriptor, which closes when
/// we execute another program.
pub struct Making {
    maker: OwnedFd,
    job: &'static Job,
}

impl std::fmt::Debug for Making {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Making").field("maker", &self.maker).finish_non_exhaustive()
    }
}

/// Which call failed, and how.
pub type Failure = (&'static str, Errno);

/// Begins to make a network namespace with its loopback interface up.
pub fn begin() -> Result<Making, Failure> {
    let up = i16::try_from(libc::IFF_UP).unwrap_or(1);
    let job: &'static Job = Box::leak(Box::new(Job {
        stack: UnsafeCell::new(MaybeUninit::uninit()),
        loopback: interface_flags("lo", up).map_err(|errno| (CALLS[2], errno))?,
        call: AtomicUsize::new(0),
        answer: AtomicI32::new(-libc::ESRCH),
    }));
    let flags = libc::CLONE_VM | libc::CLONE_FILES | libc::CLONE_PIDFD | libc::SIGCHLD;
    let argument = std::ptr::from_ref(job).cast_mut().cast::<c_void>();
    let mut maker: c_int = -1;
    // SAFETY: one past the end of the stack, which grows downwards from there.
    let top = unsafe { job.stack.get().cast::<u8>().add(STACK) };
    // SAFETY: the stack is the new process's alone and is never freed; `make` keeps to what this file's head says; the
    // kernel writes the pidfd to where `maker` is before clone(2) returns.
    let pid = unsafe { libc::clone(make, top.cast(), flags, argument, &raw mut maker) };
    Errno::result(pid).map_err(|errno| ("clone(CLONE_VM)", errno))?;
    // SAFETY: the kernel stored a new descriptor there, which nothing else owns.
    Ok(Making { maker: unsafe { OwnedFd::from_raw_fd(maker) }, job })
}

impl Making {
    /// Waits until it is made.
    pub fn finish(self) -> Result<OwnedFd, Failure> {
        let ended = pidfd::wait(self.maker.as_fd()).map_err(|errno| ("waitid(P_PIDFD)", errno))?;
        let answer = self.job.answer.load(Ordering::Acquire);
        let call = CALLS.get(self.job.call.load(Ordering::Relaxed)).copied();
        match (ended, answer) {
            // SAFETY: the new process made this descriptor in the table we share, as the last thing it did; nothing else
            // owns it.
            (Ended::Exited(DONE), 0..) => Ok(unsafe { OwnedFd::from_raw_fd(answer) }),
            (Ended::Exited(_), ..0) => Err((call.unwrap_or_default(), Errno::from_raw(-answer))),
            // Somebody killed it.
            _ => Err((call.unwrap_or_default(), Errno::EINTR)),
        }
    }
}

/// The new process's whole life.
extern "C" fn make(job: *mut c_void) -> c_int {
    // SAFETY: `begin` passes a job that is never freed, and only ever looks at its atomics from then on.
    let job = unsafe { &*job.cast::<Job>() };
    if make_calls(job).is_some() { DONE } else { 1 }
}

/// None when a call has failed.
fn make_calls(job: &Job) -> Option<()> {
    let answered = |call: usize, answer: usize| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_possible_wrap,
            reason = "descriptors and errnos are small"
        )]
        let answer = answer as i32;
        job.call.store(call, Ordering::Relaxed);
        job.answer.store(answer, Ordering::Release);
        (answer >= 0).then_some(answer.cast_unsigned() as usize)
    };
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    let request = std::ptr::from_ref(&job.loopback);
    // SAFETY: takes flags only.
    answered(0, unsafe { raw_syscall!(Sysno::unshare, libc::CLONE_NEWNET) })?;
    // SAFETY: takes integers only.
    let socket = answered(1, unsafe { raw_syscall!(Sysno::socket, libc::AF_UNIX, kind, 0) })?;
    // SAFETY: the request reads one `ifreq`, which outlives the call.
    answered(2, unsafe { raw_syscall!(Sysno::ioctl, socket, SET_INTERFACE_FLAGS, request) })?;
    // SAFETY: the request takes no argument and answers a new descriptor, close-on-exec.
    let namespace = unsafe { raw_syscall!(Sysno::ioctl, socket, GET_NAMESPACE_OF_SOCKET, 0) };
    // SAFETY: this descriptor is ours; nobody else knows its number.
    unsafe { raw_syscall!(Sysno::close, socket) };
    answered(3, namespace).map(drop)
}
