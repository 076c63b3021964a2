//! A network namespace that is made beside us: by a process that shares our memory and our descriptors (clone(2),
//! `CLONE_VM`, `CLONE_FILES`), and so costs next to nothing to make.
//!
//! It makes a few system calls and ends. What it shares it must not disturb: it writes to its own stack and its [`Job`]
//! only, allocates nothing, takes no lock, and calls no function of the C library, whose `errno` is ours too. It never
//! returns to code of ours, and what it works on is never given back, so it does no harm whenever it ends.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use nix::errno::Errno;
use syscalls::{Sysno, raw_syscall};

use super::ioctl::{SET_INTERFACE_FLAGS, interface_flags};
use super::pidfd::{self, Ended};

/// `SIOCGSKNS` of <linux/sockios.h> (Linux 4.9): a descriptor of a socket's network namespace.
const GET_NAMESPACE_OF_SOCKET: usize = 0x894c;

/// CMSG_LEN(3) of one descriptor.
const CONTROL: usize = size_of::<libc::cmsghdr>() + size_of::<c_int>();

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
    /// Where the namespace is sent, if anywhere.
    receiver: RawFd,
    parcel: UnsafeCell<Parcel>,
    /// Which of [`CALLS`] was made last.
    call: AtomicUsize,
    /// What it answered: in the end the namespace's descriptor, or an errno below zero.
    answer: AtomicI32,
}

/// One byte and a descriptor, as sendmsg(2) takes them (unix(7), `SCM_RIGHTS`).
#[repr(C)]
struct Parcel {
    byte: u8,
    bytes: libc::iovec,
    control: Control,
    header: libc::msghdr,
}

/// As long as CMSG_SPACE(3) has it for one descriptor.
#[repr(C, align(8))]
struct Control {
    header: libc::cmsghdr,
    descriptor: c_int,
    padding: c_int,
}

/// A namespace in the making; dropped, its maker is waited for.
pub struct Making {
    /// None once it has been waited for.
    maker: Option<OwnedFd>,
    job: &'static Job,
}

impl std::fmt::Debug for Making {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Making").field("maker", &self.maker).finish_non_exhaustive()
    }
}

/// Which call failed, and how.
pub type Failure = (&'static str, Errno);

/// Begins to make a network namespace with its loopback interface up, which is sent to `receiver`, a Unix socket that must stay
/// open until then.
pub fn begin(receiver: Option<BorrowedFd<'_>>) -> Result<Making, Failure> {
    let up = i16::try_from(libc::IFF_UP).unwrap_or(1);
    let job: &'static Job = Box::leak(Box::new(Job {
        stack: UnsafeCell::new(MaybeUninit::uninit()),
        loopback: interface_flags("lo", up).map_err(|errno| (CALLS[2], errno))?,
        receiver: receiver.map_or(-1, |fd| fd.as_raw_fd()),
        // SAFETY: plain numbers and pointers, for which all zeroes is valid.
        parcel: UnsafeCell::new(unsafe { std::mem::zeroed() }),
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
    Ok(Making { maker: Some(unsafe { OwnedFd::from_raw_fd(maker) }), job })
}

impl Making {
    /// Waits until it is made.
    pub fn finish(mut self) -> Result<OwnedFd, Failure> {
        let Some(maker) = self.maker.take() else { return Err(("waitid(P_PIDFD)", Errno::ECHILD)) };
        let ended = pidfd::wait(maker.as_fd()).map_err(|errno| ("waitid(P_PIDFD)", errno))?;
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

impl Drop for Making {
    /// Whoever gives it up may close what its maker still uses, and the number may become another's. A copy of this in a process
    /// that was cloned meanwhile has nobody to wait for.
    fn drop(&mut self) {
        if let Some(maker) = &self.maker {
            let _ = pidfd::wait(maker.as_fd());
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
    if job.receiver >= 0 && namespace <= i32::MAX as usize {
        send(job, namespace);
    }
    answered(3, namespace).map(drop)
}

/// Whoever is to receive it may be gone: that is told elsewhere.
#[allow(
    clippy::cast_possible_truncation,
    reason = "a descriptor; lengths that are 32 bits wide in some C libraries"
)]
fn send(job: &Job, namespace: usize) {
    // SAFETY: only the new process, here, ever looks into the parcel.
    let parcel = unsafe { &mut *job.parcel.get() };
    parcel.byte = b'n';
    parcel.bytes = libc::iovec { iov_base: (&raw mut parcel.byte).cast(), iov_len: 1 };
    parcel.control.header.cmsg_len = CONTROL as _;
    parcel.control.header.cmsg_level = libc::SOL_SOCKET;
    parcel.control.header.cmsg_type = libc::SCM_RIGHTS;
    parcel.control.descriptor = namespace as c_int;
    parcel.header.msg_iov = &raw mut parcel.bytes;
    parcel.header.msg_iovlen = 1;
    parcel.header.msg_control = (&raw mut parcel.control).cast();
    parcel.header.msg_controllen = size_of::<Control>() as _;
    let header = &raw const parcel.header;
    // SAFETY: the header and what it points to outlive the call.
    unsafe { raw_syscall!(Sysno::sendmsg, job.receiver, header, libc::MSG_NOSIGNAL) };
}
