//! `--pid-file`: the process id, whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use crate::error::{Call, Context, Error, Result};

/// Writes `pid`, without a newline, to a hidden neighbour of `path` that then takes its place.
pub(super) fn write(path: Option<&Path>, pid: i32) -> Result<()> {
    let Some(path) = path else { return Ok(()) };
    put(path, pid).context("--pid-file")
}

fn put(path: &Path, pid: i32) -> Result<()> {
    let Some(name) = path.file_name() else {
        return Err(Error::refused(format!("{path:?} names no file")));
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    let next = path.with_file_name(hidden);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&next)
        .and_then(|mut file| file.write_all(pid.to_string().as_bytes()))
        .call(|| format!("write({next:?})"))?;
    fs::rename(&next, path).call(|| format!("rename({next:?}, {path:?})")).inspect_err(|_| {
        let _ = fs::remove_file(&next);
    })
}
