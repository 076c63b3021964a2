//! Resource Director Technology: groups of tasks that share caches and memory bandwidth, as directories of the resctrl file
//! system (Documentation/filesystems/resctrl.rst).

pub mod statistics;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::error::{Call, Context, Error, Result};

/// What a container asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rdt {
    /// The class of service: a directory of resctrl; its root where it is empty. None: one of the container's own.
    pub class: Option<String>,
    /// Lines of the `schemata` file, in order; none leaves it as it is.
    pub schemata: Vec<String>,
    /// Whether the container is counted apart from others of its class.
    pub monitoring: bool,
}

/// Where a container's groups are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The group that limits.
    pub class: PathBuf,
    /// The group that counts.
    pub monitor: Option<PathBuf>,
}

impl Rdt {
    /// Where the groups of container `id` are, below resctrl's `root`.
    pub fn place(&self, root: &Path, id: &str) -> Place {
        let class = root.join(self.class.as_deref().unwrap_or(id));
        let monitor = self.monitoring.then(|| class.join("mon_groups").join(id));
        Place { class, monitor }
    }

    /// Whether a class that is shared must be there already (config-linux.md, "IntelRdt": nothing says what it would be).
    fn must_be_there(&self) -> bool {
        self.class.is_some() && self.schemata.is_empty()
    }
}

/// Where resctrl is mounted; nowhere by default, even on a processor that has it.
pub fn mount_point() -> Result<PathBuf> {
    let path = "/proc/self/mountinfo";
    let mounts = fs::read_to_string(path).call(|| format!("read({path:?})"))?;
    mount_point_in(&mounts).ok_or_else(|| {
        Error::refused("linux.intelRdt: Intel RDT resctrl mount point not found")
            .hint("mount -t resctrl resctrl /sys/fs/resctrl, on a processor that has it")
    })
}

fn mount_point_in(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        (file_system.split(' ').next()? == "resctrl").then_some(())?;
        mount.split(' ').nth(4).map(PathBuf::from)
    })
}

/// Groups that are undone unless they are committed; only what was made is removed.
#[derive(Debug)]
#[must_use = "dropping it removes the groups"]
pub struct NewGroups {
    place: Place,
    made: Vec<PathBuf>,
}

impl NewGroups {
    /// Makes the groups at `place`, with their limits.
    pub fn make(rdt: &Rdt, place: Place) -> Result<NewGroups> {
        let mut groups = NewGroups { place, made: Vec::new() };
        let class = groups.place.class.clone();
        if rdt.must_be_there() && !class.is_dir() {
            return Err(Error::refused(format!(
                "linux.intelRdt.closID: {class:?} must be there, or be described by schemata, l3CacheSchema or memBwSchema"
            )));
        }
        groups.make_directory(class.clone()).context("linux.intelRdt")?;
        set_schemata(&class, &rdt.schemata)?;
        if let Some(monitor) = groups.place.monitor.clone() {
            groups.make_directory(monitor).context("linux.intelRdt.enableMonitoring")?;
        }
        Ok(groups)
    }

    fn make_directory(&mut self, path: PathBuf) -> Result<()> {
        match fs::create_dir(&path) {
            Ok(()) => self.made.push(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).call(|| format!("mkdir({path:?})")).map_err(|error| match error
                    .errno()
                {
                    Some(nix::errno::Errno::ENOSPC) => {
                        error.hint("the processor has no more classes of service, or counters")
                    }
                    _ => error,
                });
            }
        }
        Ok(())
    }

    /// Moves process `pid`, of one thread, into the groups.
    pub fn add(&self, pid: i32) -> Result<()> {
        add_task(&self.place, pid)
    }

    /// Keeps them; answers those that were made.
    pub fn commit(mut self) -> Vec<PathBuf> {
        std::mem::take(&mut self.made)
    }
}

impl Drop for NewGroups {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            // Nobody is left to tell.
            let _ = fs::remove_dir(path);
        }
    }
}

