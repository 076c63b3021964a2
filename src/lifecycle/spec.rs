//! The verb `spec`: a `config.json` to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::unistd::{getegid, geteuid};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::error::{Call, Error, Result};
use crate::spec::config::{Root, Spec};
use crate::spec::linux::{Linux, Namespace};
use crate::spec::mounts::{IdMapping, Mount};
use crate::spec::process::{Capabilities, Process, Rlimit};
use crate::spec::resources::{DeviceRule, Resources};
use crate::spec::state::OCI_VERSION;

/// Who is to run the container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum For {
    /// Root.
    #[default]
    Root,
    /// The user who asks, without the rights of root: in a user namespace that maps only that user.
    Caller,
}

/// Writes `config.json` into `bundle`, where there must be none.
pub fn spec(bundle: &Path, runner: For) -> Result<()> {
    let spec = match runner {
        For::Root => for_root(),
        For::Caller => without_root(for_root()),
    };
    let text = document(&spec)?;
    let path = bundle.join("config.json");
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o666).open(&path);
    if opened.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
        return Err(Error::refused("File config.json exists. Remove it first"));
    }
    opened.and_then(|mut file| file.write_all(&text)).call(|| format!("write({path:?})"))
}

/// Indented by tabs, as Go programs write it.
fn document(spec: &Spec) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b"\t"));
    spec.serialize(&mut serializer).map_err(|error| Error::new(format!("config.json: {error}")))?;
    Ok(text)
}

/// A shell on a terminal, in namespaces of its own but the user's, with few rights.
fn for_root() -> Spec {
    Spec {
        oci_version: OCI_VERSION.into(),
        process: Some(shell()),
        root: Some(Root { path: "rootfs".into(), readonly: true }),
        hostname: "etui".into(),
        mounts: mounts(),
        linux: Some(Linux {
            resources: Some(Resources {
                devices: vec![DeviceRule { access: "rwm".into(), ..DeviceRule::default() }],
                ..Resources::default()
            }),
            namespaces: ["pid", "network", "ipc", "uts", "mount", "cgroup"].map(namespace).into(),
            masked_paths: MASKED.map(Into::into).into(),
            readonly_paths: READ_ONLY.map(Into::into).into(),
            ..Linux::default()
        }),
        ..Spec::default()
    }
}

fn shell() -> Process {
    let capabilities = texts(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    Process {
        terminal: true,
        args: texts(&["sh"]),
        env: texts(&[
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "TERM=xterm",
        ]),
        cwd: "/".into(),
        capabilities: Some(Capabilities {
            bounding: capabilities.clone(),
            effective: capabilities.clone(),
            permitted: capabilities,
            ..Capabilities::default()
        }),
        rlimits: vec![Rlimit { kind: "RLIMIT_NOFILE".into(), hard: 1024, soft: 1024 }],
        no_new_privileges: true,
        ..Process::default()
    }
}

fn mounts() -> Vec<Mount> {
    const SEALED: &[&str] = &["nosuid", "noexec", "nodev"];
    let sealed_and = |more: &[&'static str]| [SEALED, more].concat();
    vec![
        mount("/proc", "proc", "proc", &[]),
        mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        ),
        mount("/dev/shm", "tmpfs", "shm", &sealed_and(&["mode=1777", "size=65536k"])),
        mount("/dev/mqueue", "mqueue", "mqueue", SEALED),
        mount("/sys", "sysfs", "sysfs", &sealed_and(&["ro"])),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &sealed_and(&["relatime", "ro"])),
    ]
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: kind.into(),
        source: source.into(),
        options: texts(options),
        ..Mount::default()
    }
}

/// What tells of the host, or changes it.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
    "/proc/scsi",
    "/sys/devices/virtual/tpm",
];

const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The same container for a user without rights: a network namespace of one's own would have no network, a fresh sysfs
/// can't be mounted without it, only the user's own ids are there, and cgroups may be out of reach.
fn without_root(mut spec: Spec) -> Spec {
    for mount in &mut spec.mounts {
        if mount.destination == Path::new("/sys") {
            mount.kind = "none".into();
            mount.source = "/sys".into();
            mount.options.insert(0, "rbind".into());
        }
        mount.options.retain(|option| !option.starts_with("gid=") && !option.starts_with("uid="));
    }
    let linux = spec.linux.get_or_insert_default();
    linux.namespaces.retain(|namespace| namespace.kind != "network");
    linux.namespaces.push(namespace("user"));
    linux.uid_mappings = vec![IdMapping { container_id: 0, host_id: geteuid().as_raw(), size: 1 }];
    linux.gid_mappings = vec![IdMapping { container_id: 0, host_id: getegid().as_raw(), size: 1 }];
    linux.resources = None;
    spec
}

fn namespace(kind: &str) -> Namespace {
    Namespace { kind: kind.into(), ..Namespace::default() }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_as_written() {
        for spec in [for_root(), without_root(for_root())] {
            let text = document(&spec).expect("plain data");
            assert!(text.starts_with(b"{\n\t\"ociVersion\""));
            assert_eq!(serde_json::from_slice::<Spec>(&text).expect("just written"), spec);
            serde_json::from_slice::<oci_spec::runtime::Spec>(&text).expect("as specified");
        }
    }

    #[test]
    fn without_root_nothing_of_roots_is_asked_for() {
        let spec = without_root(for_root());
        let linux = spec.linux.expect("linux");
        let kinds: Vec<&str> = linux.namespaces.iter().map(|n| n.kind.as_str()).collect();
        assert_eq!(kinds, ["pid", "ipc", "uts", "mount", "cgroup", "user"]);
        assert!(linux.resources.is_none());
        assert_eq!(linux.uid_mappings[0].size, 1);
        assert!(
            !spec.mounts.iter().flat_map(|mount| &mount.options).any(|o| o.starts_with("gid="))
        );
    }

    #[test]
    fn a_config_that_is_there_stays() {
        let bundle = tempfile::tempdir().expect("tmp");
        spec(bundle.path(), For::Root).expect("empty");
        let error = spec(bundle.path(), For::Caller).expect_err("taken");
        assert_eq!(error.to_string(), "File config.json exists. Remove it first");
    }
}
