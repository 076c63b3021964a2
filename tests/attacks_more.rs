//! More attacks: containers that hide from signals, root file systems that move, waits that must have an end.

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use support::{Container, Kind, only_on, wait_for};

/// What a configuration does not grant is not there, whatever the caller has to pass on.
#[test]
fn without_capabilities_in_the_configuration_there_are_none() {
    for uid in [0, 1000] {
        let mut container = Container::sh("grep Cap /proc/self/status");
        container.config["process"].as_object_mut().unwrap().remove("capabilities");
        container.set("/process/user/uid", uid);
        container.write_config();
        let runtime = container.command();
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps", "+net_raw", "--ambient-caps", "+net_raw"]);
        command.arg(runtime.get_program()).args(runtime.get_args()).arg("run").arg("--bundle");
        command.arg(container.bundle()).arg(&container.id).stdin(Stdio::null());
        let outcome = container.complete(command).ok();
        for line in outcome.lines() {
            assert!(line.ends_with("\t0000000000000000"), "user {uid}: {line}");
        }
        assert_eq!(outcome.lines().len(), 5);
    }
}

/// A program for x86-64 whose first thread ends while a second one waits for ever: /proc shows it as a zombie.
const LEADERLESS: [u8; 45] = [
    0xb8, 0x38, 0, 0, 0, // clone(
    0xbf, 0x00, 0x0f, 0x01, 0x00, // CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD,
    0x31, 0xf6, 0x31, 0xd2, 0x45, 0x31, 0xd2, 0x45, 0x31, 0xc0, // 0, 0, 0, 0)
    0x0f, 0x05, 0x85, 0xc0, 0x74, 0x09, // where it answers 0, go on behind the exit
    0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05, // exit(0), of this thread alone
    0xb8, 0x22, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7, 0x90, // pause(), again and again
];

/// The smallest ELF file around `code`: one segment, loaded at 4 MiB.
fn elf(code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let length = HEADERS + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    for value in [BASE + HEADERS, 64, 0] {
        file.extend(value.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    for value in [0, BASE, BASE, length, length, 0x1000] {
        file.extend(value.to_le_bytes());
    }
    file.extend(code);
    file
}

/// A process that lost its first thread looks like a zombie and survives `cgroup.kill`: it is running all the same, and
/// signals reach it, with a pid namespace of its own or without.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_process_without_its_first_thread_does_not_hide() {
    for own_pids in [true, false] {
        let mut container = Container::new().with("/process/args/0", "/bin/leaderless");
        let program = container.rootfs().join("bin/leaderless");
        fs::write(&program, elf(&LEADERLESS)).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        if !own_pids {
            container.config["linux"]["namespaces"].as_array_mut().unwrap().remove(0);
        }
        container.up();
        let state = format!("/proc/{}/stat", container.pid());
        wait_for("its first thread to end", || {
            fs::read_to_string(&state).unwrap().contains(") Z ")
        });
        assert_eq!(container.status(), "running", "own pid namespace: {own_pids}");
        container.verb(&["delete", &container.id]).exits(1);
        container.kill("KILL").ok();
        container.wait_until("stopped");
        container.delete().ok();
        container.assert_nothing_left();
    }
}

/// The same, but what waits sleeps 0.1 ms, forks, and is gone: the child begins anew. It lies in the first segment, at 0x400078.
const HOPPER: [u8; 85] = [
    0xb8, 0x38, 0, 0, 0, // clone(
    0xbf, 0x00, 0x0f, 0x01, 0x00, // CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_SIGHAND|CLONE_THREAD,
    0x31, 0xf6, 0x31, 0xd2, 0x45, 0x31, 0xd2, 0x45, 0x31, 0xc0, // 0, 0, 0, 0)
    0x0f, 0x05, 0x85, 0xc0, 0x74, 0x09, // where it answers 0, go on behind the exit
    0x31, 0xff, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05, // exit(0), of this thread alone
    0xb8, 0x23, 0, 0, 0, 0xbf, 0xbd, 0, 0x40, 0, // nanosleep(the time,
    0x31, 0xf6, 0x0f, 0x05, // 0)
    0xb8, 0x39, 0, 0, 0, 0x0f, 0x05, // fork()
    0x85, 0xc0, 0x74, 0xc4, // where it answers 0, begin anew
    0x31, 0xff, 0xb8, 0xe7, 0, 0, 0, 0x0f, 0x05, // exit_group(0)
    0, 0, 0, 0, 0, 0, 0, 0, 0xa0, 0x86, 0x01, 0, 0, 0, 0, 0, // the time
];

/// Where pids are shared with the host the end of init ends nobody else, and who has no first thread survives
/// `cgroup.kill`: one that is another process by the time it is looked for is looked for again.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_process_that_is_always_another_one_does_not_outlive_its_container() {
    if !only_on(&[Kind::Etui], "it lives on") {
        return;
    }
    for _ in 0..3 {
        let mut container = Container::sh("for i in $(seq 20); do /bin/hopper & done");
        let program = container.rootfs().join("bin/hopper");
        fs::write(&program, elf(&HOPPER)).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        container.config["linux"]["namespaces"].as_array_mut().unwrap().remove(0);
        container.up();
        container.wait_until("stopped");
        container.delete().ok();
        container.assert_nothing_left();
    }
}

