//! A container's directory, opened once by whoever makes the container: what is written there later lands in this directory
//! or, when it was removed, nowhere; never in that of a later container of the same id. Knows no record.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open, openat, renameat};
use nix::sys::stat::{Mode, fstat, lstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::error::{Call, Error, Result};

/// A container's directory.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Makes it, and marks it as that of a container being made, for as long as we have it open.
    pub fn make(path: PathBuf) -> Result<Directory> {
        // The mode is runc's: others may pass through to what they know by name, but not list it.
        DirBuilder::new().mode(0o711).create(&path).call(|| format!("mkdir({path:?})"))?;
        let directory = Directory::open(path.clone()).inspect_err(|_| {
            let _ = std::fs::remove_dir(&path);
        })?;
        directory.mark();
        Ok(directory)
    }

    /// Opens the one that is there.
    pub fn open(path: PathBuf) -> Result<Directory> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = open(&path, flags, Mode::empty()).call(|| format!("open({path:?})"))?;
        Ok(Directory { fd, path })
    }

    /// What `openat` and the like take.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Where it was when it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kernel takes the mark away when we end, however we do: it is a lock of this process (fcntl(2), `F_SETLK`), which
    /// no child inherits and those of flock(2) don't meet. It goes too when we close any descriptor of this directory. Without
    /// it, on a file system that has none, a container is seen as *creating* only once it has a process.
    fn mark(&self) {
        let _ = fcntl(&self.fd, FcntlArg::F_SETLK(&whole(libc::F_RDLCK)));
    }

    /// Whether somebody has it marked. Asked as a lock of the open file would, which those of this process meet as well.
    pub fn is_marked(&self) -> bool {
        let mut found = whole(libc::F_WRLCK);
        let asked = fcntl(&self.fd, FcntlArg::F_OFD_GETLK(&mut found));
        asked.is_ok() && i32::from(found.l_type) != libc::F_UNLCK
    }

    /// Whether it is still where it was.
    pub fn is_in_place(&self) -> bool {
        let (Ok(ours), Ok(named)) = (fstat(&self.fd), lstat(&self.path)) else { return false };
        (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)
    }

    /// Makes the file `name`; one that a killed etui left behind makes way.
    pub fn write_new(&self, name: &str, bytes: &[u8]) -> Result<File> {
        let call = || format!("write({:?})", self.path.join(name));
        let file = match self.create_new(name) {
            Err(Errno::EEXIST) => {
                unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir).call(call)?;
                self.create_new(name)
            }
            made => made,
        };
        let mut file = File::from(file.call(call).map_err(was_deleted)?);
        file.write_all(bytes).call(call)?;
        Ok(file)
    }

    fn create_new(&self, name: &str) -> nix::Result<OwnedFd> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        openat(&self.fd, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
    }

    /// Takes the file `name` away, where there is one.
    pub fn remove(&self, name: &str) {
        let _ = unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir);
    }

    /// Gives the file `from` the name `to`, atomically.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        renameat(&self.fd, from, &self.fd, to)
            .call(|| format!("renameat({:?}, {from:?}, {to:?})", self.path))
            .map_err(was_deleted)
    }
}

/// A lock of this kind on the whole of a file.
fn whole(kind: i32) -> libc::flock {
    let small = |constant| i16::try_from(constant).expect("a constant of fcntl.h");
    libc::flock {
        l_type: small(kind),
        l_whence: small(libc::SEEK_SET),
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

fn was_deleted(error: Error) -> Error {
    match error.errno() {
        Some(Errno::ENOENT) => error.hint("the container was deleted while it was made"),
        _ => error,
    }
}
