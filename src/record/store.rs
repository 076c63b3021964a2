//! The state directory: reserved ids, locks, atomic replacement. Knows no plan and no process.
//!
//! Each container has the directory `ROOT/ID` with its record in `state.json`; the start gate's two named
//! pipes and the system call filter lie there too.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::directory::Directory;
use super::{Record, filter};
use crate::error::{Call, Context, Error, Kind, Result};

const STATE_FILE: &str = "state.json";
/// Where the next record is written before it takes the place of the last one.
const NEXT_STATE_FILE: &str = ".state.json.next";
/// Where the final record of a container being made lies, until it takes that place.
const FINAL_STATE_FILE: &str = ".state.json.created";

/// The records of all containers under one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The store at `root`, which need not be there yet.
    pub fn new(root: &Path) -> Store {
        Store { root: root.to_owned() }
    }

    /// The directory of container `id`, whether or not it is there; an error when `id` can't name a container.
    pub fn directory(&self, id: &str) -> Result<PathBuf> {
        check_id(id)?;
        Ok(self.root.join(id))
    }

    /// Takes the id of `record` and writes the record down; fails when another container has the id.
    pub fn reserve(&self, record: &Record) -> Result<Reservation> {
        let directory = self.directory(&record.id)?;
        let made = match Directory::make(directory.clone()) {
            Err(error) if error.errno() == Some(Errno::ENOENT) => {
                self.make_root()?;
                Directory::make(directory)
            }
            made => made,
        };
        let directory = made.map_err(|error| match error.errno() {
            Some(Errno::EEXIST) => Error::new("container with given ID already exists")
                .of_kind(Kind::ContainerExists)
                .hint(format!("choose another id, or delete {}", record.id)),
            _ => root_of_ones_own(error),
        })?;
        let reservation = Reservation { directory, fate: Fate::Removed };
        reservation.update(record)?;
        Ok(reservation)
    }

    fn make_root(&self) -> Result<()> {
        let root = &self.root;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .call(|| format!("mkdir({root:?})"))
            .map_err(root_of_ones_own)
            .context("make the state directory")
    }

    /// Whether somebody is making the container `id` at this moment. It may be made by the time the answer is read: a
    /// record that was read before is not to be trusted then.
    pub fn is_being_made(&self, id: &str) -> Result<bool> {
        match Directory::open(self.directory(id)?) {
            Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(false),
            opened => opened.map(|directory| directory.is_marked()),
        }
    }

    /// Reads the record of container `id`.
    pub fn load(&self, id: &str) -> Result<Record> {
        let path = self.directory(id)?.join(STATE_FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(no_such_container()),
            text => text.call(|| format!("read({path:?})"))?,
        };
        serde_json::from_slice(&text).map_err(|error| {
            Error::new(format!("{} is damaged: {error}", path.display()))
                .hint("delete --force removes what is left of the container")
        })
    }

    /// Replaces the record of a container that is there, atomically.
    pub fn update(&self, record: &Record) -> Result<()> {
        write(&Directory::open(self.directory(&record.id)?)?, record)
    }

    /// Removes the directory of container `id` and all that lies in it; nothing to do is no error.
    pub fn remove(&self, id: &str) -> Result<()> {
        let path = self.directory(id)?;
        match Directory::open(path.clone()) {
            Ok(directory) => remove_directory(&directory),
            Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(()),
            // It is none.
            Err(_) => remove_all_below(&path),
        }
    }

    /// The ids under the root, sorted, damaged ones too; the root must be there.
    pub fn ids(&self) -> Result<Vec<String>> {
        let root = &self.root;
        let mut ids = Vec::new();
        for entry in fs::read_dir(root).call(|| format!("open({root:?})"))? {
            let entry = entry.call(|| format!("getdents({root:?})"))?;
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let id = entry.file_name().into_string();
            ids.extend(id.into_iter().filter(|id| is_directory && check_id(id).is_ok()));
        }
        ids.sort();
        Ok(ids)
    }

    /// Waits until no other verb works on container `id`, and keeps others away until it is dropped.
    pub fn lock(&self, id: &str) -> Result<Lock> {
        let path = self.directory(id)?;
        loop {
            let no_link = OFlag::O_NOFOLLOW.bits();
            let directory = match File::options().read(true).custom_flags(no_link).open(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return Err(no_such_container());
                }
                opened => opened.call(|| format!("open({path:?})"))?,
            };
            let held = Flock::lock(directory, FlockArg::LockExclusive)
                .map_err(|(_, errno)| errno)
                .call(|| format!("flock({path:?}, LOCK_EX)"))?;
            // While we waited the container may have been deleted, and another one made with its id.
            if is_same_file(&held, &path) {
                return Ok(Lock { _held: held });
            }
        }
    }
}

