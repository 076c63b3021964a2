//! The log: one line a message, in the two formats that runc's callers read. containerd and Podman take the last JSON
//! line of level `error` for the reason of a failure.

use std::fs::{File, OpenOptions};
use std::io::{Write, stderr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

use crate::error::{Call, Error, Result};
use crate::record::timestamp::{self, Precision};

/// Where messages go; standard error, as text, until [`open`] says otherwise.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    format: Format,
    /// `None` is standard error.
    file: Option<File>,
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `time="..." level=error msg="..."`.
    Text,
    /// `{"level":"error","msg":"...","time":"..."}`.
    Json,
}

impl Format {
    /// The format called `name`.
    pub fn named(name: &str) -> Result<Format> {
        match name {
            "text" => Ok(Format::Text),
            "json" => Ok(Format::Json),
            _ => Err(Error::refused(format!("invalid log-format: {name}"))),
        }
    }
}

/// How grave a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Debug,
    Warning,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// Says where messages go from now on, and in which format: appended to the file at `path`, or to standard error.
pub fn open(path: Option<&Path>, format: Format) -> Result<()> {
    let file = match path {
        None => None,
        Some(path) => {
            let mut options = OpenOptions::new();
            // O_SYNC: a caller reads the file as soon as we have ended, or after a crash.
            options.append(true).create(true).mode(0o644).custom_flags(libc::O_SYNC);
            Some(options.open(path).call(|| format!("open({path:?}, O_APPEND)"))?)
        }
    };
    LOG.get_or_init(|| Log { format, file });
    Ok(())
}

/// Tells what only helps to find a fault.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// Tells the operator about something that is no failure.
pub fn warning(message: &str) {
    write(Level::Warning, message);
}

/// Tells why we fail: in the log, and when that is a file, in plain words on standard error too.
pub fn error(message: &str) {
    write(Level::Error, message);
    if LOG.get().is_some_and(|log| log.file.is_some()) {
        let _ = writeln!(stderr(), "{message}");
    }
}

/// A log that can't be written to must not change what happens.
fn write(level: Level, message: &str) {
    let now = timestamp::now(Precision::Seconds);
    let log = LOG.get();
    let mut line = line(log.map_or(Format::Text, |log| log.format), level, message, &now);
    line.push('\n');
    let _ = match log.and_then(|log| log.file.as_ref()) {
        // One write a line: lines of several processes don't mix (open(2), O_APPEND).
        Some(mut file) => file.write_all(line.as_bytes()),
        None => stderr().write_all(line.as_bytes()),
    };
}

fn line(format: Format, level: Level, message: &str, time: &str) -> String {
    let level = level.name();
    let quoted = serde_json::Value::from(message);
    match format {
        Format::Json => format!(r#"{{"level":"{level}","msg":{quoted},"time":"{time}"}}"#),
        Format::Text if is_plain(message) => {
            format!(r#"time="{time}" level={level} msg={message}"#)
        }
        Format::Text => format!(r#"time="{time}" level={level} msg={quoted}"#),
    }
}

/// Whether a message needs no quotes to be one word.
fn is_plain(message: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/@^+".contains(&byte);
    !message.is_empty() && message.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-01-02T15:04:05Z";

    #[test]
    fn json_lines_are_what_containerd_reads() {
        let line = line(Format::Json, Level::Error, "open \"a\": no\nsuch", TIME);
        assert_eq!(
            line,
            r#"{"level":"error","msg":"open \"a\": no\nsuch","time":"2026-01-02T15:04:05Z"}"#
        );
    }

    #[test]
    fn text_lines_quote_what_is_not_one_word() {
        let text = |message| line(Format::Text, Level::Warning, message, TIME);
        assert_eq!(text("a b"), r#"time="2026-01-02T15:04:05Z" level=warning msg="a b""#);
        assert_eq!(text("word"), r#"time="2026-01-02T15:04:05Z" level=warning msg=word"#);
        assert_eq!(text(""), r#"time="2026-01-02T15:04:05Z" level=warning msg="""#);
    }

    #[test]
    fn formats_have_names() {
        assert_eq!(Format::named("json").expect("known"), Format::Json);
        let error = Format::named("xml").expect_err("unknown");
        assert_eq!(error.to_string(), "invalid log-format: xml");
    }
}
