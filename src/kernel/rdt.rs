//! Resource Director Technology: groups of tasks that share caches and memory bandwidth, as directories of the resctrl file
//! system (Documentation/filesystems/resctrl.rst).

pub mod statistics;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::error::{Call, Context, Error, Result};
use crate::kernel::mountinfo;

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
    mountinfo::point_of("resctrl", &mountinfo::read()?).ok_or_else(|| {
        Error::refused("linux.intelRdt: Intel RDT resctrl mount point not found")
            .hint("mount -t resctrl resctrl /sys/fs/resctrl, on a processor that has it")
    })
}

/// Groups that are undone unless they are committed; only what was made is removed.
#[derive(Debug)]
#[must_use = "dropping it removes the groups"]
pub struct NewGroups {
    place: Place,
    made: Vec<Made>,
}

/// A group that we made.
#[derive(Debug)]
struct Made {
    path: PathBuf,
    /// Which it is, by device and inode: another may have one there after ours was removed.
    identity: Option<(u64, u64)>,
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|group| (group.dev(), group.ino()))
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
        match groups.made.is_empty() {
            true => must_have(&class, &rdt.schemata)?,
            false => set_schemata(&class, &rdt.schemata)?,
        }
        if let Some(monitor) = groups.place.monitor.clone() {
            groups.make_directory(monitor).context("linux.intelRdt.enableMonitoring")?;
        }
        Ok(groups)
    }

    fn make_directory(&mut self, path: PathBuf) -> Result<()> {
        match fs::create_dir(&path) {
            Ok(()) => {
                let identity = identity(&path);
                self.made.push(Made { path, identity });
            }
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

    /// Moves all that `threads` lists into the groups, until it lists none that is new: what a moved one makes is born there.
    /// One that has ended is passed over.
    pub fn add_all(&self, mut threads: impl FnMut() -> Result<Vec<i32>>) -> Result<()> {
        // Those of one who makes threads without end are soon all born there.
        const ROUNDS: usize = 16;
        let mut moved = BTreeSet::new();
        for _ in 0..ROUNDS {
            let new: Vec<i32> =
                threads()?.into_iter().filter(|thread| moved.insert(*thread)).collect();
            if new.is_empty() {
                break;
            }
            for thread in new {
                match self.add(thread) {
                    Err(error) if error.errno() == Some(Errno::ESRCH) => {}
                    added => added?,
                }
            }
        }
        Ok(())
    }

    /// Whether `group` was made, and not there already.
    pub fn has_made(&self, group: &Path) -> bool {
        self.made.iter().any(|made| made.path == group)
    }

    /// Keeps them.
    pub fn commit(mut self) {
        self.made.clear();
    }
}

impl Drop for NewGroups {
    fn drop(&mut self) {
        for made in self.made.iter().rev() {
            if made.identity.is_some() && identity(&made.path) == made.identity {
                // Nobody is left to tell.
                let _ = fs::remove_dir(&made.path);
            }
        }
    }
}

/// Moves a task into the groups: what it makes later is born there.
pub fn add_task(place: &Place, pid: i32) -> Result<()> {
    let mut groups = std::iter::once(&place.class).chain(&place.monitor);
    groups.try_for_each(|group| write(&group.join("tasks"), &pid.to_string()))
}

/// A class that was there may be others' too: its limits are compared, not written (config-linux.md, "IntelRdt").
fn must_have(class: &Path, lines: &[String]) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let path = class.join("schemata");
    let has = fs::read_to_string(&path).call(|| format!("read({path:?})"))?;
    match lines.iter().find(|line| !has_line(&has, line)) {
        Some(line) => Err(Error::refused(format!(
            "linux.intelRdt.closID: {class:?} is there already, without {line:?}"
        ))
        .hint("name another class, or ask for what it has")),
        None => Ok(()),
    }
}

/// Whether each domain of `line`, as `L3:0=f;1=f`, has its value in a `schemata` file, where the kernel pads values.
fn has_line(schemata: &str, line: &str) -> bool {
    let Some((resource, domains)) = line.split_once(':') else { return false };
    let own = schemata.lines().filter_map(|own| own.trim().split_once(':'));
    let Some((_, own)) = own.into_iter().find(|(name, _)| *name == resource.trim()) else {
        return false;
    };
    let values = |text: &str| -> Vec<(String, String)> {
        let pairs = text.split(';').filter_map(|domain| domain.trim().split_once('='));
        let plain = |text: &str| text.trim().trim_start_matches('0').to_ascii_lowercase();
        pairs.map(|(domain, value)| (plain(domain), plain(value))).collect()
    };
    let own = values(own);
    values(domains).iter().all(|wanted| own.contains(wanted))
}

/// Limits of a group that are changed: put back unless they are committed.
#[derive(Debug)]
#[must_use = "dropping it puts the old limits back"]
pub struct Change {
    class: PathBuf,
    /// Those it had.
    before: Vec<String>,
}

impl Change {
    /// Writes lines of limits: each replaces that of its resource.
    pub fn make(class: PathBuf, lines: &[String]) -> Result<Change> {
        let path = class.join("schemata");
        let before = fs::read_to_string(&path).call(|| format!("read({path:?})"))?;
        let before = before.lines().map(|line| line.trim().to_owned()).collect();
        let change = Change { class, before };
        set_schemata(&change.class, lines)?;
        Ok(change)
    }

    /// Keeps the new limits.
    pub fn commit(mut self) {
        self.before.clear();
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        // The error that led here is the one to tell.
        let _ = set_schemata(&self.class, &self.before);
    }
}

