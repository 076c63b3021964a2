//! The root file system and the mounts: options, propagation, masked and read-only paths.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Container, Kind, only_on};

/// One mount of the configuration.
fn entry(destination: &str, kind: &str, source: &str, options: &[&str]) -> Value {
    json!({ "destination": destination, "type": kind, "source": source, "options": options })
}

fn bind(source: &Path, destination: &str, options: &[&str]) -> Value {
    entry(destination, "bind", source.to_str().unwrap(), options)
}

/// A directory of the host with a file in it.
fn host_directory(container: &Container) -> std::path::PathBuf {
    let dir = container.dir().join("shared");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("file"), "of the host\n").unwrap();
    dir
}

/// The line of the container's mountinfo for this mount point.
fn mountinfo(container: &Container, mount_point: &str) -> String {
    let outcome = container.run().ok();
    let line = outcome.stdout.lines().find(|line| line.split(' ').nth(4) == Some(mount_point));
    line.unwrap_or_else(|| panic!("no mount on {mount_point}: {outcome:#?}")).to_owned()
}

const MOUNTINFO: &str = "cat /proc/self/mountinfo";

#[test]
fn root_is_writable_or_not_as_asked() {
    let script = "(: >/new) 2>/dev/null && echo writable; (: >/dev/shm/new) && echo shm";
    let container = Container::sh(script).with("/root/readonly", true);
    assert_eq!(container.run().ok().lines(), ["shm"]);
    assert!(!container.rootfs().join("new").exists());
    let container = Container::sh(script);
    assert_eq!(container.run().ok().lines(), ["writable", "shm"]);
    assert!(container.rootfs().join("new").exists());
}

#[test]
fn the_hosts_mounts_are_out_of_sight() {
    let container = Container::sh(
        "grep -c . /proc/self/mountinfo; ls -d /old* /.old* /put_old* 2>/dev/null; ls -a /",
    );
    let outcome = container.run().ok();
    assert!(outcome.lines()[0].parse::<usize>().unwrap() < 30, "{outcome:#?}");
    assert!(!outcome.stdout.contains("old"), "{outcome:#?}");
}

#[test]
fn a_tmpfs_has_its_options() {
    let container = Container::sh(MOUNTINFO).with(
        "/mounts/-",
        entry(
            "/scratch",
            "tmpfs",
            "tmpfs",
            &["nosuid", "nodev", "noexec", "noatime", "size=64k", "mode=1750", "uid=3"],
        ),
    );
    let line = mountinfo(&container, "/scratch");
    for option in
        ["nosuid", "nodev", "noexec", "noatime", "size=64k", "mode=1750", "uid=3", " tmpfs "]
    {
        assert!(line.contains(option), "{option}: {line}");
    }
    assert!(container.rootfs().join("scratch").is_dir());
}

#[test]
fn a_bind_mount_is_seen_and_may_be_read_only() {
    for (options, writable) in [(["rbind", "rw"], "yes"), (["bind", "ro"], "no")] {
        let mut container =
            Container::sh("cat /in/file; (: >/in/new) 2>/dev/null && echo yes || echo no");
        let dir = host_directory(&container);
        container.set("/mounts/-", bind(&dir, "/in", &options));
        assert_eq!(container.run().ok().lines(), ["of the host", writable]);
        assert_eq!(dir.join("new").exists(), writable == "yes");
    }
}

#[test]
fn a_bind_mount_without_a_type_is_one_all_the_same() {
    let mut container = Container::sh("cat /in/file");
    let dir = host_directory(&container);
    container.set(
        "/mounts/-",
        json!({ "destination": "/in", "source": dir, "options": ["bind", "nosuid"] }),
    );
    assert_eq!(container.run().ok().text(), "of the host");
}

#[test]
fn a_file_may_be_bound() {
    let mut container = Container::sh("cat /etc/some/where; stat -c %F /etc/some/where");
    let file = host_directory(&container).join("file");
    container.set("/mounts/-", bind(&file, "/etc/some/where", &["bind", "ro"]));
    assert_eq!(container.run().ok().lines(), ["of the host", "regular file"]);
}

#[test]
fn bind_mount_flags_are_set() {
    let mut container = Container::sh(MOUNTINFO);
    let dir = host_directory(&container);
    container.set(
        "/mounts/-",
        bind(&dir, "/in", &["bind", "ro", "nosuid", "nodev", "noexec", "nodiratime"]),
    );
    let line = mountinfo(&container, "/in");
    for option in ["ro", "nosuid", "nodev", "noexec", "nodiratime"] {
        assert!(
            line.split(' ').nth(5).unwrap().split(',').any(|word| word == option),
            "{option}: {line}"
        );
    }
}

