//! Terminal and network interface requests of ioctl(2).

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use nix::errno::Errno;

/// `SIOCSIFFLAGS` of <linux/sockios.h>; libc's constant does not fit every C library's ioctl(3).
pub(super) const SET_INTERFACE_FLAGS: libc::Ioctl = 0x8914;

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowSize {
    /// Lines.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
}

/// Lets the other end of a pseudo-terminal be opened (`TIOCSPTLCK`).
pub fn unlock_slave(master: impl AsFd) -> nix::Result<()> {
    let unlocked: libc::c_int = 0;
    // SAFETY: the request reads one int.
    let answer =
        unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) };
    Errno::result(answer).map(drop)
}

/// The number N of the slave, `/dev/pts/N` (`TIOCGPTN`).
pub fn slave_number(master: impl AsFd) -> nix::Result<u32> {
    let mut number: libc::c_uint = 0;
    // SAFETY: the request writes one unsigned int.
    let answer =
        unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCGPTN, &raw mut number) };
    Errno::result(answer).map(|_| number)
}

/// Opens the other end of a pseudo-terminal without a path (`TIOCGPTPEER`, Linux 4.13).
pub fn open_slave(master: impl AsFd) -> nix::Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the request takes an integer and answers a descriptor.
    let answer = unsafe { libc::ioctl(master.as_fd().as_raw_fd(), libc::TIOCGPTPEER, flags) };
    let descriptor = Errno::result(answer)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Makes the terminal the controlling one of the calling session leader (`TIOCSCTTY`).
pub fn make_controlling(terminal: impl AsFd) -> nix::Result<()> {
    let do_not_steal: libc::c_int = 0;
    // SAFETY: the request takes an integer.
    let answer =
        unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSCTTY, do_not_steal) };
    Errno::result(answer).map(drop)
}

/// The size of a terminal (`TIOCGWINSZ`).
pub fn window_size(terminal: impl AsFd) -> nix::Result<WindowSize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request writes one `winsize`.
    let answer =
        unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    Errno::result(answer).map(|_| WindowSize { rows: size.ws_row, columns: size.ws_col })
}

/// Sets the size of a terminal (`TIOCSWINSZ`); its foreground process group hears SIGWINCH.
pub fn set_window_size(terminal: impl AsFd, size: WindowSize) -> nix::Result<()> {
    let size =
        libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the request reads one `winsize`.
    let answer =
        unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    Errno::result(answer).map(drop)
}

/// Sets the flags of the network interface `name` (`SIOCSIFFLAGS`): `IFF_UP` and the like. Names have at most 15 bytes.
pub fn set_interface_flags(socket: impl AsFd, name: &str, flags: i16) -> nix::Result<()> {
    let request = interface_flags(name, flags)?;
    // SAFETY: the request reads one `ifreq`, whose name ends in a zero and whose flags are set.
    let answer =
        unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), SET_INTERFACE_FLAGS, &raw const request) };
    Errno::result(answer).map(drop)
}

/// What `SIOCSIFFLAGS` reads.
pub(super) fn interface_flags(name: &str, flags: i16) -> nix::Result<libc::ifreq> {
    // SAFETY: all-zero bits are a valid `ifreq`: plain numbers and arrays of them.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(Errno::ENAMETOOLONG);
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_flags = flags;
    Ok(request)
}
