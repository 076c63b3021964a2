//! Runs one program: bytes on stdin, environment, deadline, captured output. Does not know which hook it is.

mod outputs;

use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::pipe2;

use crate::error::{Call, Context, Error, Result};
use crate::sys::exec::{self, CStrings, Child, Spawn};

pub use outputs::{OutputFiles, Outputs};

/// A program to run at a point of the life cycle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hook {
    /// The file, absolute.
    pub path: PathBuf,
    /// Its arguments, the name first; when there are none, the path is the name.
    pub args: Vec<String>,
    /// Its whole environment, `NAME=value`.
    pub env: Vec<String>,
    /// How long it may run.
    pub timeout: Option<Duration>,
}

/// How much of each output stream an error shows, in bytes: the end, where programs say what went wrong.
const OUTPUT_BYTES: usize = 64 * 1024;

/// How often its end is looked for where the kernel can't tell it.
const TICK: Duration = Duration::from_millis(10);

/// What may end a hook early, for a caller that keeps signals away.
#[derive(Clone, Copy)]
pub struct Interrupt<'a> {
    /// Readable when there may be a reason to give up.
    pub news: BorrowedFd<'a>,
    /// The reason, if there is one.
    pub reason: &'a dyn Fn() -> Result<()>,
}

/// What hooks run beside.
#[derive(Clone, Copy, Default)]
pub struct Circumstances<'a> {
    /// What may end them early.
    pub interrupt: Option<Interrupt<'a>>,
    /// Where their outputs go.
    pub outputs: Option<&'a Outputs>,
}

/// Runs the hooks of a point of the life cycle, such as `createRuntime`, in order, up to the first that fails.
pub fn run_all(point: &str, hooks: &[Hook], stdin: &[u8]) -> Result<()> {
    run_all_in(point, hooks, stdin, Circumstances::default())
}

/// As [`run_all`], up to an interruption too.
pub fn run_all_in(
    point: &str,
    hooks: &[Hook],
    stdin: &[u8],
    circumstances: Circumstances<'_>,
) -> Result<()> {
    hooks.iter().enumerate().try_for_each(|(index, hook)| {
        run_in(hook, stdin, circumstances)
            .with_context(|| format!("error running {point} hook #{index}"))
    })
}

/// Runs a hook to its end, with `stdin` to read, in a process group of its own.
///
/// What it leaves running in the background is not waited for, whatever it holds open. The caller ignores SIGPIPE, as Rust
/// programs do from the start.
pub fn run(hook: &Hook, stdin: &[u8]) -> Result<()> {
    run_in(hook, stdin, Circumstances::default())
}

/// As [`run`], up to an interruption too.
pub fn run_in(hook: &Hook, stdin: &[u8], circumstances: Circumstances<'_>) -> Result<()> {
    let interrupt = circumstances.interrupt;
    let mut running = Running::start(hook, stdin, circumstances.outputs)?;
    let deadline = hook.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        if let Some(status) = running.ended()? {
            running.read_outputs();
            return running.judge(status);
        }
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        if let (Some(Duration::ZERO), Some(timeout)) = (left, hook.timeout) {
            running.kill();
            let seconds = timeout.as_secs_f64();
            return Err(Error::new(format!("hook ran past specified timeout of {seconds:.1}s")));
        }
        running.wait(left, interrupt)?;
        if let Some(interrupt) = interrupt {
            (interrupt.reason)()?;
        }
        running.write_input();
        running.read_outputs();
    }
}

/// A hook that runs, with our ends of its pipes; an end that is done is gone. Killed when dropped early.
struct Running<'input> {
    child: Child,
    reaped: bool,
    input: &'input [u8],
    stdin: Option<File>,
    stdout: Output,
    stderr: Output,
}

