//! A process between its clone and its independence, from outside. Knows what it may ask for, not what it does.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::birth::Birthplace;
use super::channel::Channel;
use super::messages::{ToInit, ToParent};
use super::{NOT_READY, death, listener};
use crate::error::{Context, Error, Result};
use crate::hooks::{self, Hook, Outputs};
use crate::kernel::cgroup::Directory;
use crate::kernel::limits::{self, Rlimit};
use crate::kernel::own_binary::View;
use crate::kernel::process::{self, Doomed, Execution, Pidfd, Waited};
use crate::kernel::procfs::Procfs;
use crate::kernel::seccomp::Listener;
use crate::kernel::signals::Signals;
use crate::kernel::streams::PipeEnd;
use crate::spec::state::State;
use crate::warning::warn;

/// A process between its clone and its independence; dropped before that, it is killed.
#[derive(Debug)]
#[must_use = "dropping it kills the process"]
pub struct Newborn<'a> {
    /// What an error calls it.
    who: &'static str,
    pid: Pid,
    pidfd: Doomed,
    channel: Channel,
    interrupts: &'a Signals,
    terminal: Option<OwnedFd>,
    pipes: Vec<PipeEnd>,
    own_binary: Option<View>,
    /// Whether it was told to execute its program.
    told: bool,
}

/// What a newborn process may need of us.
#[derive(Debug)]
pub struct Care<'a> {
    /// Hooks that run outside before it enters its root, the first to run.
    pub prestart: &'a [Hook],
    /// Hooks that run outside right after those of prestart.
    pub create_runtime: &'a [Hook],
    /// Where their outputs go.
    pub hook_outputs: Option<&'a Outputs>,
    /// Who answers for its system call filter.
    pub listener: Option<&'a Listener>,
    /// What hooks and the listener are told of the container.
    pub state: State,
    /// Its resource limits, for where it may not set them itself.
    pub rlimits: &'a [Rlimit],
    /// Whether it makes a terminal.
    pub terminal: bool,
}

impl Care<'_> {
    /// Whether nothing is left to be done for it when it is ready, and all it may ask for before can be given while it goes
    /// on. Not so a filter's listener, which is fetched while it waits, and a terminal, which needs its size first.
    pub fn ends_before_ready(&self) -> bool {
        let hooks = self.prestart.len() + self.create_runtime.len();
        hooks == 0 && self.listener.is_none() && !self.terminal
    }
}

impl<'a> Newborn<'a> {
    /// A process just cloned, called `who`, which speaks on the other end of `channel`.
    pub(super) fn new(
        who: &'static str,
        (pid, pidfd): (Pid, OwnedFd),
        channel: Channel,
        interrupts: &'a Signals,
    ) -> Self {
        Newborn {
            who,
            pid,
            pidfd: Doomed::new(Pidfd::from(pidfd)),
            channel,
            interrupts,
            terminal: None,
            pipes: Vec::new(),
            own_binary: None,
            told: false,
        }
    }

    /// The same process, with what our binary is executed from, to let go of when there is time.
    pub(super) fn with(mut self, own_binary: Option<View>) -> Self {
        self.own_binary = own_binary;
        self
    }

    /// Has it moved to its cgroup, where it was not born there.
    pub(super) fn place(
        &self,
        birthplace: Birthplace,
        take_in: impl FnOnce(i32) -> Result<()>,
    ) -> Result<()> {
        match birthplace {
            Birthplace::Cgroup => Ok(()),
            Birthplace::Elsewhere => {
                take_in(self.pid())?;
                self.say(&ToInit::Placed)
            }
        }
    }

    /// Says how readily the kernel kills it when memory is short.
    pub(super) fn set_oom_score(&self, procfs: &Procfs, score: Option<i32>) -> Result<()> {
        match score {
            Some(score) => {
                limits::set_oom_score_adj(procfs, self.pid, score).context("process.oomScoreAdj")
            }
            None => Ok(()),
        }
    }

    /// Its process id, as we see it.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Its descriptor.
    pub fn pidfd(&self) -> &Pidfd {
        self.pidfd.pidfd()
    }

    /// Where it is spoken to.
    pub(super) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Why it ended, where it has: that tells more than the failure of whoever missed it.
    pub(super) fn last_word(&self) -> Option<Error> {
        const PATIENCE: Duration = Duration::from_millis(100);
        let ended = matches!(self.pidfd().wait_exit(PATIENCE), Ok(Waited::Ended));
        while ended && let Ok(Some(said)) = ToParent::receive(&self.channel) {
            if let ToParent::Failed(own) = said {
                return Some(own);
            }
        }
        None
    }

