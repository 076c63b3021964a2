//! From `linux.netDevices` to interfaces that move (config-linux.md, "Network Devices").

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::host::Host;
use crate::kernel::namespaces::{Namespace, Namespaces};
use crate::kernel::net_devices::NetDevice;
use crate::spec::linux;

/// `IFNAMSIZ` less the zero byte (netdevice(7)).
const LONGEST_NAME: usize = 15;

/// Plans which interfaces of the host move into the container.
pub fn plan(
    devices: &BTreeMap<String, linux::NetDevice>,
    namespaces: &Namespaces,
    host: &Host,
) -> Result<Vec<NetDevice>> {
    if devices.is_empty() {
        return Ok(Vec::new());
    }
    if !namespaces.separates(Namespace::Network) {
        return Err(Error::refused(
            "linux.netDevices: unable to move network devices without a private NET namespace",
        )
        .hint("add {\"type\": \"network\"} to linux.namespaces"));
    }
    if host.is_rootless() {
        return Err(Error::refused(
            "linux.netDevices: network devices are not supported for rootless containers",
        ));
    }
    let mut taken = BTreeSet::new();
    let mut planned = Vec::new();
    for (name, device) in devices {
        let new_name = if device.name.is_empty() { name } else { &device.name };
        check_name(name, name)?;
        check_name(name, new_name)?;
        if !taken.insert(new_name) {
            return Err(Error::refused(format!(
                "linux.netDevices.{name}.name: {new_name:?} is the name of another one too"
            )));
        }
        planned.push(NetDevice { name: name.clone(), new_name: new_name.clone() });
    }
    Ok(planned)
}

/// As the kernel judges (dev_valid_name() in net/core/dev.c).
fn check_name(device: &str, name: &str) -> Result<()> {
    let odd = |byte: u8| byte == b'/' || byte == b':' || byte.is_ascii_whitespace() || byte == 0;
    let valid =
        !matches!(name, "" | "." | "..") && name.len() <= LONGEST_NAME && !name.bytes().any(odd);
    match valid {
        true => Ok(()),
        false => Err(Error::refused(format!(
            "linux.netDevices.{device}: invalid network device name {name:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::UserNamespace;

    fn planned(devices: &[(&str, &str)], namespaces: &[Namespace]) -> Result<Vec<NetDevice>> {
        let devices = devices
            .iter()
            .map(|(name, new)| ((*name).to_owned(), linux::NetDevice { name: (*new).to_owned() }));
        let namespaces = Namespaces { create: namespaces.to_vec(), ..Namespaces::default() };
        plan(&devices.collect(), &namespaces, &Host::default())
    }

    #[test]
    fn a_device_keeps_its_name_unless_it_gets_another() {
        let planned = planned(&[("eth0", ""), ("eth1", "inside")], &[Namespace::Network]).unwrap();
        let pairs: Vec<_> =
            planned.iter().map(|d| (d.name.as_str(), d.new_name.as_str())).collect();
        assert_eq!(pairs, [("eth0", "eth0"), ("eth1", "inside")]);
    }

    #[test]
    fn what_can_not_be_is_refused_by_field() {
        let network = &[Namespace::Network][..];
        for (devices, namespaces, words) in [
            (&[("eth0", "")][..], &[][..], "linux.netDevices: unable to move"),
            (&[("a/b", "")], network, "linux.netDevices.a/b: invalid network device name"),
            (&[("eth0", "sixteen-letters-")], network, "linux.netDevices.eth0: invalid"),
            (&[("eth0", "..")], network, "linux.netDevices.eth0: invalid"),
            (&[("a", "x"), ("b", "x")], network, "linux.netDevices.b.name: \"x\""),
        ] {
            let error = planned(devices, namespaces).unwrap_err().to_string();
            assert!(error.starts_with(words), "{error}");
        }
        assert_eq!(planned(&[], &[]).unwrap(), []);
    }

    #[test]
    fn root_of_a_user_namespace_may_move_those_that_are_there() {
        let devices = BTreeMap::from([("eth0".to_owned(), linux::NetDevice::default())]);
        let namespaces = Namespaces { create: vec![Namespace::Network], ..Namespaces::default() };
        let nested = Host { user_namespace: UserNamespace::Nested, ..Host::default() };
        assert_eq!(plan(&devices, &namespaces, &nested).unwrap().len(), 1);
        let error = plan(&devices, &namespaces, &Host { effective_uid: 1000, ..nested });
        let error = error.unwrap_err().to_string();
        assert!(error.ends_with("not supported for rootless containers"), "{error}");
    }
}