/// A bind mount of `dir` with another mount below it, in the test's own namespace.
fn with_submount(dir: &Path) {
    fs::create_dir(dir.join("below")).unwrap();
    let none = None::<&str>;
    nix::mount::mount(
        Some("tmpfs"),
        &dir.join("below"),
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        none,
    )
    .unwrap();
    fs::write(dir.join("below/deep"), "").unwrap();
}

fn without_submount(dir: &Path) {
    nix::mount::umount(&dir.join("below")).unwrap();
}

#[test]
fn rbind_takes_the_mounts_below_along_and_bind_does_not() {
    for (option, expected) in [("rbind", "deep"), ("bind", "")] {
        let mut container = Container::sh("ls /in/below");
        let dir = host_directory(&container);
        with_submount(&dir);
        container.set("/mounts/-", bind(&dir, "/in", &[option]));
        assert_eq!(container.run().ok().text(), expected, "{option}");
        without_submount(&dir);
    }
}

#[test]
fn recursive_flags_reach_the_mounts_below() {
    for (option, expected) in [("rro", "read-only"), ("ro", "writable")] {
        let mut container =
            Container::sh("(: >/in/below/new) 2>/dev/null && echo writable || echo read-only");
        let dir = host_directory(&container);
        with_submount(&dir);
        container.set("/mounts/-", bind(&dir, "/in", &["rbind", option]));
        assert_eq!(container.run().ok().text(), expected, "{option}");
        without_submount(&dir);
    }
}

#[test]
fn nosymfollow_is_obeyed() {
    let mut container = Container::sh("cat /in/link 2>/dev/null || echo refused");
    let dir = host_directory(&container);
    symlink("file", dir.join("link")).unwrap();
    container.set("/mounts/-", bind(&dir, "/in", &["bind", "rnosymfollow"]));
    if !only_on(&[Kind::Etui, Kind::Runc], "no such option") {
        return;
    }
    assert_eq!(container.run().ok().text(), "refused");
}

#[test]
fn mounts_are_made_in_their_order() {
    let container = Container::sh("cat /a/b/word; ls /a")
        .with("/mounts/-", entry("/a", "tmpfs", "tmpfs", &[]))
        .with("/mounts/-", entry("/a/b", "tmpfs", "tmpfs", &[]));
    let mut container = container;
    let dir = host_directory(&container);
    fs::rename(dir.join("file"), dir.join("word")).unwrap();
    container.set("/mounts/-", bind(&dir, "/a/b", &["bind"]));
    assert_eq!(container.run().ok().lines(), ["of the host", "b"]);
}

#[test]
fn tmpcopyup_copies_what_was_there() {
    let container =
        Container::sh("cat /etc/passwd | head -1; : >/etc/new; stat -c '%a %u' /etc/odd")
            .with("/mounts/-", entry("/etc", "tmpfs", "tmpfs", &["tmpcopyup"]));
    let odd = container.rootfs().join("etc/odd");
    fs::write(&odd, "").unwrap();
    chown(&odd, Some(42), Some(42)).unwrap();
    fs::set_permissions(&odd, fs::Permissions::from_mode(0o604)).unwrap();
    assert_eq!(container.run().ok().lines(), ["root:x:0:0:root:/root:/bin/sh", "604 42"]);
    assert!(!container.rootfs().join("etc/new").exists());
}

#[test]
fn an_overlay_is_mounted() {
    let mut container = Container::sh("cat /in/file; echo changed >/in/file; cat /in/file");
    let dir = host_directory(&container);
    let (upper, work) = (container.dir().join("tmp/upper"), container.dir().join("tmp/work"));
    // An overlay can't lie on another: the writable layers go on a tmpfs.
    fs::create_dir(container.dir().join("tmp")).unwrap();
    let none = None::<&str>;
    let tmp = container.dir().join("tmp");
    nix::mount::mount(Some("tmpfs"), &tmp, Some("tmpfs"), nix::mount::MsFlags::empty(), none)
        .unwrap();
    fs::create_dir(&upper).unwrap();
    fs::create_dir(&work).unwrap();
    let option = |name: &str, path: &Path| format!("{name}={}", path.display());
    let (lower, upper_option, work_option) =
        (option("lowerdir", &dir), option("upperdir", &upper), option("workdir", &work));
    container.set(
        "/mounts/-",
        entry("/in", "overlay", "overlay", &[&lower, &upper_option, &work_option]),
    );
    let outcome = container.run();
    nix::mount::umount(&tmp).unwrap();
    assert_eq!(outcome.ok().lines(), ["of the host", "changed"]);
    assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "of the host\n");
}

