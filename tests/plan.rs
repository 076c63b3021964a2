//! `Plan::new` from configurations to printed plans, none of which needs root or this machine.
//!
//! `tests/plans/NAME/config.json` is planned on a host made by hand and printed to `tests/plans/NAME/plan.txt`.
//! `UPDATE=1 cargo test --test plan` writes what is planned now: read the difference before you keep it.

#[path = "plan/beginning.rs"]
mod beginning;
#[path = "plan/print.rs"]
mod print;
#[path = "plan/refusals.rs"]
mod refusals;

use std::fs;
use std::path::{Path, PathBuf};

use etui::host::{Host, UserNamespace};
use etui::kernel::cgroup::systemd::Realm;
use etui::kernel::keyring::Session;
use etui::kernel::rootfs::{Beginning, Switch};
use etui::plan::{CgroupMaker, Plan, Request};
use etui::spec::Spec;
use etui::spec::bundle;

/// A machine on which cgroup v2 has every controller, and the rights of its root.
fn host() -> Host {
    let controllers = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"];
    Host {
        cgroup_mount: "/sys/fs/cgroup".into(),
        controllers: controllers.map(str::to_owned).into(),
        own_cgroup: "/system.slice/engine.service".into(),
        ..Host::default()
    }
}

/// The same for a user without rights.
fn rootless_host() -> Host {
    let controllers = ["memory", "pids"].map(str::to_owned).into();
    let own_cgroup = PathBuf::from("/user.slice/user-1000.slice/user@1000.service/app.slice");
    Host { controllers, own_cgroup, effective_uid: 1000, ..host() }
}

/// The same for the root of a container.
fn nested_host() -> Host {
    Host { own_cgroup: "/".into(), user_namespace: UserNamespace::Nested, ..host() }
}

fn directory(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans").join(name)
}

fn read(name: &str) -> Spec {
    bundle::read(&directory(name).join("config.json")).unwrap()
}

fn plan(spec: &Spec, host: &Host, cgroups: CgroupMaker<'_>) -> Plan {
    let (id, bundle) = ("web", Path::new("/bundle"));
    let request = Request { id, bundle, switch: Switch::Pivot, keyring: Session::New, cgroups };
    Plan::new(&request, spec, host).unwrap()
}

#[track_caller]
fn is_as_written(name: &str, host: &Host) {
    is_as_written_with(name, host, CgroupMaker::Ourselves);
}

#[track_caller]
fn is_as_written_with(name: &str, host: &Host, cgroups: CgroupMaker<'_>) {
    let planned = print::print(&plan(&read(name), host, cgroups));
    let path = directory(name).join("plan.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, planned).unwrap();
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differing = planned.lines().zip(written.lines()).find(|(now, then)| now != then);
    assert!(
        planned == written,
        "{} is out of date; UPDATE=1 writes it. First difference: {differing:#?}",
        path.display()
    );
}

#[test]
fn docker() {
    is_as_written("docker", &host());
}

#[test]
fn spec() {
    is_as_written("spec", &host());
}

#[test]
fn spec_rootless() {
    is_as_written("spec-rootless", &rootless_host());
}

#[test]
fn kubernetes_sandbox() {
    is_as_written("kubernetes-sandbox", &host());
}

#[test]
fn kubernetes_container() {
    is_as_written("kubernetes-container", &host());
}

#[test]
fn podman() {
    let systemd = CgroupMaker::Systemd { root: Path::new("/"), realm: Realm::System };
    is_as_written_with("podman", &host(), systemd);
}

#[test]
fn podman_in_a_container() {
    is_as_written("podman-nested", &nested_host());
}

#[test]
fn user_namespace() {
    is_as_written("user-namespace", &host());
}

#[test]
fn every_field() {
    is_as_written("every-field", &host());
}

#[test]
fn least() {
    is_as_written("least", &host());
}

/// Elsewhere the kernel would mount it no procfs, where Linux 7.0 lets it begin with its root alone.
#[test]
fn in_a_user_namespace_a_container_begins_with_the_hosts_tree() {
    let beginning = |host| plan(&read("least"), &host, CgroupMaker::Ourselves).rootfs.beginning;
    assert_eq!(beginning(host()), Beginning::RootAlone);
    assert_eq!(beginning(nested_host()), Beginning::HostsTree);
}