    /// Gives it its filter, as `kernel::seccomp` writes one down; empty for none.
    pub fn send_filter(&self, program: Vec<u8>) -> Result<()> {
        self.say(&ToInit::Filter(program))
    }

    /// Does what it asks for until it is ready: from then on it can only execute its program.
    pub fn attend(&mut self, care: &Care<'_>, cgroup: Option<&Directory>) -> Result<()> {
        // Here and not before: now there is time to.
        drop(self.own_binary.take());
        loop {
            match self.next(cgroup)? {
                ToParent::RunHooks => self.run_hooks(care).context(NOT_READY)?,
                ToParent::Terminal(master) => self.terminal = Some(master),
                ToParent::Pipe(pipe) => self.pipes.push(pipe),
                ToParent::Listener(number) => {
                    listener::hand_over(self.pidfd(), number, care.listener, &care.state)?;
                }
                ToParent::SetLimits => {
                    limits::set(self.pid, care.rlimits).context("process.rlimits")?;
                    self.say(&ToInit::LimitsSet)?;
                }
                ToParent::Warning(text) => warn(text),
                ToParent::Ready => return Ok(()),
                other => {
                    return Err(Error::new(format!("unexpected message before Ready: {other:?}")));
                }
            }
        }
    }

    fn run_hooks(&self, care: &Care<'_>) -> Result<()> {
        let state =
            serde_json::to_vec(&care.state).map_err(|error| Error::new(error.to_string()))?;
        let interrupt = Some(hooks::Interrupt {
            news: self.interrupts.as_fd(),
            reason: &|| self.interrupts.check_interrupted(),
        });
        let circumstances = hooks::Circumstances { interrupt, outputs: care.hook_outputs };
        hooks::run_all_in("prestart", care.prestart, &state, circumstances)?;
        hooks::run_all_in("createRuntime", care.create_runtime, &state, circumstances)?;
        self.say(&ToInit::HooksRan)
    }

    /// The next thing it says; an error when it fails, when it dies, or when we are told to give up.
    fn next(&self, cgroup: Option<&Directory>) -> Result<ToParent> {
        self.wait_for_word()?;
        match ToParent::receive(&self.channel)? {
            Some(ToParent::Failed(error)) => Err(error),
            Some(message) => Ok(message),
            None => Err(death::explain(self.pidfd(), self.who, cgroup)),
        }
    }

    fn wait_for_word(&self) -> Result<()> {
        self.interrupts.wait_readable(self.channel.as_fd(), "launch channel")
    }

    /// Says something; where nobody listens any more, what it said last tells why.
    pub(super) fn say(&self, message: &ToInit) -> Result<()> {
        message.send(&self.channel).map_err(|error| {
            let is_gone = matches!(error.errno(), Some(Errno::EPIPE | Errno::ECONNRESET));
            while is_gone && let Ok(Some(said)) = ToParent::receive(&self.channel) {
                if let ToParent::Failed(own) = said {
                    return own;
                }
            }
            error
        })
    }

    /// The container is on record: the process outlives us from here on, and waits for another one to start it.
    pub fn commit(&self) -> Result<()> {
        self.say(&ToInit::Committed)
    }

    /// Tells it to execute its program: at once where it is ready, and otherwise when it is.
    pub fn let_go(&mut self) -> Result<()> {
        if !self.told {
            self.say(&ToInit::Start)?;
            self.told = true;
        }
        Ok(())
    }

    /// Waits until its program executes.
    pub fn wait_for_execve(&self, cgroup: Option<&Directory>) -> Result<()> {
        self.wait_for_word()?;
        match ToParent::receive(&self.channel)? {
            // Its end closes the channel as execve does.
            None => match process::execution_of_child(self.pid())? {
                Execution::NotYet => Err(death::explain(self.pidfd(), self.who, cgroup)),
                Execution::Done | Execution::Unknown => Ok(()),
            },
            Some(ToParent::Failed(error)) => Err(error),
            Some(other) => Err(Error::new(format!("unexpected message after Ready: {other:?}"))),
        }
    }

    /// The terminal's master, where it was not sent elsewhere.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.terminal.take()
    }

    /// The pipes that took the places of its standard streams.
    pub fn take_pipes(&mut self) -> Vec<PipeEnd> {
        std::mem::take(&mut self.pipes)
    }

    /// Lets go of it: it lives on its own.
    pub fn release(self) -> (i32, Pidfd) {
        (self.pid.as_raw(), self.pidfd.spare())
    }
}
