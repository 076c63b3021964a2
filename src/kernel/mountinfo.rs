//! /proc/PID/mountinfo: the mounts of a mount namespace, as text (proc_pid_mountinfo(5)).

use std::path::{Path, PathBuf};

use crate::error::{Call, Result};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount<'a> {
    /// Its id.
    pub id: u64,
    /// That of the mount it is on.
    pub parent: u64,
    /// Which directory of the file system is seen, as the kernel escapes it.
    pub root: &'a str,
    /// Where, as the kernel escapes it.
    point: &'a str,
    /// The file system's type.
    pub kind: &'a str,
}

impl<'a> Mount<'a> {
    /// The mounts in `text`, in their order: one is listed after the one it is on.
    pub fn all(text: &'a str) -> impl Iterator<Item = Mount<'a>> {
        text.lines().filter_map(Mount::parse)
    }

    /// The fields before the lone hyphen have fixed places but for the last ones; the type is the first one after it.
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut fields = mount.split(' ');
        Some(Mount {
            id: fields.next()?.parse().ok()?,
            parent: fields.next()?.parse().ok()?,
            root: fields.nth(1)?,
            point: fields.next()?,
            kind: file_system.split(' ').next()?,
        })
    }

    /// Where it is mounted.
    pub fn point(&self) -> PathBuf {
        Path::new(&unescape(self.point)).to_owned()
    }
}

/// That of our own mount namespace. Names of mount points are anybody's, and need not be text: whoever looks for one that is
/// doesn't find the others.
pub fn read() -> Result<String> {
    let path = "/proc/self/mountinfo";
    let bytes = std::fs::read(path).call(|| format!("read({path:?})"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where the first file system of type `kind` is mounted.
pub fn point_of(kind: &str, text: &str) -> Option<PathBuf> {
    Mount::all(text).find(|mount| mount.kind == kind).map(|mount| mount.point())
}

/// Space, tab, line feed and backslash are three octal digits there; the backslash last, for it begins the others.
fn unescape(field: &str) -> String {
    field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_file_system_by_its_type() {
        let text = "30 24 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755\n\
                    31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate\n\
                    32 30 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                    33 24 0:29 / /resctrl rw - tmpfs none rw\n\
                    34 24 0:30 /part /a\\040b\\134040 rw - resctrl none rw\n";
        assert_eq!(point_of("cgroup2", text), Some("/sys/fs/cgroup/unified".into()));
        assert_eq!(point_of("resctrl", text), Some("/a b\\040".into()));
        assert_eq!(point_of("proc", text), None);
        let last = Mount::all(text).last().unwrap();
        assert_eq!((last.id, last.parent, last.root), (34, 24, "/part"));
    }

    #[test]
    fn what_is_no_mount_is_passed_over() {
        assert_eq!(Mount::all("nonsense\n1 2 0:3 /\n1 2 0:3 / /x rw\n").next(), None);
    }
}
