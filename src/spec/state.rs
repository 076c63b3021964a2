//! The state of a container (runtime.md, "State"): what hooks read on stdin.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The version of the runtime-spec that etui implements.
pub const OCI_VERSION: &str = "1.3.0";

/// Where a container is in its life (runtime.md, "State").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being made; only hooks see this.
    Creating,
    /// Waiting for `start`.
    Created,
    /// The user's program runs.
    Running,
    /// Frozen by `pause`.
    Paused,
    /// The user's program has ended.
    Stopped,
}

impl Status {
    /// As the specification writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The state document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// [`OCI_VERSION`]: what the state complies with.
    pub oci_version: String,
    /// The container's id.
    pub id: String,
    /// Where it is in its life.
    pub status: Status,
    /// The process's id, as the reader of the document sees it; 0 when there is none.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub pid: i32,
    /// The bundle's directory, absolute.
    pub bundle: PathBuf,
    /// The bundle's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: BTreeMap<String, String>,
}

fn is_zero(pid: &i32) -> bool {
    *pid == 0
}
