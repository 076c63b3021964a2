//! `layout.ld` has the linker lay together what each start runs. A function that it names and that is there no more costs
//! nothing but time, so nothing else would show that it has grown old: functions were renamed, or the compiler names them
//! otherwise.

mod support;

use std::process::Command;

use support::skip;

/// Less than what is listed took when the list was made, by a third; and far less than the whole program.
const USUAL: std::ops::Range<u64> = 0x7_0000..0x11_0000;

#[test]
fn what_each_start_runs_lies_together() {
    let Some(etui) = std::env::var_os("ETUI") else {
        return skip("$ETUI names no release, and only that is laid out");
    };
    let output = Command::new("readelf").args(["--sections", "--wide"]).arg(etui).output();
    let output = output.expect("readelf, of the package that has the linker");
    let sections = String::from_utf8(output.stdout).expect("text");
    let size = size_of(".text.first", &sections).unwrap_or_default();
    assert!(
        USUAL.contains(&size),
        "{size} bytes lie together, of {}: `make layout` finds anew which should",
        size_of(".text", &sections).unwrap_or_default()
    );
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
