//! Root of a user namespace that may mount, against what the host has made of its mounts: they are locked (mount_namespaces(7)).

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;

use crate::support::{Container, Kind, only_on};

const NONE: Option<&str> = None;

/// A mount of the host with another one on its directory `covered`, where a secret lies.
struct Volume(PathBuf);

impl Volume {
    fn mounted(directory: &Path) -> Self {
        fs::create_dir_all(directory).unwrap();
        let tmpfs = |target: &Path| {
            mount(Some("tmpfs"), target, Some("tmpfs"), MsFlags::empty(), Some("mode=777"))
                .unwrap();
        };
        tmpfs(directory);
        let covered = directory.join("covered");
        fs::create_dir(&covered).unwrap();
        fs::write(covered.join("secret"), "SEEN").unwrap();
        tmpfs(&covered);
        Volume(directory.to_owned())
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        umount2(&self.0, MntFlags::MNT_DETACH).unwrap();
    }
}

/// Its root has CAP_SYS_ADMIN in its user namespace.
fn may_mount(script: &str) -> Container {
    let mut container = Container::sh(script);
    container.give_user_namespace();
    for set in ["bounding", "effective", "permitted"] {
        container.set(&format!("/process/capabilities/{set}/-"), "CAP_SYS_ADMIN");
    }
    container
}

fn bind(source: &Path, destination: &str, options: &[&str]) -> serde_json::Value {
    json!({ "destination": destination, "type": "bind", "source": source, "options": options })
}

#[test]
fn attributes_of_the_hosts_mounts_are_not_taken_off() {
    let mut container = may_mount(
        "for o in rw suid dev exec; do mount -o remount,bind,$o /in && echo $o; done 2>/dev/null; \
        mount -o remount,bind,rw,suid,dev,exec /in 2>/dev/null; touch /in/new 2>/dev/null; \
        grep ' /in ' /proc/self/mountinfo | cut -d ' ' -f 6",
    );
    let volume = Volume::mounted(&container.dir().join("volume"));
    let strict = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let remount = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | strict;
    mount(NONE, &volume.0, NONE, remount, NONE).unwrap();
    for options in [["rbind"], ["bind"]] {
        if options == ["bind"] {
            // It can't be bound alone otherwise.
            umount2(&volume.0.join("covered"), MntFlags::MNT_DETACH).unwrap();
        }
        container.set("/mounts/-", bind(&volume.0, "/in", &options));
        assert_eq!(container.run().ok().lines(), ["ro,nosuid,nodev,noexec,relatime"]);
        container.config["mounts"].as_array_mut().unwrap().pop();
    }
}

#[test]
fn what_the_host_covers_stays_covered() {
    let script = "umount /in/covered; umount -l /in/covered; umount /root/covered; cat /in/covered/* /root/covered/*";
    let mut container = may_mount(&format!("({script}) 2>/dev/null; grep -c covered /proc/mounts"));
    let volume = Volume::mounted(&container.dir().join("volume"));
    let _in_root = Volume::mounted(&container.rootfs().join("root"));
    container.set("/mounts/-", bind(&volume.0, "/in", &["rbind"]));
    assert_eq!(container.run().ok().lines(), ["2"]);
}

/// A bind without the mounts below would show it at once.
#[test]
fn what_the_host_covers_is_not_bound_alone() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it is bound on the host") {
        return;
    }
    let mut container = may_mount("cat /in/covered/secret");
    let volume = Volume::mounted(&container.dir().join("volume"));
    container.set("/mounts/-", bind(&volume.0, "/in", &["bind"]));
    let outcome = container.run().says("nvalid argument");
    assert!(!outcome.stdout.contains("SEEN"), "{outcome:#?}");
}

#[test]
fn idmapped_mounts_are_locked_too() {
    if !only_on(&[Kind::Etui, Kind::Runc], "an idmapped mount is made on the host") {
        return;
    }
    let mut container = may_mount(
        "mount -o remount,bind,rw /in 2>/dev/null; umount /in/covered 2>/dev/null; \
        cat /in/covered/secret 2>/dev/null; grep ' /in ' /proc/self/mountinfo | cut -d ' ' -f 6",
    );
    let volume = Volume::mounted(&container.dir().join("volume"));
    let readonly = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(NONE, &volume.0, NONE, readonly, NONE).unwrap();
    container.set("/mounts/-", bind(&volume.0, "/in", &["rbind", "ridmap"]));
    let outcome = container.run();
    if outcome.stderr.contains("id-mapped mounts") {
        return crate::support::skip("this file system knows no idmapped mounts");
    }
    assert_eq!(outcome.ok().lines(), ["ro,relatime,idmapped"]);
}

#[test]
fn mounts_are_locked_in_a_user_namespace_that_is_joined() {
    let mut first = Container::sleeping();
    first.give_user_namespace();
    first.up();
    let script = "mount -o remount,bind,rw /in 2>/dev/null; umount /in/covered 2>/dev/null; \
        cat /in/covered/secret 2>/dev/null; grep ' /in ' /proc/self/mountinfo | cut -d ' ' -f 6";
    let mut second = may_mount(script);
    let path = format!("/proc/{}/ns/user", first.pid());
    let namespaces = second.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "user");
    namespaces.push(json!({ "type": "user", "path": path }));
    let linux = second.config["linux"].as_object_mut().unwrap();
    linux.retain(|key, _| !key.ends_with("Mappings"));
    let volume = Volume::mounted(&second.dir().join("volume"));
    let readonly = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    mount(NONE, &volume.0, NONE, readonly, NONE).unwrap();
    second.set("/mounts/-", bind(&volume.0, "/in", &["rbind"]));
    assert_eq!(second.run().ok().lines(), ["ro,relatime"]);
}
