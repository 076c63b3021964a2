//! criu(8), which writes processes down and brings them back: one run of it, what it is asked and what it answers.
//!
//! It is spoken to as `criu swrk` wants it (criu.org/RPC): one request over a socket, notices on the way, one answer.

mod message;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::SockType;

use crate::error::{Call, Context, Error, Result};
use crate::sys::socket;

pub use message::{Message, Received};

/// Longer than any answer of criu.
const LONGEST_ANSWER: usize = 1 << 16;

/// What criu is asked to do (`criu_req_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Write processes down.
    Dump = 1,
    /// Bring them back.
    Restore = 2,
    /// Write down the memory only, while they run on.
    PreDump = 4,
    /// Say what this kernel can do.
    FeatureCheck = 9,
}

/// `NOTIFY` of `criu_req_type`.
const NOTIFY: u64 = 6;

/// What criu tells on the way.
#[derive(Debug)]
pub struct Notice {
    /// Where it is, as criu calls it: `post-restore` and so on.
    pub point: String,
    /// The process it is about, as we see it.
    pub pid: Option<i32>,
    /// A descriptor that came with it.
    pub descriptor: Option<OwnedFd>,
}

/// Has criu carry out `task`. `opts` are its options (`criu_opts`), `inherited` the descriptors that stay open for it, by the
/// numbers they have here. Answers criu's answer (`criu_resp`).
pub fn carry_out(
    task: Task,
    opts: &Message,
    inherited: &[BorrowedFd<'_>],
    prepare: &mut dyn FnMut(u32) -> Result<()>,
    notice: &mut dyn FnMut(Notice) -> Result<()>,
) -> Result<Vec<u8>> {
    let criu = Criu::start(inherited)?;
    prepare(criu.child.id())?;
    let request = Message::default().number(1, task as u32).message(2, opts);
    criu.say(&request)?;
    loop {
        let (bytes, descriptor) = criu.hear()?;
        let answer = Received(&bytes);
        if answer.number(1) == Some(NOTIFY) {
            let told = answer.message(5).unwrap_or_default();
            notice(Notice {
                point: told.text(1).unwrap_or_default(),
                pid: told.number(2).and_then(|pid| i32::try_from(pid).ok()),
                descriptor,
            })?;
            criu.say(&Message::default().number(1, NOTIFY).number(3, true))?;
            continue;
        }
        return match answer.number(2) {
            Some(1) => Ok(bytes),
            _ => Err(failure(answer)),
        };
    }
}

/// Refuses where criu is not installed, before anything is done for it.
pub fn check_installed() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).any(|directory| directory.join("criu").is_file()) {
        true => Ok(()),
        false => Err(Error::refused("criu(8) is not installed, or not on PATH")),
    }
}

/// What this kernel and criu can do: the fields of `criu_features` that are set in `wanted` and not in the answer.
pub fn lacks(field: u32) -> Result<bool> {
    let features = Message::default().number(field, true);
    let criu = Criu::start(&[])?;
    criu.say(&Message::default().number(1, Task::FeatureCheck as u32).message(5, &features))?;
    let (bytes, _) = criu.hear()?;
    let has = Received(&bytes).message(8).and_then(|features| features.number(field));
    Ok(has != Some(1))
}

fn failure(answer: Received<'_>) -> Error {
    let errno = answer.number(7).unwrap_or(0);
    let task = match answer.number(1) {
        Some(1) => "dump",
        Some(2) => "restore",
        Some(4) => "pre-dump",
        _ => "request",
    };
    Error::new(format!("criu failed: {task}, errno {errno}"))
}

/// One run of criu; dropped, it is waited for, or ended where it still works.
#[derive(Debug)]
struct Criu {
    child: Child,
    socket: OwnedFd,
}

impl Criu {
    fn start(inherited: &[BorrowedFd<'_>]) -> Result<Criu> {
        let (ours, theirs) = socket::pair(SockType::SeqPacket).call(|| "socketpair()")?;
        for fd in inherited.iter().copied().chain([theirs.as_fd()]) {
            fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).call(|| "fcntl(F_SETFD)")?;
        }
        let child = Command::new("criu")
            .arg("swrk")
            .arg(theirs.as_raw_fd().to_string())
            .stdin(Stdio::inherit())
            .spawn()
            .call(|| "exec(\"criu\")")?;
        Ok(Criu { child, socket: ours })
    }

    fn say(&self, message: &Message) -> Result<()> {
        socket::send(self.socket.as_fd(), message.bytes(), &[])
            .call(|| "sendmsg(criu)")
            .map(drop)
            .context("criu ended before it was asked")
    }

    fn hear(&self) -> Result<(Vec<u8>, Option<OwnedFd>)> {
        let mut bytes = vec![0; LONGEST_ANSWER];
        let received = socket::receive(self.socket.as_fd(), &mut bytes).call(|| "recvmsg(criu)")?;
        if received.bytes == 0 {
            return Err(Error::new("criu ended without an answer"));
        }
        bytes.truncate(received.bytes);
        Ok((bytes, received.descriptors.into_iter().next()))
    }
}

impl Drop for Criu {
    fn drop(&mut self) {
        // Its work is done when it has answered; where it has not, there is nobody to answer to. Either way it ends when the
        // socket does.
        let _ =
            nix::sys::socket::shutdown(self.socket.as_raw_fd(), nix::sys::socket::Shutdown::Both);
        let _ = self.child.wait();
    }
}
