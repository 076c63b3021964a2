//! criu(8), which writes processes down and brings them back: one run of it, what it is asked and what it answers.
//!
//! It is spoken to as `criu swrk` wants it (criu.org/RPC): one request over a socket, notices on the way, one answer.

mod message;
mod options;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::SockType;

use crate::error::{Call, Context, Error, Result};
use crate::kernel::process::{Pidfd, Waited};
use crate::kernel::signals::Signals;
use crate::sys::socket;

use message::{Message, Received};
pub use options::{CgroupMode, Options, Switch, descriptor};

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

/// Something that this kernel and criu can do or can't, by the number of the field in `criu_features`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// `mem_track`
    MemoryTracking = 1,
    /// `lazy_pages`
    LazyPages = 2,
}

/// The fields of `criu_req`.
mod request {
    pub const TYPE: u32 = 1;
    pub const OPTS: u32 = 2;
    pub const NOTIFY_SUCCESS: u32 = 3;
    pub const FEATURES: u32 = 5;
}

/// The fields of `criu_resp`.
mod response {
    pub const TYPE: u32 = 1;
    pub const SUCCESS: u32 = 2;
    pub const NOTIFY: u32 = 5;
    pub const CR_ERRNO: u32 = 7;
    pub const FEATURES: u32 = 8;
}

/// The fields of `criu_notify`.
mod notify {
    pub const SCRIPT: u32 = 1;
    pub const PID: u32 = 2;
}

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

/// Has criu carry out `task`, or ends it where a signal asks for that. `inherited` are the descriptors that stay open for
/// it, by the numbers they have here.
pub fn carry_out(
    task: Task,
    options: &Options,
    inherited: &[BorrowedFd<'_>],
    interrupts: Option<&Signals>,
    prepare: &mut dyn FnMut(u32) -> Result<()>,
    notice: &mut dyn FnMut(Notice) -> Result<()>,
) -> Result<()> {
    let mut criu = Criu::start(inherited)?;
    prepare(criu.child.id())?;
    let request = Message::default().number(request::TYPE, task as u32);
    criu.say(&request.message(request::OPTS, &options.0))?;
    loop {
        if let Some(interrupts) = interrupts {
            interrupts.wait_readable(criu.socket.as_fd(), "criu")?;
        }
        let (bytes, descriptor) = criu.hear()?;
        let answer = Received(&bytes);
        if answer.number(response::TYPE) == Some(NOTIFY) {
            let told = answer.message(response::NOTIFY).unwrap_or_default();
            notice(Notice {
                point: told.text(notify::SCRIPT).unwrap_or_default(),
                pid: told.number(notify::PID).and_then(|pid| i32::try_from(pid).ok()),
                descriptor,
            })?;
            let heard = Message::default().number(request::TYPE, NOTIFY);
            criu.say(&heard.number(request::NOTIFY_SUCCESS, true))?;
            continue;
        }
        criu.answered = true;
        return match answer.number(response::SUCCESS) {
            Some(1) => Ok(()),
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

/// Whether this kernel or criu lacks something.
pub fn lacks(feature: Feature) -> Result<bool> {
    let features = Message::default().number(feature as u32, true);
    let mut criu = Criu::start(&[])?;
    let request = Message::default().number(request::TYPE, Task::FeatureCheck as u32);
    criu.say(&request.message(request::FEATURES, &features))?;
    let (bytes, _) = criu.hear()?;
    criu.answered = true;
    let features = Received(&bytes).message(response::FEATURES);
    let has = features.and_then(|features| features.number(feature as u32));
    Ok(has != Some(1))
}

fn failure(answer: Received<'_>) -> Error {
    let errno = answer.number(response::CR_ERRNO).unwrap_or(0);
    let is = |task: Task| answer.number(response::TYPE) == Some(task as u64);
    let names = [(Task::Dump, "dump"), (Task::Restore, "restore"), (Task::PreDump, "pre-dump")];
    let task = names.into_iter().find(|(task, _)| is(*task)).map_or("request", |(_, name)| name);
    Error::new(format!("criu failed: {task}, errno {errno}"))
}

/// How long criu may take to undo what it was at, once nobody listens any more. It may be stuck.
const PATIENCE: Duration = Duration::from_secs(3);

/// One run of criu; dropped, it is waited for, or ended where it doesn't end by itself.
#[derive(Debug)]
struct Criu {
    child: Child,
    socket: OwnedFd,
    /// Whether its work is done.
    answered: bool,
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
        Ok(Criu { child, socket: ours, answered: false })
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

impl Criu {
    fn ends_within(&self, patience: Duration) -> bool {
        let process = Pidfd::open(self.child.id().cast_signed());
        process
            .and_then(|process| process.wait_exit(patience))
            .is_ok_and(|waited| waited == Waited::Ended)
    }
}

impl Drop for Criu {
    fn drop(&mut self) {
        // It ends when the socket does. Where it has not answered, it finds nobody to answer to, and undoes what it has begun:
        // what it was to dump is left as it was, and what it was to restore is not.
        let _ =
            nix::sys::socket::shutdown(self.socket.as_raw_fd(), nix::sys::socket::Shutdown::Both);
        if !self.answered && !self.ends_within(PATIENCE) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
