//! `linux.resources.devices`, and the rules no configuration can drop.

use std::path::Path;

use super::field;
use crate::error::{Context, Error, Result};
use crate::host::{Host, UserNamespace};
use crate::kernel::cgroup::device_rules::{Access, DeviceKind, DeviceRule, Devices, Verdict};
use crate::kernel::cgroup::devices::{DeviceFilter, WithoutRights};
use crate::plan::devices as nodes;
use crate::spec::Linux;
use crate::spec::resources::DeviceRule as Asked;

/// Those without a node in every container: pseudo-terminals of devpts, its multiplexer, tun interfaces.
const DEFAULT_DEVICES: &[(u32, Option<u32>)] = &[(136, None), (5, Some(2)), (10, Some(200))];

/// The filter for the rules of `linux.resources.devices` with the default ones after them. Where none is configured,
/// only the default devices are allowed.
pub fn device_filter(linux: &Linux, host: &Host) -> Result<DeviceFilter> {
    let asked = linux.resources.iter().flat_map(|resources| &resources.devices);
    let without_rights = match (host.user_namespace, host.is_rootless(), asked.clone().next()) {
        (UserNamespace::Nested, ..) | (_, true, None) => WithoutRights::PassOver,
        (_, true, Some(_)) => WithoutRights::Warn,
        (_, false, _) => WithoutRights::Fail,
    };
    let mut rules = asked
        .enumerate()
        .map(|(position, asked)| {
            rule(asked).with_context(|| field(&format!("devices[{position}]")))
        })
        .collect::<Result<Vec<_>>>()?;
    rules.extend(default_rules(linux));
    Ok(DeviceFilter { rules, without_rights })
}

fn rule(asked: &Asked) -> Result<DeviceRule> {
    let kind = match asked.kind.as_str() {
        "" | "a" => None,
        "b" => Some(DeviceKind::Block),
        "c" => Some(DeviceKind::Character),
        other => return Err(Error::refused(format!("type: {other:?} is none of a, b, c"))),
    };
    let (major, minor) = (number("major", asked.major)?, number("minor", asked.minor)?);
    Ok(DeviceRule {
        verdict: if asked.allow { Verdict::Allow } else { Verdict::Deny },
        devices: kind.map_or(Devices::All, |kind| Devices::Named { kind, major, minor }),
        access: access(&asked.access)?,
    })
}

fn number(name: &str, value: Option<i64>) -> Result<Option<u32>> {
    match value {
        None | Some(-1) => Ok(None),
        Some(value) => u32::try_from(value)
            .map(Some)
            .map_err(|_| Error::refused(format!("{name}: {value} is not a valid device number"))),
    }
}

fn access(letters: &str) -> Result<Access> {
    Access::parse(letters)
        .filter(|_| !letters.is_empty())
        .ok_or_else(|| Error::refused(format!("access: {letters:?} is not made of r, w and m")))
}

/// Any node may be made: what is made can't be opened for all that.
fn default_rules(linux: &Linux) -> Vec<DeviceRule> {
    let configured = |path: &str| linux.devices.iter().any(|device| device.path == Path::new(path));
    let mknod = [DeviceKind::Character, DeviceKind::Block]
        .map(|kind| allow(Devices::Named { kind, major: None, minor: None }, Access::MKNOD));
    // A container without them is none. A node of the configuration at the same path takes the place of the rule too.
    let nodes = nodes::DEFAULT
        .iter()
        .filter(|(path, ..)| !configured(path))
        .map(|(_, major, minor)| allow(character(*major, Some(*minor)), Access::ALL));
    let devices =
        DEFAULT_DEVICES.iter().map(|(major, minor)| allow(character(*major, *minor), Access::ALL));
    mknod.into_iter().chain(nodes).chain(devices).collect()
}

fn allow(devices: Devices, access: Access) -> DeviceRule {
    DeviceRule { verdict: Verdict::Allow, devices, access }
}

fn character(major: u32, minor: Option<u32>) -> Devices {
    Devices::Named { kind: DeviceKind::Character, major: Some(major), minor }
}