/// An id that is taken for a container being made. Dropped without [`Reservation::commit`] it removes the container's
/// directory.
#[derive(Debug)]
#[must_use = "dropping it gives the id back"]
pub struct Reservation {
    directory: Directory,
    fate: Fate,
}

/// What becomes of a reserved directory when its reservation is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Removed,
    Kept,
}

impl Reservation {
    /// Has something done in the container's directory, by its descriptor: the path may lead to a later container's, when
    /// this one is deleted meanwhile.
    pub fn within<T>(&self, work: impl FnOnce(BorrowedFd<'_>) -> Result<T>) -> Result<T> {
        work(self.directory.fd()).with_context(|| format!("in {:?}", self.directory.path()))
    }

    /// Replaces the record, atomically.
    pub fn update(&self, record: &Record) -> Result<()> {
        write(&self.directory, record)
    }

    /// Writes the final record down beforehand, while there is time to.
    pub fn prepare(&self, final_record: &Record) -> Result<Written> {
        let file = write_down(&self.directory, FINAL_STATE_FILE, final_record)?;
        Ok(Written { file, path: self.directory.path().join(STATE_FILE) })
    }

    /// Puts the final record in its place.
    pub fn publish(&self) -> Result<()> {
        replace_state(&self.directory, FINAL_STATE_FILE)
    }

    /// Keeps the directory: the container is made.
    pub fn commit(mut self) {
        self.fate = Fate::Kept;
    }
}

/// The file in which the final record was written.
#[derive(Debug)]
pub struct Written {
    file: File,
    /// Where it lies once it is published.
    path: PathBuf,
}

impl Written {
    /// Whether it is still the one on record: no verb has written another, nor deleted the container. Who holds the
    /// container's [`Lock`] need not read it again then.
    pub fn is_on_record(&self) -> bool {
        is_same_file(&self.file, &self.path)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.fate == Fate::Removed
            // Otherwise the container was deleted, and its id may be another's now.
            && self.directory.is_in_place()
            && let Err(error) = remove_directory(&self.directory)
        {
            crate::warning::warn(error.to_string());
        }
    }
}

/// The right to work on one container. The kernel gives it back when we end, however we do (flock(2)).
#[derive(Debug)]
pub struct Lock {
    _held: Flock<File>,
}

/// An id becomes the name of a directory, and part of the name of a cgroup or a systemd unit.
pub fn check_id(id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::refused("container id cannot be empty"));
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    if id == "." || id == ".." || !id.bytes().all(is_plain) {
        return Err(Error::refused(format!("invalid container ID format: {id:?}"))
            .hint("letters, digits, `_`, `+`, `-` and `.` are allowed"));
    }
    Ok(())
}

fn root_of_ones_own(error: Error) -> Error {
    match error.errno() {
        Some(Errno::EACCES | Errno::EPERM) => error
            .hint("this directory is not ours: set XDG_RUNTIME_DIR, or name another with --root"),
        _ => error,
    }
}

fn no_such_container() -> Error {
    Error::new("container does not exist").of_kind(Kind::NoSuchContainer)
}

fn write(directory: &Directory, record: &Record) -> Result<()> {
    write_down(directory, NEXT_STATE_FILE, record)?;
    replace_state(directory, NEXT_STATE_FILE)
}