/// Whoever shares the root file system moves the directory that /proc is mounted on: what is masked and read-only moves
/// along, for it is found from the mount and not by its path.
#[test]
fn a_proc_that_is_moved_away_is_masked_all_the_same() {
    let container = Container::sh(
        "for proc in /proc /moved; do \
            if (true >> $proc/sys/kernel/printk_delay) 2>/dev/null; then echo writable $proc; fi; \
        done",
    );
    let (proc, moved) = (container.rootfs().join("proc"), container.rootfs().join("moved"));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let pause = || thread::sleep(Duration::from_millis(2));
            while !stop.load(Ordering::Relaxed) {
                let _ = fs::rename(&proc, &moved).and_then(|()| fs::create_dir(&proc));
                pause();
                let _ = fs::remove_dir(&proc).and_then(|()| fs::rename(&moved, &proc));
                pause();
            }
        });
        container.write_config();
        for _ in 0..40 {
            // It may fail: /proc may be gone when it is to be mounted. It may not succeed half.
            let bundle = container.bundle();
            let flags = ["run", "--bundle", bundle.to_str().unwrap(), &container.id];
            assert_eq!(container.verb(&flags).stdout, "");
            container.assert_nothing_left();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// A hook that waits for the file `go` of the test's directory, and tells by `there` that it runs.
fn waiting_hook(container: &Container) -> serde_json::Value {
    let script = format!(
        "touch {0}/there; while [ ! -e {0}/go ]; do sleep 0.1; done",
        container.dir().display()
    );
    json!([{ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] }])
}

