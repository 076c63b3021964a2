//! A compiled filter: loading it, and the form in which it crosses a socket or lies in a file.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use seccompiler::sock_filter;

use super::Flags;
use crate::error::{Call, Error, Result};
use crate::sys;

/// The longest program the kernel takes, in instructions (`BPF_MAXINSNS`).
pub const LIMIT: usize = 4096;

/// A program and how to load it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// Classic BPF over the kernel's `struct seccomp_data`.
    pub program: Vec<sock_filter>,
    /// How it is loaded.
    pub flags: Flags,
}

/// Whether this kernel loads filters with these flags.
pub fn supports(flags: Flags) -> bool {
    // WAIT_KILLABLE_RECV alone is EINVAL on every kernel.
    let listens = flags.contains(Flags::WAIT_KILLABLE_RECV);
    let asked = if listens { flags | Flags::NEW_LISTENER } else { flags };
    sys::seccomp::knows_flags(asked.bits())
}

/// Opens the stored form: a name and the version of the layout.
const MAGIC: [u8; 8] = *b"etuiBPF1";

/// Bytes of the magic and the flags, then of one instruction.
const HEADER: usize = 12;
const INSTRUCTION: usize = 8;

impl Filter {
    /// Makes the filter hold for the calling thread, its future children and what they execute: at once, for good.
    ///
    /// Yields the listener when the flags ask for one; it is close-on-exec. Fails as seccomp(2) says: EACCES without
    /// both `no_new_privs` and CAP_SYS_ADMIN, EBUSY when the thread has a listener already.
    pub fn load(&self) -> Result<Option<OwnedFd>> {
        let call = || {
            let (flags, length) = (self.flags.bits(), self.program.len());
            format!("seccomp(SECCOMP_SET_MODE_FILTER, {flags:#x}, {length} instructions)")
        };
        let loaded = if self.flags.contains(Flags::NEW_LISTENER) {
            sys::seccomp::set_filter_with_listener(self.flags.bits(), &self.program).map(Some)
        } else {
            sys::seccomp::set_filter(self.flags.bits(), &self.program).map(|()| None)
        };
        loaded.call(call).map_err(|error| match error.errno() {
            Some(Errno::EACCES) => error.hint("set process.noNewPrivileges"),
            _ => error,
        })
    }

    /// Magic, flags, instructions, in the byte order of this machine.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + INSTRUCTION * self.program.len());
        bytes.extend(MAGIC);
        bytes.extend(self.flags.bits().to_ne_bytes());
        for &sock_filter { code, jt, jf, k } in &self.program {
            let ([c0, c1], [k0, k1, k2, k3]) = (code.to_ne_bytes(), k.to_ne_bytes());
            bytes.extend_from_slice(&[c0, c1, jt, jf, k0, k1, k2, k3]);
        }
        bytes
    }

    /// Reads what [`Filter::to_bytes`] wrote. What isn't that is an error; whether the program is sound, the kernel
    /// checks when it is loaded.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let damaged = |why: &str| Error::new(format!("stored seccomp filter: {why}"));
        let body =
            bytes.strip_prefix(&MAGIC).ok_or_else(|| damaged("not one, or another version's"))?;
        let (flags, body) = body.split_first_chunk().ok_or_else(|| damaged("cut off"))?;
        let flags =
            Flags::from_bits(u32::from_ne_bytes(*flags)).ok_or_else(|| damaged("unknown flags"))?;
        let (instructions, rest) = body.as_chunks::<INSTRUCTION>();
        if !rest.is_empty() {
            return Err(damaged("cut off"));
        }
        if instructions.is_empty() || instructions.len() > LIMIT {
            return Err(damaged(&format!("{} instructions", instructions.len())));
        }
        let program = instructions.iter().map(|&[c0, c1, jt, jf, k0, k1, k2, k3]| sock_filter {
            code: u16::from_ne_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_ne_bytes([k0, k1, k2, k3]),
        });
        Ok(Self { program: program.collect(), flags })
    }
}
