//! To whom a container's cgroup is handed, and what below it, so that the container can make cgroups of its own there.

use std::collections::BTreeMap;

use nix::unistd::Uid;

use crate::error::{Error, Result};
use crate::kernel::id_maps::IdMap;
use crate::kernel::namespaces::{Namespace, Namespaces};
use crate::spec::Spec;

/// The host's id of the container's user where it shall own the cgroup (config-linux.md, "Cgroup ownership"): in a
/// user namespace, with a cgroup namespace of its own and the hierarchy mounted writable in it.
pub fn plan(spec: &Spec, namespaces: &Namespaces, uid_map: &[IdMap]) -> Option<Uid> {
    let separate = namespaces.creates(Namespace::User) && namespaces.creates(Namespace::Cgroup);
    if !separate || !mounts_hierarchy_writable(spec) {
        return None;
    }
    let user = spec.process.as_ref().map_or(0, |process| process.user.uid);
    uid_map
        .iter()
        .find(|map| (map.inside..map.inside.saturating_add(map.size)).contains(&user))
        .and_then(|map| map.outside.checked_add(user - map.inside))
        .map(Uid::from_raw)
}

/// The annotation of crun's that has the container's process in a cgroup below its own.
const DELEGATED: &str = "run.oci.delegate-cgroup";

/// The name of the cgroup that the container's process is in, below the one that has its limits; none without the
/// annotation.
pub fn delegated(annotations: &BTreeMap<String, String>) -> Result<Option<String>> {
    let name = annotations.get(DELEGATED).map(|name| name.trim_start_matches('/'));
    name.filter(|name| !name.is_empty()).map(|name| cgroup_name(DELEGATED, name)).transpose()
}

/// The name of one cgroup, as an annotation gives it.
pub fn cgroup_name(annotation: &str, name: &str) -> Result<String> {
    match matches!(name, "." | "..") || name.contains(['/', '\n', '\0']) {
        true => Err(Error::refused(format!(
            "annotations[{annotation:?}]: {name:?} is not the name of one cgroup"
        ))),
        false => Ok(name.to_owned()),
    }
}

/// The last of two contrary options is in force.
fn mounts_hierarchy_writable(spec: &Spec) -> bool {
    spec.mounts.iter().filter(|mount| matches!(mount.kind.as_str(), "cgroup" | "cgroup2")).any(
        |mount| {
            let access =
                mount.options.iter().rev().find(|option| matches!(option.as_str(), "ro" | "rw"));
            access.is_none_or(|option| option == "rw")
        },
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::namespaces;

    fn owner(options: &[&str], namespaces: &[&str], uid: u32) -> Option<u32> {
        let namespaces: Vec<_> = namespaces.iter().map(|kind| json!({ "type": kind })).collect();
        let spec: Spec = serde_json::from_value(json!({
            "ociVersion": "1.3.0",
            "process": { "cwd": "/", "args": ["x"], "user": { "uid": uid, "gid": 0 } },
            "mounts": [{ "destination": "/sys/fs/cgroup", "type": "cgroup", "options": options }],
            "linux": { "namespaces": namespaces },
        }))
        .expect("a spec");
        let planned = namespaces::plan(spec.linux.as_ref().expect("linux")).expect("namespaces");
        let map = [IdMap { inside: 0, outside: 100_000, size: 1000 }];
        plan(&spec, &planned, &map).map(Uid::as_raw)
    }

    #[test]
    fn a_delegated_cgroup_is_one_below() {
        let asked = |name: &str| delegated(&[(DELEGATED.to_owned(), name.to_owned())].into());
        assert_eq!(delegated(&BTreeMap::new()).unwrap(), None);
        assert_eq!(asked("").unwrap(), None);
        assert_eq!(asked("/init").unwrap(), Some("init".to_owned()));
        for bad in ["..", ".", "/../x", "a/b", "a\0"] {
            let error = asked(bad).unwrap_err().to_string();
            assert!(error.starts_with("annotations[\"run.oci.delegate-cgroup\"]: "), "{error}");
        }
    }

    #[test]
    fn the_containers_user_owns_a_writable_cgroup_of_a_user_namespace() {
        let both = ["user", "cgroup"];
        assert_eq!(owner(&[], &both, 0), Some(100_000));
        assert_eq!(owner(&["ro", "rw"], &both, 33), Some(100_033));
        assert_eq!(owner(&["nosuid", "ro"], &both, 0), None);
        assert_eq!(owner(&[], &["user"], 0), None);
        assert_eq!(owner(&[], &["cgroup"], 0), None);
        assert_eq!(owner(&[], &both, 5000), None);
    }
}
