//! `PR_SET_NO_NEW_PRIVS`: no execve gains a privilege (prctl(2)).

use crate::error::{Call, Result};

/// Sets it, for good.
pub fn set() -> Result<()> {
    nix::sys::prctl::set_no_new_privs().call(|| "prctl(PR_SET_NO_NEW_PRIVS, 1)")
}