impl Running<'_> {
    fn start<'input>(
        hook: &Hook,
        input: &'input [u8],
        files: Option<&Outputs>,
    ) -> Result<Running<'input>> {
        let (their_in, our_in) = pipe2(OFlag::O_CLOEXEC).call(|| "pipe2()")?;
        let (stdout, their_out) = Output::into(files.and_then(|files| files.stdout.as_ref()))?;
        let (stderr, their_err) = Output::into(files.and_then(|files| files.stderr.as_ref()))?;
        let path = CString::new(hook.path.as_os_str().as_bytes()).map_err(|_| null_byte())?;
        let name = [hook.path.to_string_lossy().into_owned()];
        let arguments = if hook.args.is_empty() { &name[..] } else { &hook.args[..] };
        let child = exec::spawn(&Spawn {
            path: &path,
            arguments: &CStrings::new(arguments).map_err(|_| null_byte())?,
            environment: &CStrings::new(&hook.env).map_err(|_| null_byte())?,
            stdio: [their_in.as_fd(), their_out.as_fd(), their_err.as_fd()],
        })
        .call(|| format!("exec {}", hook.path.display()))?;
        let mut running = Running {
            child,
            reaped: false,
            input,
            stdin: Some(File::from(our_in)),
            stdout,
            stderr,
        };
        running.never_block()?;
        running.write_input();
        Ok(running)
    }

    fn never_block(&self) -> Result<()> {
        let ours = [&self.stdin, &self.stdout.pipe, &self.stderr.pipe];
        ours.into_iter().flatten().try_for_each(|pipe| {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
                .map(drop)
                .call(|| "fcntl(F_SETFL, O_NONBLOCK)")
        })
    }

    /// Waits until there is something to do, for `left` at most.
    fn wait(&self, left: Option<Duration>, interrupt: Option<Interrupt<'_>>) -> Result<()> {
        let news = interrupt.map(|interrupt| (interrupt.news, PollFlags::POLLIN));
        let pidfd = self.child.pidfd.as_ref().map(|pidfd| (pidfd.as_fd(), PollFlags::POLLIN));
        let stdin = self.stdin.as_ref().map(|pipe| (pipe.as_fd(), PollFlags::POLLOUT));
        let outputs = [&self.stdout.pipe, &self.stderr.pipe].into_iter().flatten();
        let outputs = outputs.map(|pipe| (pipe.as_fd(), PollFlags::POLLIN));
        let mut fds: Vec<PollFd<'_>> = pidfd
            .into_iter()
            .chain(stdin)
            .chain(outputs)
            .chain(news)
            .map(|(fd, events)| PollFd::new(fd, events))
            .collect();
        let tick = self.child.pidfd.is_none().then_some(TICK);
        let timeout = left.into_iter().chain(tick).min();
        match poll(&mut fds, timeout.map_or(PollTimeout::NONE, milliseconds)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::call("poll(hook)", errno)),
        }
    }

    /// Its exit status, once it has ended; it is reaped then.
    fn ended(&mut self) -> Result<Option<WaitStatus>> {
        match waitpid(self.child.pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => Ok(None),
            other => {
                self.reaped = true;
                other.map(Some).call(|| format!("waitpid({})", self.child.pid))
            }
        }
    }

    /// Writes what it takes. A hook need not read: then there is nobody to write to.
    fn write_input(&mut self) {
        while let Some(pipe) = &mut self.stdin {
            match pipe.write(self.input) {
                Ok(written) => self.input = &self.input[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.input = &[],
            }
            if self.input.is_empty() {
                self.stdin = None;
            }
        }
    }

    fn read_outputs(&mut self) {
        self.stdout.read();
        self.stderr.read();
    }

    fn judge(&self, status: WaitStatus) -> Result<()> {
        let ended = match status {
            WaitStatus::Exited(_, 0) => return Ok(()),
            WaitStatus::Exited(_, code) => format!("exit status {code}"),
            WaitStatus::Signaled(_, signal, _) => format!("signal: {signal}"),
            other => format!("{other:?}"),
        };
        let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
        Err(Error::new(format!("{ended}, stdout: {stdout}, stderr: {stderr}")))
    }

    fn kill(&mut self) {
        // The group first, while its leader keeps the number from being given to another one.
        let _ = killpg(self.child.pid, Signal::SIGKILL);
        let _ = kill(self.child.pid, Signal::SIGKILL);
        let _ = waitpid(self.child.pid, None);
        self.reaped = true;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
        }
    }
}

/// Rounded up, so that a wait does not end before its time.
fn milliseconds(duration: Duration) -> PollTimeout {
    let rounded = duration.as_micros().div_ceil(1000);
    i32::try_from(rounded)
        .ok()
        .and_then(|ms| PollTimeout::try_from(ms).ok())
        .unwrap_or(PollTimeout::MAX)
}

fn null_byte() -> Error {
    Error::refused("path, args or env contains a null byte")
}

/// An output stream of a hook, and the end of what it said.
struct Output {
    pipe: Option<File>,
    tail: VecDeque<u8>,
}

impl Output {
    fn new(pipe: Option<OwnedFd>) -> Output {
        Output { pipe: pipe.map(File::from), tail: VecDeque::new() }
    }

    /// What the hook writes to, `file` or else a pipe, and what we hear of it.
    fn into(file: Option<&OwnedFd>) -> Result<(Output, OwnedFd)> {
        if let Some(file) = file {
            return Ok((Output::new(None), file.try_clone().call(|| "dup(hook output)")?));
        }
        let (ours, theirs) = pipe2(OFlag::O_CLOEXEC).call(|| "pipe2()")?;
        Ok((Output::new(Some(ours)), theirs))
    }

    /// Reads what is there: at most what a pipe holds, so that a hook that never stops talking can't keep us from its deadline.
    fn read(&mut self) {
        let mut buffer = [0; 4096];
        for _ in 0..16 {
            let Some(pipe) = &mut self.pipe else { return };
            match pipe.read(&mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(bytes) => self.keep(&buffer[..bytes]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.pipe = None,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.tail.extend(bytes);
        let excess = self.tail.len().saturating_sub(OUTPUT_BYTES);
        self.tail.drain(..excess);
    }

    fn text(&self) -> String {
        let (first, second) = self.tail.as_slices();
        String::from_utf8_lossy(&[first, second].concat()).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_output_the_end_is_kept() {
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        drop(writer);
        let mut output = Output::new(Some(reader));
        output.keep(&vec![b'a'; OUTPUT_BYTES]);
        output.keep(b"end\n");
        assert_eq!(output.tail.len(), OUTPUT_BYTES);
        assert!(output.text().ends_with("aaend"));
    }

    #[test]
    fn a_wait_is_rounded_up() {
        assert_eq!(milliseconds(Duration::from_micros(1)), PollTimeout::from(1u8));
        assert_eq!(milliseconds(Duration::ZERO), PollTimeout::ZERO);
        assert_eq!(milliseconds(Duration::from_secs(u64::MAX)), PollTimeout::MAX);
    }
}
