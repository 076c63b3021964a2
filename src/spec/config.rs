//! The top of `config.json` (runtime-spec, config.md).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Hooks, Linux, Mount, Process};

/// A whole `config.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// The version of the runtime-spec the bundle was written for.
    #[serde(deserialize_with = "null_as_default")]
    pub oci_version: String,
    /// The process to run; required by `start`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The root file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root: Option<Root>,
    /// The host name inside.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub hostname: String,
    /// The NIS domain name inside.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub domainname: String,
    /// Mounts beside the root, in order.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub mounts: Vec<Mount>,
    /// Programs to run at points of the life cycle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// Free-form metadata.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
    /// What only Linux has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
}

/// The root file system (config.md, "Root").
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Root {
    /// Absolute, or relative to the bundle.
    #[serde(deserialize_with = "null_as_default")]
    pub path: PathBuf,
    /// Whether the container sees it read-only.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "null_as_default")]
    pub readonly: bool,
}

/// Go writes an empty slice or map as `null`, and reads `null` into anything as nothing: every field may arrive so.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
