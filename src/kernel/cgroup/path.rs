//! Where a container's cgroup is in the tree: a path that can't leave it.

use std::path::{Component, Path as FilePath, PathBuf};

/// A cgroup's place below the mount point of the cgroup v2 tree: no `..`, no leading slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path(PathBuf);

impl Path {
    /// A path below the root of the tree. `..` never leads above it.
    pub fn below_root(path: impl AsRef<FilePath>) -> Self {
        Path(clean(path.as_ref()))
    }

    /// A path beside our own cgroup. Not below it: we are a process in it, and a cgroup that has processes can't hand
    /// controllers to those below (cgroup-v2.rst, "No Internal Process Constraint").
    pub fn beside(own_cgroup: &FilePath, path: impl AsRef<FilePath>) -> Self {
        let parent = own_cgroup.parent().unwrap_or(own_cgroup);
        Path(clean(parent).join(clean(path.as_ref())))
    }

    /// The directory, where the tree is mounted at `mount`.
    pub fn directory(&self, mount: &FilePath) -> PathBuf {
        mount.join(&self.0)
    }
}

/// Resolves `.` and `..` by name alone: there are no symbolic links in a cgroup tree.
fn clean(path: &FilePath) -> PathBuf {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(path: &Path) -> PathBuf {
        path.directory(FilePath::new("/sys/fs/cgroup"))
    }

    #[test]
    fn stays_below_the_mount_whatever_it_is_asked() {
        for (asked, expected) in [
            ("/docker/abc", "/sys/fs/cgroup/docker/abc"),
            ("/../../etc", "/sys/fs/cgroup/etc"),
            ("/a/../../../b/./c//d/", "/sys/fs/cgroup/b/c/d"),
        ] {
            assert_eq!(directory(&Path::below_root(asked)), PathBuf::from(expected));
        }
    }

    #[test]
    fn a_relative_path_is_beside_our_own_cgroup() {
        let own = FilePath::new("/user.slice/session-1.scope");
        for (asked, expected) in [
            ("ct1", "/sys/fs/cgroup/user.slice/ct1"),
            ("pods/ct1", "/sys/fs/cgroup/user.slice/pods/ct1"),
            ("../../ct1", "/sys/fs/cgroup/user.slice/ct1"),
        ] {
            assert_eq!(directory(&Path::beside(own, asked)), PathBuf::from(expected));
        }
        let at_the_root = Path::beside(FilePath::new("/"), "ct1");
        assert_eq!(directory(&at_the_root), PathBuf::from("/sys/fs/cgroup/ct1"));
        let outside_our_namespace = Path::beside(FilePath::new("/../x/y"), "ct1");
        assert_eq!(directory(&outside_our_namespace), PathBuf::from("/sys/fs/cgroup/x/ct1"));
    }
}