fn write_down(directory: &Directory, name: &str, record: &Record) -> Result<File> {
    let text = serde_json::to_vec(record)
        .map_err(|error| Error::new(format!("record of {}: {error}", record.id)))?;
    // No fsync: by default the directory is on a tmpfs, and after a power failure no container of it is there either.
    directory.write_new(name, &text).context("remember the container")
}

fn replace_state(directory: &Directory, next: &str) -> Result<()> {
    directory.rename(next, STATE_FILE).context("remember the container")
}

/// Removes a container's directory with all that lies in it.
fn remove_directory(directory: &Directory) -> Result<()> {
    // All there is of a container that `run` made; the record last. Then the directory need not be listed.
    for name in [filter::FILE, STATE_FILE] {
        directory.remove(name);
    }
    match fs::remove_dir(directory.path()) {
        Ok(()) => Ok(()),
        Err(_) => remove_all_below(directory.path()),
    }
}

/// Whoever still makes the container may add a file while we remove them: then again.
fn remove_all_below(directory: &Path) -> Result<()> {
    const ATTEMPTS: usize = 8;
    let remove = || match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    let mut removed = remove();
    for _ in 1..ATTEMPTS {
        if !matches!(&removed, Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty) {
            break;
        }
        removed = remove();
    }
    removed
        .call(|| format!("unlinkat({directory:?})"))
        .context("remove the container's state directory")
}

