//! The verb `delete`.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::container::Container;
use super::{Global, cgroup as container_cgroup, hooks_outside, rdt};
use crate::error::{Context, Error, Kind, Result};
use crate::kernel::cgroup::processes::{self, Left, wait_until_empty};
use crate::kernel::cgroup::{Directory, removal};
use crate::kernel::process::Waited;
use crate::record::Record;
use crate::record::store::{Store, Written};
use crate::spec::state::Status;
use crate::timeline;
use crate::warning::warn;

/// How long a killed process may take to vanish: it can be stuck in the kernel, or dump a large core.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a process whose parent was killed while it made it may take to notice and end.
const ENDS_BY_ITSELF: Duration = Duration::from_secs(2);

/// How long a systemd that we can't reach may take to see that a cgroup is empty.
const SYSTEMD_SEES_BY_THEN: Duration = Duration::from_secs(1);

/// What may be deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Force {
    /// Only what is stopped, or created and never started.
    #[default]
    No,
    /// Anything; and what is not there is no error (`--force`).
    Yes,
}

/// Removes a container: its process, its cgroup, its record.
pub fn delete(global: &Global, id: &str, force: Force) -> Result<()> {
    let store = Store::new(&global.root);
    let removed = remove_if_there(global, &store, id, force);
    match removed {
        Err(error) if force == Force::Yes && error.kind() == Kind::NoSuchContainer => Ok(()),
        other => other,
    }
}

fn remove_if_there(global: &Global, store: &Store, id: &str, force: Force) -> Result<()> {
    if force == Force::Yes {
        // Who holds the lock may be waiting for this very process, such as `start` for a hook that never ends.
        let _ = store.load(id).and_then(|record| kill_init(&record));
    }
    let _lock = store.lock(id)?;
    let container = match Container::load(global, id) {
        Ok(container) => container,
        // What a `create` that was killed has left: a directory without a record, which it makes first of all. One that
        // lives is about to write it.
        Err(error) if error.kind() == Kind::NoSuchContainer => {
            if force == Force::Yes || !store.is_being_made(id)? {
                store.remove(id)?;
            }
            return Err(error);
        }
        // A record that can't be read: nothing but the directory is known.
        Err(_) if force == Force::Yes => return store.remove(id),
        Err(error) => return Err(error),
    };
    match container.status()? {
        Status::Stopped | Status::Created => {}
        _ if force == Force::Yes => {}
        status => {
            return Err(Error::new(format!(
                "cannot delete container {id} that is not stopped: {status}"
            ))
            .hint("kill it first, or use --force"));
        }
    }
    timeline::done("load the record");
    remove(store, &container.record)
}

/// Removes the container of `record`, whose process has ended or is to; not another one that has its id by now, nor what
/// somebody else has deleted already. `written` is the file of that record; nobody has it open when it is removed, which not
/// every file system takes (NFS).
pub(super) fn delete_this(store: &Store, record: &Record, written: Written) -> Result<()> {
    let found = store.lock(&record.id).and_then(|lock| {
        let now = match written.is_on_record() {
            true => Cow::Borrowed(record),
            false => Cow::Owned(store.load(&record.id)?),
        };
        drop(written);
        Ok((now, lock))
    });
    match found {
        Ok((now, _lock)) if now.created == record.created => {
            timeline::done("find the record");
            remove(store, &now)
        }
        Err(error) if error.kind() != Kind::NoSuchContainer => Err(error),
        _ => Ok(()),
    }
}

/// Kills what is left of the container, and removes all the record names; then the record, then poststop hooks run.
pub(super) fn remove(store: &Store, record: &Record) -> Result<()> {
    kill_init(record)?;
    timeline::done("end init");
    if let Some(path) = record.cgroup_path() {
        match record.init() {
            // The usual case. systemd removes what it has made itself.
            Some(_) if record.systemd_unit.is_empty() && removal::remove_at_once(path) => Ok(()),
            Some(_) => empty_cgroup(path)
                .and_then(|()| stop_unit(record, path))
                .and_then(|()| removal::remove(path, PATIENCE)),
            None => remove_unproven(store, record, path),
        }
        .context("remove the cgroup")?;
    }
    timeline::done("remove the cgroup");
    rdt::remove(record)?;
    store.remove(&record.id)?;
    timeline::done("remove the record");
    hooks_outside::run_poststop(record);
    Ok(())
}

fn kill_init(record: &Record) -> Result<()> {
    let Some(init) = record.init() else { return Ok(()) };
    let Some(process) = init.open()? else { return Ok(()) };
    match process.send_signal(Signal::SIGKILL as i32) {
        Err(error) if error.errno() == Some(nix::errno::Errno::ESRCH) => return Ok(()),
        other => other?,
    }
    match process.wait_exit(PATIENCE)? {
        Waited::Ended => Ok(()),
        Waited::TimedOut => Err(Error::new("container init still running").hint(format!(
            "process {} was sent SIGKILL and does not end: it may be stuck in the kernel",
            record.init_pid
        ))),
    }
}

/// A unit is systemd's to remove.
fn stop_unit(record: &Record, path: &Path) -> Result<()> {
    if record.systemd_unit.is_empty() {
        return Ok(());
    }
    match container_cgroup::systemd_of(record) {
        Ok(mut systemd) => systemd.stop(&record.systemd_unit),
        Err(error) => {
            warn(format!("{} is not stopped: {error}", record.systemd_unit));
            wait_until_gone(path);
            Ok(())
        }
    }
}

/// A systemd that we can't reach may be there all the same: it sees that the cgroup is empty, and removes it with the
/// unit. It would not see us remove it.
fn wait_until_gone(cgroup: &Path) {
    let deadline = Instant::now() + SYSTEMD_SEES_BY_THEN;
    while cgroup.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A record without a process was left by a `create` that was killed before it wrote one down, perhaps before it saw that
/// the cgroup is in use: what lives there may be another's, and is not ours to kill, nor its unit ours to stop. A process of
/// ours ends by itself, for its parent is gone; where the parent is there, it is who undoes what it has made.
fn remove_unproven(store: &Store, record: &Record, path: &Path) -> Result<()> {
    let patience = if store.is_being_made(&record.id)? { Duration::ZERO } else { ENDS_BY_ITSELF };
    let units_own = container_cgroup::of_unit(path, &record.systemd_unit).unwrap_or(path);
    let left = match Directory::open(units_own) {
        Err(error) if error.errno() == Some(nix::errno::Errno::ENOENT) => Left::Nobody,
        cgroup => wait_until_empty(&cgroup?, Instant::now() + patience)?,
    };
    let removed = match left {
        Left::Nobody => {
            stop_unit(record, path)?;
            removal::remove(path, patience)
        }
        Left::Somebody => Err(Error::new("some process is still in it")),
    };
    if let Err(error) = removed {
        let left = units_own.display();
        warn(format!("{left} is left, for it may not be the container's: {error}"));
    }
    Ok(())
}

/// A container without a pid namespace may have left processes behind; so may `exec`.
fn empty_cgroup(path: &Path) -> Result<()> {
    match Directory::open(path) {
        Err(error) if error.errno() == Some(nix::errno::Errno::ENOENT) => Ok(()),
        Err(error) => Err(error),
        Ok(directory) => processes::kill(&directory),
    }
}
