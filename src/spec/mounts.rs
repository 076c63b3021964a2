//! `mounts` (config.md, "Mounts") and the id maps they share with user namespaces.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::config::null_as_default;

/// One mount beside the root.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Where inside the container; absolute.
    #[serde(deserialize_with = "null_as_default")]
    pub destination: PathBuf,
    /// The file system type, of /proc/filesystems; ignored for a bind.
    #[serde(
        rename = "type",
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub kind: String,
    /// A device, a directory or file to bind, or a dummy name.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub source: String,
    /// Options of mount(8), and file-system-specific ones.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub options: Vec<String>,
    /// User ids as this mount shows them.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids as this mount shows them.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub gid_mappings: Vec<IdMapping>,
}

/// One line of an id map (user_namespaces(7)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdMapping {
    /// First id inside.
    #[serde(rename = "containerID", deserialize_with = "null_as_default")]
    pub container_id: u32,
    /// First id outside.
    #[serde(rename = "hostID", deserialize_with = "null_as_default")]
    pub host_id: u32,
    /// How many.
    #[serde(deserialize_with = "null_as_default")]
    pub size: u32,
}
