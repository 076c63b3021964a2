//! The verb `features`: what this build knows (runtime-spec, features.md), whatever this host can do.

use std::collections::BTreeMap;

use serde::Serialize;

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
    actions: &'static [&'static str],
    operators: &'static [&'static str],
    archs: &'static [&'static str],
    known_flags: &'static [&'static str],
    supported_flags: &'static [&'static str],
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
        mount_options: MOUNT_OPTIONS.split_ascii_whitespace().collect(),
        linux: linux(),
        annotations: BTreeMap::from([("org.opencontainers.runc.checkpoint.enabled", "false")]),
        potentially_unsafe_config_annotations: &["org.systemd.property."],
    }
}

fn linux() -> Linux {
    Linux {
        namespaces: &["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
        capabilities: capabilities(),
        cgroup: Cgroup { v1: false, v2: true, systemd: false, systemd_user: false, rdma: true },
        seccomp: Seccomp {
            enabled: true,
            actions: &[
                "SCMP_ACT_ALLOW",
                "SCMP_ACT_ERRNO",
                "SCMP_ACT_KILL",
                "SCMP_ACT_KILL_PROCESS",
                "SCMP_ACT_KILL_THREAD",
                "SCMP_ACT_LOG",
                "SCMP_ACT_NOTIFY",
                "SCMP_ACT_TRACE",
                "SCMP_ACT_TRAP",
            ],
            operators: &[
                "SCMP_CMP_EQ",
                "SCMP_CMP_GE",
                "SCMP_CMP_GT",
                "SCMP_CMP_LE",
                "SCMP_CMP_LT",
                "SCMP_CMP_MASKED_EQ",
                "SCMP_CMP_NE",
            ],
            archs: &[
                "SCMP_ARCH_AARCH64",
                "SCMP_ARCH_ARM",
                "SCMP_ARCH_X32",
                "SCMP_ARCH_X86",
                "SCMP_ARCH_X86_64",
            ],
            known_flags: SECCOMP_FLAGS,
            supported_flags: SECCOMP_FLAGS,
        },
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

const SECCOMP_FLAGS: &[&str] = &[
    "SECCOMP_FILTER_FLAG_LOG",
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
    "SECCOMP_FILTER_FLAG_TSYNC",
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
];

/// The options of the specification's table (config.md, "Linux mount options"); `idmap` and `ridmap` are told by
/// `mountExtensions`.
const MOUNT_OPTIONS: &str = "async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime \
    nodev nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime \
    rbind rdev rdiratime relatime remount rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid \
    rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable rw shared \
    silent slave strictatime suid symfollow sync tmpcopyup unbindable";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_it_in_the_words_of_the_specification() {
        let features = serde_json::to_value(features()).expect("plain data");
        assert_eq!(features["ociVersionMax"], "1.3.0");
        assert_eq!(features["linux"]["capabilities"][0], "CAP_CHOWN");
        assert_eq!(features["linux"]["capabilities"][40], "CAP_CHECKPOINT_RESTORE");
        assert_eq!(features["linux"]["cgroup"]["systemdUser"], false);
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
