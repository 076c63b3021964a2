//! capget(2), capset(2): the three base sets in one call.

use nix::errno::Errno;

/// `_LINUX_CAPABILITY_VERSION_3` (Linux 2.6.26): two words of 32 bits per set.
const VERSION: u32 = 0x2008_0522;

/// The three base sets of a thread, one bit per capability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BaseSets {
    /// What is in force.
    pub effective: u64,
    /// What may be put in force.
    pub permitted: u64,
    /// What survives an execve of a file with inheritable capabilities.
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// The base sets of the calling thread.
pub fn capget() -> nix::Result<BaseSets> {
    let mut header = Header { version: VERSION, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 reads one header and writes two data elements; both outlive the call and are laid out in C.
    let answer = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    Errno::result(answer)?;
    let [low, high] = data;
    Ok(BaseSets {
        effective: join(low.effective, high.effective),
        permitted: join(low.permitted, high.permitted),
        inheritable: join(low.inheritable, high.inheritable),
    })
}

/// Gives the calling thread these base sets; a permitted set can only shrink (`EPERM`).
pub fn capset(sets: &BaseSets) -> nix::Result<()> {
    let mut header = Header { version: VERSION, pid: 0 };
    let data = [halves(sets, low), halves(sets, high)];
    // SAFETY: version 3 reads one header and two data elements; both outlive the call and are laid out in C.
    let answer = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    Errno::result(answer).map(drop)
}

fn halves(sets: &BaseSets, half: fn(u64) -> u32) -> Data {
    Data {
        effective: half(sets.effective),
        permitted: half(sets.permitted),
        inheritable: half(sets.inheritable),
    }
}

fn low(set: u64) -> u32 {
    let [a, b, c, d, ..] = set.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn high(set: u64) -> u32 {
    (set >> 32) as u32
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_survives_being_halved_and_joined() {
        for set in [0, 1, u64::MAX, 0x1ff_feff_ffff, 1 << 63] {
            assert_eq!(join(low(set), high(set)), set);
        }
    }
}
