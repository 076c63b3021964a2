//! `linux.resources.blockIO`.

use super::{UNLIMITED, field};
use crate::error::{Error, Result};
use crate::kernel::cgroup::limits::{Otherwise, Write};
use crate::spec::resources::{BlockIo, ThrottleDevice, WeightDevice};

/// Weights, then rates.
pub(super) fn writes(wanted: &BlockIo) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    if let Some(weight) = asked(wanted.weight) {
        writes.push(weigh(field("blockIO.weight"), "", weight)?);
    }
    for (position, device) in wanted.weight_device.iter().enumerate() {
        writes.extend(device_weight(position, device)?);
    }
    writes.extend(rates("throttleReadBpsDevice", "rbps", &wanted.throttle_read_bps_device));
    writes.extend(rates("throttleWriteBpsDevice", "wbps", &wanted.throttle_write_bps_device));
    writes.extend(rates("throttleReadIOPSDevice", "riops", &wanted.throttle_read_iops_device));
    writes.extend(rates("throttleWriteIOPSDevice", "wiops", &wanted.throttle_write_iops_device));
    Ok(writes)
}

/// 0 means: not asked for.
fn asked(weight: Option<u16>) -> Option<u16> {
    weight.filter(|weight| *weight != 0)
}

/// config-linux.md, "Block IO": "You MUST specify at least one of weight or leafWeight in a given entry".
fn device_weight(position: usize, device: &WeightDevice) -> Result<Option<Write>> {
    let name = field(&format!("blockIO.weightDevice[{position}]"));
    if device.weight.is_none() && device.leaf_weight.is_none() {
        return Err(Error::refused(format!("{name}: has neither weight nor leafWeight")));
    }
    let place = format!("{}:{} ", device.major, device.minor);
    asked(device.weight).map(|weight| weigh(name, &place, weight)).transpose()
}

/// The BFQ scheduler takes cgroup v1's scale (10 to 1000); without it the cost model takes version 2's (1 to 10000).
fn weigh(name: String, device: &str, weight: u16) -> Result<Write> {
    if !(10..=1000).contains(&weight) {
        return Err(Error::refused(format!("{name}: {weight} is not between 10 and 1000")));
    }
    let scaled = 1 + (u32::from(weight) - 10) * 9999 / 990;
    let instead =
        Otherwise::Instead { file: "io.weight".to_owned(), text: format!("{device}{scaled}") };
    Ok(Write::new(name, "io.bfq.weight", format!("{device}{weight}")).or(instead))
}

/// `io.max` takes one device in a write; a rate of 0 means: no limit, as on cgroup v1.
fn rates(name: &str, key: &str, devices: &[ThrottleDevice]) -> Vec<Write> {
    let one = |(position, device): (usize, &ThrottleDevice)| {
        let rate = match device.rate {
            0 => UNLIMITED.to_owned(),
            rate => rate.to_string(),
        };
        let text = format!("{}:{} {key}={rate}", device.major, device.minor);
        Write::new(field(&format!("blockIO.{name}[{position}]")), "io.max", text)
    };
    devices.iter().enumerate().map(one).collect()
}
