//! User, groups and umask of the calling thread (credentials(7)).

use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use super::procfs::Procfs;
use crate::error::{Call, Context, Error, Result};
use crate::warning;

/// Who a process runs as: ids as its user namespace sees them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary group ids.
    pub additional_gids: Vec<u32>,
    /// Permission bits that new files don't get.
    pub umask: u32,
}

/// What becomes of the supplementary groups the caller has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OldGroups {
    /// They are replaced.
    #[default]
    Replace,
    /// They are kept, as an annotation asks.
    Keep,
}

/// Lets the permitted set survive the change of user (capabilities(7), "Effect of user ID changes on capabilities"); execve
/// takes it back.
pub fn keep_capabilities() -> Result<()> {
    nix::sys::prctl::set_keepcaps(true).call(|| "prctl(PR_SET_KEEPCAPS, 1)")
}

/// Lets what is made from here on have exactly the permissions asked for.
pub fn clear_umask() {
    umask(Mode::empty());
}

/// Sets the umask.
pub fn set_umask(user: &User) {
    umask(Mode::from_bits_truncate(user.umask));
}

/// Becomes `user`: groups first, while that is still allowed.
pub fn become_user(procfs: &Procfs, user: &User, old_groups: OldGroups) -> Result<()> {
    if old_groups == OldGroups::Replace {
        replace_groups(procfs, &user.additional_gids).context("set the supplementary groups")?;
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    setresgid(gid, gid, gid)
        .call(|| format!("setresgid({gid})"))
        .map_err(|error| explain_unmapped(error, "group", user.gid))?;
    setresuid(uid, uid, uid)
        .call(|| format!("setresuid({uid})"))
        .map_err(|error| explain_unmapped(error, "user", user.uid))
}

/// Gives up the groups that this process has from its caller, while it may: a user namespace can forbid that for good
/// (user_namespaces(7)), and whoever is in it would keep them.
pub fn give_up_groups(old: OldGroups) -> Result<()> {
    if old == OldGroups::Keep {
        return Ok(());
    }
    match setgroups(&[]) {
        // Without CAP_SETGID; they are what the caller has anyway.
        Ok(()) | Err(Errno::EPERM) => Ok(()),
        other => other.call(|| "setgroups([])"),
    }
}

/// Becomes user and group 0 of the user namespace just entered, which start unmapped or as the namespace's maker's.
pub fn become_root() -> Result<()> {
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(gid, gid, gid)
        .call(|| "setresgid(0)")
        .map_err(|error| explain_unmapped(error, "group", 0))?;
    setresuid(uid, uid, uid)
        .call(|| "setresuid(0)")
        .map_err(|error| explain_unmapped(error, "user", 0))
}

fn explain_unmapped(error: Error, what: &str, id: u32) -> Error {
    match error.errno() {
        Some(Errno::EINVAL) => {
            error.hint(format!("{what} id {id} is not mapped in the container's user namespace"))
        }
        _ => error,
    }
}

fn replace_groups(procfs: &Procfs, gids: &[u32]) -> Result<()> {
    let groups: Vec<Gid> = gids.iter().copied().map(Gid::from_raw).collect();
    let result = setgroups(&groups).call(|| format!("setgroups({gids:?})"));
    let Err(error) = result else { return Ok(()) };
    match error.errno() {
        Some(Errno::EPERM) if setgroups_is_denied(procfs)? => {
            warn_of_denied(gids);
            Ok(())
        }
        Some(Errno::EINVAL) => {
            Err(error.hint("one of them is not mapped in the container's user namespace"))
        }
        _ => Err(error),
    }
}

/// An unprivileged group map forbids setgroups for good, in the namespace and below (user_namespaces(7)).
fn setgroups_is_denied(procfs: &Procfs) -> Result<bool> {
    Ok(procfs.read_to_string("thread-self/setgroups")?.trim_end() == "deny")
}

fn warn_of_denied(gids: &[u32]) {
    if !gids.is_empty() {
        warning::warn("process.user.additionalGids: ignored, the user namespace forbids setgroups");
    }
}