/// Moves a task into the groups: what it makes later is born there.
pub fn add_task(place: &Place, pid: i32) -> Result<()> {
    let mut groups = std::iter::once(&place.class).chain(&place.monitor);
    groups.try_for_each(|group| write(&group.join("tasks"), &pid.to_string()))
}

/// Writes lines of limits: each replaces that of its resource.
pub fn set_schemata(class: &Path, lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    write(&class.join("schemata"), &text).context("linux.intelRdt").map_err(|error| {
        let status = class
            .ancestors()
            .find_map(|directory| fs::read_to_string(directory.join("info/last_cmd_status")).ok());
        match status {
            Some(status) => error.hint(format!("the kernel says: {}", status.trim())),
            None => error,
        }
    })
}

/// Removes a group; the kernel moves its tasks to the default one. None is no error.
pub fn remove(group: &Path) -> Result<()> {
    match fs::remove_dir(group) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other.call(|| format!("rmdir({group:?})")),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .call(|| format!("write({path:?}, {text:?})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plain directory behaves like resctrl but for the files that a new group has.
    fn resctrl() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        group(root.path());
        root
    }

    fn group(path: &Path) {
        fs::create_dir_all(path.join("mon_groups")).unwrap();
        fs::write(path.join("schemata"), "").unwrap();
        fs::write(path.join("tasks"), "").unwrap();
    }

    fn read(path: PathBuf) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn finds_where_it_is_mounted() {
        let mountinfo = "1 2 0:3 / /proc rw - proc proc rw\n4 5 0:6 / /sys/fs/resctrl rw - resctrl resctrl rw\n";
        assert_eq!(mount_point_in(mountinfo), Some("/sys/fs/resctrl".into()));
        assert_eq!(mount_point_in("1 2 0:3 / /resctrl rw - tmpfs tmpfs rw\n"), None);
    }

    #[test]
    fn a_class_of_its_own_is_called_like_the_container() {
        let own = Rdt { monitoring: true, ..Rdt::default() }.place(Path::new("/r"), "web");
        assert_eq!(own.class, Path::new("/r/web"));
        assert_eq!(own.monitor, Some("/r/web/mon_groups/web".into()));
        let default = Rdt { class: Some(String::new()), ..Rdt::default() };
        assert_eq!(default.place(Path::new("/r"), "web").class, Path::new("/r/"));
    }

    #[test]
    fn a_shared_class_gets_limits_and_tasks_and_stays() {
        let root = resctrl();
        group(&root.path().join("gold"));
        let lines = vec!["L3:0=f".to_owned(), "MB:0=20".to_owned()];
        let rdt = Rdt { class: Some("gold".into()), schemata: lines, monitoring: false };
        let groups = NewGroups::make(&rdt, rdt.place(root.path(), "web")).unwrap();
        groups.add(77).unwrap();
        assert_eq!(read(root.path().join("gold/schemata")), "L3:0=f\nMB:0=20\n");
        assert_eq!(read(root.path().join("gold/tasks")), "77");
        drop(groups);
        assert!(root.path().join("gold").is_dir());
    }

    #[test]
    fn what_was_made_is_undone_unless_it_is_kept() {
        let root = resctrl();
        let rdt = Rdt::default();
        drop(NewGroups::make(&rdt, rdt.place(root.path(), "web")).unwrap());
        assert!(!root.path().join("web").exists());
        let kept = NewGroups::make(&rdt, rdt.place(root.path(), "web")).unwrap().commit();
        assert_eq!(kept, [root.path().join("web")]);
        remove(&kept[0]).unwrap();
        remove(&kept[0]).unwrap();
    }

    #[test]
    fn a_shared_class_that_nothing_describes_must_be_there() {
        let root = resctrl();
        let rdt = Rdt { class: Some("gold".into()), ..Rdt::default() };
        let error = NewGroups::make(&rdt, rdt.place(root.path(), "web")).unwrap_err();
        assert!(error.to_string().starts_with("linux.intelRdt.closID:"), "{error}");
        assert!(!root.path().join("gold").exists());
    }
}
