//! A system call profile: compiled, and run against a plain reading of it.
#![no_main]

#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::seccomp(data));
