//! A filter that comes compiled, in an annotation of crun's.

use std::collections::BTreeMap;

use seccompiler::sock_filter;

use crate::error::{Error, Result};
use crate::kernel::seccomp::{Filter, Flags, LIMIT};

const ANNOTATION: &str = "run.oci.seccomp_bpf_data";

/// The size of an instruction (`struct sock_filter`), in bytes.
const INSTRUCTION: usize = 8;

/// The program, in base64: instructions as seccomp(2) takes them. The rest of `linux.seccomp` does not count then.
pub(super) fn program(annotations: &BTreeMap<String, String>) -> Result<Option<Filter>> {
    let Some(text) = annotations.get(ANNOTATION) else { return Ok(None) };
    let refuse = |why: &str| Err(Error::refused(format!("annotations[{ANNOTATION:?}]: {why}")));
    let Some(bytes) = decoded(text) else { return refuse("it is not base64") };
    let (instructions, rest) = bytes.as_chunks::<INSTRUCTION>();
    if instructions.is_empty() || !rest.is_empty() || instructions.len() > LIMIT {
        return refuse(&format!(
            "{} bytes are no filter: each instruction has {INSTRUCTION}, and there may be {LIMIT}",
            bytes.len()
        ));
    }
    let program = instructions.iter().map(|&[c0, c1, jt, jf, k0, k1, k2, k3]| sock_filter {
        code: u16::from_ne_bytes([c0, c1]),
        jt,
        jf,
        k: u32::from_ne_bytes([k0, k1, k2, k3]),
    });
    Ok(Some(Filter { program: program.collect(), flags: Flags::SPEC_ALLOW }))
}

/// RFC 4648, section 4. Line feeds are passed over, and what fills up the end may be missing.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let text: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    let digits = text.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    if text.len() - digits > 2 || digits % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits * 3 / 4);
    for group in text[..digits].chunks(4) {
        let mut bits = 0u32;
        for &byte in group {
            bits = bits << 6 | digit(byte)?;
        }
        bits <<= 6 * (4 - group.len());
        bytes.extend_from_slice(&bits.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u32> {
    let digit = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(digit.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zg", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9v\nYmFy", "foobar"),
        ] {
            assert_eq!(decoded(text).unwrap(), bytes.as_bytes(), "{text}");
        }
        for bad in ["Z", "Zg===", "Z-8=", "Zm=v", "é"] {
            assert_eq!(decoded(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_program_is_whole_instructions() {
        let planned = |text: &str| program(&[(ANNOTATION.to_owned(), text.to_owned())].into());
        // BPF_RET|BPF_K, SECCOMP_RET_ALLOW
        let allow = planned("BgAAAAAA/38=").unwrap().unwrap();
        assert_eq!(allow.program.len(), 1);
        assert_eq!((allow.program[0].code, allow.program[0].k), (6, 0x7fff_0000));
        for bad in ["", "BgAAAAAA/w==", "!"] {
            let error = planned(bad).unwrap_err().to_string();
            assert!(error.starts_with("annotations[\"run.oci.seccomp_bpf_data\"]: "), "{error}");
        }
        assert_eq!(program(&BTreeMap::new()).unwrap(), None);
    }
}
