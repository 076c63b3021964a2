//! What a container left on the host: mounts, cgroups, processes, files of the runtime.

use std::fs;
use std::path::Path;

use super::runtime::{Kind, kind};

const CGROUP: &str = "/sys/fs/cgroup";

/// The mounts of the running test's own namespace: number and place, for options may change from elsewhere.
pub fn mounts() -> Vec<String> {
    let mountinfo = fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo");
    let of_line = |line: &str| {
        let mut words = line.split(' ');
        Some(format!("{} {}", words.next()?, words.nth(3)?))
    };
    mountinfo.lines().filter_map(of_line).collect()
}

/// Everything that is there of the container `id` whose state is kept in `root`, in words.
pub fn of(id: &str, root: &Path, mounts_before: &[String]) -> Vec<String> {
    let mut left: Vec<String> = mounts()
        .into_iter()
        .filter(|line| !mounts_before.contains(line))
        .map(|line| format!("mount {line}"))
        .collect();
    cgroups_below(Path::new(CGROUP), id, &mut left);
    left.extend(
        processes_of(id).into_iter().map(|(pid, command)| format!("process {pid}: {command}")),
    );
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let is_cache = kind() == Kind::Crun && entry.file_name().to_string_lossy().starts_with('.');
        if !is_cache {
            left.push(format!("file {}", entry.path().display()));
        }
    }
    left
}

fn cgroups_below(dir: &Path, id: &str, left: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name().to_string_lossy().contains(id) {
            left.push(format!("cgroup {}", entry.path().display()));
        }
        cgroups_below(&entry.path(), id, left);
    }
}

/// Running processes, the runtime's or the container's, that carry the id in environment, arguments or cgroup.
pub fn processes_of(id: &str) -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let read = |name: &str| {
            let bytes = fs::read(entry.path().join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let command = read("cmdline");
        let is_zombie = read("stat").rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z"));
        let carries =
            [&command, &read("environ"), &read("cgroup")].iter().any(|text| text.contains(id));
        if carries && !is_zombie {
            found.push((pid, command));
        }
    }
    found
}
