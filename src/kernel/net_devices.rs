//! Network interfaces of the network namespace the calling thread is in.

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::error::{Call, Context, Result};
use crate::sys::ioctl;

/// Brings the loopback interface up; the kernel gives it its addresses (netdevice(7), `SIOCSIFFLAGS`).
///
/// A new namespace's `lo` has no other flag that could be set, so they need not be read first.
pub fn bring_up_loopback() -> Result<()> {
    let flags = i16::try_from(libc::IFF_UP).unwrap_or(1);
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .call(|| "socket(AF_UNIX, SOCK_DGRAM)")
        .context("bring lo up")?;
    ioctl::set_interface_flags(&socket, "lo", flags)
        .call(|| "ioctl(SIOCSIFFLAGS, \"lo\", IFF_UP)")
        .context("bring lo up")
}
