//! Removing a cgroup and all below it.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::UnlinkatFlags::RemoveDir;
use nix::unistd::unlinkat;

use super::Directory;
use super::processes::{Left, wait_until_empty};
use super::tree::{self, Step};
use crate::error::{Call, Error, Result};

/// Removes the cgroup at `path` with all below it, the deepest first. Processes that are about to vanish are waited for,
/// at most `patience` long; none is killed. One that is not there is no error.
pub fn remove(path: &Path, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        let removed = remove_directory(path);
        if removed != Err(Errno::EBUSY) {
            return removed.call(|| format!("rmdir({path:?})"));
        }
        let Some(cgroup) = open_if_there(path)? else {
            return Ok(());
        };
        if wait_until_empty(&cgroup, deadline)? == Left::Somebody {
            return Err(still_in_use(path));
        }
        remove_below(&cgroup)?;
        if remove_directory(path).is_ok() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(still_in_use(path));
        }
        // Empty and still busy: the kernel is letting go of it, or somebody makes cgroups below.
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Removes every cgroup below this one that is not in use.
pub(super) fn remove_below(cgroup: &Directory) -> Result<()> {
    tree::walk(cgroup, &mut |step| match step {
        Step::Entered(_) => Ok(()),
        Step::Left { above, name } => match unlinkat(above.dir_fd(), name, RemoveDir) {
            Ok(()) | Err(Errno::ENOENT | Errno::EBUSY) => Ok(()),
            Err(errno) => {
                Err(Error::call(format!("unlinkat({:?}, {name:?})", above.path()), errno))
            }
        },
    })
}

/// Removes the cgroup at `path` where nobody is in it and nothing below it; whether it is gone.
pub fn remove_at_once(path: &Path) -> bool {
    remove_directory(path).is_ok()
}

fn remove_directory(path: &Path) -> nix::Result<()> {
    match unlinkat(nix::fcntl::AT_FDCWD, path, RemoveDir) {
        Err(Errno::ENOENT) => Ok(()),
        outcome => outcome,
    }
}

fn open_if_there(path: &Path) -> Result<Option<Directory>> {
    match Directory::open(path) {
        Ok(cgroup) => Ok(Some(cgroup)),
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn still_in_use(path: &Path) -> Error {
    Error::call(format!("rmdir({path:?})"), Errno::EBUSY)
        .hint("some process is still in it: see its cgroup.procs")
}
