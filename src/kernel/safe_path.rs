//! Opening and making paths inside a hostile tree: every look-up stays below a root descriptor, whatever links lie in
//! the way and whoever moves them meanwhile (openat2(2) `RESOLVE_IN_ROOT`, Linux 5.6). Knows nothing of containers.
//!
//! CVE-2021-30465 and CVE-2024-45310 were races between checking a path and using it: here a path is opened once, and
//! what was opened is what is used.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{Mode, SFlag, fstat, mkdirat};

use crate::error::{Call, Error, Result};

/// openat2(2) answers EAGAIN when something below was renamed during the look-up; a tree that never rests is refused.
const MAX_RETRIES: usize = 128;

/// The kernel's own limit of links in one look-up (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Which links a look-up follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Symbolic links, each taken as if `root` were `/`; never magic links of procfs.
    FollowInside,
    /// None: a link anywhere in the path is an error.
    Refuse,
}

/// What a missing last component is made into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// An empty directory, mode 0755.
    Directory,
    /// An empty file, mode 0755.
    File,
}

/// Opens `path` below `root`; an absolute path starts at `root` too.
pub fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlag, links: Links) -> Result<OwnedFd> {
    try_open(root, path, flags, links).call(|| format!("openat2({path:?}, RESOLVE_IN_ROOT)"))
}

/// Opens `path` below `root` for reference (`O_PATH`), or says that it is not there.
pub fn find(root: BorrowedFd<'_>, path: &Path) -> Result<Option<OwnedFd>> {
    match try_open(root, path, OFlag::O_PATH, Links::FollowInside) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        Err(errno) => Err(Error::call(format!("openat2({path:?}, RESOLVE_IN_ROOT)"), errno)),
    }
}

/// Whether what is open was there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was.
    Found,
    /// It was made, and is empty.
    Made,
}

/// Opens `path` below `root` for reference, making what is missing of it.
///
/// A link that leads nowhere is followed: what it names is made, inside `root`.
pub fn open_or_make(root: BorrowedFd<'_>, path: &Path, missing: Missing) -> Result<OwnedFd> {
    find_or_make(root, path, missing).map(|(fd, _)| fd)
}

/// As [`open_or_make`], and tells which.
pub fn find_or_make(
    root: BorrowedFd<'_>,
    path: &Path,
    missing: Missing,
) -> Result<(OwnedFd, Origin)> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        if let Some(found) = find(root, &path)? {
            return Ok((found, Origin::Found));
        }
        match make(root, &path, missing)? {
            Made::Opened(fd) => return Ok((fd, Origin::Made)),
            Made::Redirected(target) => path = target,
        }
    }
    Err(Error::call(format!("openat2({path:?}, RESOLVE_IN_ROOT)"), Errno::ELOOP))
}

/// Opens what is mounted on `target`, however often and wherever it was moved meanwhile: at the root of a look-up `..` stays
/// where it is, but for what covers it (path_resolution(7)).
pub fn open_what_covers(target: BorrowedFd<'_>) -> Result<OwnedFd> {
    open(target, Path::new(".."), OFlag::O_PATH, Links::FollowInside)
}

/// Whether `fd` is open on a directory.
pub fn is_directory(fd: &OwnedFd) -> Result<bool> {
    let mode = fstat(fd).call(|| "fstat")?.st_mode;
    Ok(SFlag::from_bits_truncate(mode) & SFlag::S_IFMT == SFlag::S_IFDIR)
}

enum Made {
    Opened(OwnedFd),
    /// A component was a link that leads nowhere: the same path with the link's target in its place.
    Redirected(PathBuf),
}

fn make(root: BorrowedFd<'_>, path: &Path, missing: Missing) -> Result<Made> {
    let names = path
        .components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name),
            Component::ParentDir => Some(OsStr::new("..")),
            _ => None,
        })
        .collect::<Vec<_>>();
    let (mut parent, existing) = deepest_existing(root, &names)?;
    for (position, name) in names.iter().enumerate().skip(existing) {
        if *name == ".." {
            return Err(Error::call(format!("openat2({path:?}, RESOLVE_IN_ROOT)"), Errno::ENOENT));
        }
        let last = position + 1 == names.len();
        match make_one(parent.as_fd(), name, if last { missing } else { Missing::Directory }) {
            Ok(fd) => parent = fd,
            Err(Errno::EEXIST) => {
                let link = readlinkat(&parent, *name)
                    .call(|| format!("readlinkat({name:?}), a part of {path:?}"))?;
                let mut target: PathBuf = names[..position].iter().collect();
                target.push(link);
                target.extend(&names[position + 1..]);
                return Ok(Made::Redirected(target));
            }
            Err(errno) => {
                return Err(Error::call(format!("make {name:?}, a part of {path:?}"), errno));
            }
        }
    }
    Ok(Made::Opened(parent))
}

