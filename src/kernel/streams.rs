//! Standard input, output and error (stdio(3)) of a process that becomes the container's: what it gets there, and whose
//! that is.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{FileStat, fstat, makedev};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{Uid, dup2_stderr, dup2_stdin, dup2_stdout, fchown, isatty, pipe2};

use crate::error::{Call, Result};
use crate::sys::stdio;

/// `PIPEFS_MAGIC` of statfs(2): a pipe without a name.
const PIPEFS: FsType = FsType(0x5049_5045);

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 0.
    Input,
    /// Descriptor 1.
    Output,
    /// Descriptor 2.
    Error,
}

/// How a process comes by its standard streams, where it has no terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// They are the caller's: nobody stays to relay them.
    Caller,
    /// They are ours to relay. Pipes of ours take their places, but for those that can't be misused: the caller's log file
    /// would become the user's, a terminal takes typed input from whoever holds it (TIOCSTI), a socket can't be opened again
    /// by its name in /proc.
    Relay,
}

/// Our end of a pipe that took the place of a stream.
#[derive(Debug)]
pub struct PipeEnd {
    /// Which one.
    pub stream: Stream,
    /// It does not block.
    pub end: OwnedFd,
}

impl Stream {
    /// All three, in order.
    pub const ALL: [Stream; 3] = [Stream::Input, Stream::Output, Stream::Error];

    /// This process's own, as a plain descriptor: the handles of `std` come with buffers and locks.
    pub fn of_ours(self) -> BorrowedFd<'static> {
        match self {
            Stream::Input => stdio::input(),
            Stream::Output => stdio::output(),
            Stream::Error => stdio::error(),
        }
    }

    /// Makes `file` this stream.
    fn become_duplicate_of(self, file: &OwnedFd) -> nix::Result<()> {
        match self {
            Stream::Input => dup2_stdin(file),
            Stream::Output => dup2_stdout(file),
            Stream::Error => dup2_stderr(file),
        }
    }
}

/// Lets this process have standard streams that belong to user `uid`, so that it can open `/dev/stdout` again. Whoever is to relay gets the other ends.
pub fn hand_out(source: Source, uid: u32) -> Result<Vec<PipeEnd>> {
    let mut ends = Vec::new();
    for stream in Stream::ALL {
        let fd = stream.of_ours();
        let status = fstat(fd).call(|| format!("fstat({})", fd.as_raw_fd()))?;
        if source == Source::Caller || is_harmless(fd, &status)? {
            give(fd, &status, uid)?;
        } else {
            ends.push(PipeEnd { stream, end: replace(stream, uid)? });
        }
    }
    Ok(ends)
}

/// Whether nothing can be done with it that a relay would prevent.
fn is_harmless(stream: BorrowedFd<'_>, status: &FileStat) -> Result<bool> {
    Ok(match status.st_mode & libc::S_IFMT {
        libc::S_IFCHR => is_null(status),
        libc::S_IFIFO => {
            fstatfs(stream).call(|| "fstatfs(standard stream)")?.filesystem_type() == PIPEFS
        }
        _ => false,
    })
}

/// Whether it is the null device (null(4)).
fn is_null(status: &FileStat) -> bool {
    status.st_mode & libc::S_IFMT == libc::S_IFCHR && status.st_rdev == makedev(1, 3)
}

/// What refuses a change of owner (a read-only or foreign file, an id that is not mapped) stays as it is. So do devices,
/// which are the machine's, but for terminals.
fn give(stream: BorrowedFd<'_>, status: &FileStat, uid: u32) -> Result<()> {
    let is_device = status.st_mode & libc::S_IFMT == libc::S_IFCHR;
    if status.st_uid == uid || is_null(status) || is_device && isatty(stream) != Ok(true) {
        return Ok(());
    }
    match fchown(stream, Some(Uid::from_raw(uid)), None) {
        Ok(()) | Err(Errno::EINVAL | Errno::EPERM | Errno::EROFS) => Ok(()),
        other => other.call(|| format!("fchown({}, {uid})", stream.as_raw_fd())),
    }
}

/// Puts a pipe in its place. It is made here, and not by our parent, for its owner must be one that the user namespace knows.
fn replace(stream: Stream, uid: u32) -> Result<OwnedFd> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).call(|| "pipe2()")?;
    let (theirs, ours) = match stream {
        Stream::Input => (reader, writer),
        Stream::Output | Stream::Error => (writer, reader),
    };
    fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).call(|| "fcntl(pipe, F_SETFL)")?;
    let status = fstat(&theirs).call(|| "fstat(pipe)")?;
    give(theirs.as_fd(), &status, uid)?;
    stream.become_duplicate_of(&theirs).call(|| format!("dup2(pipe, {})", stream as i32))?;
    Ok(ours)
}
