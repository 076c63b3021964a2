//! `--pid-file`: the process id, whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{Call, Context, Error, Result};

/// A file that was written; removed again unless it is kept.
#[derive(Debug)]
#[must_use = "dropping it removes the file"]
pub(super) struct PidFile(Option<PathBuf>);

impl PidFile {
    /// Keeps it.
    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // What it failed for is told already.
            let _ = fs::remove_file(path);
        }
    }
}

/// Writes `pid`, without a newline, to a hidden neighbour of `path` that then takes its place.
pub(super) fn write(path: Option<&Path>, pid: i32) -> Result<PidFile> {
    let Some(path) = path else { return Ok(PidFile(None)) };
    put(path, pid).context("--pid-file")?;
    Ok(PidFile(Some(path.to_owned())))
}

fn put(path: &Path, pid: i32) -> Result<()> {
    let Some(name) = path.file_name() else {
        return Err(Error::refused(format!("{path:?} names no file")));
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    let next = path.with_file_name(hidden);
    let put = || {
        create_new(&next)
            .and_then(|mut file| file.write_all(pid.to_string().as_bytes()))
            .call(|| format!("write({next:?})"))?;
        fs::rename(&next, path).call(|| format!("rename({next:?}, {path:?})"))
    };
    put().inspect_err(|_| {
        let _ = fs::remove_file(&next);
    })
}

/// Makes a file that is not there; one that a killed etui left behind makes way.
fn create_new(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            options.open(path)
        }
        opened => opened,
    }
}
