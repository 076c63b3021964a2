//! Files that hooks write to instead of being listened to (crun's `run.oci.hooks.stdout` and `run.oci.hooks.stderr`).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::error::{Call, Result};

/// Where the outputs of hooks go; to us, for an error's sake, where no file is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputFiles {
    /// The standard output, absolute.
    pub stdout: Option<PathBuf>,
    /// The standard error, absolute.
    pub stderr: Option<PathBuf>,
}

impl OutputFiles {
    /// Opens the files to append to them; makes those that are not there.
    pub fn open(&self) -> Result<Outputs> {
        let file = |path: &Option<PathBuf>| path.as_deref().map(append_to).transpose();
        Ok(Outputs { stdout: file(&self.stdout)?, stderr: file(&self.stderr)? })
    }
}

/// The files, opened: also a hook that runs where they are out of reach writes to them.
#[derive(Debug, Default)]
pub struct Outputs {
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
}

impl Outputs {
    /// The files that are open.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [&self.stdout, &self.stderr].into_iter().flatten().map(AsFd::as_fd)
    }
}

fn append_to(path: &Path) -> Result<OwnedFd> {
    // Not to wait for the reader of a pipe, nor to become the session's terminal.
    let how = OFlag::O_APPEND | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = open(path, OFlag::O_WRONLY | OFlag::O_CREAT | how, Mode::from_bits_truncate(0o644))
        .call(|| format!("open({path:?}, O_WRONLY|O_APPEND|O_CREAT)"))?;
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_APPEND))
        .call(|| "fcntl(F_SETFL, O_APPEND)")?;
    Ok(file)
}
