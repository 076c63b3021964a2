//! What the mount namespace holds first: the root's tree alone, unless the host's is needed beside it.

use etui::kernel::rootfs::{Beginning, Switch};
use serde_json::{Value, json};

use crate::host;
use crate::refusals::planned;

#[track_caller]
fn begins(change: &Value, switch: Switch) -> Beginning {
    planned(change, &host(), switch).expect("a plan").rootfs.beginning
}

fn mounts(mount: Value) -> Value {
    json!({ "mounts": [mount] })
}

#[test]
fn with_the_root_alone() {
    for change in [
        json!({}),
        mounts(json!({"destination": "/proc", "type": "proc", "source": "proc"})),
        mounts(
            json!({"destination": "/tmp", "type": "tmpfs", "options": ["size=1m", "tmpcopyup"]}),
        ),
        mounts(json!({"destination": "/sys/fs/cgroup", "type": "cgroup"})),
        mounts(json!({"destination": "/data", "source": "/srv", "options": ["rbind", "ro"]})),
        json!({"linux": {"rootfsPropagation": "rprivate"}}),
        json!({"hooks": {"startContainer": [{"path": "/a"}], "poststart": [{"path": "/a"}]}}),
    ] {
        assert_eq!(begins(&change, Switch::Pivot), Beginning::RootAlone, "{change}");
    }
}

#[test]
fn with_the_hosts_tree_where_it_is_needed() {
    let long = format!("lowerdir=/{}", "a".repeat(300));
    let map = json!([{"containerID": 0, "hostID": 1000, "size": 10}]);
    for change in [
        json!({"hooks": {"prestart": [{"path": "/a"}]}}),
        json!({"hooks": {"createRuntime": [{"path": "/a"}]}}),
        json!({"hooks": {"createContainer": [{"path": "/a"}]}}),
        json!({"linux": {"rootfsPropagation": "rshared"}}),
        json!({"linux": {"rootfsPropagation": "slave"}}),
        json!({"linux": {"namespaces": [{"type": "mount", "path": "/proc/7/ns/mnt"}]}}),
        json!({"linux": {
            "namespaces": [{"type": "mount"}, {"type": "user"}], "uidMappings": map, "gidMappings": map
        }}),
        mounts(json!({"destination": "/disk", "type": "ext4", "source": "/dev/sda1"})),
        mounts(json!({"destination": "/merged", "type": "overlay", "options": ["lowerdir=/a:/b"]})),
        mounts(json!({"destination": "/tmp", "type": "tmpfs", "options": [long]})),
        mounts(
            json!({"destination": "/l", "source": "/link", "options": ["bind", "copy-symlink"]}),
        ),
        mounts(json!({"destination": "/", "type": "tmpfs", "options": ["remount", "size=1m"]})),
    ] {
        assert_eq!(begins(&change, Switch::Pivot), Beginning::HostsTree, "{change}");
    }
    assert_eq!(begins(&json!({}), Switch::MoveAndChroot), Beginning::HostsTree);
}