/// Whoever stops `create` or `run` need not wait for a hook that never ends.
#[test]
fn a_signal_ends_the_wait_for_a_hook() {
    if !only_on(&[Kind::Etui], "waits for the hook") {
        return;
    }
    for point in ["prestart", "createRuntime", "createContainer", "poststart"] {
        let mut container = Container::sleeping();
        let hook = waiting_hook(&container);
        container.set("/hooks", json!({ point: hook }));
        container.write_config();
        let mut command = container.command();
        command.arg("run").arg("--bundle").arg(container.bundle()).arg(&container.id);
        let mut runtime = command.stdin(Stdio::null()).spawn().unwrap();
        wait_for("the hook", || container.dir().join("there").exists());
        let told = Instant::now();
        kill(Pid::from_raw(runtime.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        assert_eq!(runtime.wait().unwrap().code(), Some(1), "{point}");
        assert!(told.elapsed() < Duration::from_secs(5), "{point}: {:?}", told.elapsed());
        container.assert_nothing_left();
    }
}

/// `start` waits for a hook inside and holds the container's lock: it is deleted all the same.
#[test]
fn a_start_that_hangs_can_be_deleted() {
    let mut container = Container::sleeping();
    container.set(
        "/hooks",
        json!({ "startContainer": [{ "path": "/bin/sleep", "args": ["sleep", "1000"] }] }),
    );
    container.create();
    let mut start = container.command().args(["start", &container.id]).spawn().unwrap();
    let children = format!("/proc/{0}/task/{0}/children", container.pid());
    wait_for("the hook", || fs::read_to_string(&children).is_ok_and(|pids| !pids.is_empty()));
    container.verb(&["delete", "--force", &container.id]).ok();
    start.wait().unwrap();
    container.assert_nothing_left();
}

/// What a hook inside says can be longer than a message of init.
#[test]
fn a_talkative_hook_fails_with_its_final_records() {
    let mut container = Container::new();
    let script = "yes | head -c 60000; echo the last words >&2; exit 4";
    let hook =
        json!({ "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] });
    container.set("/hooks", json!({ "createContainer": [hook] }));
    container.write_config();
    let bundle = container.bundle();
    let flags = ["create", "--bundle", bundle.to_str().unwrap(), &container.id];
    container.verb(&flags).exits(1).says("stderr: the last words");
    container.assert_nothing_left();
}

/// Whoever was killed while it wrote the file must not keep the next one from it.
#[test]
fn a_pid_file_that_was_left_half_written_is_replaced() {
    let container = Container::sleeping();
    fs::write(container.dir().join(".pid"), "4").unwrap();
    let file = container.dir().join("pid");
    container.create_with(&["--pid-file", file.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&file).unwrap(), container.pid().to_string());
    assert!(!container.dir().join(".pid").exists());
    container.delete().ok();
}

/// config-linux.md, "Devices": a file that is there and is not the device MUST be an error.
#[test]
fn an_image_can_not_stand_in_for_a_device() {
    if !only_on(&[Kind::Etui], "takes the file for the device") {
        return;
    }
    let mut container = Container::new();
    container.config["mounts"].as_array_mut().unwrap().truncate(1);
    fs::write(container.rootfs().join("dev/zero"), "not zeroes").unwrap();
    container.write_config();
    let bundle = container.bundle();
    let flags = ["run", "--bundle", bundle.to_str().unwrap(), &container.id];
    container.verb(&flags).exits(1).says("device /dev/zero: another file is there already");
    container.assert_nothing_left();
}

/// A `create` that stalls before its process is known: the container is *creating*, and only `delete --force` ends it, at once.
/// What the late one writes then reaches no later container of its id.
#[test]
fn a_container_being_made_is_deleted_by_force_alone() {
    if !only_on(&[Kind::Etui], "a container being made does not exist yet") {
        return;
    }
    let container = Container::sleeping();
    container.write_config();
    let runtime = container.command();
    let mut stalled = Command::new("strace");
    stalled.args(["-qq", "-o", "/dev/null", "-e", "inject=clone3:delay_enter=2s"]);
    stalled.arg(runtime.get_program()).args(runtime.get_args()).arg("create").arg("--bundle");
    stalled.arg(container.bundle()).arg(&container.id).env("ETUI_TEST", &container.id);
    let mut stalled = stalled.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the record", || container.verb(&["state", &container.id]).status.success());
    wait_for("the cgroup", || container.cgroup().exists());

    assert_eq!(container.state()["status"], "creating");
    assert_eq!(container.state()["pid"], 0);
    container.delete().exits(1).says("that is not stopped: creating");
    let told = Instant::now();
    container.verb(&["delete", "--force", &container.id]).ok();
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
    container.create().ok();
    let pid = container.pid();
    assert!(stalled.try_wait().unwrap().is_none(), "it was to be late");
    assert!(!stalled.wait().unwrap().success());
    assert_eq!(container.pid(), pid);
    container.start().ok();
    assert_eq!(container.status(), "running");
}

/// A `create` that was killed before its process was known leaves the name of a unit, which may be another's by now: where
/// somebody lives in it, systemd is not asked to stop it. Who stands in for systemd here only counts who comes.
#[test]
fn a_unit_that_may_be_anothers_is_not_stopped() {
    if !only_on(&[Kind::Etui], "keeps other records") {
        return;
    }
    let container = Container::new();
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    fs::create_dir("/run/systemd").unwrap();
    let systemd = UnixListener::bind("/run/systemd/private").unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for _ in systemd.incoming() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    // Not begun as a test's cgroup is, or the support's reaper would wait for the sleeper before the test does.
    let unit = format!("others-{}.scope", container.id);
    let cgroup = Path::new("/sys/fs/cgroup").join(&unit);
    fs::create_dir(&cgroup).unwrap();
    let mut sleeper = Command::new("sleep")
        .arg("30")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    fs::write(cgroup.join("cgroup.procs"), sleeper.id().to_string()).unwrap();
    let leave_record = || {
        let record =
            json!({ "id": container.id, "cgroup_paths": { "": cgroup }, "systemd_unit": unit });
        let directory = container.root().join(&container.id);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("state.json"), record.to_string()).unwrap();
    };

    leave_record();
    let deleted = container.delete().ok();
    assert!(deleted.stderr.contains("is left, for it may not be the container's"), "{deleted:#?}");
    assert_eq!(asked.load(Ordering::Relaxed), 0, "systemd was asked");
    assert!(sleeper.try_wait().unwrap().is_none());

    sleeper.kill().unwrap();
    sleeper.wait().unwrap();
    leave_record();
    container.delete().ok();
    assert_ne!(asked.load(Ordering::Relaxed), 0);
    assert!(!cgroup.exists());
    umount2("/run", MntFlags::MNT_DETACH).unwrap();
}

/// Anybody may mount something of theirs under any name (FUSE), where the whole machine sees it.
#[test]
fn a_mount_point_whose_name_is_no_text_stops_nobody() {
    let container = Container::sh("echo runs");
    let point = container.dir().join(OsStr::from_bytes(b"\xff"));
    fs::create_dir(&point).unwrap();
    mount(Some("tmpfs"), &point, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    assert_eq!(container.run_with(&["--no-pivot"]).ok().lines(), ["runs"]);
    umount2(&point, MntFlags::MNT_DETACH).unwrap();
}
