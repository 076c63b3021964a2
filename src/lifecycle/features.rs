//! The verb `features`: what this build knows (runtime-spec, features.md), whatever this host can do; only the flags of
//! seccomp are told for this kernel too.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::kernel::seccomp::supports;
use crate::plan::{mount_options, seccomp};
use crate::spec::state::OCI_VERSION;

/// What this build knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Features {
    oci_version_min: &'static str,
    oci_version_max: &'static str,
    hooks: &'static [&'static str],
    mount_options: Vec<&'static str>,
    linux: Linux,
    annotations: BTreeMap<&'static str, &'static str>,
    potentially_unsafe_config_annotations: &'static [&'static str],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    namespaces: &'static [&'static str],
    capabilities: Vec<String>,
    cgroup: Cgroup,
    seccomp: Seccomp,
    apparmor: Feature,
    selinux: Feature,
    intel_rdt: IntelRdt,
    memory_policy: MemoryPolicy,
    mount_extensions: MountExtensions,
    net_devices: Feature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Feature {
    enabled: bool,
}

const KNOWN: Feature = Feature { enabled: true };

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Cgroup {
    v1: bool,
    v2: bool,
    systemd: bool,
    systemd_user: bool,
    rdma: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Seccomp {
    enabled: bool,
    actions: Vec<&'static str>,
    operators: Vec<&'static str>,
    archs: Vec<&'static str>,
    known_flags: Vec<&'static str>,
    supported_flags: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct IntelRdt {
    enabled: bool,
    schemata: bool,
    monitoring: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct MemoryPolicy {
    modes: &'static [&'static str],
    flags: &'static [&'static str],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct MountExtensions {
    idmap: Feature,
}

/// Says what this build knows.
pub fn features() -> Features {
    Features {
        oci_version_min: "1.0.0",
        oci_version_max: OCI_VERSION,
        hooks: &[
            "prestart",
            "createRuntime",
            "createContainer",
            "startContainer",
            "poststart",
            "poststop",
        ],
        mount_options: mount_options(),
        linux: linux(),
        annotations: BTreeMap::from([("org.opencontainers.runc.checkpoint.enabled", "true")]),
        potentially_unsafe_config_annotations: &[
            "org.criu.config",
            "org.systemd.property.",
            "run.oci.delegate-cgroup",
            "run.oci.hooks.stderr",
            "run.oci.hooks.stdout",
            "run.oci.keep_original_groups",
            "run.oci.mount_context_type",
            "run.oci.seccomp_bpf_data",
            "run.oci.systemd.subgroup",
        ],
    }
}

fn linux() -> Linux {
    Linux {
        namespaces: &["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
        capabilities: capabilities(),
        cgroup: Cgroup { v1: false, v2: true, systemd: true, systemd_user: true, rdma: true },
        seccomp: seccomp(),
        apparmor: KNOWN,
        selinux: KNOWN,
        intel_rdt: IntelRdt { enabled: true, schemata: true, monitoring: true },
        memory_policy: MemoryPolicy {
            modes: &[
                "MPOL_BIND",
                "MPOL_DEFAULT",
                "MPOL_INTERLEAVE",
                "MPOL_LOCAL",
                "MPOL_PREFERRED",
                "MPOL_PREFERRED_MANY",
                "MPOL_WEIGHTED_INTERLEAVE",
            ],
            flags: &["MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"],
        },
        mount_extensions: MountExtensions { idmap: KNOWN },
        net_devices: KNOWN,
    }
}

/// All that the kernel headers name, in the order of their numbers.
fn capabilities() -> Vec<String> {
    let mut all: Vec<caps::Capability> = caps::all().into_iter().collect();
    all.sort_by_key(caps::Capability::index);
    all.iter().map(ToString::to_string).collect()
}

fn seccomp() -> Seccomp {
    Seccomp {
        enabled: true,
        actions: seccomp::known_actions().collect(),
        operators: seccomp::known_operators().collect(),
        archs: seccomp::known_architectures().collect(),
        known_flags: seccomp::known_flags().collect(),
        supported_flags: seccomp::supported_flags(supports).collect(),
    }
}

/// `idmap` and `ridmap` are told by `mountExtensions`, as runc has it.
fn mount_options() -> Vec<&'static str> {
    let names = mount_options::TABLE.iter().map(|&(name, _)| name);
    names.filter(|name| !matches!(*name, "idmap" | "ridmap")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_it_in_the_words_of_the_specification() {
        let features = serde_json::to_value(features()).expect("plain data");
        assert_eq!(features["ociVersionMax"], "1.3.0");
        assert_eq!(features["linux"]["capabilities"][0], "CAP_CHOWN");
        assert_eq!(features["linux"]["capabilities"][40], "CAP_CHECKPOINT_RESTORE");
        assert_eq!(features["linux"]["cgroup"]["systemdUser"], true);
        assert_eq!(features["linux"]["mountExtensions"]["idmap"]["enabled"], true);
        let options = features["mountOptions"].as_array().expect("a list");
        assert!(options.iter().any(|option| option == "rnosymfollow"));
    }

    #[test]
    fn the_specifications_own_types_read_it() {
        let text = serde_json::to_string(&features()).expect("plain data");
        serde_json::from_str::<oci_spec::runtime::Features>(&text).expect("as specified");
    }
}