fn deepest_existing(root: BorrowedFd<'_>, names: &[&OsStr]) -> Result<(OwnedFd, usize)> {
    for length in (1..names.len()).rev() {
        let prefix: PathBuf = names[..length].iter().collect();
        if let Some(fd) = find(root, &prefix)? {
            return Ok((fd, length));
        }
    }
    Ok((open(root, Path::new("."), OFlag::O_PATH, Links::Refuse)?, 0))
}

/// EEXIST means: there is a link of that name. A directory that another one made meanwhile is as good as ours.
fn make_one(parent: BorrowedFd<'_>, name: &OsStr, missing: Missing) -> nix::Result<OwnedFd> {
    let reference = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(0o755);
    match missing {
        Missing::Directory => {
            match mkdirat(parent, name, mode) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
            match openat(parent, name, reference | OFlag::O_DIRECTORY, Mode::empty()) {
                Err(Errno::ENOTDIR | Errno::ELOOP) => Err(Errno::EEXIST),
                other => other,
            }
        }
        Missing::File => {
            let create = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            openat(parent, name, create | OFlag::O_RDONLY, mode)
        }
    }
}

fn try_open(root: BorrowedFd<'_>, path: &Path, flags: OFlag, links: Links) -> nix::Result<OwnedFd> {
    let resolve = match links {
        Links::FollowInside => ResolveFlag::RESOLVE_NO_MAGICLINKS,
        Links::Refuse => ResolveFlag::RESOLVE_NO_SYMLINKS,
    };
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .resolve(resolve | ResolveFlag::RESOLVE_IN_ROOT);
    // No component at all: that is the root. To the kernel an empty path is none.
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    for _ in 0..MAX_RETRIES {
        match openat2(root, path, how) {
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            other => return other,
        }
    }
    Err(Errno::EAGAIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn an_empty_path_is_the_root_itself() {
        let (_dir, root) = tree();
        let (found, origin) =
            find_or_make(root.as_fd(), Path::new(""), Missing::File).expect("the root");
        assert_eq!(origin, Origin::Found);
        assert_eq!(fstat(&found).unwrap().st_ino, fstat(&root).unwrap().st_ino);
    }

    fn tree() -> (tempfile::TempDir, OwnedFd) {
        let dir = tempfile::tempdir().unwrap();
        let fd = OwnedFd::from(fs::File::open(dir.path()).unwrap());
        (dir, fd)
    }

    #[test]
    fn makes_what_is_missing() {
        let (dir, root) = tree();
        open_or_make(root.as_fd(), Path::new("/a/b/c"), Missing::Directory).unwrap();
        open_or_make(root.as_fd(), Path::new("/a/b/file"), Missing::File).unwrap();
        assert!(dir.path().join("a/b/c").is_dir());
        assert!(dir.path().join("a/b/file").is_file());
    }

    #[test]
    fn links_never_lead_out() {
        let (dir, root) = tree();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), dir.path().join("absolute")).unwrap();
        symlink("../../../../../..", dir.path().join("climbing")).unwrap();
        open_or_make(root.as_fd(), Path::new("/absolute/x"), Missing::Directory).unwrap();
        open_or_make(root.as_fd(), Path::new("/climbing/y"), Missing::Directory).unwrap();
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        assert!(dir.path().join(outside.path().strip_prefix("/").unwrap()).join("x").is_dir());
        assert!(dir.path().join("y").is_dir());
    }

    #[test]
    fn dangling_link_is_made_inside() {
        let (dir, root) = tree();
        symlink("/not/there/yet", dir.path().join("link")).unwrap();
        open_or_make(root.as_fd(), Path::new("link"), Missing::File).unwrap();
        assert!(dir.path().join("not/there/yet").is_file());
    }

    #[test]
    fn a_loop_is_an_error() {
        let (dir, root) = tree();
        symlink("loop", dir.path().join("loop")).unwrap();
        let error =
            open_or_make(root.as_fd(), Path::new("loop/x"), Missing::Directory).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ELOOP));
    }

    #[test]
    fn refusing_links_refuses_them_anywhere() {
        let (dir, root) = tree();
        fs::create_dir(dir.path().join("real")).unwrap();
        symlink("real", dir.path().join("link")).unwrap();
        let error =
            open(root.as_fd(), Path::new("/link"), OFlag::O_PATH, Links::Refuse).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::ELOOP));
    }
}
