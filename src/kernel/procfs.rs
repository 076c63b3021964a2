//! A procfs known to be procfs: no path of it leads through a mount, out of it or through a magic link.
//!
//! A container that can place mounts may put one over a file of its `/proc`, so that what the runtime writes there (an
//! LSM label, a sysctl) lands elsewhere: CVE-2019-16884, CVE-2025-52881. So every access goes through this handle.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat, openat2};
use nix::sys::stat::{Mode, fstat};
use nix::sys::statfs::{NSFS_MAGIC, PROC_SUPER_MAGIC, fstatfs};

use crate::error::{Call, Context, Error, Result};
use crate::sys::mount_api;

/// The inode number of the root of every procfs (`PROC_ROOT_INO`): a directory of it bound elsewhere has another.
const ROOT_INODE: u64 = 1;

/// How often an open is tried when a rename or mount races with it (openat2(2), `EAGAIN`).
const ATTEMPTS: u32 = 64;

/// The root of a procfs. Whatever namespaces its holder enters later, `thread-self` in it stays the holder.
#[derive(Debug)]
pub struct Procfs {
    root: OwnedFd,
}

impl Procfs {
    /// Opens `/proc`, or where that is not the root of a procfs, makes a private one.
    pub fn open() -> Result<Procfs> {
        Procfs::open_mounted().or_else(|mounted| {
            Procfs::private().map_err(|_| {
                mounted.hint("etui needs a procfs mounted on /proc, with nothing mounted over it")
            })
        })
    }

    fn open_mounted() -> Result<Procfs> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let root = open("/proc", flags, Mode::empty()).call(|| "open(\"/proc\", O_PATH)")?;
        Procfs::from_root(root).context("verify /proc")
    }

    /// A procfs of our own, mounted nowhere. Needs `CAP_SYS_ADMIN`.
    pub fn private() -> Result<Procfs> {
        let context = mount_api::fsopen(c"proc").call(|| "fsopen(\"proc\")")?;
        mount_api::fsconfig_create(context.as_fd())
            .call(|| "fsconfig(\"proc\", FSCONFIG_CMD_CREATE)")?;
        let root = mount_api::fsmount(context.as_fd(), 0).call(|| "fsmount(\"proc\")")?;
        Procfs::from_root(root)
    }

    /// Takes a descriptor that must be the root of a procfs.
    pub fn from_root(root: OwnedFd) -> Result<Procfs> {
        let magic = fstatfs(&root).call(|| "fstatfs()")?.filesystem_type();
        if magic != PROC_SUPER_MAGIC {
            return Err(Error::new("it is not a procfs"));
        }
        if fstat(&root).call(|| "fstat()")?.st_ino != ROOT_INODE {
            return Err(Error::new("it is not the root of a procfs"));
        }
        Ok(Procfs { root })
    }

    /// Opens the file at `path`, relative to the root, close-on-exec.
    pub fn open_file(&self, path: &str, flags: OFlag) -> Result<OwnedFd> {
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(
            ResolveFlag::RESOLVE_BENEATH
                | ResolveFlag::RESOLVE_NO_XDEV
                | ResolveFlag::RESOLVE_NO_MAGICLINKS,
        );
        let mut opened = openat2(&self.root, path, how);
        for _ in 1..ATTEMPTS {
            if !matches!(opened, Err(Errno::EAGAIN)) {
                break;
            }
            opened = openat2(&self.root, path, how);
        }
        let opened = opened.call(|| format!("openat2(\"/proc/{path}\")"));
        opened.map_err(|error| match error.errno() {
            Some(Errno::EXDEV) => error.hint("something is mounted over it"),
            _ => error,
        })
    }

    /// Opens the namespace file `name` of the directory `directory`, such as `thread-self/ns`: a magic link on purpose, so the
    /// answer is verified to be a namespace.
    pub fn open_namespace(&self, directory: &str, name: &str) -> Result<OwnedFd> {
        let call = || format!("open(\"/proc/{directory}/{name}\")");
        let directory = self.open_file(directory, OFlag::O_PATH | OFlag::O_DIRECTORY)?;
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let namespace = openat(&directory, name, flags, Mode::empty()).call(call)?;
        if fstatfs(&namespace).call(|| "fstatfs()")?.filesystem_type() != NSFS_MAGIC {
            return Err(Error::new(call() + ": it is not a namespace"));
        }
        Ok(namespace)
    }

    /// Opens the root directory of a process for its path.
    pub fn open_root(&self, process: i32) -> Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let directory = self.open_file(&process.to_string(), flags)?;
        openat(&directory, "root", flags | OFlag::O_CLOEXEC, Mode::empty())
            .call(|| format!("open(\"/proc/{process}/root\")"))
    }

    /// Writes `bytes` to the file at `path` in one call.
    pub fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> Result<()> {
        let bytes = bytes.as_ref();
        let mut file = std::fs::File::from(self.open_file(path, OFlag::O_WRONLY)?);
        let call = || format!("write(\"/proc/{path}\", {:?})", String::from_utf8_lossy(bytes));
        let written = file.write(bytes).call(call)?;
        if written == bytes.len() { Ok(()) } else { Err(Error::new(call() + ": cut short")) }
    }

    /// Reads the file at `path`. Names in it are anybody's, and need not be text.
    pub fn read_to_string(&self, path: &str) -> Result<String> {
        let mut file = std::fs::File::from(self.open_file(path, OFlag::O_RDONLY)?);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).call(|| format!("read(\"/proc/{path}\")"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl AsFd for Procfs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_follows_the_plain_links() {
        let procfs = Procfs::open().unwrap();
        let status = procfs.read_to_string("thread-self/status").unwrap();
        assert!(status.contains(&format!("\nPid:\t{}\n", nix::unistd::gettid())), "{status}");
    }

    #[test]
    fn opens_a_namespace_and_nothing_else_by_its_magic_link() {
        let procfs = Procfs::open().unwrap();
        procfs.open_namespace("thread-self/ns", "pid_for_children").unwrap();
        assert!(procfs.open_namespace("thread-self", "exe").is_err());
    }

    #[test]
    fn refuses_magic_links_and_paths_that_leave_it() {
        let procfs = Procfs::open().unwrap();
        let exe = procfs.open_file("self/exe", OFlag::O_RDONLY).unwrap_err();
        assert_eq!(exe.errno(), Some(Errno::ELOOP));
        let parent = procfs.open_file("../etc/passwd", OFlag::O_RDONLY).unwrap_err();
        assert_eq!(parent.errno(), Some(Errno::EXDEV));
    }

    #[test]
    fn refuses_what_is_no_procfs_and_what_is_not_its_root() {
        for path in ["/tmp", "/proc/self"] {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let directory = open(path, flags, Mode::empty()).unwrap();
            assert!(Procfs::from_root(directory).is_err(), "{path}");
        }
    }
}
