//! The maps of user and group ids of a user namespace (user_namespaces(7)).

use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{Pid, getegid, geteuid};

use super::capabilities;
use super::procfs::Procfs;
use crate::error::{Call, Context, Error, Result};
use crate::sys::clone::{self, Birth, CloneArgs};
use crate::sys::{exec, pidfd};

/// A run of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMap {
    /// The first id inside the namespace.
    pub inside: u32,
    /// The first id outside, as the writer of the map sees it.
    pub outside: u32,
    /// How many ids.
    pub size: u32,
}

/// How the maps come into force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Written by us: we have `CAP_SETUID` and `CAP_SETGID` where the namespace was made.
    Privileged,
    /// Written by us, who may map our own two ids only, and give up setgroups for it.
    OwnIds,
    /// Written by newuidmap(1) and newgidmap(1), as /etc/subuid and /etc/subgid allow.
    Helpers,
}

impl Way {
    /// The way open to the calling process for these maps.
    pub fn choose(uids: &[IdMap], gids: &[IdMap]) -> Result<Way> {
        let needed =
            caps::Capability::CAP_SETUID.bitmask() | caps::Capability::CAP_SETGID.bitmask();
        let effective = capabilities::effective()?.0;
        if effective & needed == needed {
            return Ok(Way::Privileged);
        }
        Ok(unprivileged(uids, gids, geteuid().as_raw(), getegid().as_raw()))
    }
}

fn unprivileged(uids: &[IdMap], gids: &[IdMap], own_uid: u32, own_gid: u32) -> Way {
    let only =
        |maps: &[IdMap], id: u32| matches!(maps, [map] if map.size == 1 && map.outside == id);
    if only(uids, own_uid) && only(gids, own_gid) { Way::OwnIds } else { Way::Helpers }
}

/// Puts the maps of the user namespace of process `pid` into force.
pub fn write(procfs: &Procfs, pid: Pid, uids: &[IdMap], gids: &[IdMap], way: Way) -> Result<()> {
    match way {
        Way::Privileged => write_both(procfs, pid, uids, gids),
        Way::OwnIds => {
            // Since Linux 3.19 a group map without privilege asks for this first (CVE-2014-8989).
            procfs.write(&format!("{pid}/setgroups"), "deny").context("give up setgroups")?;
            write_both(procfs, pid, uids, gids)
        }
        Way::Helpers => {
            run_helper("newuidmap", "/etc/subuid", pid, uids)?;
            run_helper("newgidmap", "/etc/subgid", pid, gids)
        }
    }
}

/// A user namespace with these maps that no process is in: what a mount takes its id maps from (mount_setattr(2)).
///
/// The caller has one thread.
pub fn namespace_with(procfs: &Procfs, uids: &[IdMap], gids: &[IdMap]) -> Result<OwnedFd> {
    let (ours, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC).call(|| "pipe2()")?;
    let args = CloneArgs { flags: libc::CLONE_NEWUSER.unsigned_abs().into(), cgroup: None };
    match clone::clone3(args).call(|| "clone3(CLONE_NEWUSER)")? {
        Birth::Child => {
            drop(theirs);
            // Its end of file says that the parent has what it wants, or is gone.
            let _ = nix::unistd::read(&ours, &mut [0]);
            exec::exit_at_once(0)
        }
        Birth::Parent { pid, pidfd } => {
            let maps = Way::choose(uids, gids).and_then(|way| write(procfs, pid, uids, gids, way));
            let namespace = maps.and_then(|()| procfs.open_namespace(&format!("{pid}/ns"), "user"));
            drop(theirs);
            pidfd::wait(pidfd.as_fd()).call(|| format!("waitid({pid})"))?;
            namespace
        }
    }
}

fn write_both(procfs: &Procfs, pid: Pid, uids: &[IdMap], gids: &[IdMap]) -> Result<()> {
    write_map(procfs, pid, "uid_map", uids)?;
    write_map(procfs, pid, "gid_map", gids)
}

fn write_map(procfs: &Procfs, pid: Pid, file: &str, maps: &[IdMap]) -> Result<()> {
    procfs.write(&format!("{pid}/{file}"), lines(maps)).map_err(|error| match error.errno() {
        Some(Errno::EPERM) => error.hint(
            "an id outside is not mapped in our own user namespace, or id 0 is mapped without CAP_SETFCAP",
        ),
        Some(Errno::EINVAL) => error.hint("the maps must not overlap, nor be empty"),
        _ => error,
    })
}

fn lines(maps: &[IdMap]) -> String {
    maps.iter().map(|map| format!("{} {} {}\n", map.inside, map.outside, map.size)).collect()
}

fn run_helper(program: &str, subordinate_ids: &str, pid: Pid, maps: &[IdMap]) -> Result<()> {
    let numbers = maps.iter().flat_map(|map| [map.inside, map.outside, map.size]);
    let arguments: Vec<String> =
        [pid.to_string()].into_iter().chain(numbers.map(|number| number.to_string())).collect();
    let call = || format!("{program} {}", arguments.join(" "));
    let output =
        Command::new(program).args(&arguments).output().call(call).map_err(|error| match error
            .errno()
        {
            Some(Errno::ENOENT) => error.hint("install the package `uidmap`, or map one id only"),
            _ => error,
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format!("{}: {}: {}", call(), output.status, said.trim()))
        .hint(format!("{subordinate_ids} must grant the caller these ids")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn map(inside: u32, outside: u32, size: u32) -> IdMap {
        IdMap { inside, outside, size }
    }

    #[test]
    fn a_map_is_one_line_a_run() {
        assert_eq!(
            lines(&[map(0, 1000, 1), map(1, 100_000, 65_536)]),
            "0 1000 1\n1 100000 65536\n"
        );
    }

    #[test]
    fn without_privilege_only_ones_own_ids_go_without_helpers() {
        let own = [map(0, 1000, 1)];
        assert_eq!(unprivileged(&own, &own, 1000, 1000), Way::OwnIds);
        assert_eq!(unprivileged(&own, &own, 1000, 1001), Way::Helpers);
        assert_eq!(unprivileged(&[own[0], map(1, 100_000, 9)], &own, 1000, 1000), Way::Helpers);
        assert_eq!(unprivileged(&[map(0, 1000, 2)], &own, 1000, 1000), Way::Helpers);
    }
}