#[test]
fn an_overlay_takes_a_long_list_of_layers() {
    let mut container = Container::sh("cat /in/file; ls /in | grep -c layer");
    let dir = host_directory(&container);
    let mut layers = vec![dir.display().to_string()];
    for number in 0..12 {
        let layer = container.dir().join(format!("a-rather-long-name-of-a-layer-{number}"));
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join(format!("layer{number}")), "").unwrap();
        layers.push(layer.display().to_string());
    }
    let lower = format!("lowerdir={}", layers.join(":"));
    assert!(lower.len() > 256);
    container.set("/mounts/-", entry("/in", "overlay", "overlay", &["ro", &lower]));
    assert_eq!(container.run().ok().lines(), ["of the host", "12"]);
}

#[test]
fn an_idmapped_bind_mount_shows_other_owners() {
    let mut container = Container::sh("stat -c %u:%g /in/file; : >/in/new; stat -c %u:%g /in/new");
    let dir = host_directory(&container);
    chown(dir.join("file"), Some(1_000), Some(1_000)).unwrap();
    chown(&dir, Some(1_000), Some(1_000)).unwrap();
    let map = json!([{ "containerID": 1_000, "hostID": 0, "size": 1 }]);
    let mut mount = bind(&dir, "/in", &["bind", "idmap"]);
    mount["uidMappings"] = map.clone();
    mount["gidMappings"] = map;
    container.set("/mounts/-", mount);
    let outcome = container.run();
    if crate::support::kind() != Kind::Etui && outcome.code() != 0 {
        return crate::support::skip("this file system knows no idmapped mounts");
    }
    assert_eq!(outcome.ok().lines(), ["0:0", "0:0"]);
    assert_eq!(fs::metadata(dir.join("new")).unwrap().uid(), 1_000);
}

#[test]
fn an_id_map_may_be_relative_to_the_containers_own() {
    if !only_on(&[Kind::Etui, Kind::Crun], "crun's form of the option") {
        return;
    }
    let mut container = Container::sh("stat -c %u:%g /in/file");
    container.give_user_namespace();
    let dir = host_directory(&container);
    chown(dir.join("file"), Some(7), Some(7)).unwrap();
    container.set("/mounts/-", bind(&dir, "/in", &["bind", "idmap=uids=@0-5-10;gids=@0-6-10"]));
    assert_eq!(container.run().ok().lines(), ["12:13"]);
}

#[test]
fn mount_propagation_is_set() {
    if !only_on(&[Kind::Etui, Kind::Runc], "shared gets lost on a bind mount") {
        return;
    }
    for (option, word) in [
        ("rshared", "shared:"),
        ("rslave", "master:"),
        ("rprivate", " - "),
        ("runbindable", "unbindable"),
    ] {
        let mut container = Container::sh(MOUNTINFO);
        let dir = host_directory(&container);
        let none = None::<&str>;
        let (bind_flag, shared) = (nix::mount::MsFlags::MS_BIND, nix::mount::MsFlags::MS_SHARED);
        nix::mount::mount(Some(&dir), &dir, none, bind_flag, none).unwrap();
        nix::mount::mount(none, &dir, none, shared, none).unwrap();
        container.set("/mounts/-", bind(&dir, "/in", &["rbind", option]));
        let line = mountinfo(&container, "/in");
        nix::mount::umount(&dir).unwrap();
        assert!(line.contains(word), "{option}: {line}");
        assert!(option != "rprivate" || !line.contains("shared:"), "{option}: {line}");
    }
}

#[test]
fn root_propagation_is_set() {
    for (option, word) in [("shared", "shared:"), ("private", " - "), ("unbindable", "unbindable")]
    {
        let container = Container::sh(MOUNTINFO).with("/linux/rootfsPropagation", option);
        let line = mountinfo(&container, "/");
        assert!(line.contains(word), "{option}: {line}");
    }
}

#[test]
fn the_kernels_file_systems_are_mounted() {
    let container = Container::sh("awk '{ print $2, $3 }' /proc/mounts");
    let outcome = container.run().ok();
    let kinds = [
        "/proc proc",
        "/dev tmpfs",
        "/dev/pts devpts",
        "/dev/shm tmpfs",
        "/dev/mqueue mqueue",
        "/sys sysfs",
        "/sys/fs/cgroup cgroup2",
    ];
    for expected in kinds {
        assert!(outcome.lines().contains(&expected), "{expected}: {outcome:#?}");
    }
}

#[test]
fn the_cgroup_mount_shows_the_containers_own_cgroup_read_only() {
    let container = Container::sh(
        "cat /proc/self/cgroup | grep ^0::; cat /sys/fs/cgroup/cgroup.procs | head -1; mkdir /sys/fs/cgroup/x 2>&1 | grep -o 'Read-only'",
    );
    assert_eq!(container.run().ok().lines(), ["0::/", "1", "Read-only"]);
}

