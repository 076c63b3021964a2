//! What we remember of a container on disk, and its status from that and a live process.
//!
//! [`Record`] is the document: plain data, with the key names that runc's `state.json` has where it has them, so that
//! programs which read that file find what they look for.

mod directory;
pub mod filter;
pub mod status;
pub mod store;
pub mod timestamp;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::kernel::process::Process;
use crate::spec;
use crate::spec::linux::{IntelRdt, MemoryPolicy, Namespace, NetDevice, Personality};
use crate::spec::mounts::IdMapping;

/// What we remember of one container.
///
/// It is written first as [`Stage::Provisional`], before anything is acquired, and names each thing before it is there:
/// whoever finds it after a crash can remove everything it names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The container's id.
    pub id: String,
    /// The version of the runtime-spec that the bundle asks for.
    #[serde(rename = "ociVersion")]
    pub oci_version: String,
    /// How far `create` has come.
    pub stage: Stage,
    /// Init's process id, as the host sees it; 0 before it is born.
    #[serde(rename = "init_process_pid")]
    pub init_pid: i32,
    /// When init began, in clock ticks since boot (proc_pid_stat(5), field 22).
    #[serde(rename = "init_process_start")]
    pub init_start_time: u64,
    /// When the container was made: RFC 3339 in UTC, see [`timestamp`].
    pub created: String,
    /// The bundle's directory, absolute.
    pub bundle: PathBuf,
    /// The user id that made the container.
    pub owner: u32,
    /// Whether it was made without the rights of root.
    pub rootless: bool,
    /// The cgroup's directory, absolute, under the key `""` as runc has it for cgroup v2.
    pub cgroup_paths: BTreeMap<String, PathBuf>,
    /// The unit of systemd that the cgroup is; empty when we made the cgroup ourselves.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub systemd_unit: String,
    /// Files of init's namespaces, by the names of clone(2): `NEWPID`, `NEWNS` and so on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub namespace_paths: BTreeMap<String, PathBuf>,
    /// What init's standard streams were when it was made; for checkpoints.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub external_descriptors: Vec<String>,
    /// The resctrl directory, when we made one; empty otherwise.
    #[serde(skip_serializing_if = "path_is_empty")]
    pub intel_rdt_path: PathBuf,
    /// The same of the group that counts.
    #[serde(skip_serializing_if = "path_is_empty")]
    pub intel_rdt_mon_path: PathBuf,
    /// What later verbs need of `config.json`.
    pub config: Config,
}

/// How far `create` has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// On its way, or given up by a crash: what the record names may or may not be there.
    #[default]
    Provisional,
    /// All of it is there.
    Created,
}

/// What later verbs need of `config.json`: not all of it, because every verb reads it again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The root file system's directory on the host, absolute.
    pub rootfs: PathBuf,
    /// The bundle's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The namespaces that were created or joined, as `config.json` lists them: `exec` enters the same.
    pub namespaces: Vec<Namespace>,
    /// The user namespace's map of user ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uid_mappings: Vec<IdMapping>,
    /// The user namespace's map of group ids.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gid_mappings: Vec<IdMapping>,
    /// The container's own process: the defaults of `exec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<spec::Process>,
    /// The hooks that are still to run: `poststart` and `poststop`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hooks: Option<spec::Hooks>,
    /// The system call filter; `exec` loads the same program, which lies in the state directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Seccomp>,
    /// Whether processes keep the session keyring of whoever calls etui (`--no-new-keyring`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_new_keyring: bool,
    /// personality(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub personality: Option<Personality>,
    /// set_mempolicy(2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_policy: Option<MemoryPolicy>,
    /// Intel RDT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intel_rdt: Option<IntelRdt>,
    /// Host network devices that were moved in, by host name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub net_devices: BTreeMap<String, NetDevice>,
}

/// What `exec` needs to load the container's system call filter, beside the program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seccomp {
    /// `SECCOMP_FILTER_FLAG_*` bits of seccomp(2).
    pub flags: u64,
    /// A Unix socket that receives the listener of `SCMP_ACT_NOTIFY`; empty when there is none.
    #[serde(skip_serializing_if = "path_is_empty")]
    pub listener_path: PathBuf,
    /// Opaque, sent along with the listener.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub listener_metadata: String,
}

impl Record {
    /// The container's init; `None` before it is born.
    pub fn init(&self) -> Option<Process> {
        let Record { init_pid: pid, init_start_time: start_time, .. } = *self;
        (pid > 0).then_some(Process { pid, start_time })
    }

    /// Remembers the container's init and the files of its namespaces.
    pub fn set_init(&mut self, init: Process) {
        self.init_pid = init.pid;
        self.init_start_time = init.start_time;
        self.namespace_paths = NAMESPACES
            .iter()
            .map(|(name, file)| {
                ((*name).to_owned(), format!("/proc/{}/ns/{file}", init.pid).into())
            })
            .collect();
    }

    /// The cgroup's directory, absolute; `None` when the container has none of its own.
    pub fn cgroup_path(&self) -> Option<&Path> {
        self.cgroup_paths.get("").map(PathBuf::as_path)
    }

    /// Remembers the cgroup's directory.
    pub fn set_cgroup_path(&mut self, directory: PathBuf) {
        self.cgroup_paths.insert(String::new(), directory);
    }
}

/// The names of clone(2) without `CLONE_`, and of the files under /proc/PID/ns.
const NAMESPACES: [(&str, &str); 8] = [
    ("NEWCGROUP", "cgroup"),
    ("NEWIPC", "ipc"),
    ("NEWNET", "net"),
    ("NEWNS", "mnt"),
    ("NEWPID", "pid"),
    ("NEWTIME", "time"),
    ("NEWUSER", "user"),
    ("NEWUTS", "uts"),
];

fn path_is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_keys_that_readers_of_runcs_state_look_for() {
        let mut record = Record { id: "web".into(), ..Record::default() };
        record.config.rootfs = "/bundle/rootfs".into();
        record.set_init(Process { pid: 7, start_time: 99 });
        record.set_cgroup_path("/sys/fs/cgroup/web".into());

        let document = serde_json::to_value(&record).expect("plain data");

        assert_eq!(document["init_process_pid"], 7);
        assert_eq!(document["init_process_start"], 99);
        assert_eq!(document["cgroup_paths"][""], "/sys/fs/cgroup/web");
        assert_eq!(document["namespace_paths"]["NEWNS"], "/proc/7/ns/mnt");
        assert_eq!(document["config"]["rootfs"], "/bundle/rootfs");
        assert_eq!(document["stage"], "provisional");
    }

    #[test]
    fn a_record_survives_the_disk() {
        let mut record = Record { id: "web".into(), stage: Stage::Created, ..Record::default() };
        record.config.process =
            Some(spec::Process { args: vec!["sh".into()], ..Default::default() });
        record.config.seccomp = Some(Seccomp { flags: 4, ..Seccomp::default() });
        record.set_init(Process { pid: 7, start_time: 99 });
        let text = serde_json::to_vec(&record).expect("plain data");
        assert_eq!(serde_json::from_slice::<Record>(&text).expect("just written"), record);
    }
}
