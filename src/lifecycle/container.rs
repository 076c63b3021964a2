//! A container as the verbs find it: its record, and what is true of it now.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use serde::Serialize;

use super::Global;
use crate::error::Result;
use crate::kernel::process::Execution;
use crate::launch::start_gate;
use crate::record::status::{self, Facts};
use crate::record::store::Store;
use crate::record::{Record, Stage};
use crate::spec::state::Status;

/// A container that has a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// What we remember of it.
    pub record: Record,
    /// Its state directory.
    pub directory: PathBuf,
    /// Whether somebody is still making it.
    pub being_made: bool,
}

/// What `state` and `list` tell of a container: the state of the runtime-spec (runtime.md, "State") and what runc adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// The version of the runtime-spec that the state complies with.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// Init's process id, as the host sees it; 0 when the container is stopped.
    pub pid: i32,
    /// Where the container is in its life.
    pub status: Status,
    /// The bundle's directory, absolute.
    pub bundle: PathBuf,
    /// The root file system's directory, absolute.
    pub rootfs: PathBuf,
    /// When it was made, RFC 3339 in UTC.
    pub created: String,
    /// The bundle's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Who made it, by name or `#uid`; only `list` fills it in.
    pub owner: String,
}

impl Container {
    /// Finds container `id`.
    pub fn load(global: &Global, id: &str) -> Result<Container> {
        let store = Store::new(&global.root);
        let mut record = store.load(id)?;
        let being_made = record.stage == Stage::Provisional && store.is_being_made(id)?;
        if record.stage == Stage::Provisional && !being_made {
            // It may be made by now.
            record = store.load(id)?;
        }
        Ok(Container { record, directory: store.directory(id)?, being_made })
    }

    /// Where it is in its life, at this moment.
    pub fn status(&self) -> Result<Status> {
        let init = self.record.init();
        let alive = init.map_or(Ok(false), |init| init.is_alive())?;
        let executed = match init {
            Some(init) if alive && self.record.stage == Stage::Provisional => {
                init.execution()? == Execution::Done
            }
            _ => false,
        };
        let facts = Facts {
            being_made: self.being_made,
            alive,
            executed,
            waiting_at_gate: alive && start_gate::is_waiting(&self.directory)?,
            frozen: alive && self.is_frozen(),
        };
        Ok(status::status(&self.record, facts))
    }

    /// What `state` and `list` tell of it, at this moment.
    pub fn describe(&self) -> Result<Description> {
        let status = self.status()?;
        let record = &self.record;
        Ok(Description {
            oci_version: record.oci_version.clone(),
            id: record.id.clone(),
            pid: if status == Status::Stopped { 0 } else { record.init_pid },
            status,
            bundle: record.bundle.clone(),
            rootfs: record.config.rootfs.clone(),
            created: record.created.clone(),
            annotations: record.config.annotations.clone(),
            owner: String::new(),
        })
    }

    /// A cgroup that is on its way to be frozen counts as frozen: `cgroup.freeze` is what was asked for.
    fn is_frozen(&self) -> bool {
        let Some(cgroup) = self.record.cgroup_path() else { return false };
        fs::read(cgroup.join("cgroup.freeze")).is_ok_and(|text| text.starts_with(b"1"))
    }
}
