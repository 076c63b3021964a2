//! A process document, as `exec --process` reads it: parsed and planned.
#![no_main]

#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|data: &[u8]| properties::process(data));
