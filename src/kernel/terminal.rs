//! Pseudo-terminals: made inside, handed out, relayed. No part of one is ever opened by a path that the container could
//! have changed (CVE-2025-52565): the slave comes from its master, and `/dev/console` is a bind of the slave's descriptor.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{Uid, dup2_stderr, dup2_stdin, dup2_stdout, fchown};

use super::mounts::Place;
use super::safe_path::{self, Links, Missing};
use crate::error::{Call, Context, Error, Result};
use crate::sys::mount_api::{self, Reach};
use crate::sys::{ioctl, socket};

pub use crate::sys::ioctl::WindowSize;

/// `DEVPTS_SUPER_MAGIC` of statfs(2).
const DEVPTS: FsType = FsType(0x1cd1);

/// A terminal that a process wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Its size; the kernel's default is 0 by 0.
    pub size: Option<WindowSize>,
}

/// Both ends of a pseudo-terminal (pty(7)).
#[derive(Debug)]
pub struct Pty {
    /// The end of whoever watches.
    pub master: OwnedFd,
    /// The end of whoever is watched.
    pub slave: OwnedFd,
    /// The N of `/dev/pts/N`.
    pub number: u32,
}

/// Makes a pseudo-terminal in the devpts that is mounted on `pts`, the place of `/dev/pts`.
pub fn open(pts: Place<'_>, terminal: &Terminal) -> Result<Pty> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let devpts = safe_path::open(pts.root, pts.path, flags, Links::Refuse)
        .with_context(|| format!("find the devpts on {}", pts.whole.display()))?;
    let pty = open_in(devpts.as_fd())?;
    if let Some(size) = terminal.size {
        set_size(pty.master.as_fd(), size)?;
    }
    Ok(pty)
}

/// Makes a pseudo-terminal in the devpts whose root is `devpts`.
pub fn open_in(devpts: BorrowedFd<'_>) -> Result<Pty> {
    if fstatfs(devpts).call(|| "fstatfs(/dev/pts)")?.filesystem_type() != DEVPTS {
        return Err(Error::new("/dev/pts is not a devpts").hint("mount one there: type devpts"));
    }
    let how = OpenHow::new().flags(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).resolve(
        ResolveFlag::RESOLVE_BENEATH
            | ResolveFlag::RESOLVE_NO_XDEV
            | ResolveFlag::RESOLVE_NO_SYMLINKS,
    );
    let master = openat2(devpts, "ptmx", how).call(|| "openat2(\"/dev/pts/ptmx\")")?;
    ioctl::unlock_slave(&master).call(|| "ioctl(ptmx, TIOCSPTLCK, 0)")?;
    let number = ioctl::slave_number(&master).call(|| "ioctl(ptmx, TIOCGPTN)")?;
    let slave = ioctl::open_slave(&master).call(|| "ioctl(ptmx, TIOCGPTPEER)")?;
    Ok(Pty { master, slave, number })
}

/// Binds the slave to `console`, the place of `/dev/console`, made if it is missing; a link there is refused.
pub fn bind_console(Place { root, path, .. }: Place<'_>, pty: &Pty) -> Result<()> {
    let target = match safe_path::open(root, path, OFlag::O_PATH, Links::Refuse) {
        Err(error) if error.errno() == Some(Errno::ENOENT) => {
            safe_path::open_or_make(root, path, Missing::File)
        }
        other => other,
    }?;
    let console = mount_api::clone_tree(pty.slave.as_fd(), c"", Reach::One)
        .call(|| format!("open_tree(\"/dev/pts/{}\", OPEN_TREE_CLONE)", pty.number))?;
    mount_api::attach(console.as_fd(), target.as_fd()).call(|| "move_mount(\"/dev/console\")")
}

/// Sets the size, in characters.
pub fn set_size(terminal: BorrowedFd<'_>, size: WindowSize) -> Result<()> {
    ioctl::set_window_size(terminal, size)
        .call(|| format!("ioctl(TIOCSWINSZ, {} x {})", size.rows, size.columns))
}

/// Lets the terminal belong to user `uid`; its group stays that of devpts' own option `gid`.
pub fn give_to(slave: BorrowedFd<'_>, uid: u32) -> Result<()> {
    fchown(slave, Some(Uid::from_raw(uid)), None).call(|| format!("fchown(/dev/pts/N, {uid})"))
}

/// Makes the terminal the controlling one of this session, which this process leads, and its standard streams.
pub fn become_streams(slave: BorrowedFd<'_>) -> Result<()> {
    ioctl::make_controlling(slave).call(|| "ioctl(TIOCSCTTY)")?;
    dup2_stdin(slave).call(|| "dup2(slave, 0)")?;
    dup2_stdout(slave).call(|| "dup2(slave, 1)")?;
    dup2_stderr(slave).call(|| "dup2(slave, 2)")
}

/// Sends the master over a connected socket, its name beside it: the protocol of `--console-socket`.
pub fn send_master(socket: BorrowedFd<'_>, pty: &Pty) -> Result<()> {
    socket::send(socket, b"/dev/ptmx", &[pty.master.as_fd()])
        .map(drop)
        .call(|| "sendmsg(SCM_RIGHTS)")
        .context("send the terminal to the console socket")
}
