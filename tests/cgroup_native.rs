//! A cgroup made for real, below the root of the cgroup v2 tree. Needs root; no controller.

mod support;

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path as FilePath, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::write;

use etui::error::{Kind, Result};
use etui::host::Host;
use etui::kernel::cgroup::device_rules::{Access, DeviceKind, DeviceRule, Devices, Verdict};
use etui::kernel::cgroup::devices::{self, DeviceFilter, WithoutRights};
use etui::kernel::cgroup::limits::{self, Write as Limit};
use etui::kernel::cgroup::processes::{self, Left};
use etui::kernel::cgroup::{Directory, Limits, NewCgroup, Path, cgroupfs, freezer, removal};

/// A cgroup of this test's own, its parent removed with it.
struct Scratch {
    mount: PathBuf,
    name: String,
}

impl Scratch {
    fn new(test: &str) -> Self {
        let host = Host::probe().expect("a cgroup v2 tree");
        assert_eq!(host.effective_uid, 0, "these tests make cgroups: run them as root");
        Scratch {
            mount: host.cgroup_mount,
            name: format!("etui-test-{test}-{}", std::process::id()),
        }
    }

    fn path(&self) -> Path {
        Path::below_root(format!("{}/inner", self.name))
    }

    fn parent(&self) -> PathBuf {
        self.mount.join(&self.name)
    }

    fn create(&self) -> Result<NewCgroup> {
        cgroupfs::create(&self.mount, &self.path(), &[], &Limits::default())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Ok(parent) = Directory::open(self.parent()) {
            let _ = processes::kill(&parent);
            let _ = removal::remove(parent.path(), Duration::from_secs(5));
        }
    }
}

fn sleeper_in(cgroup: &Directory) -> Child {
    let child = Command::new("sleep").arg("60").spawn().unwrap();
    cgroup.add_process(child.id().cast_signed()).unwrap();
    child
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[test]
fn dropping_a_new_cgroup_leaves_nothing() {
    let scratch = Scratch::new("undo");
    let new = scratch.create().unwrap();
    let mut child = sleeper_in(new.directory());
    assert!(scratch.parent().join("inner").exists());
    // The undo waits for the process to vanish, which takes its parent.
    let reaper = std::thread::spawn(move || child.wait());
    drop(new);
    assert!(!scratch.parent().exists(), "the level above was made for it too");
    assert!(!reaper.join().unwrap().unwrap().success());
}

#[test]
fn what_was_there_before_stays() {
    let scratch = Scratch::new("stays");
    std::fs::create_dir(scratch.parent()).unwrap();
    drop(scratch.create().unwrap());
    assert!(scratch.parent().exists());
    assert!(!scratch.parent().join("inner").exists());
    let workers = scratch.parent().join("inner/workers");
    std::fs::create_dir_all(&workers).unwrap();
    drop(scratch.create().unwrap());
    assert!(workers.exists());
}

#[test]
fn a_committed_cgroup_stays_until_it_is_removed() {
    let scratch = Scratch::new("commit");
    let cgroup = scratch.create().unwrap().commit();
    std::fs::create_dir_all(cgroup.path().join("a/b")).unwrap();
    removal::remove(cgroup.path(), Duration::ZERO).unwrap();
    assert!(!cgroup.path().exists());
    removal::remove(cgroup.path(), Duration::ZERO).unwrap();
}

#[test]
fn a_cgroup_in_use_or_frozen_is_refused_and_left_alone() {
    let scratch = Scratch::new("in-use");
    let cgroup = scratch.create().unwrap().commit();
    let mut child = sleeper_in(&cgroup);
    let error = scratch.create().unwrap_err().to_string();
    assert!(error.contains("container's cgroup is not empty: 1 process(es) found"), "{error}");
    assert_eq!(child.try_wait().unwrap(), None, "its process is not ours to kill");

    processes::kill(&cgroup).unwrap();
    child.wait().unwrap();
    cgroup.write("cgroup.freeze", "1").unwrap();
    let error = scratch.create().unwrap_err().to_string();
    assert!(error.contains("container's cgroup unexpectedly frozen"), "{error}");
}

#[test]
fn the_root_of_the_tree_is_refused() {
    let scratch = Scratch::new("root");
    let root = Path::below_root("/..");
    let error = cgroupfs::create(&scratch.mount, &root, &[], &Limits::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
}

#[test]
fn a_controller_that_the_tree_lacks_is_named_with_its_field() {
    let scratch = Scratch::new("controller");
    let limits = Limits(vec![Limit::new("linux.resources.x", "no_such_controller.max", "1")]);
    let error = cgroupfs::create(&scratch.mount, &scratch.path(), &[], &limits).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("linux.resources.x: enable the no_such_controller controller"),
        "{error}"
    );
    assert!(!scratch.parent().exists());
}

#[test]
fn a_controller_of_the_tree_is_handed_down_two_levels() {
    let host = Host::probe().unwrap();
    let Some(controller) = host.controllers.first() else {
        support::skip("the cgroup v2 tree has no controller to hand down");
        return;
    };
    let scratch = Scratch::new("handed");
    let limits = Limits(vec![Limit::new("linux.resources.x", format!("{controller}.x"), "1")]);
    let new =
        cgroupfs::create(&scratch.mount, &scratch.path(), &host.controllers, &limits).unwrap();
    let available = new.directory().read("cgroup.controllers").unwrap();
    assert!(available.split_whitespace().any(|name| name == controller), "{available}");
}

#[test]
fn freezes_thaws_and_tells() {
    let scratch = Scratch::new("freeze");
    let cgroup = scratch.create().unwrap().commit();
    let mut child = sleeper_in(&cgroup);
    assert!(!freezer::is_frozen(&cgroup).unwrap());
    freezer::freeze(&cgroup).unwrap();
    assert!(freezer::is_frozen(&cgroup).unwrap());
    assert!(cgroup.read("cgroup.events").unwrap().contains("frozen 1"));
    freezer::thaw(&cgroup).unwrap();
    assert!(!freezer::is_frozen(&cgroup).unwrap());

    freezer::freeze(&cgroup).unwrap();
    processes::kill(&cgroup).unwrap();
    child.wait().unwrap();
    assert_eq!(processes::wait_until_empty(&cgroup, soon()).unwrap(), Left::Nobody);
}

#[test]
fn lists_the_processes_of_sub_cgroups_too() {
    let scratch = Scratch::new("list");
    let cgroup = scratch.create().unwrap().commit();
    let below = cgroup.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let mut children = [sleeper_in(&cgroup), sleeper_in(&Directory::open(below).unwrap())];
    let mut expected = children.each_ref().map(|child| child.id().cast_signed());
    expected.sort_unstable();
    assert_eq!(processes::processes(&cgroup).unwrap(), expected);

    let soon = Instant::now() + Duration::from_millis(20);
    assert_eq!(processes::wait_until_empty(&cgroup, soon).unwrap(), Left::Somebody);
    removal::remove(cgroup.path(), Duration::from_millis(20)).unwrap_err();
    processes::kill(&cgroup).unwrap();
    for child in &mut children {
        child.wait().unwrap();
    }
    removal::remove(cgroup.path(), Duration::from_secs(5)).unwrap();
}

#[test]
fn a_unified_key_that_no_kernel_knows_is_an_error_that_names_it() {
    let scratch = Scratch::new("unified");
    let new = scratch.create().unwrap();
    let limits = Limits(vec![Limit::new("linux.resources.unified", "cgroup.nonsense", "1")]);
    let error = limits::apply(new.directory(), &limits).unwrap_err().to_string();
    assert!(error.starts_with("linux.resources.unified: write("), "{error}");
    let limits = Limits(vec![Limit::new("linux.resources.unified", "cgroup.max.depth", "3")]);
    limits::apply(new.directory(), &limits).unwrap();
    assert_eq!(new.directory().read("cgroup.max.depth").unwrap(), "3\n");
}

/// Asks a shell inside the cgroup to open a device; answers whether it could.
fn can_open(cgroup: &Directory, device: &FilePath, redirection: &str) -> bool {
    let script = format!("read go; : {redirection}{}", device.display());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).stdin(Stdio::piped()).stderr(Stdio::null()).arg0("sh");
    let mut shell = shell.spawn().unwrap();
    cgroup.add_process(shell.id().cast_signed()).unwrap();
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    shell.wait().unwrap().success()
}

