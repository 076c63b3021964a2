//! Where init waits for `start`, and how it is released. Does not know why.
//!
//! A created container waits on two named pipes of its state directory: `start` writes into the one, init answers
//! through the other. Init holds both since its birth, so it needs nothing but read(2), write(2) and close(2) here, whatever
//! filter is loaded and whatever user it has become. The gate stands while init holds its end of the first pipe: its
//! closing is what turns *created* into *running*, atomically, and needs no right over the directory.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::mkfifoat;

use super::channel::Channel;
use super::messages::{ToInit, ToParent};
use crate::error::{Call, Context, Error, Kind, Result};

const START: &str = "start.fifo";
const ANSWER: &str = "answer.fifo";

/// Init's side of the gate.
#[derive(Debug)]
pub enum Gate {
    /// `create`: whoever comes later opens it.
    Pipes {
        /// What `start` writes into.
        start: OwnedFd,
        /// What init answers through; it stays until execve(2) closes it.
        answer: OwnedFd,
    },
    /// `run`: the parent stays and opens it through the channel itself.
    Channel,
}

impl Gate {
    /// Makes the pipes in the state directory.
    pub fn make(directory: BorrowedFd<'_>) -> Result<Gate> {
        let pipe = |name| {
            mkfifoat(directory, name, Mode::S_IRUSR | Mode::S_IWUSR)
                .call(|| format!("mkfifoat({name:?})"))?;
            // Both directions: a pipe without the other end would not open, or read as ended.
            openat(directory, name, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())
                .call(|| format!("openat({name:?})"))
        };
        Ok(Gate::Pipes { start: pipe(START)?, answer: pipe(ANSWER)? })
    }

    /// Whether init waits here when its parent is gone.
    pub(super) fn outlives_parent(&self) -> bool {
        matches!(self, Gate::Pipes { .. })
    }

    /// The descriptors init keeps open until it executes its program.
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Gate::Pipes { start, answer } => vec![start.as_fd(), answer.as_fd()],
            Gate::Channel => Vec::new(),
        }
    }

    /// Init waits here; what comes back is how it reports what happens between here and execve(2).
    pub fn pass(self, channel: Channel) -> Result<Reporter> {
        match self {
            Gate::Channel => {
                ToInit::Start.wait(&channel)?;
                Ok(Reporter::Channel(channel))
            }
            Gate::Pipes { start, answer } => {
                ToInit::Committed.wait(&channel)?;
                drop(channel);
                let mut start = File::from(start);
                let mut word = [0; 1];
                while start.read(&mut word).call(|| "read(start gate)")? == 0 {}
                drop(start);
                let mut answer = File::from(answer);
                answer.write_all(&ToParent::Passed.bytes()).call(|| "write(start gate)")?;
                Ok(Reporter::Pipe(answer))
            }
        }
    }
}

/// How init reports a failure after the gate.
#[derive(Debug)]
pub enum Reporter {
    /// To `run`.
    Channel(Channel),
    /// To `start`.
    Pipe(File),
}

impl Reporter {
    /// Says why the program was not executed.
    pub fn fail(&mut self, error: Error) {
        let failed = ToParent::Failed(error);
        // Nobody may be there to hear it.
        let _ = match self {
            Reporter::Channel(channel) => failed.send(channel),
            Reporter::Pipe(pipe) => pipe.write_all(&failed.bytes()).call(|| "write(start gate)"),
        };
    }
}

/// Whether init still waits at the gate of this state directory.
pub fn is_waiting(directory: &Path) -> Result<bool> {
    Ok(open_start(directory)?.is_some())
}

/// Releases init, and waits until its program executes.
pub fn release(directory: &Path) -> Result<()> {
    let path = directory.join(ANSWER);
    // Opened first, and read without blocking until a writer is known to be there: init.
    let answer = open(&path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty())
        .call(|| format!("open({path:?})"))?;
    let Some(start) = open_start(directory)? else {
        return Err(Error::new("cannot start an already running container"));
    };
    nix::fcntl::fcntl(&answer, nix::fcntl::FcntlArg::F_SETFL(OFlag::empty()))
        .call(|| "fcntl(F_SETFL)")?;
    File::from(start).write_all(b"s").call(|| "write(start gate)")?;
    let mut text = Vec::new();
    File::from(answer).read_to_end(&mut text).call(|| "read(start gate)")?;
    match text.split_first() {
        Some((b'p', [])) => Ok(()),
        Some((b'p', failure)) => match ToParent::parse(failure, None)? {
            ToParent::Failed(error) => Err(error),
            _ => Err(Error::new("unexpected answer from init")),
        },
        _ => Err(Error::new("the container's process ended while it waited to be started")
            .of_kind(Kind::NotRunning)),
    }
}

fn open_start(directory: &Path) -> Result<Option<OwnedFd>> {
    let path = directory.join(START);
    match open(&path, OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        // ENXIO: nobody has it open for reading. ENOENT: `run` made the container, which has no pipes.
        Err(Errno::ENXIO | Errno::ENOENT) => Ok(None),
        Err(errno) => Err(Error::call(format!("open({path:?}, O_WRONLY|O_NONBLOCK)"), errno)),
    }
    .context("look at the start gate")
}