/// Writes lines of limits: each replaces that of its resource.
fn set_schemata(class: &Path, lines: &[String]) -> Result<()> {
    writes(lines).into_iter().try_for_each(|lines| write_schemata(class, lines))
}

/// The kernel takes a resource once a write ("Duplicate domain"): what names it again is written afterwards.
fn writes(lines: &[String]) -> Vec<&[String]> {
    let mut writes = Vec::new();
    let mut rest = lines;
    while !rest.is_empty() {
        let resource = |line: &String| line.split(':').next().map(str::to_owned);
        let repeats =
            |&at: &usize| rest[..at].iter().any(|line| resource(line) == resource(&rest[at]));
        let (now, later) = rest.split_at((1..rest.len()).find(repeats).unwrap_or(rest.len()));
        writes.push(now);
        rest = later;
    }
    writes
}

fn write_schemata(class: &Path, lines: &[String]) -> Result<()> {
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
    fn a_class_of_its_own_is_called_like_the_container() {
        let own = Rdt { monitoring: true, ..Rdt::default() }.place(Path::new("/r"), "web");
        assert_eq!(own.class, Path::new("/r/web"));
        assert_eq!(own.monitor, Some("/r/web/mon_groups/web".into()));
        let default = Rdt { class: Some(String::new()), ..Rdt::default() };
        assert_eq!(default.place(Path::new("/r"), "web").class, Path::new("/r/"));
    }

    #[test]
    fn a_shared_class_keeps_its_limits_gets_tasks_and_stays() {
        let root = resctrl();
        let gold = root.path().join("gold");
        group(&gold);
        let has = "    MB:0=  20;1= 100\n    L3:0=00f;1=fff\n";
        fs::write(gold.join("schemata"), has).unwrap();
        let asked = |lines: &[&str]| Rdt {
            class: Some("gold".into()),
            schemata: lines.iter().map(ToString::to_string).collect(),
            monitoring: false,
        };
        for other in ["L3:0=e", "L3:2=f", "L2:0=f", "MB:0=20;1=90", "nonsense"] {
            let rdt = asked(&[other]);
            let error = NewGroups::make(&rdt, rdt.place(root.path(), "web")).unwrap_err();
            assert!(error.to_string().contains("is there already, without"), "{error}");
        }
        let rdt = asked(&["L3:0=F", "MB:1=100;0=20"]);
        let groups = NewGroups::make(&rdt, rdt.place(root.path(), "web")).unwrap();
        groups.add(77).unwrap();
        assert_eq!(read(gold.join("schemata")), has);
        assert_eq!(read(root.path().join("gold/tasks")), "77");
        drop(groups);
        assert!(root.path().join("gold").is_dir());
    }

    #[test]
    fn threads_are_moved_until_none_is_new() {
        let root = resctrl();
        group(&root.path().join("gold"));
        let rdt = Rdt { class: Some("gold".into()), ..Rdt::default() };
        let groups = NewGroups::make(&rdt, rdt.place(root.path(), "web")).unwrap();
        let tasks = root.path().join("gold/tasks");
        let (mut lists, mut seen) =
            (vec![vec![1, 2, 3], vec![1, 2, 3], vec![1, 2], vec![1]], vec![]);
        groups
            .add_all(|| {
                seen.push(read(tasks.clone()));
                Ok(lists.pop().unwrap())
            })
            .unwrap();
        assert_eq!(seen, ["", "1", "2", "3"]);
        // One who never comes to an end.
        let mut next = 0;
        let threads = || {
            next += 1;
            Ok(vec![next])
        };
        groups.add_all(threads).unwrap();
    }

    #[test]
    fn a_resource_is_named_once_a_write() {
        let lines = ["L3:0=ff", "MB:0=20", "L3:0=1", "L3:0=3"].map(str::to_owned);
        assert_eq!(writes(&lines), [&lines[..2], &lines[2..3], &lines[3..]]);
        assert!(writes(&[]).is_empty());
    }

    #[test]
    fn what_was_made_is_undone_unless_it_is_kept() {
        let root = resctrl();
        let rdt = Rdt::default();
        drop(NewGroups::make(&rdt, rdt.place(root.path(), "web")).unwrap());
        assert!(!root.path().join("web").exists());
        let group = root.path().join("web");
        let groups = NewGroups::make(&rdt, rdt.place(root.path(), "web")).unwrap();
        assert!(groups.has_made(&group));
        groups.commit();
        let others = NewGroups::make(&rdt, rdt.place(root.path(), "web")).unwrap();
        assert!(!others.has_made(&group));
        drop(others);
        assert!(group.is_dir());
        remove(&group).unwrap();
        remove(&group).unwrap();
    }

    #[test]
    fn a_group_that_took_the_place_of_what_was_made_stays() {
        let root = resctrl();
        let rdt = Rdt::default();
        let groups = NewGroups::make(&rdt, rdt.place(root.path(), "web")).unwrap();
        let group = root.path().join("web");
        fs::create_dir(root.path().join("anothers")).unwrap();
        fs::remove_dir(&group).unwrap();
        fs::rename(root.path().join("anothers"), &group).unwrap();
        drop(groups);
        assert!(group.is_dir());
    }

    #[test]
    fn changed_limits_are_put_back_unless_they_are_kept() {
        let root = resctrl();
        let schemata = root.path().join("schemata");
        fs::write(&schemata, "    L3:0=f\n").unwrap();
        let lines = ["L3:0=1".to_owned()];
        drop(Change::make(root.path().to_owned(), &lines).unwrap());
        assert!(read(schemata.clone()).starts_with("L3:0=f\n"));
        Change::make(root.path().to_owned(), &lines).unwrap().commit();
        assert!(read(schemata).starts_with("L3:0=1\n"));
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
