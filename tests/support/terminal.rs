//! The receiving end of `--console-socket`: what containerd's shim and conmon are to a runtime.

use std::fs::File;
use std::io::{IoSliceMut, Read};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

/// A socket that waits for a terminal.
pub struct ConsoleSocket(UnixListener);

impl ConsoleSocket {
    pub fn bind(path: &Path) -> Self {
        Self(UnixListener::bind(path).expect("a socket"))
    }

    /// The pseudo-terminal's master that a runtime sent, and the bytes it came with.
    pub fn receive(&self) -> (File, String) {
        let (stream, _) = self.0.accept().expect("the runtime connected");
        let mut bytes = [0; 4096];
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let mut space = nix::cmsg_space!([std::os::fd::RawFd; 2]);
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut slices, Some(&mut space), flags)
            .expect("a message");
        let length = message.bytes;
        let received: Vec<_> = message.cmsgs().expect("control messages").collect();
        let [ControlMessageOwned::ScmRights(fds)] = received.as_slice() else {
            panic!("not one message of descriptors: {received:?}");
        };
        assert_eq!(fds.len(), 1, "descriptors sent");
        // SAFETY: the kernel has just made this descriptor for us, and nobody else knows its number.
        let master = unsafe { OwnedFd::from_raw_fd(fds[0]) };
        (File::from(master), String::from_utf8_lossy(&bytes[..length]).into_owned())
    }
}

/// Reads a terminal's master until its other end is closed (which reads as EIO), `words` have come, or nothing has for long.
pub fn read_until(master: &mut File, words: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.contains(words) && comes_soon(master) {
        match master.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
    text
}

fn comes_soon(master: &File) -> bool {
    let mut fds = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::from(20_000u16)).is_ok_and(|ready| ready > 0)
}
