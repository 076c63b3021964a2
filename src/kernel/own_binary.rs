//! The host's own copy of this program, kept out of the container's reach.
//!
//! A process in a container could open /proc/PID/exe of whoever enters it and, once that has ended, write to the
//! host's binary (CVE-2019-5736). So before a container is entered this program executes itself again from a read-only
//! view of its own file: a detached mount that nobody can find or make writable, or, without the right to mount, a
//! sealed copy in memory.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl, open};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::sendfile::sendfile;
use nix::sys::stat::Mode;
use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::error::{Call, Context, Error, Result};
use crate::sys::entry;
use crate::sys::exec::{self, CStrings};
use crate::sys::mount_api::{self, MountAttr, Reach};
use crate::timeline;

/// From here on lies the descriptor of the view that this program is executed from: above what callers pass on.
const VIEWS_FROM: RawFd = 512;

/// The view this program is executed from, held open.
///
/// Whoever closes the last descriptor of a detached mount waits until the kernel has taken it apart, a grace period of RCU:
/// 0.1 to 0.6 ms. So it is not closed by execve(2), but dropped by whom it costs nothing: one who waits anyway.
#[derive(Debug)]
pub struct View(Option<OwnedFd>);

impl View {
    /// Its descriptor, where there is one.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }
}

/// Makes sure that this program's file can't be written through /proc/PID/exe: returns at once where that is so, and
/// otherwise executes the program again, with the same arguments and environment.
pub fn keep_out_of_reach() -> Result<View> {
    let own = open("/proc/self/exe", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        .call(|| "open(\"/proc/self/exe\", O_PATH)")
        .map_err(|error| error.hint("etui needs a procfs mounted on /proc"))
        .context("protect etui's own binary")?;
    if is_out_of_reach(&own)? {
        return Ok(View(exec::take_executed_descriptor(VIEWS_FROM)));
    }
    let view = readonly_view(own.as_fd())?;
    timeline::done("make a view of the binary");
    timeline::write()?;
    Err(execute(view.as_fd()).context("protect etui's own binary"))
}

/// On a read-only mount that nobody can find, or a sealed memfd. A mount of the host's is found: read-only today, it may
/// be writable during the next upgrade, while a container still holds the file. So it counts only where this program was
/// executed by a descriptor, as [`execute`] does. (open_tree(2) won't tell: since Linux 6.15 it copies what is attached
/// nowhere, too.)
fn is_out_of_reach(own: &OwnedFd) -> Result<bool> {
    let flags = fstatvfs(own).call(|| "fstatvfs(\"/proc/self/exe\")")?.flags();
    if !flags.contains(FsFlags::ST_RDONLY) {
        return Ok(is_sealed());
    }
    Ok(exec::was_executed_by_descriptor())
}

fn is_sealed() -> bool {
    let Ok(file) = File::open("/proc/self/exe") else { return false };
    fcntl(&file, FcntlArg::F_GET_SEALS)
        .is_ok_and(|seals| SealFlag::from_bits_truncate(seals).contains(SEALS))
}

const SEALS: SealFlag = SealFlag::F_SEAL_SEAL
    .union(SealFlag::F_SEAL_SHRINK)
    .union(SealFlag::F_SEAL_GROW)
    .union(SealFlag::F_SEAL_WRITE);

fn readonly_view(own: BorrowedFd<'_>) -> Result<OwnedFd> {
    let readonly = MountAttr { set: libc::MOUNT_ATTR_RDONLY, ..MountAttr::default() };
    let view = mount_api::clone_tree(own, c"", Reach::One).and_then(|view| {
        mount_api::mount_setattr(view.as_fd(), readonly, None, Reach::One)?;
        Ok(view)
    });
    match view {
        // Without CAP_SYS_ADMIN, or where the file's mount can't be copied (a memfd, another mount namespace).
        Err(Errno::EPERM | Errno::EINVAL) => sealed_copy(),
        other => other.call(|| "open_tree(\"/proc/self/exe\", OPEN_TREE_CLONE)"),
    }
}

fn sealed_copy() -> Result<OwnedFd> {
    let source = File::open("/proc/self/exe").call(|| "open(\"/proc/self/exe\")")?;
    let length = source.metadata().call(|| "fstat(\"/proc/self/exe\")")?.len();
    let copy = executable_memory().call(|| "memfd_create(\"etui\")")?;
    let mut left = usize::try_from(length).unwrap_or(usize::MAX);
    while left > 0 {
        match sendfile(&copy, &source, None, left).call(|| "sendfile(memfd)")? {
            0 => break,
            copied => left -= copied,
        }
    }
    fcntl(&copy, FcntlArg::F_ADD_SEALS(SEALS)).call(|| "fcntl(F_ADD_SEALS)")?;
    Ok(copy)
}

/// A file in memory that can be executed whatever `vm.memfd_noexec` says (memfd_create(2), Linux 6.3); older kernels know
/// neither that setting nor the flag.
fn executable_memory() -> nix::Result<OwnedFd> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let executable = MFdFlags::from_bits_retain(libc::MFD_EXEC);
    match memfd_create(c"etui", flags | executable) {
        Err(Errno::EINVAL) => memfd_create(c"etui", flags),
        other => other,
    }
}

fn execute(view: BorrowedFd<'_>) -> Error {
    let zero = |_| Error::new("an argument or variable contains a null byte");
    let arguments = entry::arguments().into_iter().map(OsString::into_vec);
    let environment =
        std::env::vars_os().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let arguments = CStrings::new(arguments).map_err(zero);
    let environment = CStrings::new(environment).map_err(zero);
    match (arguments, environment) {
        (Ok(arguments), Ok(environment)) => {
            // Where no number that high is allowed it is closed, and waited for, at once.
            let kept = exec::inheritable_copy(view, VIEWS_FROM);
            let view = kept.as_ref().map_or(view, AsFd::as_fd);
            let errno = exec::execveat(view, &arguments.vector(), &environment.vector());
            Error::call("execveat(read-only view of etui)", errno)
        }
        (Err(error), _) | (_, Err(error)) => error,
    }
}
