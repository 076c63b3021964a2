//! `linux` (config-linux.md), but for resources and seccomp.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::config::null_as_default;
use super::mounts::IdMapping;
use super::{Resources, Seccomp};

/// What only Linux has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Linux {
    /// The user namespace's map of user ids.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub uid_mappings: Vec<IdMapping>,
    /// The user namespace's map of group ids.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub gid_mappings: Vec<IdMapping>,
    /// Kernel parameters, by dotted name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub sysctl: BTreeMap<String, String>,
    /// cgroup limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Where the cgroup is: a path, or `slice:prefix:name` with the systemd driver.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub cgroups_path: String,
    /// Namespaces to create or join.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub namespaces: Vec<Namespace>,
    /// Device nodes to make, beside the default ones.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub devices: Vec<Device>,
    /// Host network devices to move in, by host name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub net_devices: BTreeMap<String, NetDevice>,
    /// The system call filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Seccomp>,
    /// Propagation of the root mount.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub rootfs_propagation: String,
    /// Paths made unreadable.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub masked_paths: Vec<PathBuf>,
    /// Paths made read-only.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub readonly_paths: Vec<PathBuf>,
    /// The SELinux context of the container's mounts.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub mount_label: String,
    /// Intel RDT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<IntelRdt>,
    /// set_mempolicy(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<MemoryPolicy>,
    /// personality(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personality: Option<Personality>,
    /// Offsets of the time namespace's clocks, by clock name (`monotonic`, `boottime`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "null_as_default")]
    pub time_offsets: BTreeMap<String, TimeOffset>,
}

/// A namespace to create, or with a path, to join.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// `pid`, `network`, `mount`, `ipc`, `uts`, `user`, `cgroup`, `time`.
    #[serde(rename = "type", deserialize_with = "null_as_default")]
    pub kind: String,
    /// A file of /proc/PID/ns or a bind of one; empty to create.
    #[serde(skip_serializing_if = "path_is_empty", deserialize_with = "null_as_default")]
    pub path: PathBuf,
}

/// A device node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Device {
    /// Where inside the container.
    #[serde(deserialize_with = "null_as_default")]
    pub path: PathBuf,
    /// `c`, `u`, `b` or `p`.
    #[serde(rename = "type", deserialize_with = "null_as_default")]
    pub kind: String,
    /// Major number.
    #[serde(deserialize_with = "null_as_default")]
    pub major: i64,
    /// Minor number.
    #[serde(deserialize_with = "null_as_default")]
    pub minor: i64,
    /// Permission bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_mode: Option<u32>,
    /// Owner, as the container sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Group, as the container sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gid: Option<u32>,
}

/// A network device to move in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetDevice {
    /// Its name inside; empty to keep the host's.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub name: String,
}

/// Intel Resource Director Technology (config-linux.md, "IntelRdt").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IntelRdt {
    /// The class of service; `/` is the default one.
    #[serde(
        rename = "closID",
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_as_default"
    )]
    pub clos_id: String,
    /// Lines of the `schemata` file, written as they are.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub schemata: Vec<String>,
    /// The L3 cache schema.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub l3_cache_schema: String,
    /// The memory bandwidth schema.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub mem_bw_schema: String,
    /// Whether a monitoring group is made.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "null_as_default")]
    pub enable_monitoring: bool,
}

/// set_mempolicy(2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryPolicy {
    /// `MPOL_BIND` and the like.
    #[serde(deserialize_with = "null_as_default")]
    pub mode: String,
    /// A list of nodes such as `0-1`.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub nodes: String,
    /// `MPOL_F_STATIC_NODES` and the like.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub flags: Vec<String>,
}

/// personality(2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Personality {
    /// `LINUX` or `LINUX32`.
    #[serde(deserialize_with = "null_as_default")]
    pub domain: String,
    /// None is defined by the specification.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub flags: Vec<String>,
}

/// An offset of one clock (time_namespaces(7)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeOffset {
    /// Whole seconds.
    #[serde(deserialize_with = "null_as_default")]
    pub secs: i64,
    /// Nanoseconds on top.
    #[serde(deserialize_with = "null_as_default")]
    pub nanosecs: u32,
}

fn path_is_empty(path: &std::path::Path) -> bool {
    path.as_os_str().is_empty()
}
