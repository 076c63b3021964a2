//! The profile of `examples/hello-python`: what it lets through, what not, and a Python service under it.

mod seccomp_support;

use std::os::unix::process::CommandExt;
use std::process::Command;

use etui::kernel::seccomp::{Action, Arch, Profile, Syscall, compile, compile_for};
use nix::libc;
use seccomp_support::{Call, Reading, run};

fn example() -> Profile {
    let text = include_str!("../examples/hello-python/seccomp.json");
    etui::plan::seccomp::profile(&serde_json::from_str(text).unwrap()).unwrap().unwrap()
}

fn answer(native: Arch, name: &str, args: [u64; 6]) -> u32 {
    let profile = example();
    let number = Syscall::named(name).unwrap().number(native).unwrap();
    let call = Call { arch: native, number, args };
    let program = compile_for(native, &profile).unwrap().program;
    let answer = run(&program, &call);
    assert_eq!(answer, Reading::new(&profile, native).answer(&call).code());
    answer
}

const ALLOWED: u32 = 0x7fff_0000;
const EPERM: u32 = 0x5_0001;
const ENOSYS: u32 = 0x5_0026;

#[test]
fn names_only_calls_there_are() {
    let text = include_str!("../examples/hello-python/seccomp.json");
    let seccomp: etui::spec::seccomp::Seccomp = serde_json::from_str(text).unwrap();
    for name in seccomp.syscalls.iter().flat_map(|rule| &rule.names) {
        assert!(Syscall::named(name).is_some(), "{name}");
    }
}

#[test]
fn refuses_the_ways_out() {
    let ways = "mount umount2 pivot_root chroot unshare setns ptrace process_vm_readv process_vm_writev bpf \
        perf_event_open io_uring_setup userfaultfd keyctl add_key request_key init_module finit_module \
        delete_module kexec_load clock_settime settimeofday swapon reboot open_by_handle_at personality \
        open_tree move_mount fsopen fsmount mount_setattr";
    for native in [Arch::X86_64, Arch::Aarch64] {
        for name in ways.split_whitespace() {
            assert_eq!(answer(native, name, [0; 6]), EPERM, "{name} on {native:?}");
        }
    }
}

#[test]
fn looks_at_arguments() {
    for native in [Arch::X86_64, Arch::Aarch64] {
        let one = |name, argument| answer(native, name, [argument, 0, 0, 0, 0, 0]);
        for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK] {
            let family = u64::try_from(family).unwrap();
            assert_eq!(one("socket", family), ALLOWED);
            assert_eq!(one("socket", family | 1 << 32), EPERM);
        }
        for family in [libc::AF_PACKET, libc::AF_VSOCK, libc::AF_BLUETOOTH] {
            assert_eq!(one("socket", u64::try_from(family).unwrap()), EPERM);
        }
        assert_eq!(one("clone", 0x3d_0f00), ALLOWED);
        for bit in [17, 25, 26, 27, 28, 29, 30] {
            assert_eq!(one("clone", 0x11 | 1 << bit), EPERM, "bit {bit}");
        }
        assert_eq!(one("clone3", 0), ENOSYS);
        assert_eq!(one("file_setattr", 0), ENOSYS);
    }
}

#[test]
fn a_python_service_lives_under_it() {
    let filter = compile(&example()).unwrap();
    assert_eq!(example().default_action, Action::Errno(1));
    let mut python = Command::new("python3");
    python.args(["-I", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/python_service.py")]);
    let load = move || {
        // SAFETY: sets a bit of this process.
        unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        filter.load().map(drop).map_err(std::io::Error::other)
    };
    // SAFETY: between fork and exec only two system calls are made.
    unsafe { python.pre_exec(load) };
    let output = python.output().expect("python3 is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "all done\n", "{errors}");
}