#[test]
fn masked_paths_are_empty() {
    let container = Container::sh("cat /etc/passwd; ls /home; ls /home | wc -l; (: >/home/x) 2>/dev/null || echo read-only; cat /etc/group | wc -l")
        .with("/linux/maskedPaths", json!(["/etc/passwd", "/home", "/not/there"]));
    assert_eq!(container.run().ok().lines(), ["0", "read-only", "2"]);
}

#[test]
fn read_only_paths_are_readable() {
    let container = Container::sh("head -1 /etc/passwd; ls /home; (: >/home/x) 2>/dev/null || echo dir; (: >>/etc/passwd) 2>/dev/null || echo file")
        .with("/linux/readonlyPaths", json!(["/etc/passwd", "/home", "/not/there"]));
    assert_eq!(
        container.run().ok().lines(),
        ["root:x:0:0:root:/root:/bin/sh", "someone", "dir", "file"]
    );
}

#[test]
fn proc_sys_is_read_only_by_default() {
    let container = Container::sh(
        "(echo x >/proc/sys/kernel/hostname) 2>&1 | grep -o 'Read-only'; cat /proc/kcore | wc -c",
    );
    assert_eq!(container.run().ok().lines(), ["Read-only", "0"]);
}

#[test]
fn sysctls_are_set() {
    let container = Container::sh("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax")
        .with("/linux/sysctl", json!({ "net.ipv4.ip_forward": "1", "kernel.msgmax": "4242" }));
    assert_eq!(container.run().ok().lines(), ["1", "4242"]);
}

/// As containers of a Kubernetes pod on the host's network have it.
#[test]
fn sysctls_of_the_hosts_network_are_refused_where_it_is_joined() {
    if !only_on(&[Kind::Etui, Kind::Runc], "the host's are set") {
        return;
    }
    let mut container =
        Container::new().with("/linux/sysctl", json!({ "net.ipv4.ip_default_ttl": "64" }));
    let namespaces = container.config["linux"]["namespaces"].as_array_mut().unwrap();
    for namespace in namespaces {
        if namespace["type"] == "network" {
            namespace["path"] = json!(format!("/proc/{}/ns/net", std::process::id()));
        }
    }
    container.run().exits(1).says("not allowed in host network namespace");
}

#[test]
fn no_mount_reaches_the_host() {
    let container = Container::sleeping().with("/linux/rootfsPropagation", "shared");
    let before = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
    container.up();
    assert_eq!(fs::read_to_string("/proc/thread-self/mountinfo").unwrap(), before);
}

#[test]
fn links_are_copied_bound_or_covered_as_crun_has_it() {
    if !only_on(&[Kind::Etui, Kind::Crun], "crun's options") {
        return;
    }
    let script = "readlink /copied; readlink /bound; cat /link; readlink /link || echo covered";
    let mut container = Container::sh(script);
    let link = container.dir().join("a-link");
    std::os::unix::fs::symlink("bin/busybox", &link).unwrap();
    let file = container.dir().join("a-file");
    fs::write(&file, "content\n").unwrap();
    std::os::unix::fs::symlink("/nowhere", container.rootfs().join("link")).unwrap();
    let bind = |destination: &str, source: &std::path::Path, option: &str| json!({ "destination": destination, "source": source, "options": ["bind", option] });
    container.set("/mounts/-", bind("/copied", &link, "copy-symlink"));
    container.set("/mounts/-", bind("/bound", &link, "src-nofollow"));
    container.set("/mounts/-", bind("/link", &file, "dest-nofollow"));
    let outcome = container.run().ok();
    assert_eq!(outcome.lines(), ["bin/busybox", "bin/busybox", "content", "covered"]);
    assert!(!container.rootfs().join("nowhere").exists());
}

#[test]
fn a_root_that_is_shared_takes_no_mount_away_from_the_host() {
    if !only_on(&[Kind::Etui], "nobody else promises it") {
        return;
    }
    let mut container = Container::sh("true");
    container.set("/linux/rootfsPropagation", "rshared");
    container.write_config();
    let own = container.command();
    let mut host = std::process::Command::new("unshare");
    let script = "mount --make-rshared / && mount -t proc proc /proc && sort /proc/self/mountinfo >\"$0\".1 && \"$@\"; \
        code=$?; sort /proc/self/mountinfo >\"$0\".2; exit $code";
    host.args(["--mount", "sh", "-c", script]).arg(container.dir().join("mounts"));
    host.arg(own.get_program()).args(own.get_args());
    host.args(["run", "--no-pivot", "--bundle"]).arg(container.bundle()).arg(&container.id);
    container.complete(host).ok();
    let mounts = |when: &str| {
        let text = std::fs::read_to_string(container.dir().join(format!("mounts.{when}"))).unwrap();
        text.lines().map(|line| line.split(' ').nth(4).unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(mounts("2"), mounts("1"));
}
