//! A container as the verbs find it: its record, and what is true of it now.

use std::fs;
use std::path::PathBuf;

use super::Global;
use crate::error::Result;
use crate::launch::start_gate;
use crate::record::Record;
use crate::record::status::{self, Facts};
use crate::record::store::Store;
use crate::spec::state::Status;

/// A container that has a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// What we remember of it.
    pub record: Record,
    /// Its state directory.
    pub directory: PathBuf,
}

impl Container {
    /// Finds container `id`.
    pub fn load(global: &Global, id: &str) -> Result<Container> {
        let store = Store::new(&global.root);
        Ok(Container { record: store.load(id)?, directory: store.directory(id)? })
    }

    /// Where it is in its life, at this moment.
    pub fn status(&self) -> Result<Status> {
        let alive = match self.record.init() {
            Some(init) => init.is_alive()?,
            None => false,
        };
        let facts = Facts {
            alive,
            waiting_at_gate: alive && start_gate::is_waiting(&self.directory)?,
            frozen: alive && self.is_frozen(),
        };
        Ok(status::status(&self.record, facts))
    }

    /// Init's process id, 0 when the container is stopped.
    pub fn pid_in(&self, status: Status) -> i32 {
        if status == Status::Stopped { 0 } else { self.record.init_pid }
    }

    /// A cgroup that is on its way to be frozen counts as frozen: `cgroup.freeze` is what was asked for.
    fn is_frozen(&self) -> bool {
        let Some(cgroup) = self.record.cgroup_path() else { return false };
        fs::read(cgroup.join("cgroup.freeze")).is_ok_and(|text| text.starts_with(b"1"))
    }
}
