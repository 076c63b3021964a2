//! The files of a checkpoint, and what has to be known of the container beside them.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat};

use super::Common;
use crate::error::{Call, Context, Error, Result};
use crate::kernel::namespaces::Namespace;
use crate::kernel::safe_path;
use crate::plan::Plan;

/// Where runc keeps what the standard streams were.
const DESCRIPTORS: &str = "descriptors.json";

/// The directory of a checkpoint, and that of criu's logs.
#[derive(Debug)]
pub(in crate::lifecycle) struct Images {
    path: PathBuf,
    directory: File,
    work: Option<(PathBuf, File)>,
}

impl Images {
    /// Makes the directories where they are missing, and opens them.
    pub fn make(options: &Common) -> Result<Images> {
        let open = |path: &Path| match DirBuilder::new().recursive(true).mode(0o700).create(path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                Err(error).call(|| format!("mkdir({path:?})"))
            }
            _ => File::open(path).call(|| format!("open({path:?})")),
        };
        let directory = open(&options.images).context("--image-path")?;
        let work = match &options.work {
            Some(path) => Some((path.clone(), open(path).context("--work-path")?)),
            None => None,
        };
        Ok(Images { path: options.images.clone(), directory, work })
    }

    /// The images.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// The logs, where they are elsewhere.
    pub fn work(&self) -> Option<BorrowedFd<'_>> {
        self.work.as_ref().map(|(_, directory)| directory.as_fd())
    }

    /// Says what criu's log says last; the answer itself holds only the first of its errors, a harmless one often.
    pub fn explain(&self, error: Error, log: &str) -> Error {
        let path = self.work.as_ref().map_or(&self.path, |(path, _)| path).join(log);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let last = text.lines().rev().find(|line| line.contains("Error (") && !is_summary(line));
        error.hint(match last {
            Some(line) => format!("{} says: {line}", path.display()),
            None => format!("see {}", path.display()),
        })
    }

    /// Earlier images are found relative to these, wherever both are moved.
    pub fn check_parent(&self, parent: &Path) -> Result<()> {
        if parent.is_absolute() {
            return Err(Error::refused("--parent-path: must be relative to --image-path"));
        }
        match self.path.join(parent).is_dir() {
            true => Ok(()),
            false => Err(Error::refused(format!("--parent-path: {parent:?} is not a directory"))),
        }
    }

    /// Writes down what the standard streams of process `pid` are: `restore` connects its own to pipes among them.
    pub fn write_descriptors(&self, pid: i32) -> Result<()> {
        let name = |number: u32| match fs::read_link(format!("/proc/{pid}/fd/{number}")) {
            Ok(target) => target.to_string_lossy().into_owned(),
            Err(_) => String::new(),
        };
        let names: Vec<String> = (0..3).map(name).collect();
        let path = self.path.join(DESCRIPTORS);
        fs::write(&path, serde_json::to_vec(&names).unwrap_or_default())
            .call(|| format!("write({path:?})"))
    }

    /// What the standard streams were.
    pub fn read_descriptors(&self) -> Result<Vec<String>> {
        let path = self.path.join(DESCRIPTORS);
        let text = fs::read(&path).call(|| format!("read({path:?})"))?;
        serde_json::from_slice(&text).map_err(|error| Error::new(format!("{path:?}: {error}")))
    }
}

/// What criu ends its log with, whatever went wrong.
fn is_summary(line: &str) -> bool {
    line.contains("Dumping FAILED") || line.contains("Restoring FAILED")
}

/// How criu is told of a namespace that it shall neither write down nor make (`--external`).
pub(super) fn external_namespace(kind: Namespace, path: &Path) -> Result<String> {
    let inode = fs::metadata(path).call(|| format!("stat({path:?})"))?.ino();
    Ok(format!("{}[{inode}]:{}", kind.file(), namespace_key(kind)))
}

/// What such a namespace is called in the images.
pub(in crate::lifecycle) fn namespace_key(kind: Namespace) -> &'static str {
    match kind {
        Namespace::Pid => "extRootPidNS",
        _ => "extRootNetNS",
    }
}

/// Masked files are binds of /dev/null, which is not the container's; masked directories are file systems of its own.
pub(super) fn masked_files(plan: &Plan, pid: i32) -> Result<Vec<PathBuf>> {
    let root = format!("/proc/{pid}/root");
    let root = File::open(&root).call(|| format!("open({root:?})"))?;
    let mut files = Vec::new();
    for path in &plan.masked_paths {
        let Some(found) = safe_path::find(root.as_fd(), path)? else { continue };
        let mode = fstat(&found).call(|| format!("fstat({path:?})"))?.st_mode;
        if SFlag::from_bits_truncate(mode) & SFlag::S_IFMT != SFlag::S_IFDIR {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// A byte to whoever waits until the pages may be fetched.
pub(super) fn say_ready(status_fd: i32) -> Result<()> {
    let path = format!("/proc/self/fd/{status_fd}");
    let file = nix::fcntl::open(Path::new(&path), OFlag::O_WRONLY, nix::sys::stat::Mode::empty())
        .call(|| format!("open({path:?})"))
        .context("--status-fd")?;
    nix::unistd::write(&file, &[0]).call(|| "write(status-fd)").map(drop)
}
