//! The session keyring of a container, so that it does not hold the caller's keys (session-keyring(7)).

use std::ffi::CString;

use nix::errno::Errno;

use crate::error::{Call, Context, Error, Result};
use crate::sys::keyctl;

/// Which session keyring a container's processes have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Session {
    /// The container's own.
    #[default]
    New,
    /// The caller's.
    Inherited,
}

/// Who besides the possessor may search the keyring (keyctl_setperm(3)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Searchers {
    /// Processes of the same user.
    User,
    /// Everybody: with a user namespace the user inside is another.
    Others,
}

impl Searchers {
    fn permission(self) -> u32 {
        match self {
            Searchers::User => 0x0008_0000,
            Searchers::Others => 0x0000_0008,
        }
    }
}

/// Joins the session keyring `_ses.ID`, made if there is none. A kernel without keyrings is no failure.
pub fn join_session(container_id: &str, searchers: Searchers) -> Result<()> {
    let name = format!("_ses.{container_id}");
    join(&name, searchers).with_context(|| format!("join session keyring {name}")).map_err(
        |error| match error.errno() {
            Some(Errno::EDQUOT) => {
                error.hint("the user's key quota is used up: see kernel.keys.maxkeys, or --no-new-keyring")
            }
            Some(Errno::EPERM | Errno::EACCES) => {
                error.hint("a system call filter or the owner of that keyring forbids it: see --no-new-keyring")
            }
            _ => error,
        },
    )
}

fn join(name: &str, searchers: Searchers) -> Result<()> {
    let name = CString::new(name).map_err(|_| Error::new("its name has a zero byte"))?;
    let keyring = match keyctl::join_session_keyring(&name) {
        Err(Errno::ENOSYS) => return Ok(()),
        other => other.call(|| format!("keyctl(KEYCTL_JOIN_SESSION_KEYRING, {name:?})"))?,
    };
    let description = keyctl::describe(keyring).call(|| "keyctl(KEYCTL_DESCRIBE)")?;
    let permissions = permissions(&description)
        .ok_or_else(|| Error::new(format!("keyctl(KEYCTL_DESCRIBE): {description:?}")))?;
    let permissions = permissions | searchers.permission();
    keyctl::set_permissions(keyring, permissions)
        .call(|| format!("keyctl(KEYCTL_SETPERM, {permissions:#x})"))
}

/// The fourth field of `type;uid;gid;permissions;description`.
fn permissions(description: &str) -> Option<u32> {
    u32::from_str_radix(description.split(';').nth(3)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_read_from_the_description() {
        assert_eq!(permissions("keyring;0;0;3f130000;_ses.box"), Some(0x3f13_0000));
        assert_eq!(permissions("keyring;0;0"), None);
    }
}
