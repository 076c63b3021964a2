//! A cgroup below a container's own, for the container to manage: the limits stay above, out of its reach.

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::Uid;

use super::Directory;
use super::controllers::{HandedDown, hand_down};
use crate::error::{Context, Error, Result};

/// Makes the cgroup `name` below `cgroup`, moves the process `pid` there, the only one, and hands it to `owner`.
///
/// Whoever has a cgroup namespace has made it by now: its root stays the cgroup above.
pub fn move_below(cgroup: &Directory, name: &str, pid: i32, owner: Option<Uid>) -> Result<()> {
    let moved = || {
        let below = make(cgroup, name)?;
        below.add_process(pid)?;
        // Without a process it can hand its controllers down; those that it can't have are missing below.
        hand_down_all(cgroup)?;
        match owner {
            Some(owner) => below.delegate(owner),
            None => Ok(()),
        }
    };
    moved().with_context(|| format!("delegate the cgroup {name:?}"))
}

/// Makes the cgroup `name` below `cgroup`; one that is there is as good.
pub(super) fn make(cgroup: &Directory, name: &str) -> Result<Directory> {
    let path = cgroup.path().join(name);
    match mkdirat(AT_FDCWD, &path, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => Directory::open(path),
        Err(errno) => Err(Error::call(format!("mkdir({path:?})"), errno)),
    }
}

/// Hands down whatever controllers `cgroup` has.
pub(super) fn hand_down_all(cgroup: &Directory) -> Result<HandedDown> {
    let controllers = cgroup.read("cgroup.controllers")?;
    let controllers: Vec<String> = controllers.split_whitespace().map(str::to_owned).collect();
    hand_down(cgroup.path(), cgroup.path(), &controllers)
}
