//! Freezing: every process of the cgroup and below stops, without a signal it could see (cgroup-v2.rst,
//! `cgroup.freeze`).

use std::time::{Duration, Instant};

use super::events::Waited;
use super::{Directory, EventsFile};
use crate::error::{Error, Result};

/// How long processes may take to freeze: one in an uninterruptible wait freezes only when that ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Freezes the cgroup; returns once all its processes have stopped. One that can't be frozen in time is thawed again.
pub fn freeze(cgroup: &Directory) -> Result<()> {
    freeze_within(cgroup, PATIENCE)
}

fn freeze_within(cgroup: &Directory, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    let events = EventsFile::open(cgroup, "cgroup.events")?;
    ask(cgroup)?;
    match events.wait_until("frozen", 1, deadline) {
        Ok(Waited::Reached) => Ok(()),
        Ok(Waited::TimedOut) => {
            // What it was frozen for has failed; that is what is told.
            let _ = thaw(cgroup);
            Err(Error::new(format!("its processes did not freeze within {patience:?}"))
                .hint("a process in an uninterruptible wait (state D of ps) holds it up"))
        }
        Err(error) => {
            let _ = thaw(cgroup);
            Err(error)
        }
    }
}

/// Has the cgroup's processes stop, each when it gets there.
pub(super) fn ask(cgroup: &Directory) -> Result<()> {
    cgroup.write("cgroup.freeze", "1")
}

/// Lets the cgroup's processes run.
pub fn thaw(cgroup: &Directory) -> Result<()> {
    cgroup.write("cgroup.freeze", "0")
}

/// Whether the cgroup is to be frozen: what was asked of it, not whether the last process has stopped.
pub fn is_frozen(cgroup: &Directory) -> Result<bool> {
    let asked = cgroup.read_if_there("cgroup.freeze")?;
    Ok(asked.is_some_and(|text| text.trim() == "1"))
}
