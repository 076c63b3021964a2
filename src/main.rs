//! From a result to an exit code.

#![no_main]

/// A process of a few milliseconds needs no other.
#[global_allocator]
static HEAP: etui::sys::heap::Heap = etui::sys::heap::Heap::new();

etui::entry_point!(etui::cli::main);
