//! `layout.ld` has the linker lay together what runs whenever a container is made. A function that it names and that is there no
//! more costs time and nothing else, so nothing else would show that the list has grown old: functions were renamed, or the
//! compiler names them otherwise.

mod support;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::process::Command;

use support::skip;

const LAYOUT: &str = include_str!("../layout.ld");

/// Of a hundred functions of Rust's that a part lists, so many must be there.
const THERE: usize = 90;

#[test]
fn the_functions_that_are_listed_are_there() {
    let Some(symbols) = output_of("nm", &["--defined-only", env!("CARGO_BIN_EXE_etui")]) else {
        return skip("there is no nm");
    };
    // Address, kind, name. The C library's are another's with each target.
    let functions: Vec<_> = symbols.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    let parts = parts(LAYOUT);
    assert_eq!(parts.len(), 4, "start, init, parent, and names of many");
    for (part, patterns) in parts {
        let of_rust: Vec<_> = patterns.iter().filter(|it| it.starts_with('_')).collect();
        let is_there = |pattern: &str| functions.iter().any(|name| matches(name, pattern));
        let gone: Vec<_> = of_rust.iter().filter(|pattern| !is_there(pattern)).collect();
        assert!(
            of_rust.len() > 20 && gone.len() * 100 <= of_rust.len() * (100 - THERE),
            "{part} {} of {} are gone, `make layout` makes the list anew: {gone:#?}",
            gone.len(),
            of_rust.len()
        );
    }
}

#[test]
fn what_is_listed_lies_together() {
    let Some(etui) = std::env::var("ETUI").ok() else {
        return skip("$ETUI names no release, and only that is laid out");
    };
    let Some(sections) = output_of("readelf", &["--sections", "--wide", &etui]) else {
        return skip("there is no readelf");
    };
    let [first, rest] = [".text.first", ".text"].map(|name| size_of(name, &sections));
    let (first, rest) = (first.unwrap_or_default(), rest.expect("a program has code"));
    // Two fifths of it when this was written. Much more would be no choice any longer.
    let share = first * 100 / (first + rest);
    assert!((25..60).contains(&share), "{first} bytes lie together, apart from {rest}");
}

/// What a program of binutils prints. They are where a linker is, but not in the lab, which runs what was linked outside.
fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output();
    if output.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return None;
    }
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("text"))
}

/// The patterns below each title.
fn parts(layout: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut parts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut title = "";
    for line in layout.lines() {
        if let Some(comment) = line.strip_prefix("    /* ") {
            title = comment.trim_end_matches(" */");
        } else if let Some(pattern) = line.strip_prefix("    *(.text*.") {
            parts.entry(title).or_default().push(pattern.trim_end_matches(')'));
        }
    }
    parts
}

/// As the linker would see it: `*` is any text.
fn matches(name: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

/// Number in brackets, name, type, address, offset, size.
fn size_of(section: &str, sections: &str) -> Option<u64> {
    let after = sections.lines().find_map(|line| {
        let (_, columns) = line.split_once("] ")?;
        columns.trim_start().strip_prefix(section)?.strip_prefix(' ')
    })?;
    u64::from_str_radix(after.split_whitespace().nth(3)?, 16).ok()
}

#[test]
fn a_section_is_found_by_its_whole_name() {
    let sections = "\
  [Nr] Name              Type            Address          Off    Size   ES Flg Lk Inf Al
  [ 9] .text.first       PROGBITS        000000000000e040 00e040 0b728d 00  AX  0   0 16
  [10] .text             PROGBITS        00000000000c52d0 0c52d0 112d63 00  AX  0   0 16
";
    assert_eq!(size_of(".text.first", sections), Some(0xb_728d));
    assert_eq!(size_of(".text", sections), Some(0x11_2d63));
    assert_eq!(size_of(".tex", sections), None);
}

#[test]
fn a_pattern_is_matched_as_a_whole() {
    for (name, pattern, expected) in [
        ("main", "main", true),
        ("main2", "main", false),
        ("_ZN4etui3run17h0123E", "_ZN4etui3run17h*", true),
        ("_ZN4etui4runs17h0123E", "_ZN4etui3run17h*", false),
        ("_RNvNtCs2Nb_5alloc3fmt6format", "_RNvNtCs*_5alloc3fmt6format", true),
        ("_RNvNtCs2Nb_5alloc3fmt6formats", "_RNvNtCs*_5alloc3fmt6format", false),
        ("_RNvNtCs2Nb_4core3fmt6format", "_RNvNtCs*_5alloc3fmt6format", false),
    ] {
        assert_eq!(matches(name, pattern), expected, "{name} {pattern}");
    }
}
