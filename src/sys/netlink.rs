//! rtnetlink(7): requests and answers as bytes on a socket. The socket belongs to the network namespace it was opened in.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// `struct nlmsghdr`: length, type, flags, sequence, port.
const HEADER: usize = 16;
/// `struct nlattr`: length, type.
const ATTRIBUTE_HEADER: usize = 4;
/// `NLA_TYPE_MASK`: the two bits above it say how the value is encoded.
const ATTRIBUTE_KIND: u16 = 0x3fff;
/// What the kernel sends at once at most (`NLMSG_GOODSIZE`, and 32 KiB for a dump).
const LARGEST_ANSWER: usize = 1 << 16;

/// One message, without its header: a fixed part of its kind, then attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `RTM_*`.
    pub kind: u16,
    body: Vec<u8>,
}

impl Message {
    /// A message that starts with `fixed`, a structure of its kind.
    pub fn new(kind: u16, fixed: &[u8]) -> Self {
        let mut message = Message { kind, body: fixed.to_vec() };
        message.pad();
        message
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, kind: u16, value: &[u8]) -> Self {
        let length = u16::try_from(value.len() + ATTRIBUTE_HEADER).unwrap_or(u16::MAX);
        self.body.extend(length.to_ne_bytes());
        self.body.extend(kind.to_ne_bytes());
        self.body.extend(value);
        self.pad();
        self
    }

    /// Its fixed part, `length` bytes of it; zeros for what is not there.
    pub fn fixed<const LENGTH: usize>(&self) -> [u8; LENGTH] {
        let mut fixed = [0; LENGTH];
        for (to, from) in fixed.iter_mut().zip(&self.body) {
            *to = *from;
        }
        fixed
    }

    /// The value of an attribute behind a fixed part of `fixed` bytes.
    pub fn attribute(&self, fixed: usize, kind: u16) -> Option<&[u8]> {
        let mut rest = self.body.get(aligned(fixed)..)?;
        loop {
            let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
            let found = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?) & ATTRIBUTE_KIND;
            let value = rest.get(ATTRIBUTE_HEADER..length)?;
            if found == kind {
                return Some(value);
            }
            rest = rest.get(aligned(length)..)?;
        }
    }

    fn pad(&mut self) {
        self.body.resize(aligned(self.body.len()), 0);
    }

    fn bytes(&self, flags: u16) -> Vec<u8> {
        let length = u32::try_from(HEADER + self.body.len()).unwrap_or(u32::MAX);
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(&self.body);
        bytes
    }
}

fn aligned(length: usize) -> usize {
    length.next_multiple_of(4)
}

/// A connection to the network namespace it was opened in.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Connects to the calling thread's network namespace.
    pub fn open() -> nix::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC;
        let protocol = SockProtocol::NetlinkRoute;
        socket(AddressFamily::Netlink, SockType::Raw, flags, protocol).map(Socket)
    }

    /// Asks for a change, with these `NLM_F_*` more; the errno is the kernel's answer.
    pub fn change(&self, message: &Message, flags: i32) -> nix::Result<()> {
        self.ask(message, libc::NLM_F_ACK | flags)?;
        self.answers().map(drop)
    }

    /// Asks for one thing.
    pub fn get(&self, message: &Message) -> nix::Result<Message> {
        self.ask(message, libc::NLM_F_ACK)?;
        self.answers()?.pop().ok_or(Errno::ENOMSG)
    }

    /// Asks for all there is of a kind.
    pub fn list(&self, message: &Message) -> nix::Result<Vec<Message>> {
        self.ask(message, libc::NLM_F_DUMP)?;
        self.answers()
    }

    fn ask(&self, message: &Message, flags: i32) -> nix::Result<()> {
        let flags = u16::try_from(libc::NLM_F_REQUEST | flags).map_err(|_| Errno::EINVAL)?;
        let bytes = message.bytes(flags);
        send(self.0.as_raw_fd(), &bytes, MsgFlags::empty()).map(drop)
    }

    /// What comes until the kernel says that it is all (`NLMSG_DONE`), or that it is done or why not (`NLMSG_ERROR`).
    fn answers(&self) -> nix::Result<Vec<Message>> {
        let mut answers = Vec::new();
        let mut buffer = vec![0; LARGEST_ANSWER];
        loop {
            let length = match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            let mut rest = buffer.get(..length).ok_or(Errno::EMSGSIZE)?;
            while let Some((message, behind)) = first(rest) {
                match i32::from(message.kind) {
                    libc::NLMSG_DONE => return Ok(answers),
                    libc::NLMSG_ERROR => {
                        let errno = i32::from_ne_bytes(message.fixed());
                        return match errno {
                            0 => Ok(answers),
                            errno => Err(Errno::from_raw(-errno)),
                        };
                    }
                    _ => answers.push(message),
                }
                rest = behind;
            }
        }
    }
}

/// The first of some messages, and what is behind it.
fn first(bytes: &[u8]) -> Option<(Message, &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?);
    let length = usize::try_from(length).ok()?;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let body = bytes.get(HEADER..length)?.to_vec();
    Some((Message { kind, body }, bytes.get(aligned(length)..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_behind_others() {
        let message = Message::new(16, &[1; 16]).with(3, b"eth0\0").with(0x8001, &[7; 4]);
        assert_eq!(message.attribute(16, 3), Some(&b"eth0\0"[..]));
        assert_eq!(message.attribute(16, 1), Some(&[7; 4][..]));
        assert_eq!(message.attribute(16, 2), None);
        let (parsed, rest) = first(&message.bytes(0)).map(|(m, r)| (m, r.len())).unwrap();
        assert_eq!((parsed, rest), (message, 0));
    }

    #[test]
    fn a_cut_message_is_none() {
        let bytes = Message::new(16, &[1; 16]).bytes(0);
        assert_eq!(first(&bytes[..20]), None);
        assert_eq!(first(&[]), None);
        assert_eq!(Message::new(16, &[1; 2]).attribute(16, 1), None);
    }

    #[test]
    fn the_loopback_interface_is_the_first() {
        let lo = Message::new(libc::RTM_GETLINK, &[0; 16]).with(libc::IFLA_IFNAME, b"lo\0");
        let answer = Socket::open().unwrap().get(&lo).unwrap();
        assert_eq!(answer.kind, libc::RTM_NEWLINK);
        assert_eq!(answer.fixed::<8>()[4..], 1i32.to_ne_bytes());
        let none = Message::new(libc::RTM_GETLINK, &[0; 16]).with(libc::IFLA_IFNAME, b"nosuch\0");
        assert_eq!(Socket::open().unwrap().get(&none).unwrap_err(), Errno::ENODEV);
    }
}
