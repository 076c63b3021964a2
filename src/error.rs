//! What went wrong, told once, in one line.
//!
//! An [`Error`] is a *cause* (a system call with its arguments and errno, like a line of `strace`, or a sentence)
//! under a chain of *intents*, added as the error climbs. It knows no module of the house.
//!
//! It prints outermost intent first: `mount proc on /proc: fsmount("proc"): operation not permitted; <hint>`.
//! The errno's text is in lower case, because Docker derives exit codes 126 and 127 from the words
//! `permission denied` and `no such file or directory`.

use std::fmt;

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// A result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an error, where that matters to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Nothing special: the operation failed.
    Failed,
    /// The configuration or a flag asks for what can't be: refused before any side effect.
    Refused,
    /// No container of that id.
    NoSuchContainer,
    /// A container of that id is there already.
    ContainerExists,
    /// The container's process has ended.
    NotRunning,
    /// The command line itself is wrong.
    Usage,
    /// No verb of that name.
    NoSuchVerb,
}

/// One failure. See the module's documentation for how it prints.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Inner {
    /// Innermost first: they are pushed as the error climbs.
    intents: Vec<String>,
    cause: String,
    /// The raw number, so that it crosses a process border unchanged.
    errno: Option<i32>,
    hint: Option<String>,
    kind: Kind,
}

impl Error {
    /// A failure that is a sentence of our own.
    pub fn new(cause: impl Into<String>) -> Self {
        Self::with(cause.into(), None, Kind::Failed)
    }

    /// A system call that failed: `call` is written with its arguments, as `strace` would.
    pub fn call(call: impl Into<String>, errno: Errno) -> Self {
        let error = Self::with(call.into(), Some(errno as i32), Kind::Failed);
        match errno {
            Errno::EMFILE => error.hint("raise the limit of open files (ulimit -n)"),
            _ => error,
        }
    }

    /// A configuration or flag that etui refuses: names the field or flag, and why.
    pub fn refused(cause: impl Into<String>) -> Self {
        Self::with(cause.into(), None, Kind::Refused)
    }

    fn with(cause: String, errno: Option<i32>, kind: Kind) -> Self {
        Self(Box::new(Inner { intents: Vec::new(), cause, errno, hint: None, kind }))
    }

    /// The same failure, of another kind.
    pub fn of_kind(mut self, kind: Kind) -> Self {
        self.0.kind = kind;
        self
    }

    /// What was being attempted when this happened.
    pub fn context(mut self, intent: impl Into<String>) -> Self {
        self.0.intents.push(intent.into());
        self
    }

    /// What the operator can do about it; the innermost hint is kept.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// The same failure with none of its texts longer than about `longest` bytes: the middle is left out.
    pub fn shortened(&self, longest: usize) -> Self {
        let shorten = |text: &String| shorten(text, longest);
        Self(Box::new(Inner {
            intents: self.0.intents.iter().map(shorten).collect(),
            cause: shorten(&self.0.cause),
            hint: self.0.hint.as_ref().map(shorten),
            ..*self.0
        }))
    }

    /// The kernel's answer, where a system call is the cause.
    pub fn errno(&self) -> Option<Errno> {
        self.0.errno.map(Errno::from_raw)
    }

    /// What a caller can do about it.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for intent in self.0.intents.iter().rev() {
            write_one_line(f, intent)?;
            f.write_str(": ")?;
        }
        write_one_line(f, &self.0.cause)?;
        if let Some(errno) = self.0.errno {
            write!(f, ": {}", describe(Errno::from_raw(errno)))?;
        }
        if let Some(hint) = &self.0.hint {
            f.write_str("; ")?;
            write_one_line(f, hint)?;
        }
        Ok(())
    }
}

/// The end of a program's output is the most useful part.
fn shorten(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    let (start, end) = (longest / 4, text.len() - longest * 3 / 4);
    let part = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{} ... {}", part(&text.as_bytes()[..start]), part(&text.as_bytes()[end..]))
}

/// Line breaks would make callers that read the last line of a log miss the start of the message.
fn write_one_line(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for (i, line) in text.trim_end().split(['\n', '\r']).enumerate() {
        if i > 0 {
            f.write_str("\\n")?;
        }
        f.write_str(line)?;
    }
    Ok(())
}

/// The kernel's answer in words, with a lower-case first letter (`no such file or directory`).
pub fn describe(errno: Errno) -> String {
    let mut text = strerror(errno).to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    text
}

/// The texts of strerror(3) in glibc: what people search for. `nix` words these otherwise.
fn strerror(errno: Errno) -> &'static str {
    match errno {
        Errno::EAGAIN => "Resource temporarily unavailable",
        Errno::EBADF => "Bad file descriptor",
        Errno::EDEADLK => "Resource deadlock avoided",
        Errno::EDQUOT => "Disk quota exceeded",
        Errno::EIO => "Input/output error",
        Errno::ELOOP => "Too many levels of symbolic links",
        Errno::ENFILE => "Too many open files in system",
        Errno::ENOLCK => "No locks available",
        Errno::ENOMEM => "Cannot allocate memory",
        Errno::ENOTTY => "Inappropriate ioctl for device",
        Errno::EOPNOTSUPP => "Operation not supported",
        Errno::ERANGE => "Numerical result out of range",
        Errno::EXDEV => "Invalid cross-device link",
        other => other.desc(),
    }
}

impl std::error::Error for Error {}

/// Adds what was being attempted to a failed result.
pub trait Context<T> {
    /// Adds `intent` to the error.
    fn context(self, intent: impl Into<String>) -> Result<T>;
    /// Adds the intent that `intent` makes, only when there is an error.
    fn with_context<S: Into<String>>(self, intent: impl FnOnce() -> S) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn context(self, intent: impl Into<String>) -> Result<T> {
        self.map_err(|error| error.context(intent))
    }

    fn with_context<S: Into<String>>(self, intent: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| error.context(intent()))
    }
}

/// Turns a bare errno into an [`Error`] that names the call.
pub trait Call<T> {
    /// Names the call, with its arguments, only when it failed.
    fn call<S: Into<String>>(self, call: impl FnOnce() -> S) -> Result<T>;
}

impl<T> Call<T> for nix::Result<T> {
    fn call<S: Into<String>>(self, call: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|errno| Error::call(call(), errno))
    }
}

impl<T> Call<T> for std::io::Result<T> {
    fn call<S: Into<String>>(self, call: impl FnOnce() -> S) -> Result<T> {
        self.map_err(|error| match error.raw_os_error() {
            Some(errno) => Error::call(call(), Errno::from_raw(errno)),
            None => Error::new(format!("{}: {error}", call().into())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_intents_call_errno_and_hint_in_one_line() {
        let error = Error::call("fsmount(\"proc\")", Errno::EPERM)
            .context("mount proc on /proc")
            .hint("unmask /proc of the caller\nor so");
        assert_eq!(
            error.to_string(),
            "mount proc on /proc: fsmount(\"proc\"): operation not permitted; unmask /proc of the caller\\nor so"
        );
        assert_eq!(error.errno(), Some(Errno::EPERM));
    }

    #[test]
    fn uses_the_words_docker_looks_for() {
        assert_eq!(describe(Errno::ENOENT), "no such file or directory");
        assert_eq!(describe(Errno::EACCES), "permission denied");
    }

    #[test]
    fn uses_the_words_of_strerror() {
        assert_eq!(describe(Errno::EBADF), "bad file descriptor");
        assert_eq!(describe(Errno::ENOTTY), "inappropriate ioctl for device");
        assert_eq!(describe(Errno::EOPNOTSUPP), "operation not supported");
    }
}
