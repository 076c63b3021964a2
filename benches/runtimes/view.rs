//! The private view of the machine everything runs in: namespaces of its own for mounts, cgroups and processes, a tmpfs
//! for state, a tree's libraries.
//!
//! The namespaces are also a fence: a runtime that takes the root of the hierarchy for its container's cgroup (crun does
//! for an empty `cgroupsPath`) and kills what is in it can reach nobody but us.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::Result;

/// The word by which this program calls itself inside the view.
pub const INSIDE: &str = "--inside";

const CGROUPS: &str = "/sys/fs/cgroup";
const NONE: Option<&str> = None;

/// Makes the view, and runs this program again as its first process, with the same arguments; answers its exit code.
pub fn run_inside() -> Result<i32> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(NONE, "/", NONE, MsFlags::MS_PRIVATE | MsFlags::MS_REC, NONE)?;
    // What lies there may be the controllers of version 1.
    let _ = umount2(CGROUPS, MntFlags::MNT_DETACH);
    mount(Some("none"), CGROUPS, Some("cgroup2"), MsFlags::empty(), NONE)?;
    let ours = Path::new(CGROUPS).join(format!("etui-bench-{}", std::process::id()));
    fs::create_dir(&ours)?;
    fs::write(ours.join("cgroup.procs"), "0")?;
    // A cgroup with processes can't hand controllers down: once the view is made, we leave its root by this file.
    let mut way_back =
        fs::File::options().write(true).open(Path::new(CGROUPS).join("cgroup.procs"))?;
    unshare(CloneFlags::CLONE_NEWCGROUP | CloneFlags::CLONE_NEWPID)?;
    let mut inside = Command::new(std::env::current_exe()?)
        .arg(INSIDE)
        .args(std::env::args().skip(1))
        .spawn()?;
    way_back.write_all(b"0")?;
    let status = inside.wait()?;
    remove(&ours)?;
    Ok(status.code().unwrap_or(1))
}

/// Removes a cgroup and all below it; their processes ended with the namespace's first one.
fn remove(cgroup: &Path) -> Result<()> {
    for entry in fs::read_dir(cgroup)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    Ok(fs::remove_dir(cgroup)?)
}

/// Finishes the view from inside; answers a directory on a tmpfs that vanishes with us.
pub fn furnish() -> Result<PathBuf> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), NONE)?;
    umount2(CGROUPS, MntFlags::MNT_DETACH)?;
    mount(Some("none"), CGROUPS, Some("cgroup2"), MsFlags::empty(), NONE)?;
    let bench = Path::new(CGROUPS).join("bench");
    fs::create_dir(&bench)?;
    fs::write(bench.join("cgroup.procs"), "0")?;
    let scratch = std::env::temp_dir().join("etui-bench");
    fs::create_dir_all(&scratch)?;
    mount(Some("tmpfs"), &scratch, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    Ok(scratch)
}

/// Puts the libraries of `tree` over our own, so that its programs find them; from here on our own may not run.
pub fn use_libraries_of(tree: &Path) -> Result<()> {
    let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let own = Path::new("/").join(&libraries);
    Ok(mount(Some(&tree.join(&libraries)), &own, NONE, MsFlags::MS_BIND, NONE)?)
}
