//! More attacks: containers that hide from signals, root file systems that move, callers that hang.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use support::{Container, wait_for};

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
