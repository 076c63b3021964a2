//! The verb `exec`: one more process in a container that is there.

use std::path::PathBuf;

use super::Global;
use super::run::Attachment;
use crate::error::{Error, Result};

/// What `exec` is told by its flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The container's id.
    pub id: String,
    /// A process document (`--process`), instead of what follows.
    pub process: Option<PathBuf>,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// `--cwd`.
    pub cwd: Option<PathBuf>,
    /// `--env`, added to the container's own.
    pub env: Vec<String>,
    /// `--tty`.
    pub terminal: Terminal,
    /// `--user uid[:gid]`.
    pub user: Option<(u32, Option<u32>)>,
    /// `--additional-gids`.
    pub additional_gids: Vec<u32>,
    /// `--cap`, added to the container's own.
    pub capabilities: Vec<String>,
    /// `--no-new-privs`; absent leaves the container's own.
    pub no_new_privileges: Option<bool>,
    /// `--apparmor`.
    pub apparmor_profile: Option<String>,
    /// `--process-label`.
    pub selinux_label: Option<String>,
    /// A sub-cgroup of the container's (`--cgroup`): its path, below the container's own.
    pub cgroup: Option<PathBuf>,
    /// Whether a paused container is entered (`--ignore-paused`).
    pub paused: Paused,
    /// `--detach`.
    pub attachment: Attachment,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// `--console-socket`.
    pub console_socket: Option<PathBuf>,
    /// `--pidfd-socket`.
    pub pidfd_socket: Option<PathBuf>,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
}

/// Whether the process gets a pseudo-terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Terminal {
    /// Plain streams.
    #[default]
    No,
    /// A pseudo-terminal.
    Yes,
}

/// What is done about a paused container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Paused {
    /// It is refused.
    #[default]
    Refuse,
    /// The process is born frozen and runs when the container is resumed.
    Enter,
}

/// Runs one more process; in the foreground returns its exit code (128 plus the signal that killed it).
pub fn exec(_global: &Global, _options: &Options) -> Result<i32> {
    Err(Error::new("exec is being built"))
}
