//! From `linux.devices` to device nodes (config-linux.md, "Devices" and "Default Devices").

use std::path::{Path, PathBuf};

use super::refuse;
use crate::error::{Context, Error, Result};
use crate::kernel::devices::{Node, NodeKind};
use crate::kernel::mounts::Mount;
use crate::spec::linux::Device;

/// The nodes every container is supplied with, and may use whatever its device rules say: path, major and minor number of
/// a character device. `/dev/console` and `/dev/ptmx` come with the terminal.
pub(super) const DEFAULT: &[(&str, u32, u32)] = &[
    ("/dev/null", 1, 3),
    ("/dev/random", 1, 8),
    ("/dev/full", 1, 7),
    ("/dev/tty", 5, 0),
    ("/dev/zero", 1, 5),
    ("/dev/urandom", 1, 9),
];

/// Plans the default nodes and those of `config.json`, which override them. Where something is mounted, no default is made.
pub fn plan(devices: &[Device], mounts: &[Mount]) -> Result<Vec<Node>> {
    let mut nodes: Vec<Node> = Vec::with_capacity(DEFAULT.len() + devices.len());
    for (position, device) in devices.iter().enumerate() {
        let node = one(device).with_context(|| format!("linux.devices[{position}]"))?;
        nodes.retain(|earlier| earlier.path != node.path);
        nodes.push(node);
    }
    for (path, major, minor) in DEFAULT {
        let path = Path::new(path);
        let mounted = mounts.iter().any(|mount| mount.destination == path);
        if !mounted && !nodes.iter().any(|node| node.path == path) {
            let kind = NodeKind::Character((*major).into(), (*minor).into());
            nodes.push(Node { path: PathBuf::from(path), kind, mode: 0o666, uid: 0, gid: 0 });
        }
    }
    Ok(nodes)
}

fn one(device: &Device) -> Result<Node> {
    if !device.path.is_absolute() {
        return Err(Error::refused(format!("path: {:?} is not absolute", device.path)));
    }
    refuse::null_byte("path", &device.path)?;
    let number = |field: &str, value: i64| {
        u64::try_from(value).map_err(|_| Error::refused(format!("{field}: {value} is negative")))
    };
    let kind = match device.kind.as_str() {
        "c" | "u" => {
            NodeKind::Character(number("major", device.major)?, number("minor", device.minor)?)
        }
        "b" => NodeKind::Block(number("major", device.major)?, number("minor", device.minor)?),
        "p" => NodeKind::Fifo,
        other => return Err(Error::refused(format!("type: {other:?} is none of c, u, b, p"))),
    };
    Ok(Node {
        path: device.path.components().collect(),
        kind,
        mode: device.file_mode.unwrap_or(0o666) & 0o7777,
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_device_overrides_the_default_of_its_path() {
        let listed = Device {
            path: "/dev/null".into(),
            kind: "c".into(),
            major: 1,
            minor: 3,
            file_mode: Some(0o600),
            ..Device::default()
        };
        let nodes = plan(&[listed], &[]).unwrap();
        assert_eq!(nodes.len(), DEFAULT.len());
        assert_eq!(nodes[0].mode, 0o600);
    }

    #[test]
    fn an_unknown_type_is_refused_by_its_path() {
        let device = Device { path: "/dev/x".into(), kind: "q".into(), ..Device::default() };
        let error = plan(&[device], &[]).unwrap_err().to_string();
        assert_eq!(error, "linux.devices[0]: type: \"q\" is none of c, u, b, p");
    }
}
