//! Between the streams etui was started on and the container's terminal or pipes: bytes both ways, a terminal's size one
//! way.

mod direction;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{OutputFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use super::streams::{PipeEnd, Stream};
use super::terminal;
use crate::error::{Call, Result};
use crate::sys::{ioctl, stdio};
use direction::{Direction, Sense};

/// How long a terminal that others still hold must be silent before it counts as done, in milliseconds.
const SILENCE: u8 = 50;

/// How often to look whether our terminal is ours again, in milliseconds: not every shell tells a job that runs (bash sends
/// SIGCONT only to one that is stopped).
const LOOK: u8 = 200;

/// More turns than it takes to move what a pipe holds by default (pipe(7)).
const TURNS: usize = 64;

/// The caller's terminal without line editing, echo and signal keys; as it was when this is dropped.
#[derive(Debug)]
struct RawMode {
    terminal: OwnedFd,
    before: Termios,
}

impl RawMode {
    /// Enters raw mode, or does nothing when `stream` is no terminal. A line feed of any program's is still shown as a new
    /// line.
    fn enter(stream: BorrowedFd<'_>) -> Result<Option<RawMode>> {
        let Ok(before) = tcgetattr(stream) else { return Ok(None) };
        let terminal = stream.try_clone_to_owned().call(|| "dup(terminal)")?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        raw.output_flags |= OutputFlags::OPOST;
        tcsetattr(&terminal, SetArg::TCSANOW, &raw).call(|| "tcsetattr(raw)")?;
        Ok(Some(RawMode { terminal, before }))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Nothing better can be done with a terminal that is gone.
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}

/// The container's terminal.
#[derive(Debug)]
struct Console {
    master: OwnedFd,
    /// Held for its drop, which gives our own terminal back.
    raw_mode: Option<RawMode>,
    /// Whether our own terminal is another job's, and so not ours to change yet.
    awaits_ours: bool,
}

/// Carries bytes between our standard streams and a container's, a step at a time.
///
/// Whoever drives it polls [`Relay::poll_fds`] beside whatever else it waits for, no longer than [`Relay::patience`], then
/// calls [`Relay::pump`].
#[derive(Debug)]
pub struct Relay {
    /// Pipes are closed as soon as they have served, so that the other side knows.
    directions: Vec<Direction>,
    console: Option<Console>,
}

impl Relay {
    /// Between our standard streams and the `master` of a terminal. A terminal of ours is in raw mode meanwhile, and its size
    /// is passed on.
    pub fn of_terminal(master: OwnedFd) -> Result<Relay> {
        let mut relay = Relay::between(master, stdio::input(), stdio::output())?;
        if let Some(console) = &mut relay.console {
            console.awaits_ours = true;
        }
        relay.take_our_terminal()?;
        relay.resize()?;
        Ok(relay)
    }

    /// Changes our own terminal's mode, as soon as no other job has it.
    fn take_our_terminal(&mut self) -> Result<()> {
        match &mut self.console {
            Some(console)
                if console.awaits_ours && !direction::is_in_background(stdio::input()) =>
            {
                console.awaits_ours = false;
                console.raw_mode = RawMode::enter(stdio::input())?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Between two streams and `master`, which is ours alone.
    pub fn between(
        master: OwnedFd,
        input: BorrowedFd<'_>,
        output: BorrowedFd<'_>,
    ) -> Result<Relay> {
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))
            .call(|| "fcntl(master, F_SETFL, O_NONBLOCK)")?;
        leave_line_feeds(&master)?;
        let directions = vec![
            Direction::new(Sense::Inwards, duplicate(input)?, duplicate(master.as_fd())?),
            Direction::new(Sense::Outwards, duplicate(master.as_fd())?, duplicate(output)?),
        ];
        Ok(Relay {
            directions,
            console: Some(Console { master, raw_mode: None, awaits_ours: false }),
        })
    }

    /// Between our standard streams and the pipes that took their places, which are ours alone.
    pub fn of_pipes(pipes: Vec<PipeEnd>) -> Result<Relay> {
        let direction = |PipeEnd { stream, end }| {
            let ours = duplicate(stream.of_ours())?;
            Ok(match stream {
                Stream::Input => Direction::new(Sense::Inwards, ours, end),
                Stream::Output | Stream::Error => Direction::new(Sense::Outwards, end, ours),
            })
        };
        let directions = pipes.into_iter().map(direction).collect::<Result<_>>()?;
        Ok(Relay { directions, console: None })
    }

    /// Whether the container has ended its output and all of it is written.
    pub fn is_done(&self) -> bool {
        self.outwards().all(Direction::is_over)
    }

    fn outwards(&self) -> impl Iterator<Item = &Direction> {
        self.directions.iter().filter(|direction| direction.sense == Sense::Outwards)
    }

    /// What to wait for.
    pub fn poll_fds(&self) -> Vec<PollFd<'_>> {
        self.directions.iter().flat_map(Direction::poll_fds).collect()
    }

