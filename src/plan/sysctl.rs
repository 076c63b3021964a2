//! From `linux.sysctl` to files to write: only parameters of a namespace of the container's own, never the host's.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::kernel::namespaces::{Namespace, Namespaces};
use crate::kernel::sysctl::Sysctl;

/// Parameters of an ipc namespace (ipc_namespaces(7)); all of `fs.mqueue` too.
const OF_IPC: [&str; 11] = [
    "kernel.auto_msgmni",
    "kernel.msg_next_id",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_next_id",
];

/// Plans `linux.sysctl`.
pub fn plan(sysctls: &BTreeMap<String, String>, namespaces: &Namespaces) -> Result<Vec<Sysctl>> {
    sysctls.iter().map(|(name, value)| one(name, value, namespaces)).collect()
}

fn one(name: &str, value: &str, namespaces: &Namespaces) -> Result<Sysctl> {
    let segments = segments(name);
    let strange =
        |segment: &String| matches!(segment.as_str(), "" | "." | "..") || segment.contains('\0');
    if segments.iter().any(strange) {
        return Err(Error::refused(format!(
            "linux.sysctl: {name:?} is not a valid parameter name"
        )));
    }
    let dotted = segments.join(".");
    check_namespace(name, &dotted, namespaces)?;
    Ok(Sysctl {
        name: name.to_owned(),
        path: format!("sys/{}", segments.join("/")),
        value: value.to_owned(),
    })
}

/// As sysctl(8) reads names: whichever of `.` and `/` comes first separates, the other one stands for it inside a part
/// (`net.ipv4.conf.eth0/100.rp_filter` is of the device `eth0.100`).
fn segments(name: &str) -> Vec<String> {
    let separator = name.chars().find(|character| matches!(character, '.' | '/')).unwrap_or('.');
    match separator {
        '/' => name.split('/').map(str::to_owned).collect(),
        _ => name.split('.').map(|part| part.replace('/', ".")).collect(),
    }
}

fn check_namespace(name: &str, dotted: &str, namespaces: &Namespaces) -> Result<()> {
    let needed = match dotted {
        "kernel.hostname" => {
            return Err(Error::refused(format!(
                "linux.sysctl: {name:?} is not allowed as it conflicts with the OCI \"hostname\" field"
            )));
        }
        "kernel.domainname" => Namespace::Uts,
        ipc if OF_IPC.contains(&ipc) || ipc.starts_with("fs.mqueue.") => Namespace::Ipc,
        net if net.starts_with("net.") => Namespace::Network,
        user if user.starts_with("user.") => Namespace::User,
        _ => {
            return Err(Error::refused(format!(
                "linux.sysctl: {name:?} is not in a separate kernel namespace"
            ))
            .hint("it would change the whole host"));
        }
    };
    if namespaces.separates(needed) {
        return Ok(());
    }
    Err(Error::refused(format!(
        "linux.sysctl: {name:?} is not allowed in the host's {} namespace",
        needed.name()
    ))
    .hint(format!("add {{\"type\": {:?}}} to linux.namespaces", needed.name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(name: &str, own: &[Namespace]) -> Result<String> {
        let namespaces = Namespaces { create: own.to_vec(), ..Namespaces::default() };
        let sysctls = BTreeMap::from([(name.to_owned(), "1".to_owned())]);
        Ok(plan(&sysctls, &namespaces)?.remove(0).path)
    }

    #[test]
    fn both_notations_lead_to_the_same_file() {
        let table = [
            ("net.ipv4.ip_forward", "sys/net/ipv4/ip_forward"),
            ("net/ipv4/ip_forward", "sys/net/ipv4/ip_forward"),
            ("net.ipv4.conf.eth0/100.rp_filter", "sys/net/ipv4/conf/eth0.100/rp_filter"),
            ("net/ipv4/conf/eth0.100/rp_filter", "sys/net/ipv4/conf/eth0.100/rp_filter"),
        ];
        for (name, path) in table {
            assert_eq!(planned(name, &[Namespace::Network]).unwrap(), path, "{name}");
        }
    }

    #[test]
    fn each_parameter_needs_its_own_namespace() {
        let table = [
            ("net.core.somaxconn", Namespace::Network),
            ("kernel.shmmax", Namespace::Ipc),
            ("fs.mqueue.msg_max", Namespace::Ipc),
            ("kernel.domainname", Namespace::Uts),
            ("user.max_net_namespaces", Namespace::User),
        ];
        for (name, needed) in table {
            planned(name, &[needed]).unwrap();
            let others: Vec<Namespace> =
                Namespace::ALL.into_iter().filter(|other| *other != needed).collect();
            assert!(planned(name, &others).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_the_hosts_or_another_fields_is_refused() {
        let names = [
            "kernel.core_pattern",
            "kernel.hostname",
            "vm.swappiness",
            "net",
            "",
            "net/ipv4/../../kernel/core_pattern",
            "net..ipv4",
            "net.ipv4.//.x",
        ];
        for name in names {
            assert!(planned(name, &Namespace::ALL).is_err(), "{name}");
        }
    }
}
