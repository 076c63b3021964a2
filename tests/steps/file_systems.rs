//! New file systems: what they start with, whichever way the kernel is asked for them, and where they may not go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Container, Kind, only_on};

/// Longer than fsconfig(2) takes; the kernel reads octal numbers: 128 KiB.
fn long_size() -> String {
    format!("size={}200k", "0".repeat(300))
}

fn tmpfs(destination: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options })
}

/// A directory of the image with a mode of its own, a file and a link to it.
fn directory(container: &Container, name: &str) {
    let dir = container.rootfs().join(name);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "of the image\n").unwrap();
    std::os::unix::fs::symlink("file", dir.join("link")).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o711)).unwrap();
}

#[test]
fn no_option_changes_what_a_tmpfs_starts_with() {
    if !only_on(&[Kind::Etui, Kind::Runc], "some of the options are unknown") {
        return;
    }
    let script =
        "stat -c %a /in; cat /in/file; cat /in/link 2>&1 | grep -o 'symbolic links'; (: >/in/new)";
    for option in ["silent", "iversion", "loud", &long_size()] {
        let mut container = Container::sh(script);
        directory(&container, "in");
        container.set("/mounts/-", tmpfs("/in", &["tmpcopyup", "nosymfollow", option]));
        let outcome = container.run().ok();
        assert_eq!(outcome.lines(), ["711", "of the image", "symbolic links"], "{option}");
        assert!(!container.rootfs().join("in/new").exists(), "{option}");
    }
}

#[test]
fn a_long_option_is_obeyed() {
    let container = Container::sh("grep ' /in ' /proc/mounts; ls /in")
        .with("/mounts/-", tmpfs("/in", &["noexec", "ro", "mode=700", &long_size()]));
    let line = container.run().ok().stdout;
    for option in ["ro,", "noexec", "size=128k", "mode=700"] {
        assert!(line.contains(option), "{option}: {line}");
    }
}

#[test]
fn a_long_option_covers_the_root() {
    if !only_on(&[Kind::Etui], "whoever mounts by path loses the root") {
        return;
    }
    let mut container = Container::sh("cat /file; ls /");
    let layer = container.dir().join("a-rather-long-name-of-a-layer".repeat(7));
    fs::create_dir(&layer).unwrap();
    fs::write(layer.join("file"), "of the layer\n").unwrap();
    let lower = format!("lowerdir={}:{}", layer.display(), container.rootfs().display());
    assert!(lower.len() > 256);
    let overlay =
        json!({ "destination": "/", "type": "overlay", "source": "overlay", "options": [lower] });
    container.config["mounts"].as_array_mut().unwrap().insert(0, overlay);
    assert_eq!(container.run().ok().lines()[0], "of the layer");
}

#[test]
fn nothing_is_mounted_inside_proc() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it is allowed") {
        return;
    }
    for option in ["nosuid", "silent", &long_size()] {
        Container::new()
            .with("/mounts/-", tmpfs("/proc/sys", &[option]))
            .run()
            .says("cannot be mounted because it is inside /proc");
    }
    let sysfs = json!({ "destination": "/proc/sys", "type": "sysfs", "source": "sysfs" });
    Container::new()
        .with("/mounts/-", sysfs)
        .run()
        .says("cannot be mounted because it is inside /proc");
}

#[test]
fn nothing_but_a_procfs_is_mounted_on_proc() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it is allowed") {
        return;
    }
    let without_proc = || {
        let mut container = Container::new();
        container.config["mounts"].as_array_mut().unwrap().remove(0);
        container.set("/linux/maskedPaths", json!([]));
        container.set("/linux/readonlyPaths", json!([]));
        container
    };
    let words = "cannot be mounted because it is not of type proc";
    let mut container = without_proc();
    let bind = |source: &Path| json!({ "destination": "/proc", "type": "bind", "source": source, "options": ["rbind"] });
    let dir = container.dir().join("fake");
    fs::create_dir(&dir).unwrap();
    container.set("/mounts/-", bind(&dir));
    container.run().says(words);
    without_proc().with("/mounts/-", tmpfs("/proc", &[])).run().says(words);
    Container::new().with("/mounts/-", tmpfs("/proc", &[])).run().says(words);
    without_proc().with("/mounts/-", bind(Path::new("/proc"))).run().ok();
}

/// A read-only tmpfs is filled by what comes after it, and sealed at the end.
#[test]
fn a_read_only_tmpfs_takes_mounts_and_content_before_it_is_sealed() {
    let script = "(: >/scratch/new) 2>/dev/null || echo sealed; ls /scratch/sub >/dev/null && echo sub; \
        (: >/in/new) 2>/dev/null || echo sealed; cat /in/file; grep ' /in ' /proc/self/mountinfo | grep -c ' - tmpfs tmpfs rw'";
    let mut container = Container::sh(script);
    directory(&container, "in");
    container.set("/mounts/-", tmpfs("/scratch", &["ro"]));
    container.set("/mounts/-", tmpfs("/scratch/sub", &[]));
    container.set("/mounts/-", tmpfs("/in", &["ro", "tmpcopyup"]));
    assert_eq!(container.run().ok().lines(), ["sealed", "sub", "sealed", "of the image", "1"]);
}

#[test]
fn a_destination_is_cleaned_by_its_text() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it is followed") {
        return;
    }
    let container =
        Container::sh("grep -o ' /b tmpfs' /proc/mounts; ls -d /a /dir 2>/dev/null; true")
            .with("/mounts/-", tmpfs("/a/../b/.//", &[]));
    assert_eq!(container.run().ok().lines(), [" /b tmpfs"]);
    let container = Container::sh("grep -o ' /b tmpfs' /proc/mounts; true")
        .with("/mounts/-", tmpfs("/link/../../../b", &[]));
    fs::create_dir(container.rootfs().join("dir")).unwrap();
    std::os::unix::fs::symlink("/dir", container.rootfs().join("link")).unwrap();
    assert_eq!(container.run().ok().lines(), [" /b tmpfs"]);
}
