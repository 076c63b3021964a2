//! The verb `create`.

use std::path::PathBuf;

use super::Global;
use crate::error::{Error, Result};

/// What `create` (and `run`, `restore`) is told by its flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The container's id, not yet judged.
    pub id: String,
    /// The bundle's directory (`--bundle`).
    pub bundle: PathBuf,
    /// A Unix socket that receives the terminal's master (`--console-socket`).
    pub console_socket: Option<PathBuf>,
    /// A Unix socket that receives a pidfd of init (`--pidfd-socket`).
    pub pidfd_socket: Option<PathBuf>,
    /// A file to write init's process id to (`--pid-file`).
    pub pid_file: Option<PathBuf>,
    /// How the root is changed (`--no-pivot`).
    pub root_switch: RootSwitch,
    /// Which session keyring init has (`--no-new-keyring`).
    pub keyring: Keyring,
    /// How many descriptors from 3 on the process inherits (`--preserve-fds`).
    pub preserve_fds: u32,
}

/// How the root is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RootSwitch {
    /// pivot_root(2).
    #[default]
    Pivot,
    /// `MS_MOVE` and chroot(2), for a root on a ramdisk.
    MoveAndChroot,
}

/// Which session keyring init has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keyring {
    /// A new one.
    #[default]
    New,
    /// The caller's.
    Inherited,
}

/// Makes a container that waits for `start`.
pub fn create(_global: &Global, _options: &Options) -> Result<()> {
    Err(Error::new("create is being built"))
}
