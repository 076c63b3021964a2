//! From a result to an exit code.

/// A process of a few milliseconds needs no other.
#[global_allocator]
static HEAP: etui::sys::heap::Heap = etui::sys::heap::Heap::new();

fn main() -> std::process::ExitCode {
    etui::cli::main()
}
