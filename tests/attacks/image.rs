//! Images and volumes full of symbolic links, some of which change while the runtime looks at them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use nix::NixPath;
use nix::libc;
use serde_json::{Value, json};

use crate::support::terminal::ConsoleSocket;
use crate::support::{Container, Kind, kind, only_on};

/// A directory of the host, outside the bundle, that no attack may change.
fn outside(container: &Container) -> PathBuf {
    let dir = container.dir().join("outside");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("canary"), "alive").unwrap();
    dir
}

#[track_caller]
fn assert_untouched(outside: &Path) {
    let names: Vec<_> =
        fs::read_dir(outside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["canary"], "files outside the root file system");
    assert_eq!(fs::read_to_string(outside.join("canary")).unwrap(), "alive");
}

fn tmpfs(destination: &str) -> Value {
    json!({ "destination": destination, "type": "tmpfs", "source": "tmpfs" })
}

/// Takes the mounts on and below this directory out of the configuration.
fn without_mounts(container: &mut Container, destination: &str) {
    let mounts = container.config["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| !mount["destination"].as_str().unwrap().starts_with(destination));
}

/// Replaces a directory of the image by a link.
fn link_instead(container: &Container, name: &str, target: impl AsRef<Path>) {
    let path = container.rootfs().join(name);
    if path.is_dir() {
        fs::remove_dir_all(&path).unwrap();
    }
    symlink(target, path).unwrap();
}

/// CVE-2019-16884, CVE-2019-19921, CVE-2023-27561, CVE-2023-28642.
#[test]
fn proc_as_a_link_gets_no_other_proc() {
    for name in ["proc", "sys"] {
        let container = Container::sh(&format!("stat -f -c %T /{name}"));
        fs::create_dir(container.rootfs().join("fake")).unwrap();
        link_instead(&container, name, "/fake");
        let outcome = container.run();
        let is_real = outcome.status.success() && ["proc", "sysfs"].contains(&outcome.text());
        assert!(!outcome.status.success() || is_real, "{name}: {outcome:#?}");
        assert_eq!(fs::read_dir(container.rootfs().join("fake")).unwrap().count(), 0);
    }
}

/// The same, with options that fsconfig(2) does not take: mount(2) is no way around.
#[test]
fn proc_as_a_link_gets_no_other_proc_by_another_call() {
    for (name, position) in [("proc", 0), ("sys", 5)] {
        let mut container = Container::sh("true");
        fs::create_dir(container.rootfs().join("fake")).unwrap();
        link_instead(&container, name, "/fake");
        container.set(&format!("/mounts/{position}/options"), json!(["silent", "iversion"]));
        let outcome = container.run();
        if kind() != Kind::Crun {
            outcome.says("must be mounted on ordinary directory");
        }
        assert_eq!(fs::read_dir(container.rootfs().join("fake")).unwrap().count(), 0);
    }
}

/// A volume in which another container swaps two directories: a tmpfs has mode and content of the one that it covers.
#[test]
fn a_tmpfs_has_mode_and_content_of_what_it_covers() {
    if !only_on(&[Kind::Etui, Kind::Runc], "the path is looked up more than once") {
        return;
    }
    let script = "for d in one two; do cd /volume/$d; grep -q \" /volume/$d \" /proc/self/mountinfo && echo $d $(stat -c %a .) $(ls); \
        done; true";
    let mut container = Container::sh(script);
    let volume = container.dir().join("volume");
    for (name, mode) in [("one", 0o711), ("two", 0o722)] {
        fs::create_dir_all(volume.join(name)).unwrap();
        fs::write(volume.join(name).join(format!("{mode:o}")), "").unwrap();
        fs::set_permissions(volume.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    container.set(
        "/mounts/-",
        json!({ "destination": "/volume", "type": "bind", "source": volume, "options": ["rbind"] }),
    );
    let mut mount = tmpfs("/volume/one");
    mount["options"] = json!(["tmpcopyup"]);
    container.set("/mounts/-", mount);
    for _ in 0..40 {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    exchange(&volume.join("one"), &volume.join("two"));
                }
            });
            let created = container.create();
            stop.store(true, Ordering::Relaxed);
            created.ok();
        });
        container.start().ok();
        container.wait_until("stopped");
        let output = container.output();
        let seen: Vec<_> = output.split_whitespace().collect();
        let covered = fs::read_dir(volume.join(seen[0])).unwrap().next().unwrap().unwrap();
        let covered = covered.file_name().into_string().unwrap();
        assert_eq!(seen[1..], [&covered, &covered]);
        container.delete().ok();
    }
}

/// CVE-2021-30465, CVE-2024-45310, without the race: links in the path of a mount point.
#[test]
fn mount_points_behind_links_stay_inside() {
    let mut container = Container::sh("ls /absolute /upward 2>/dev/null; true");
    let outside = outside(&container);
    link_instead(&container, "absolute", &outside);
    let upward = format!("../../../../../../../../..{}", outside.display());
    link_instead(&container, "upward", upward);
    link_instead(&container, "twice", "absolute/../upward");
    for destination in
        ["/absolute/made", "/upward/made", "/twice/made/deep", "/absolute/../upward/x"]
    {
        container.set("/mounts/-", tmpfs(destination));
    }
    let file = container.dir().join("file");
    fs::write(&file, "").unwrap();
    let bind = json!({ "destination": "/absolute/file", "type": "bind", "source": file, "options": ["bind"] });
    container.set("/mounts/-", bind);
    container.run();
    assert_untouched(&outside);
}