    /// How long to poll before [`Relay::pump`] is called even so.
    pub fn patience(&self) -> PollTimeout {
        let awaits_ours = self.console.as_ref().is_some_and(|console| console.awaits_ours)
            || self.directions.iter().any(Direction::is_in_background);
        if awaits_ours { PollTimeout::from(LOOK) } else { PollTimeout::NONE }
    }

    /// Moves what can be moved now.
    pub fn pump(&mut self) -> Result<()> {
        self.take_our_terminal()?;
        self.directions.iter_mut().try_for_each(Direction::pump)?;
        if self.console.is_none() {
            self.directions.retain(|direction| !direction.is_over());
        }
        Ok(())
    }

    /// Writes what the container has said so far, as far as its reader takes it at once.
    pub fn pump_what_was_said(&mut self) -> Result<()> {
        for _ in 0..TURNS {
            let mut fds: Vec<_> = self.outwards().flat_map(Direction::poll_fds).collect();
            if fds.is_empty() || wait(&mut fds, PollTimeout::ZERO)? == 0 {
                break;
            }
            self.pump()?;
        }
        Ok(())
    }

    /// Writes what is left once the process has ended: up to the end of its output; while others hold a terminal, up to a
    /// silence. It may be long in coming (whoever holds a pipe has not ended it, or a reader does not read): waited for until
    /// there is `news` which are a reason to give up.
    pub fn drain(
        &mut self,
        news: BorrowedFd<'_>,
        is_over: &dyn Fn() -> Result<bool>,
    ) -> Result<()> {
        while !self.is_done() {
            let waits_for_silence =
                self.console.is_some() && !self.outwards().any(Direction::wants_to_write);
            let timeout =
                if waits_for_silence { PollTimeout::from(SILENCE) } else { PollTimeout::NONE };
            let mut fds = vec![PollFd::new(news, PollFlags::POLLIN)];
            fds.extend(match self.console {
                // What is typed now is nobody's.
                Some(_) => self.outwards().flat_map(Direction::poll_fds).collect(),
                None => self.poll_fds(),
            });
            let ready = wait(&mut fds, timeout)?;
            if ready == 0 && waits_for_silence || fds[0].any() == Some(true) && is_over()? {
                break;
            }
            self.pump()?;
        }
        Ok(())
    }

    /// Gives the container's terminal, where it has one, the size of ours, if we have one: after the start, and on each
    /// SIGWINCH.
    pub fn resize(&self) -> Result<()> {
        let Some(console) = &self.console else { return Ok(()) };
        let ours =
            ioctl::window_size(stdio::output()).or_else(|_| ioctl::window_size(stdio::input()));
        let Ok(size) = ours else { return Ok(()) };
        terminal::set_size(console.master.as_fd(), size)
    }
}

fn duplicate(stream: BorrowedFd<'_>) -> Result<OwnedFd> {
    stream.try_clone_to_owned().call(|| "dup(standard stream)")
}

/// How many are ready; none when a signal came first, which is then among them.
fn wait(fds: &mut [PollFd<'_>], timeout: PollTimeout) -> Result<i32> {
    match poll(fds, timeout) {
        Err(Errno::EINTR) => Ok(0),
        polled => polled.call(|| "poll(standard streams)"),
    }
}

/// The container's terminal leaves line feeds to ours, which shows them as new lines; else there would be two returns a
/// line, and one in what is piped elsewhere.
fn leave_line_feeds(master: &OwnedFd) -> Result<()> {
    let mut settings = tcgetattr(master).call(|| "tcgetattr(master)")?;
    settings.output_flags.remove(OutputFlags::ONLCR);
    tcsetattr(master, SetArg::TCSANOW, &settings).call(|| "tcsetattr(master)")
}
