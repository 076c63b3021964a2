//! setdomainname(2).

use nix::errno::Errno;

/// Sets the NIS domain name of the current UTS namespace.
pub fn set_domain_name(name: &[u8]) -> nix::Result<()> {
    // SAFETY: the pointer and the length are those of one slice, which outlives the call.
    let result = unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) };
    Errno::result(result).map(drop)
}