#[test]
fn the_kernel_takes_the_device_filter_and_holds_to_it() {
    let scratch = Scratch::new("devices");
    let new = scratch.create().unwrap();
    let character = |minor, access| DeviceRule {
        verdict: Verdict::Allow,
        devices: Devices::Named { kind: DeviceKind::Character, major: Some(1), minor: Some(minor) },
        access: Access::parse(access).unwrap(),
    };
    let deny_write = DeviceRule { verdict: Verdict::Deny, ..character(5, "w") };
    let filter = DeviceFilter {
        rules: vec![character(3, "rwm"), character(5, "rw"), deny_write],
        without_rights: WithoutRights::Fail,
    };
    let (null, zero, full) =
        (FilePath::new("/dev/null"), FilePath::new("/dev/zero"), FilePath::new("/dev/full"));
    assert!(can_open(new.directory(), full, "<"), "not filtered yet");
    devices::attach(new.directory(), &filter).unwrap();
    assert!(can_open(new.directory(), null, "<>"));
    assert!(can_open(new.directory(), zero, "<"));
    assert!(!can_open(new.directory(), zero, ">"), "a later rule denies writing");
    assert!(!can_open(new.directory(), zero, "<>"));
    assert!(!can_open(new.directory(), full, "<"), "no rule names it");
}

/// Names one after the other: a path to the last of them is longer than the kernel takes one, and there are more of them
/// than we may have descriptors.
#[test]
fn the_deepest_cgroup_is_found_and_removed() {
    let scratch = Scratch::new("deep");
    let cgroup = scratch.create().unwrap().commit();
    let (name, mode) = ("n".repeat(200), Mode::from_bits_truncate(0o755));
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut here = open(cgroup.path(), flags, mode).unwrap();
    for _ in 0..1500 {
        mkdirat(&here, &*name, mode).unwrap();
        here = openat(&here, &*name, flags, mode).unwrap();
    }
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = child.id().cast_signed();
    let procs = openat(&here, "cgroup.procs", OFlag::O_WRONLY, mode).unwrap();
    write(&procs, pid.to_string().as_bytes()).unwrap();

    assert_eq!(processes::processes(&cgroup).unwrap(), [pid]);
    processes::kill(&cgroup).unwrap();
    child.wait().unwrap();
    removal::remove(cgroup.path(), Duration::from_secs(5)).unwrap();
    assert!(!cgroup.path().exists());
}

/// What a container made below is undone with the cgroup.
#[test]
fn dropping_a_new_cgroup_removes_what_was_made_below() {
    let scratch = Scratch::new("undo-below");
    let new = scratch.create().unwrap();
    std::fs::create_dir_all(new.directory().path().join(".a/b")).unwrap();
    drop(new);
    assert!(!scratch.parent().exists());
}
