//! Has the linker lay out the program's code, and turns the tables of two crates inside out: they know a system call's name by
//! its number, a seccomp profile names it. Written once, at build time, because a one-shot process can't afford to build a map
//! at each start.
//!
//! `syscall-numbers` has x32 and the newest calls, but its 32-bit tables carry the kernel's inner names
//! (`clock_gettime32`, and no `mq_unlink` on x86). `syscalls` has no x32, but its x86 and arm tables carry the names
//! of `<asm/unistd.h>`, which are those a profile uses. So: x86_64, x32 and aarch64 from the first, x86 and arm from
//! the second, and what all architectures number alike (everything since 424, Linux 5.1) from the first.

use std::collections::BTreeMap;
use std::ffi::c_long;
use std::fmt::Write as _;
use std::path::Path;

/// Where the numbers of one architecture stand in a row of the table: the order of `Arch`'s variants.
const X86_64: usize = 0;
const X86: usize = 1;
const X32: usize = 2;
const AARCH64: usize = 3;
const ARM: usize = 4;

/// "This architecture has no such call". No architecture numbers a call so.
const NONE: u32 = u32::MAX;

/// The first number that is the same on every architecture (Linux 5.1).
const UNIFIED_FROM: u32 = 424;

/// Far above the highest number of any table.
const NUMBERS: u32 = 1024;

/// What arm has besides its table (`arch/arm/include/uapi/asm/unistd.h`): a second name, and private calls above all
/// others, which an arm64 kernel answers too.
const ARM_BESIDES: [(&str, u32); 7] = [
    ("sync_file_range2", 341),
    ("breakpoint", 0xf_0001),
    ("cacheflush", 0xf_0002),
    ("usr26", 0xf_0003),
    ("usr32", 0xf_0004),
    ("set_tls", 0xf_0005),
    ("get_tls", 0xf_0006),
];

type Table = BTreeMap<&'static str, [u32; 5]>;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    lay_code_out();
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    std::fs::write(Path::new(&out).join("syscalls.rs"), source(&table()))
        .expect("OUT_DIR is writable");
}

/// Has the linker lay together what every start runs. In an unoptimized program there would be nothing to win; and of the linkers
/// GNU ld and lld can.
fn lay_code_out() {
    println!("cargo::rerun-if-changed=layout.ld");
    let var = |name| std::env::var(name).unwrap_or_default();
    if var("OPT_LEVEL") == "0" {
        return;
    }
    let flags = var("CARGO_ENCODED_RUSTFLAGS");
    let another = flags.split('\x1f').find_map(|flag| flag.split_once("-fuse-ld="));
    match another {
        Some((_, linker)) if !linker.contains("lld") && linker != "bfd" => {
            println!(
                "cargo::warning={linker} can't lay the code out: each start takes 0.2 ms more"
            );
        }
        _ => println!("cargo::rustc-link-arg-bins=-T{}/layout.ld", var("CARGO_MANIFEST_DIR")),
    }
}

fn table() -> Table {
    let mut table = Table::new();
    read(&mut table, X86_64, 0, 0, syscall_numbers::x86_64::sys_call_name);
    read(&mut table, X32, 0x4000_0000, 0, syscall_numbers::x32::sys_call_name);
    read(&mut table, AARCH64, 0, 0, syscall_numbers::aarch64::sys_call_name);
    for call in syscalls::x86::Sysno::iter() {
        enter(&mut table, X86, call.name(), call.id().cast_unsigned());
    }
    for call in syscalls::arm::Sysno::iter() {
        enter(&mut table, ARM, call.name(), call.id().cast_unsigned());
    }
    read(&mut table, X86, 0, UNIFIED_FROM, syscall_numbers::x86::sys_call_name);
    read(&mut table, ARM, 0, UNIFIED_FROM, syscall_numbers::arm::sys_call_name);
    for (name, number) in ARM_BESIDES {
        enter(&mut table, ARM, name, number);
    }
    table
}

fn read(
    table: &mut Table,
    arch: usize,
    base: u32,
    from: u32,
    name_of: impl Fn(c_long) -> Option<&'static str>,
) {
    for number in base + from..base + NUMBERS {
        if let Some(name) = name_of(c_long::from(number)) {
            enter(table, arch, name, number);
        }
    }
}

fn enter(table: &mut Table, arch: usize, name: &'static str, number: u32) {
    let known = &mut table.entry(name).or_insert([NONE; 5])[arch];
    assert!(
        *known == NONE || *known == number,
        "{name} is {number} to one table, {known} to the other"
    );
    *known = number;
}

/// One string and rows of plain numbers: no pointer, so that nothing is relocated when a static-pie binary starts.
fn source(table: &Table) -> String {
    let names: String = table.keys().copied().collect();
    let mut source = format!("static NAMES: &str = {names:?};\n");
    writeln!(source, "static ROWS: [Row; {}] = [", table.len()).expect("a string takes all");
    let mut start = 0;
    for (name, numbers) in table {
        let end = start + name.len();
        writeln!(source, "    Row {{ start: {start}, end: {end}, numbers: {numbers:?} }},")
            .expect("a string takes all");
        start = end;
    }
    source + "];\n"
}
