//! Making a container's cgroup by directories and files, without asking anyone.

use std::path::{Path as FilePath, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, mkdir, unlinkat};

use super::{Directory, Limits, Path, controllers, freezer, processes, removal};
use crate::error::{Context, Error, Result};

/// How long an undo waits for killed processes to vanish.
const UNDO_PATIENCE: Duration = Duration::from_secs(2);

/// A cgroup that is undone unless it is committed: its processes are killed, and the levels that were made for it are
/// removed. Those that were there before stay.
#[derive(Debug)]
#[must_use = "dropping it removes the cgroup"]
pub struct NewCgroup {
    undo: Undo,
}

impl NewCgroup {
    /// The cgroup.
    pub fn directory(&self) -> &Directory {
        self.undo.ours.as_ref().expect(HELD)
    }

    /// Keeps it.
    pub fn commit(mut self) -> Directory {
        self.undo.made.clear();
        self.undo.ours.take().expect(HELD)
    }
}

const HELD: &str = "held until it is committed";

/// Makes the cgroup `path` of the tree at `mount`, with every level above it that is missing, and has the controllers
/// of the tree (`offered`) handed down to it. Those that `limits` need must be there; the others serve statistics.
/// No limit is written.
pub fn create(
    mount: &FilePath,
    path: &Path,
    offered: &[String],
    limits: &Limits,
) -> Result<NewCgroup> {
    let target = path.directory(mount);
    create_at(&target, mount, offered, limits)
        .with_context(|| format!("make the cgroup {target:?}"))
}

fn create_at(
    target: &FilePath,
    mount: &FilePath,
    offered: &[String],
    limits: &Limits,
) -> Result<NewCgroup> {
    let Some(parent) = target.parent().filter(|_| target != mount) else {
        return Err(Error::refused("the root of the tree can't be a container's cgroup")
            .hint("name one below it in linux.cgroupsPath"));
    };
    let mut undo = Undo::default();
    let origin = undo.make(target, mount)?;
    let directory = Directory::open(target)?;
    if origin == Origin::Found {
        must_be_idle(&directory)?;
    }
    let handed = controllers::hand_down(parent, mount, offered)?;
    if !handed.has_domain_controller() {
        settle_type(&directory, limits)?;
    }
    handed.must_serve(limits)?;
    undo.ours = Some(directory);
    Ok(NewCgroup { undo })
}

/// Whether a cgroup was there before us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    Made,
    Found,
}

/// What is undone when it is dropped.
#[derive(Debug, Default)]
struct Undo {
    /// The levels we made, outermost first.
    made: Vec<PathBuf>,
    /// The cgroup whose processes are ours to kill: known to have had none before. Not by its path: when it was removed, the
    /// next container may have one there.
    ours: Option<Directory>,
}

impl Undo {
    /// Makes `target` and what is missing above it, below `mount`.
    fn make(&mut self, target: &FilePath, mount: &FilePath) -> Result<Origin> {
        // Another container's undo may remove a level between two of our calls.
        const ATTEMPTS: usize = 8;
        for _ in 0..ATTEMPTS {
            match mkdir(target, Mode::from_bits_truncate(0o755)) {
                Ok(()) => {
                    self.made.push(target.to_owned());
                    return Ok(Origin::Made);
                }
                Err(Errno::EEXIST) => return Ok(Origin::Found),
                Err(Errno::ENOENT) if target != mount => match target.parent() {
                    Some(parent) => drop(self.make(parent, mount)?),
                    None => break,
                },
                Err(errno) => return Err(mkdir_failed(target, errno)),
            }
        }
        Err(mkdir_failed(target, Errno::ENOENT))
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        // Nothing more can be done about what fails here, and the error that led here is the one to tell.
        if let Some(directory) = &self.ours {
            let _ = processes::kill(directory);
            let _ = processes::wait_until_empty(directory, Instant::now() + UNDO_PATIENCE);
            // What is below one that was there before us was there too, perhaps.
            if !self.made.is_empty() {
                let _ = removal::remove_below(directory);
            }
        }
        // A level that another container has taken into use meanwhile is busy, and stays.
        while let Some(level) = self.made.pop() {
            let _ = rmdir(&level);
        }
    }
}

fn rmdir(path: &FilePath) -> nix::Result<()> {
    unlinkat(AT_FDCWD, path, UnlinkatFlags::RemoveDir)
}

fn mkdir_failed(path: &FilePath, errno: Errno) -> Error {
    let error = Error::call(format!("mkdir({path:?})"), errno);
    match errno {
        Errno::EROFS => error.hint("the cgroup v2 tree is mounted read-only"),
        Errno::EACCES | Errno::EPERM => {
            error.hint("the cgroup above is not delegated to this user: see Delegate= of systemd")
        }
        Errno::EAGAIN => error.hint("cgroup.max.depth or cgroup.max.descendants above is reached"),
        _ => error,
    }
}

/// A cgroup that was there must be nobody's: its processes would share the container's limits, and its end.
fn must_be_idle(directory: &Directory) -> Result<()> {
    processes::must_be_none(directory)?;
    if freezer::is_frozen(directory)? {
        return Err(Error::new("container's cgroup unexpectedly frozen"));
    }
    Ok(())
}

/// Below a threaded cgroup a new one is "domain invalid", and no process can enter it before it is threaded too; then
/// it can't have the controllers that need a domain (cgroup-v2.rst, "Threads").
fn settle_type(directory: &Directory, limits: &Limits) -> Result<()> {
    let kind = directory.read_if_there("cgroup.type")?.unwrap_or_default();
    match kind.trim() {
        "" | "domain" => Ok(()),
        kind if controllers::need_a_domain(limits) => Err(Error::new(format!(
            "it is of type {kind:?}, which the controllers of the limits can't work in"
        ))
        .hint("name a cgroup elsewhere in linux.cgroupsPath")),
        "domain invalid" => directory.write("cgroup.type", "threaded"),
        _ => Ok(()),
    }
}
