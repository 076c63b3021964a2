//! One container of one test: its bundle, its id, the verbs, and the check that nothing is left of it.

use std::cell::Cell;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, thread, time};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};
use serde_json::{Value, json};

use super::command::{Outcome, complete, wait_for};
use super::{config, leftovers, reaper, rootfs, runtime};

/// A bundle, an id, and a mount namespace of the test's own. Dropping it deletes the container and fails the
/// test when something of it is left.
pub struct Container {
    pub id: String,
    /// Written to the bundle by every verb that reads one.
    pub config: Value,
    dir: tempfile::TempDir,
    mounts_before: Vec<String>,
    commands: AtomicU32,
}

impl Container {
    /// Puts it in a user namespace whose ids start at 100000 of the host.
    pub fn give_user_namespace(&mut self) {
        let map = json!([{ "containerID": 0, "hostID": 100_000, "size": 65_536 }]);
        self.set("/linux/namespaces/-", json!({ "type": "user" }));
        self.set("/linux/uidMappings", map.clone());
        self.set("/linux/gidMappings", map);
        // The mapped root must be able to walk to its root file system.
        fs::set_permissions(self.dir(), fs::Permissions::from_mode(0o755)).unwrap();
        chown(self.rootfs(), Some(100_000), Some(100_000)).unwrap();
    }

    /// A container whose process is `true`.
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        enter_own_mount_namespace();
        reaper::start();
        let id =
            format!("etui-test-{}-{}.", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::Builder::new().prefix(&id).tempdir().expect("a temporary directory");
        fs::create_dir(dir.path().join("root")).expect("a directory for the runtime");
        rootfs::make(&dir.path().join("bundle/rootfs"));
        let config = config::default_config(&id);
        Self { id, config, dir, mounts_before: leftovers::mounts(), commands: AtomicU32::new(0) }
    }

    /// A container whose process is a shell that runs `script`.
    pub fn sh(script: &str) -> Self {
        let mut container = Self::new();
        container.config["process"]["args"] = json!(["sh", "-c", script]);
        container
    }

    /// A container whose process sleeps.
    pub fn sleeping() -> Self {
        let mut container = Self::new();
        container.config["process"]["args"] = json!(["sleep", "1000"]);
        container
    }

    /// The same container with `value` at a JSON pointer, as `/process/user/uid`.
    #[track_caller]
    pub fn with(mut self, pointer: &str, value: impl Into<Value>) -> Self {
        self.set(pointer, value);
        self
    }

    /// Sets a field by its JSON pointer; the last part may be new, `-` appends to a list.
    #[track_caller]
    pub fn set(&mut self, pointer: &str, value: impl Into<Value>) {
        let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
        match self.config.pointer_mut(parent) {
            Some(Value::Object(object)) => {
                object.insert(key.to_owned(), value.into());
            }
            Some(Value::Array(array)) if key == "-" => array.push(value.into()),
            Some(Value::Array(array)) => {
                array[key.parse::<usize>().expect("an index")] = value.into();
            }
            other => panic!("{pointer}: {other:?}"),
        }
    }

