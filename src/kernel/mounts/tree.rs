//! The tree mounts are attached to, and where its own file systems are in it: by descriptor, for a root file system that
//! others can write to may move a mount point away, and what is mounted moves along.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::{MountAttr, Reach, What, set_attr};
use crate::error::{Call, Context, Result};

/// Where the runtime goes on working once everything is mounted: masks, device nodes, the console.
const KERNEL_PATHS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// A tree of mounts. The root's descriptor changes when something is mounted over the root itself.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    /// New file systems at and below [`KERNEL_PATHS`], in the order of their mounting.
    filesystems: Vec<(PathBuf, OwnedFd)>,
    /// What is left to be set on mounts, once nothing is written there any more.
    unsealed: Vec<(PathBuf, OwnedFd, MountAttr)>,
}

/// A path below the root of a mount.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The mount's root, or the tree's.
    pub root: BorrowedFd<'a>,
    /// The path from there; `.` for the mount's root itself.
    pub path: &'a Path,
    /// The path from the tree's root, for whoever is told of a failure.
    pub whole: &'a Path,
}

impl Tree {
    /// The tree below `root`.
    pub fn new(root: OwnedFd) -> Self {
        Tree { root, filesystems: Vec::new(), unsealed: Vec::new() }
    }

    /// Its root.
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Where `path` is, whoever moves what lies between: below the file system that was mounted for it last, or else
    /// below the root.
    pub fn place<'a>(&'a self, path: &'a Path) -> Place<'a> {
        let below = |(destination, mount): &'a (PathBuf, OwnedFd)| {
            let rest = path.strip_prefix(destination).ok()?;
            let rest = if rest.as_os_str().is_empty() { Path::new(".") } else { rest };
            Some(Place { root: mount.as_fd(), path: rest, whole: path })
        };
        let below_root = Place { root: self.root(), path, whole: path };
        self.filesystems.iter().rev().find_map(below).unwrap_or(below_root)
    }

    /// Gives mounts the attributes that they were to have at the end only.
    pub fn seal(&self) -> Result<()> {
        self.unsealed.iter().try_for_each(|(destination, mount, attr)| {
            set_attr(mount.as_fd(), *attr, Reach::One)
                .with_context(|| format!("seal {}", destination.display()))
        })
    }

    /// Something covers the root.
    pub(super) fn replace_root(&mut self, root: OwnedFd) {
        self.root = root;
        self.filesystems.clear();
    }

    /// `what` is mounted at `destination` now. Other trees than a new file system's may hold links that lead elsewhere
    /// when they are followed from the mount's root: there the path from the tree's root is taken.
    pub(super) fn note(&mut self, destination: &Path, what: &What, mount: OwnedFd) -> Result<()> {
        if matches!(what, What::Remount { .. }) {
            return Ok(());
        }
        self.filesystems.retain(|(covered, _)| !covered.starts_with(destination));
        let What::Filesystem(filesystem) = what else { return Ok(()) };
        let attr = filesystem.attr_at_the_end;
        if !attr.is_empty() {
            let mount = mount.try_clone().call(|| "dup")?;
            self.unsealed.push((destination.to_owned(), mount, attr));
        }
        if KERNEL_PATHS.iter().any(|path| destination.starts_with(path)) {
            self.filesystems.push((destination.to_owned(), mount));
        }
        Ok(())
    }
}
