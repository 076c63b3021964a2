//! The global flags: where the state of containers is, who makes cgroups, where the log goes. Follows runc's rules for
//! defaults; knows the environment.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use nix::unistd::geteuid;

use super::flags;
use super::log::{self, Format};
use super::parse::Given;
use crate::error::{Call, Context, Error, Result};
use crate::lifecycle::{CgroupManager, Global, Rootless};
use crate::{timeline, warning};

const SYSTEM_ROOT: &str = "/run/etui";

/// Opens the log that the flags ask for.
pub fn open_log(given: &Given) -> Result<()> {
    // Judged before anything can be logged in the wrong format.
    let format = Format::named(given.text(&flags::LOG_FORMAT)?.unwrap_or("text"))?;
    log::open(given.path(&flags::LOG).as_deref(), format)?;
    warning::print_with(log::warning);
    if given.switch(&flags::DEBUG)? {
        log::debug(&format!("{:?}", crate::sys::entry::arguments()));
    }
    Ok(())
}

/// Begins the timeline that `--timeline` asks for.
pub fn begin_timeline(given: &Given, verb: &str) -> Result<()> {
    match given.absolute_path(&flags::TIMELINE)? {
        Some(file) => timeline::begin(&file, verb),
        None => Ok(()),
    }
}

/// What every verb is told by the global flags.
pub fn read(given: &Given) -> Result<Global> {
    let root = match given.path(&flags::ROOT) {
        Some(root) => chosen_root(&root)?,
        None => default_root()?,
    };
    let cgroup_manager = match given.switch(&flags::SYSTEMD_CGROUP)? {
        true => CgroupManager::Systemd,
        false => cgroup_manager_named(given.text(&flags::CGROUP_MANAGER)?.unwrap_or("cgroupfs"))?,
    };
    let rootless = rootless_named(given.text(&flags::ROOTLESS)?.unwrap_or("auto"))?;
    Ok(Global { root, cgroup_manager, rootless })
}

/// crun's form of `--systemd-cgroup`.
fn cgroup_manager_named(name: &str) -> Result<CgroupManager> {
    match name {
        "cgroupfs" => Ok(CgroupManager::Cgroupfs),
        "systemd" => Ok(CgroupManager::Systemd),
        "disabled" => Ok(CgroupManager::Disabled),
        _ => Err(Error::refused(format!(
            "--cgroup-manager is cgroupfs, systemd or disabled, not {name:?}"
        ))),
    }
}

fn rootless_named(name: &str) -> Result<Rootless> {
    match name {
        "auto" => Ok(Rootless::Auto),
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Rootless::Yes),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Rootless::No),
        _ => Err(Error::refused(format!("--rootless is true, false or auto, not {name:?}"))),
    }
}

/// The directory that `--root` names, absolute.
fn chosen_root(root: &Path) -> Result<PathBuf> {
    let root = std::path::absolute(root).call(|| "getcwd()").context("--root")?;
    let root = without_dots(&root);
    if root == Path::new("/") {
        // Every directory of the file system would pass for a container, and `delete` removes directories.
        return Err(Error::refused("option --root argument should not be set to /"));
    }
    Ok(root)
}

/// An absolute path with `.` and `..` worked out by its text alone.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::Normal(name) => plain.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    plain
}

fn default_root() -> Result<PathBuf> {
    let Some(runtime_dir) = env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty()) else {
        return Ok(SYSTEM_ROOT.into());
    };
    if !is_not_the_systems_root() {
        return Ok(SYSTEM_ROOT.into());
    }
    let root = Path::new(&runtime_dir).join("etui");
    fs::create_dir_all(&root).call(|| format!("mkdir({root:?})"))?;
    // The sticky bit keeps clean-up services from removing it (XDG Base Directory Specification, XDG_RUNTIME_DIR).
    fs::set_permissions(&root, Permissions::from_mode(0o1700))
        .call(|| format!("chmod({root:?}, 01700)"))?;
    Ok(root)
}

/// Root in a user namespace that someone else made, and that doesn't say it is root by name, is an ordinary user.
fn is_not_the_systems_root() -> bool {
    if !geteuid().is_root() {
        return true;
    }
    is_in_user_namespace() && env::var_os("USER").as_deref() != Some(OsStr::new("root"))
}

/// The initial user namespace maps every id to itself (user_namespaces(7)).
fn is_in_user_namespace() -> bool {
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else { return false };
    map.split_ascii_whitespace().ne(["0", "0", "4294967295"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_absolute_and_not_the_whole_system() {
        let here = env::current_dir().expect("cwd");
        assert_eq!(chosen_root(Path::new("a/../b/.")).expect("fine"), here.join("b"));
        assert_eq!(chosen_root(Path::new("/x//y")).expect("fine"), Path::new("/x/y"));
        for bad in ["/", "//", "/..", "/a/..", "/a/../.."] {
            chosen_root(Path::new(bad)).expect_err(bad);
        }
    }

    #[test]
    fn rootless_is_one_of_three() {
        assert_eq!(rootless_named("auto").expect("known"), Rootless::Auto);
        assert_eq!(rootless_named("true").expect("known"), Rootless::Yes);
        assert_eq!(rootless_named("False").expect("known"), Rootless::No);
        rootless_named("maybe").expect_err("unknown");
    }
}
