//! bpf(2): loading a cgroup device program, attaching it to a cgroup. Knows the layout of an instruction, not what
//! programs mean.

use std::ffi::c_long;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

const BPF_PROG_LOAD: c_long = 5;
const BPF_PROG_ATTACH: c_long = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// One eBPF instruction, as the kernel reads it (`struct bpf_insn`, little-endian machines).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What it does: a class, an operation and where the operand comes from.
    pub opcode: u8,
    /// The destination register in the low four bits, the source register in the high four.
    pub registers: u8,
    /// A jump's distance, counted from the next instruction; a load's offset in bytes.
    pub offset: i16,
    /// The operand, where it is a constant.
    pub immediate: i32,
}

/// What BPF_PROG_LOAD reads of `union bpf_attr`; the kernel takes what it is not given as zero.
#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// What BPF_PROG_ATTACH reads of `union bpf_attr`.
#[repr(C)]
struct AttachAttributes {
    target_fd: RawFd,
    attach_bpf_fd: RawFd,
    attach_type: u32,
    attach_flags: u32,
}

/// Loads a `BPF_PROG_TYPE_CGROUP_DEVICE` program under `name` (15 bytes at most are kept). The verifier writes what it
/// objects to into `log`; it is slower when asked for a log, so an empty one asks for none.
pub fn load_device_program(
    program: &[Instruction],
    name: &str,
    log: &mut [u8],
) -> nix::Result<OwnedFd> {
    let mut prog_name = [0; 16];
    let kept = name.len().min(prog_name.len() - 1);
    prog_name[..kept].copy_from_slice(&name.as_bytes()[..kept]);
    let attributes = LoadAttributes {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(program.len()).map_err(|_| Errno::E2BIG)?,
        insns: program.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        log_level: u32::from(!log.is_empty()),
        log_size: u32::try_from(log.len()).map_err(|_| Errno::E2BIG)?,
        log_buf: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
        prog_name,
        ..LoadAttributes::default()
    };
    // SAFETY: `attributes` has the layout of the kernel's union and its exact size is passed. The addresses in it are of
    // `program` (its length beside it), of a static C string and of `log` (likewise), which outlive the call; the kernel
    // writes only into `log`, to which we hold the only reference.
    let fd = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attributes, size_of_val(&attributes))
    };
    let fd = RawFd::try_from(Errno::result(fd)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor (close-on-exec, as every BPF descriptor); nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a device program to a cgroup directory, beside those that are there (`BPF_F_ALLOW_MULTI`): a device is
/// usable when every program of the cgroup and of its ancestors allows it. Needs CAP_NET_ADMIN, and CAP_BPF to load.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> nix::Result<()> {
    let attributes = AttachAttributes {
        target_fd: cgroup.as_raw_fd(),
        attach_bpf_fd: program.as_raw_fd(),
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: `attributes` has the layout of the kernel's union, its exact size is passed, and the kernel only reads it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            BPF_PROG_ATTACH,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    Errno::result(result).map(drop)
}
