//! Unix sockets: descriptors that travel with bytes (unix(7), `SCM_RIGHTS`), and addresses longer than `sun_path`.

use std::ffi::OsStr;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr,
    bind, connect, getsockopt, recvmsg, sendmsg, setsockopt, socket, sockopt,
};
use nix::sys::stat::Mode;
use nix::sys::time::{TimeVal, TimeValLike};

/// The most descriptors the kernel lets travel in one message (`SCM_MAX_FD`).
pub const MAX_DESCRIPTORS: usize = 253;

/// Sends `bytes` with copies of `descriptors`; a broken connection is `EPIPE`, never SIGPIPE. Answers how many bytes went.
pub fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> nix::Result<usize> {
    let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &rights[..0] } else { &rights[..] };
    let iov = [IoSlice::new(bytes)];
    retry(|| sendmsg::<()>(socket.as_raw_fd(), &iov, control, MsgFlags::MSG_NOSIGNAL, None))
}

/// What one [`receive`] brought.
#[derive(Debug)]
pub struct Received {
    /// How many bytes of the buffer are filled; 0 at the end of the connection.
    pub bytes: usize,
    /// The descriptors that came with them, close-on-exec.
    pub descriptors: Vec<OwnedFd>,
}

/// Receives into `buffer`. A message or a list of descriptors that does not fit is `EMSGSIZE`.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> nix::Result<Received> {
    let mut control = nix::cmsg_space!([RawFd; MAX_DESCRIPTORS]);
    let mut iov = [IoSliceMut::new(buffer)];
    let message = loop {
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        match recvmsg::<()>(socket.as_raw_fd(), &mut iov, Some(&mut control), flags) {
            Err(Errno::EINTR) => (),
            other => break other?,
        }
    };
    let mut descriptors = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(raw) = control {
            // SAFETY: the kernel has just installed these descriptors for us; nobody else owns them.
            descriptors.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    if message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) {
        return Err(Errno::EMSGSIZE);
    }
    Ok(Received { bytes: message.bytes, descriptors })
}

/// How long a listener may take to accept a connection once others fill its queue, in seconds.
const PATIENCE: i64 = 10;

/// Connects a new socket to the one at `path`, however long it is. Where the queue of the listener stays full, and
/// when what is sent later is not read, the answer is `EAGAIN` after ten seconds.
pub fn connect_to(path: &Path, kind: SockType) -> nix::Result<OwnedFd> {
    let socket = new_socket(kind)?;
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(PATIENCE))?;
    match UnixAddr::new(path) {
        Ok(address) => retry(|| connect(socket.as_raw_fd(), &address))?,
        Err(Errno::ENAMETOOLONG) => {
            let target = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())?;
            let address = UnixAddr::new(&*format!("/proc/self/fd/{}", target.as_raw_fd()))?;
            retry(|| connect(socket.as_raw_fd(), &address))?;
        }
        Err(errno) => return Err(errno),
    }
    Ok(socket)
}

/// Who listens on the other end, as our user namespace sees it (unix(7), `SO_PEERCRED`).
pub fn peer_uid(socket: BorrowedFd<'_>) -> nix::Result<u32> {
    getsockopt(&socket, sockopt::PeerCredentials).map(|credentials| credentials.uid())
}

/// Connects a new socket to `address`: a path, or a name without a file, written with `@` in front (sd_notify(3)).
pub fn connect_to_address(address: &OsStr, kind: SockType) -> nix::Result<OwnedFd> {
    let Some(name) = address.as_bytes().strip_prefix(b"@") else {
        return connect_to(Path::new(address), kind);
    };
    let socket = new_socket(kind)?;
    let address = UnixAddr::new_abstract(name)?;
    retry(|| connect(socket.as_raw_fd(), &address))?;
    Ok(socket)
}

/// Binds a new socket to `path`, however long its directory is.
pub fn bind_at(path: &Path, kind: SockType) -> nix::Result<OwnedFd> {
    let socket = new_socket(kind)?;
    match UnixAddr::new(path) {
        Ok(address) => bind(socket.as_raw_fd(), &address)?,
        Err(Errno::ENAMETOOLONG) => {
            let parent = path.parent().ok_or(Errno::EINVAL)?;
            let name = path.file_name().ok_or(Errno::EINVAL)?;
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let parent = open(parent, flags, Mode::empty())?;
            let short = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string()).join(name);
            bind(socket.as_raw_fd(), &UnixAddr::new(&short)?)?;
        }
        Err(errno) => return Err(errno),
    }
    Ok(socket)
}

/// An unconnected socket of this kind, close-on-exec.
fn new_socket(kind: SockType) -> nix::Result<OwnedFd> {
    socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)
}

fn retry<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => (),
            other => return other,
        }
    }
}

/// Two connected sockets, close-on-exec.
pub fn pair(kind: SockType) -> nix::Result<(OwnedFd, OwnedFd)> {
    nix::sys::socket::socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn bytes_and_descriptors_arrive_together() {
        for kind in [SockType::SeqPacket, SockType::Stream] {
            let (one, other) = pair(kind).unwrap();
            let sent = send(one.as_fd(), b"here", &[one.as_fd(), other.as_fd()]).unwrap();
            let mut buffer = [0; 16];
            let received = receive(other.as_fd(), &mut buffer).unwrap();
            assert_eq!((sent, received.bytes, received.descriptors.len()), (4, 4, 2));
            assert_eq!(&buffer[..4], b"here");
        }
    }

    #[test]
    fn a_message_longer_than_the_buffer_is_an_error_not_a_cut() {
        let (one, other) = pair(SockType::SeqPacket).unwrap();
        send(one.as_fd(), b"too long for it", &[]).unwrap();
        assert_eq!(receive(other.as_fd(), &mut [0; 4]).unwrap_err(), Errno::EMSGSIZE);
    }

    #[test]
    fn a_closed_peer_is_an_errno_and_then_an_end() {
        let (one, other) = pair(SockType::Stream).unwrap();
        drop(other);
        assert_eq!(send(one.as_fd(), b"x", &[]).unwrap_err(), Errno::EPIPE);
        assert_eq!(receive(one.as_fd(), &mut [0; 4]).unwrap().bytes, 0);
    }

    #[test]
    fn a_path_longer_than_sun_path_can_be_bound_and_connected() {
        let directory = tempfile::tempdir().unwrap();
        let long = directory.path().join("d".repeat(120));
        std::fs::create_dir(&long).unwrap();
        let path = long.join("socket");
        let listener = bind_at(&path, SockType::Stream).unwrap();
        nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(1).unwrap()).unwrap();
        connect_to(&path, SockType::Stream).unwrap();
    }
}
