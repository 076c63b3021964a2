//! The attributes of bind mounts: which the source's mount has, which the configuration names, which are locked.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount, umount};
use serde_json::json;

use crate::support::{Container, Kind, kind, only_on};

/// A directory of the host, mounted with attributes of its own.
struct Source(PathBuf);

impl Source {
    fn mounted(container: &Container, flags: MsFlags) -> Self {
        let dir = container.dir().join("source");
        fs::create_dir(&dir).unwrap();
        mount(Some("tmpfs"), &dir, Some("tmpfs"), flags, Some("mode=755")).unwrap();
        Source(dir)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        umount(&self.0).unwrap();
    }
}

fn bind(source: &Path, options: &[&str]) -> serde_json::Value {
    json!({ "destination": "/in", "type": "bind", "source": source, "options": options })
}

/// The attributes of the mount at /in, in the order of mountinfo.
const ATTRIBUTES: &str = "grep ' /in ' /proc/self/mountinfo | cut -d ' ' -f 6";

/// What a bind of a mount with `flags` is given by `options`.
#[track_caller]
fn attributes(mut container: Container, flags: MsFlags, options: &[&str]) -> String {
    container.config["process"]["args"] = json!(["sh", "-c", ATTRIBUTES]);
    let source = Source::mounted(&container, flags);
    container.set("/mounts/-", bind(&source.0, options));
    container.run().ok().text().to_owned()
}

#[track_caller]
fn refused(mut container: Container, flags: MsFlags, options: &[&str], words: &str) {
    let source = Source::mounted(&container, flags);
    container.set("/mounts/-", bind(&source.0, options));
    container.run().says(words);
}

fn in_user_namespace() -> Container {
    let mut container = Container::new();
    container.give_user_namespace();
    container
}

fn strict() -> MsFlags {
    MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_NOATIME
}

#[test]
fn naming_an_attribute_names_them_all_but_for_the_access_time() {
    if !only_on(&[Kind::Etui, Kind::Runc], "the source's stay") {
        return;
    }
    let all = strict() | MsFlags::MS_NODEV | MsFlags::MS_NODIRATIME;
    let of = |options: &[&str]| attributes(Container::new(), all, options);
    assert_eq!(of(&["bind"]), "rw,nosuid,nodev,noexec,noatime,nodiratime");
    assert_eq!(of(&["bind", "ro"]), "ro,noatime,nodiratime");
    assert_eq!(of(&["bind", "ro", "relatime"]), "ro,relatime");
    assert_eq!(of(&["bind", "exec"]), "rw,noatime,nodiratime");
    if kind() == Kind::Etui {
        assert_eq!(of(&["bind", "diratime"]), "rw,noatime");
    }
}

#[test]
fn a_user_namespace_keeps_the_locked_attributes() {
    if !only_on(&[Kind::Etui, Kind::Runc], "the source's stay") {
        return;
    }
    let of = |options: &[&str]| attributes(in_user_namespace(), strict(), options);
    assert_eq!(of(&["bind", "ro"]), "ro,nosuid,noexec,noatime");
    assert_eq!(of(&["bind", "nodev"]), "rw,nosuid,nodev,noexec,noatime");
    assert_eq!(of(&["bind", "dev", "rw"]), "rw,nosuid,noexec,noatime");
    assert_eq!(of(&["bind", "ro", "noatime"]), "ro,nosuid,noexec,noatime");
    let readonly = MsFlags::MS_RDONLY;
    assert_eq!(
        attributes(in_user_namespace(), readonly, &["bind", "nosuid"]),
        "ro,nosuid,relatime"
    );
}

#[test]
fn a_user_namespace_clears_no_locked_attribute() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it clears them") {
        return;
    }
    let words = |flag: &str| format!("cannot clear locked flags MS_{}", flag.to_uppercase());
    for (option, flag) in [("exec", "noexec"), ("suid", "nosuid")] {
        refused(in_user_namespace(), strict(), &["bind", option], &words(flag));
    }
    refused(in_user_namespace(), MsFlags::MS_RDONLY, &["bind", "rw"], &words("rdonly"));
    refused(in_user_namespace(), MsFlags::MS_NODEV, &["bind", "dev"], &words("nodev"));
    refused(in_user_namespace(), strict(), &["bind", "relatime"], "locked");
}

/// A message of a Unix socket carries 253 descriptors at most.
#[test]
fn a_user_namespace_has_as_many_binds_as_are_wanted() {
    let mut container = in_user_namespace();
    container.config["process"]["args"] = json!(["sh", "-c", "ls /dev/bound | wc -l"]);
    for number in 0..600 {
        let destination = format!("/dev/bound/{number}");
        let bind = json!({
            "destination": destination, "type": "bind", "source": "/dev/null", "options": ["bind"]
        });
        container.set("/mounts/-", bind);
    }
    assert_eq!(container.run().ok().text(), "600");
}

/// As without one: what may not be bound on the host is no longer so once the namespace is apart from it.
#[test]
fn a_user_namespace_has_what_is_unbindable_on_the_host() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it is bound on the host") {
        return;
    }
    let mut container = in_user_namespace();
    container.config["process"]["args"] = json!(["cat", "/in/below/file"]);
    let source = Source::mounted(&container, MsFlags::empty());
    let below = source.0.join("below");
    fs::create_dir(&below).unwrap();
    mount(Some("tmpfs"), &below, Some("tmpfs"), MsFlags::empty(), Some("mode=755")).unwrap();
    fs::write(below.join("file"), "there").unwrap();
    let none = None::<&str>;
    mount(none, &below, none, MsFlags::MS_UNBINDABLE, none).unwrap();
    container.set("/mounts/-", bind(&source.0, &["rbind"]));
    let outcome = container.run();
    umount(&below).unwrap();
    assert_eq!(outcome.ok().text(), "there");
}

/// The root's directory is at another place then, and what is mounted there is not mounted on the root.
#[test]
fn the_root_bound_below_itself_is_covered_there_alone() {
    let container = Container::sh("ls /home | wc -l; ls -d /bin");
    let root = container.bundle().join("rootfs");
    let container = container
        .with(
            "/mounts/-",
            json!({ "destination": "/home", "type": "bind", "source": root, "options": ["bind"] }),
        )
        .with("/mounts/-", json!({ "destination": "/home", "type": "tmpfs", "source": "tmpfs" }));
    assert_eq!(container.run().ok().lines(), ["0", "/bin"]);
}