fn is_same_file(open: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (open.metadata(), fs::symlink_metadata(path)) else { return false };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().expect("tmp");
        let store = Store::new(&directory.path().join("root"));
        (directory, store)
    }

    fn record(id: &str) -> Record {
        Record { id: id.into(), owner: 7, ..Record::default() }
    }

    #[test]
    fn an_id_is_a_plain_file_name() {
        for good in ["a", "A-b_c+d.e", "...", "0", "-x", ".hidden"] {
            check_id(good).expect(good);
        }
        for bad in ["", ".", "..", "a/b", "../a", "a b", "ä", "a\0b", "a\n", "a:b"] {
            let error = check_id(bad).expect_err(bad);
            assert_eq!(error.kind(), Kind::Refused, "{bad:?}");
        }
    }

    #[test]
    fn a_reservation_that_is_not_committed_leaves_nothing() {
        let (_directory, store) = store();
        let reservation = store.reserve(&record("web")).expect("free");
        assert_eq!(store.load("web").expect("provisional"), record("web"));
        drop(reservation);
        assert_eq!(store.load("web").expect_err("gone").kind(), Kind::NoSuchContainer);
        assert_eq!(store.ids().expect("root"), Vec::<String>::new());
    }

    #[test]
    fn a_reservation_does_not_give_back_what_is_anothers_by_now() {
        let (_directory, store) = store();
        let late = store.reserve(&record("web")).expect("free");
        store.remove("web").expect("disk");
        let next = Record { owner: 8, ..record("web") };
        let _next = store.reserve(&next).expect("free");
        let prepared = late.prepare(&record("web")).map(drop);
        for late in [late.update(&record("web")), prepared, late.publish()] {
            let error = late.expect_err("its directory is gone").to_string();
            assert!(error.ends_with("the container was deleted while it was made"), "{error}");
        }
        drop(late);
        assert_eq!(store.load("web").expect("there"), next);
    }

    #[test]
    fn a_container_is_being_made_until_it_is_made_or_given_up() {
        let (_directory, store) = store();
        let being_made = || store.is_being_made("web").expect("an answer");
        assert!(!being_made());
        let reservation = store.reserve(&record("web")).expect("free");
        assert!(being_made());
        let _lock = store.lock("web").expect("whoever makes it keeps no other verb away");
        reservation.commit();
        assert!(!being_made());
    }

    #[test]
    fn an_id_is_taken_once() {
        let (_directory, store) = store();
        made(&store);
        let error = store.reserve(&record("web")).expect_err("taken");
        assert_eq!(error.kind(), Kind::ContainerExists);
        assert!(error.to_string().starts_with("container with given ID already exists"));
        assert!(
            store.load("web").is_ok(),
            "the failed attempt must not remove the first one's directory"
        );
    }

    #[test]
    fn a_record_is_replaced_over_the_remains_of_a_killed_writer() {
        let (_directory, store) = store();
        made(&store);
        let next = store.directory("web").expect("id").join(NEXT_STATE_FILE);
        fs::write(&next, "{\"half").expect("disk");
        let newer = Record { owner: 8, ..record("web") };
        store.update(&newer).expect("disk");
        assert_eq!(store.load("web").expect("there"), newer);
        assert!(!next.exists());
    }

    /// A container `web`.
    fn made(store: &Store) -> Written {
        let reservation = store.reserve(&record("web")).expect("free");
        let written = reservation.prepare(&record("web")).expect("disk");
        reservation.publish().expect("disk");
        reservation.commit();
        written
    }

    #[test]
    fn a_record_is_the_one_that_was_written_until_another_takes_its_place() {
        let (_directory, store) = store();
        let first = made(&store);
        assert!(first.is_on_record());
        // A backup of it is not what counts.
        let path = store.directory("web").expect("id").join(STATE_FILE);
        fs::hard_link(path, store.root.join("backup")).expect("disk");
        store.update(&record("web")).expect("disk");
        assert!(!first.is_on_record(), "what is in the new one is not known");
        store.remove("web").expect("disk");
        assert!(!first.is_on_record());
        let second = made(&store);
        assert!(second.is_on_record() && !first.is_on_record());
    }

    #[test]
    fn a_link_in_the_place_of_a_directory_is_no_container_and_what_it_leads_to_stays() {
        let (_directory, store) = store();
        made(&store);
        let elsewhere = store.root.join("elsewhere");
        fs::rename(store.directory("web").expect("id"), &elsewhere).expect("disk");
        std::os::unix::fs::symlink(&elsewhere, store.directory("web").expect("id")).expect("disk");
        let error = store.lock("web").expect_err("no directory");
        assert_eq!(error.errno(), Some(Errno::ELOOP), "{error}");
        store.remove("web").expect("disk");
        assert!(elsewhere.join(STATE_FILE).exists());
        assert_eq!(store.lock("web").expect_err("gone").kind(), Kind::NoSuchContainer);
    }

    #[test]
    fn all_that_lies_in_a_directory_is_removed_with_it() {
        let (_directory, store) = store();
        made(&store);
        let directory = store.directory("web").expect("id");
        fs::write(directory.join(filter::FILE), "").expect("disk");
        fs::create_dir(directory.join("notify")).expect("disk");
        fs::write(directory.join("notify/socket"), "").expect("disk");
        store.remove("web").expect("disk");
        assert!(!directory.exists());
    }

    #[test]
    fn a_damaged_record_says_so_and_can_be_removed() {
        let (_directory, store) = store();
        made(&store);
        let path = store.directory("web").expect("id").join(STATE_FILE);
        fs::write(&path, "{\"id\":\"we").expect("disk");
        let error = store.load("web").expect_err("truncated");
        assert_eq!(error.kind(), Kind::Failed);
        assert!(error.to_string().contains("state.json is damaged"), "{error}");
        store.remove("web").expect("disk");
        store.remove("web").expect("nothing to do");
        assert_eq!(store.load("web").expect_err("gone").kind(), Kind::NoSuchContainer);
    }

    #[test]
    fn the_second_to_lock_waits_and_finds_the_container_gone() {
        let (_directory, store) = store();
        made(&store);
        let lock = store.lock("web").expect("free");
        let (sender, outcome) = mpsc::channel();
        let second = store.clone();
        thread::spawn(move || sender.send(second.lock("web").map(drop)));
        assert!(outcome.recv_timeout(Duration::from_millis(100)).is_err(), "it must wait");
        store.remove("web").expect("disk");
        drop(lock);
        let outcome = outcome.recv_timeout(Duration::from_secs(10)).expect("it went on");
        assert_eq!(outcome.expect_err("gone").kind(), Kind::NoSuchContainer);
    }
}
