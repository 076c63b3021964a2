//! The container's compiled system call filter, in its state directory: `exec` loads the same program without compiling
//! it again. Knows bytes, not what they mean.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::error::{Call, Result};

/// Its name there.
pub(super) const FILE: &str = "seccomp.bpf";

/// Writes the program down in the state directory; an empty one leaves no file.
pub fn write(directory: BorrowedFd<'_>, program: &[u8]) -> Result<()> {
    if program.is_empty() {
        return Ok(());
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let file = openat(directory, FILE, flags, Mode::S_IRUSR | Mode::S_IWUSR)
        .call(|| format!("openat({FILE:?})"))?;
    File::from(file).write_all(program).call(|| format!("write({FILE:?})"))
}

/// Reads the program; empty where the container has none.
pub fn read(directory: &Path) -> Result<Vec<u8>> {
    let path = directory.join(FILE);
    match fs::read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        program => program.call(|| format!("read({path:?})")),
    }
}
