//! mmap(2): memory that a process and those it clones have in common.

use std::num::NonZeroUsize;
use std::sync::atomic::AtomicU64;

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

/// `count` numbers, all zero, shared by this process and all it clones until they execute something else. Never unmapped.
pub fn numbers(count: NonZeroUsize) -> nix::Result<&'static [AtomicU64]> {
    let length = count.saturating_mul(NonZeroUsize::new(size_of::<AtomicU64>()).expect("8 bytes"));
    let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new mapping at a place of the kernel's choice touches no memory there is.
    let memory = unsafe { mmap_anonymous(None, length, rights, MapFlags::MAP_SHARED) }?;
    // SAFETY: the mapping is `count` zeroed numbers long, begins at a page, is never unmapped, and nothing else points
    // into it; whoever shares it writes through the same atomics.
    Ok(unsafe { std::slice::from_raw_parts(memory.as_ptr().cast(), count.get()) })
}