/// CVE-2021-30465, CVE-2024-45310: a volume in which another container swaps a directory for a link.
#[test]
fn a_mount_point_that_is_swapped_for_a_link_stays_inside() {
    let mut container = Container::sh("cat /volume/swapped/inner/canary 2>/dev/null; true");
    let outside = outside(&container);
    let volume = container.dir().join("volume");
    fs::create_dir_all(volume.join("swapped")).unwrap();
    let root = format!("../../../../../../../..{}", outside.display());
    symlink(root, volume.join("link")).unwrap();
    container.set(
        "/mounts/-",
        json!({ "destination": "/volume", "type": "bind", "source": volume, "options": ["rbind"] }),
    );
    container.set("/mounts/-", tmpfs("/volume/swapped/inner"));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let (one, other) = (volume.join("swapped"), volume.join("link"));
                exchange(&one, &other);
            }
        });
        for _ in 0..10 {
            assert_eq!(container.run().stdout, "", "the container sees the host");
            container.assert_nothing_left();
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_untouched(&outside);
}

/// CVE-2026-41579, CVE-2026-47766: `/dev` itself is a link of the image.
#[test]
fn dev_as_a_link_changes_nothing_outside() {
    let mut container = Container::new();
    without_mounts(&mut container, "/dev");
    let outside = outside(&container);
    link_instead(&container, "dev", &outside);
    container.run();
    assert_untouched(&outside);
    fs::write(outside.join("ptmx"), "of the host").unwrap();
    container.run();
    assert_eq!(fs::read_to_string(outside.join("ptmx")).unwrap(), "of the host");
}

/// CVE-2025-31133: what masks a file must be the real `/dev/null`.
#[test]
fn a_masked_file_shows_nothing_of_the_image() {
    let mut container = Container::sh("cat /proc/kcore | head -c 100; true");
    without_mounts(&mut container, "/dev");
    fs::write(container.rootfs().join("bait"), "of the attacker").unwrap();
    symlink("/bait", container.rootfs().join("dev/null")).unwrap();
    let outcome = container.run();
    assert_eq!(outcome.stdout, "", "{outcome:#?}");
}

/// CVE-2025-52565: what lies under `/dev/console` must not be chosen by the image.
#[test]
fn the_console_is_not_bound_over_a_file_of_the_images_choice() {
    let mut container = Container::sh("true").with("/process/terminal", true);
    without_mounts(&mut container, "/dev");
    container.set("/mounts/-", json!({ "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"] }));
    let outside = outside(&container);
    symlink(outside.join("canary"), container.rootfs().join("dev/console")).unwrap();
    let path = container.dir().join("socket");
    let _socket = ConsoleSocket::bind(&path);
    container.run_with(&["--detach", "--console-socket", path.to_str().unwrap()]);
    container.verb(&["delete", "--force", &container.id]);
    assert_untouched(&outside);
    container.assert_nothing_left();
}

/// CVE-2025-52881: a mount over `/proc/sys` must not swallow what the runtime writes there.
#[test]
fn a_sysctl_is_written_to_the_real_proc() {
    let container = Container::sh(
        "cat /second/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/ip_forward 2>/dev/null",
    )
    .with("/linux/sysctl", json!({ "net.ipv4.ip_forward": "1" }))
    .with("/mounts/-", json!({ "destination": "/second", "type": "proc", "source": "proc" }))
    .with("/mounts/-", tmpfs("/proc/sys"));
    let outcome = container.run();
    assert!(!outcome.status.success() || outcome.lines().first() == Some(&"1"), "{outcome:#?}");
}

/// The same with a file of the volume over the one that is written.
#[test]
fn a_sysctl_is_not_redirected_to_a_file_of_a_volume() {
    let mut container =
        Container::sh("true").with("/linux/sysctl", json!({ "kernel.msgmax": "4242" }));
    let outside = outside(&container);
    let destination = "/proc/sys/kernel/msgmax";
    let source = outside.join("canary");
    container.set("/mounts/-", json!({ "destination": destination, "type": "bind", "source": source, "options": ["bind"] }));
    container.run();
    assert_untouched(&outside);
}

/// Device nodes and their directories are made inside, whatever the image's links say.
#[test]
fn devices_behind_links_stay_inside() {
    let mut container = Container::new();
    without_mounts(&mut container, "/dev");
    let outside = outside(&container);
    symlink(&outside, container.rootfs().join("dev/link")).unwrap();
    let device = json!([{ "path": "/dev/link/zero", "type": "c", "major": 1, "minor": 5 }]);
    container.set("/linux/devices", device);
    container.run();
    assert_untouched(&outside);
}

/// A missing working directory is made inside.
#[test]
fn a_working_directory_behind_a_link_is_made_inside() {
    let container = Container::new().with("/process/cwd", "/link/made");
    let outside = outside(&container);
    link_instead(&container, "link", &outside);
    container.run();
    assert_untouched(&outside);
}

/// Two names change places at once (renameat2(2), `RENAME_EXCHANGE`), by the number of the call: not every C library has it.
fn exchange(one: &Path, other: &Path) {
    const EXCHANGE: libc::c_uint = 1 << 1;
    let call = |one: &std::ffi::CStr, other: &std::ffi::CStr| {
        let (one, other, here) = (one.as_ptr(), other.as_ptr(), libc::AT_FDCWD);
        // SAFETY: both paths are C strings that outlive the call.
        unsafe { libc::syscall(libc::SYS_renameat2, here, one, here, other, EXCHANGE) }
    };
    let answer = one.with_nix_path(|one| other.with_nix_path(|other| call(one, other)));
    assert_eq!(answer, Ok(Ok(0)), "{}", std::io::Error::last_os_error());
}
