//! A cgroup's directory, opened once; its files are read and written through it.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, fchownat, write};

use crate::error::{Call, Error, Result};
use crate::kernel::safe_path::{self, Links};

/// A cgroup that is there.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    fd: OwnedFd,
}

impl Directory {
    /// Opens the cgroup at `path`, an absolute directory.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = open(&path, flags, Mode::empty())
            .call(|| format!("open({path:?}, O_PATH|O_DIRECTORY)"))?;
        Ok(Directory { path, fd })
    }

    /// Opens the cgroup at `path` below this one: `..` and links lead nowhere else.
    pub fn open_below(&self, path: &Path) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let fd = safe_path::open(self.fd.as_fd(), path, flags, Links::Refuse)?;
        Ok(Directory { path: self.path.join(path.strip_prefix("/").unwrap_or(path)), fd })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What clone3(2) takes with `CLONE_INTO_CGROUP`: a child is born inside.
    pub fn dir_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Writes `text` into the file `name` by one write(2): the kernel takes each as one request.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        self.try_write(name, text).call(|| format!("write({:?}, {text:?})", self.path.join(name)))
    }

    fn try_write(&self, name: &str, text: &str) -> nix::Result<()> {
        let file = self.open_file(name, OFlag::O_WRONLY)?;
        write(&file, text.as_bytes()).map(drop)
    }

    /// Reads the file `name` whole.
    pub fn read(&self, name: &str) -> Result<String> {
        let call = || format!("read({:?})", self.path.join(name));
        let file = self.open_file(name, OFlag::O_RDONLY).call(call)?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text).call(call)?;
        Ok(text)
    }

    /// Reads the file `name`; `None` where this kernel or this cgroup has no such file, has it switched off
    /// (EOPNOTSUPP), or the cgroup is being removed (ENODEV).
    pub fn read_if_there(&self, name: &str) -> Result<Option<String>> {
        match self.read(name) {
            Ok(text) => Ok(Some(text)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens the cgroup `name` directly below this one; `None` where it is gone. For messages it keeps the path of this one,
    /// since its own may be longer than any the kernel takes.
    pub(super) fn open_child(&self, name: &CStr) -> Result<Option<Self>> {
        match self.open_directory(name) {
            Err(Errno::ENOENT) => Ok(None),
            fd => {
                let fd = fd.call(|| format!("openat({:?}, {name:?})", self.path))?;
                Ok(Some(Directory { fd, path: self.path.clone() }))
            }
        }
    }

    /// Goes back from a child: a cgroup can't be moved, so this is the one it was found in.
    pub(super) fn open_parent(&self) -> Result<Self> {
        let fd =
            self.open_directory(c"..").call(|| format!("openat(below {:?}, \"..\")", self.path))?;
        Ok(Directory { fd, path: self.path.clone() })
    }

    fn open_directory(&self, name: &CStr) -> nix::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.fd, name, flags, Mode::empty())
    }

    /// The names of the files in it; of one that is gone, none.
    pub(super) fn files(&self) -> Result<Vec<CString>> {
        self.entries(Type::File)
    }

    /// The names of the cgroups directly below. They may have been made by the container: hidden ones, and ones that are
    /// no UTF-8, are cgroups like any other.
    pub(super) fn children(&self) -> Result<Vec<CString>> {
        self.entries(Type::Directory)
    }

    fn entries(&self, kind: Type) -> Result<Vec<CString>> {
        let call = || format!("readdir({:?})", self.path);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut directory = match Dir::openat(&self.fd, ".", flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(Vec::new()),
            directory => directory.call(call)?,
        };
        let mut names = Vec::new();
        for entry in directory.iter() {
            let entry = entry.call(call)?;
            let name = entry.file_name();
            if entry.file_type() == Some(kind) && name != c"." && name != c".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Opens the file `name` of this cgroup.
    pub(super) fn open_file(&self, name: &str, flags: OFlag) -> nix::Result<OwnedFd> {
        openat(&self.fd, name, flags | OFlag::O_CLOEXEC, Mode::empty())
    }

    /// Moves the process `pid` (a thread group) here. Slow: the kernel waits for a grace period; `CLONE_INTO_CGROUP`
    /// doesn't.
    pub fn add_process(&self, pid: i32) -> Result<()> {
        self.write("cgroup.procs", &pid.to_string())
    }

    /// Hands this cgroup to the user `uid` (config-linux.md, "Cgroup ownership"): the directory and the files the kernel
    /// lists in /sys/kernel/cgroup/delegate, so that the container can make cgroups below but not change its own limits.
    pub fn delegate(&self, uid: Uid) -> Result<()> {
        let list = "/sys/kernel/cgroup/delegate";
        let names = match std::fs::read_to_string(list) {
            // Where /sys is not what it should be: config-linux.md, "Cgroup ownership", has these for it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                "cgroup.procs\ncgroup.subtree_control\ncgroup.threads".to_owned()
            }
            names => names.call(|| format!("read({list:?})"))?,
        };
        self.change_owner(".", uid)?;
        for name in names.lines() {
            match self.change_owner(name, uid) {
                // memory.reclaim and the like are there only with their controller.
                Err(error) if error.errno() == Some(Errno::ENOENT) => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    fn change_owner(&self, name: &str, uid: Uid) -> Result<()> {
        fchownat(&self.fd, name, Some(uid), None, nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW)
            .call(|| format!("fchownat({:?}, {uid})", self.path.join(name)))
    }
}

fn is_absence(error: &Error) -> bool {
    matches!(error.errno(), Some(Errno::ENOENT | Errno::EOPNOTSUPP | Errno::ENODEV))
}
