//! A seqpacket socket that carries messages and descriptors. Knows nothing of their meaning.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::SockType;

use crate::error::{Call, Result};
use crate::sys::socket;

/// The longest message: a seccomp program of 4096 instructions, 8 bytes each, and its header.
pub(super) const LONGEST: usize = 4096 * 8 + 64;

/// One end.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
    /// Room for the longest message, for all of them, from the first one on.
    room: RefCell<Vec<u8>>,
    /// A message that was read before its turn.
    early: RefCell<Option<Vec<u8>>>,
}

/// What came.
#[derive(Debug, Default)]
pub struct Packet {
    /// The message.
    pub bytes: Vec<u8>,
    /// The descriptors that came with it, close-on-exec.
    pub descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// Both ends.
    pub fn pair() -> Result<(Channel, Channel)> {
        let (one, other) =
            socket::pair(SockType::SeqPacket).call(|| "socketpair(AF_UNIX, SOCK_SEQPACKET)")?;
        let end = |socket| Channel { socket, room: RefCell::default(), early: RefCell::default() };
        Ok((end(one), end(other)))
    }

    /// Sends one message.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<()> {
        if descriptors.is_empty() {
            return self.write(bytes);
        }
        socket::send(self.socket.as_fd(), bytes, descriptors).call(|| "sendmsg(launch channel)")?;
        Ok(())
    }

    /// By write(2): a system call filter that is loaded already is more likely to let it pass than sendmsg(2).
    fn write(&self, bytes: &[u8]) -> Result<()> {
        nix::unistd::write(&self.socket, bytes).call(|| "write(launch channel)").map(drop)
    }

    /// Waits for one message, with the descriptors it carries; none when the other end is gone.
    pub fn receive(&self) -> Result<Option<Packet>> {
        let mut bytes = self.room.borrow_mut();
        if bytes.is_empty() {
            *bytes = vec![0; LONGEST];
        }
        let mut received = socket::receive(self.socket.as_fd(), &mut bytes);
        if matches!(received, Err(Errno::ECONNRESET)) {
            // The other end is gone without having read all we said; what it said itself is still there to be read.
            received = socket::receive(self.socket.as_fd(), &mut bytes);
        }
        let received = received.call(|| "recvmsg(launch channel)")?;
        let message = bytes[..received.bytes].to_vec();
        let packet = Packet { bytes: message, descriptors: received.descriptors };
        Ok((!packet.bytes.is_empty()).then_some(packet))
    }

    /// Waits for one short message without descriptors, by read(2); none when the other end is gone.
    pub fn read(&self) -> Result<Option<Vec<u8>>> {
        let mut bytes = [0; 64];
        let length = nix::unistd::read(&self.socket, &mut bytes).call(|| "read(launch channel)")?;
        Ok((length > 0).then(|| bytes[..length].to_vec()))
    }

    /// Keeps a message until its turn comes.
    pub fn keep_early(&self, message: Vec<u8>) {
        self.early.replace(Some(message));
    }

    /// What was kept, once.
    pub fn take_early(&self) -> Option<Vec<u8>> {
        self.early.take()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
