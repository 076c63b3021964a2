//! The container's compiled system call filter, in its state directory: `exec` loads the same program without compiling
//! it again. Knows bytes, not what they mean.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Call, Result};

const FILE: &str = "seccomp.bpf";

/// Writes the program down; an empty one leaves no file.
pub fn write(directory: &Path, program: &[u8]) -> Result<()> {
    if program.is_empty() {
        return Ok(());
    }
    let path = directory.join(FILE);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(program))
        .call(|| format!("write({path:?})"))
}

/// Reads the program; empty where the container has none.
pub fn read(directory: &Path) -> Result<Vec<u8>> {
    let path = directory.join(FILE);
    match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        program => program.call(|| format!("read({path:?})")),
    }
}
