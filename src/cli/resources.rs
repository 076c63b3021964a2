//! The flags of `update`.

use std::fs;
use std::io::{Read, stdin};
use std::path::Path;

use super::flags;
use super::grammar::Flag;
use super::parse::Given;
use crate::error::{Call, Context, Error, Result};
use crate::lifecycle::{Global, update};
use crate::spec::Resources;
use crate::spec::bundle;
use crate::spec::resources::{BlockIo, Cpu, Memory, Pids};
use crate::warning;

pub(super) fn update(global: &Global, given: &Given) -> Result<u8> {
    let resources = match given.path(&flags::RESOURCES) {
        Some(path) => document(&path)?,
        None => from_flags(given)?,
    };
    let schemata = match given.path(&flags::RESOURCES) {
        Some(_) => Vec::new(),
        None => {
            [given.texts(&flags::L3_CACHE_SCHEMA)?, given.texts(&flags::MEM_BW_SCHEMA)?].concat()
        }
    };
    update::update(global, given.argument(0)?, &resources, &schemata)?;
    Ok(0)
}

/// The resources object in a file, or with `-` on standard input. It may name device rules: `update` leaves the device
/// filter as it is.
fn document(path: &Path) -> Result<Resources> {
    if path != Path::new("-") {
        let text = fs::read(path).call(|| format!("open({path:?})")).context("--resources")?;
        return bundle::parse(&text).with_context(|| path.display().to_string());
    }
    let mut text = Vec::new();
    stdin().read_to_end(&mut text).call(|| "read(0)").context("--resources -")?;
    bundle::parse(&text).context("--resources -")
}

fn from_flags(given: &Given) -> Result<Resources> {
    for flag in [&flags::KERNEL_MEMORY, &flags::KERNEL_MEMORY_TCP] {
        if given.has(flag) {
            warning::warn(format!(
                "--{} is ignored: no kernel of today has such a limit",
                flag.long
            ));
        }
    }
    Ok(Resources {
        memory: memory(given)?,
        cpu: cpu(given)?,
        pids: given.number(&flags::PIDS_LIMIT)?.map(|limit| Pids { limit: Some(limit) }),
        block_io: given
            .number(&flags::BLKIO_WEIGHT)?
            .map(|weight| BlockIo { weight: Some(weight), ..BlockIo::default() }),
        ..Resources::default()
    })
}

fn memory(given: &Given) -> Result<Option<Memory>> {
    let memory = Memory {
        limit: bytes(given, &flags::MEMORY)?,
        reservation: bytes(given, &flags::MEMORY_RESERVATION)?,
        swap: bytes(given, &flags::MEMORY_SWAP)?,
        ..Memory::default()
    };
    Ok((memory != Memory::default()).then_some(memory))
}

fn cpu(given: &Given) -> Result<Option<Cpu>> {
    let text = |flag| Ok(given.text(flag)?.unwrap_or_default().to_owned());
    let cpu = Cpu {
        shares: given.number(&flags::CPU_SHARE)?,
        quota: given.number(&flags::CPU_QUOTA)?,
        burst: given.number(&flags::CPU_BURST)?,
        period: given.number(&flags::CPU_PERIOD)?,
        realtime_runtime: given.number(&flags::CPU_RT_RUNTIME)?,
        realtime_period: given.number(&flags::CPU_RT_PERIOD)?,
        cpus: text(&flags::CPUSET_CPUS)?,
        mems: text(&flags::CPUSET_MEMS)?,
        idle: given.number(&flags::CPU_IDLE)?,
    };
    Ok((cpu != Cpu::default()).then_some(cpu))
}

fn bytes(given: &Given, flag: &Flag) -> Result<Option<i64>> {
    let Some(text) = given.text(flag)? else { return Ok(None) };
    match size(text) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(Error::refused(format!(
            "invalid value for --{}: {text:?}: it is a number of bytes such as 512m or 1.5GiB, or -1",
            flag.long
        ))),
    }
}

/// A number of bytes: a decimal number with a binary unit (`k`, `m`, `g`, `t`, `p`, then `b` or `ib`, in any case), or -1.
fn size(text: &str) -> Option<i64> {
    if text == "-1" {
        return Some(-1);
    }
    let end_of_number = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end_of_number);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let factor: i64 = match unit.strip_suffix('i').unwrap_or(unit) {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        "p" => 1 << 50,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = whole.parse::<i64>().ok()?.checked_mul(factor)?;
    whole.checked_add(part(fraction, factor)?)
}

/// The digits after the decimal point, of `factor`, rounded down; nine are more than enough.
fn part(fraction: &str, factor: i64) -> Option<i64> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = &fraction[..fraction.len().min(9)];
    let numerator: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let denominator = 10_i128.pow(u32::try_from(digits.len()).ok()?);
    i64::try_from(i128::from(factor) * numerator / denominator).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::grammar::FlagsEnd;
    use super::super::parse::parse;
    use super::super::verbs::VERBS;
    use super::*;

    #[test]
    fn sizes() {
        let known = [
            ("0", 0),
            ("-1", -1),
            ("1024", 1024),
            ("1k", 1024),
            ("512m", 512 << 20),
            ("512MB", 512 << 20),
            ("2 GiB", 2 << 30),
            ("1.5g", 3 << 29),
            ("1.5", 1),
            ("32b", 32),
        ];
        for (text, bytes) in known {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for bad in ["", "m", "-2", "1x", "1..5", "1.5.5", "1 0", "9999999p", "0x10", "1mm"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_size_is_survived(text: String) {
            prop_assert!(size(&text).is_none_or(|bytes| bytes >= -1));
        }
    }

    #[test]
    fn only_what_was_given_is_set() {
        let verb = VERBS.iter().find(|verb| verb.name == "update").expect("a verb");
        let words = "web --memory 1g --cpu-quota=-1 --pids-limit 10".split(' ').map(Into::into);
        let words: Vec<_> = words.collect();
        let given = parse(&words, verb.flags, FlagsEnd::Never).expect("flags");
        let resources = from_flags(&given).expect("values");
        assert_eq!(
            serde_json::to_value(&resources).expect("plain data"),
            serde_json::json!({
                "memory": {"limit": 1 << 30},
                "cpu": {"quota": -1},
                "pids": {"limit": 10},
            })
        );
    }
}