    /// A directory of the test: for files, sockets, hook scripts.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn bundle(&self) -> PathBuf {
        self.dir().join("bundle")
    }

    pub fn rootfs(&self) -> PathBuf {
        self.bundle().join("rootfs")
    }

    /// The runtime's `--root`.
    pub fn root(&self) -> PathBuf {
        self.dir().join("root")
    }

    /// The container's cgroup, seen from the host.
    pub fn cgroup(&self) -> PathBuf {
        Path::new("/sys/fs/cgroup").join(&self.id)
    }

    pub fn write_config(&self) {
        let text = serde_json::to_string_pretty(&self.config).expect("JSON");
        fs::write(self.bundle().join("config.json"), text).expect("config.json");
    }

    /// The runtime with its global flags; arguments follow.
    pub fn command(&self) -> Command {
        let mut command = Command::new(runtime::runtime());
        command.arg("--root").arg(self.root()).env("ETUI_TEST", &self.id).current_dir("/");
        command
    }

    /// Any verb: the arguments after the global flags.
    #[track_caller]
    pub fn verb(&self, arguments: &[&str]) -> Outcome {
        let mut command = self.command();
        command.args(arguments);
        self.complete(command)
    }

    /// Runs a command that the test made to its end.
    #[track_caller]
    pub fn complete(&self, command: Command) -> Outcome {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        complete(command, self.dir(), &number.to_string())
    }

    /// `run` in the foreground, with more flags.
    #[track_caller]
    pub fn run_with(&self, flags: &[&str]) -> Outcome {
        self.verb_with_bundle("run", flags, &self.id)
    }

    /// `run` in the foreground.
    #[track_caller]
    pub fn run(&self) -> Outcome {
        self.run_with(&[])
    }

    /// `create`, with more flags.
    #[track_caller]
    pub fn create_with(&self, flags: &[&str]) -> Outcome {
        self.verb_with_bundle("create", flags, &self.id)
    }

    /// `create`; what the container prints from then on is in [`Container::output`].
    #[track_caller]
    pub fn create(&self) -> Outcome {
        self.create_with(&[])
    }

    #[track_caller]
    pub fn verb_with_bundle(&self, verb: &str, flags: &[&str], id: &str) -> Outcome {
        self.write_config();
        let mut command = self.command();
        command.arg(verb).arg("--bundle").arg(self.bundle()).args(flags).arg(id);
        complete(command, self.dir(), verb)
    }

    /// What the container printed to the standard output that `create` or `run` gave it.
    pub fn output(&self) -> String {
        let read = |verb: &str| fs::read_to_string(self.dir().join(format!("{verb}.out")));
        read("create").or_else(|_| read("run")).unwrap_or_default()
    }

    #[track_caller]
    pub fn start(&self) -> Outcome {
        self.verb(&["start", &self.id])
    }

    /// `create` and `start`, both of which succeed.
    #[track_caller]
    pub fn up(&self) {
        self.create().ok();
        self.start().ok();
    }

    #[track_caller]
    pub fn state(&self) -> Value {
        self.verb(&["state", &self.id]).ok().json()
    }

    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"].as_str().expect("a status").to_owned()
    }

    /// The host's pid of the container's process.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.state()["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).expect("a pid")
    }

    #[track_caller]
    pub fn kill(&self, signal: &str) -> Outcome {
        self.verb(&["kill", &self.id, signal])
    }

    #[track_caller]
    pub fn delete(&self) -> Outcome {
        self.verb(&["delete", &self.id])
    }

    /// `exec` of a program and its arguments.
    #[track_caller]
    pub fn exec(&self, arguments: &[&str]) -> Outcome {
        self.verb(&[&["exec", &self.id], arguments].concat())
    }

    /// `exec` with flags of a shell that runs `script`.
    #[track_caller]
    pub fn exec_sh(&self, flags: &[&str], script: &str) -> Outcome {
        self.verb(&[&["exec"], flags, &[&self.id, "sh", "-c", script]].concat())
    }

    #[track_caller]
    pub fn wait_until(&self, status: &str) {
        wait_for(status, || self.status() == status);
    }

    /// Fails when anything of the container is on the host; processes get a moment to end.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        let mut left = Vec::new();
        for _ in 0..100 {
            left = leftovers::of(&self.id, &self.root(), &self.mounts_before);
            if left.is_empty() {
                return;
            }
            thread::sleep(time::Duration::from_millis(10));
        }
        panic!("left behind by {}:\n{}", self.id, left.join("\n"));
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let deleted = self.command().args(["delete", "--force", &self.id]).output();
        if !thread::panicking() {
            deleted.expect("the runtime runs");
            self.assert_nothing_left();
        }
    }
}

/// The namespace of mounts belongs to the thread: tests that run beside each other don't meet.
fn enter_own_mount_namespace() {
    thread_local!(static ENTERED: Cell<bool> = const { Cell::new(false) });
    if ENTERED.replace(true) {
        return;
    }
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace: these tests need root");
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    let cgroup = "/sys/fs/cgroup";
    if statfs(cgroup).expect("/sys/fs/cgroup").filesystem_type() != CGROUP2_SUPER_MAGIC {
        mount(Some("cgroup2"), cgroup, Some("cgroup2"), MsFlags::empty(), none)
            .expect("a cgroup v2 tree");
    }
}
