//! Labels of the Linux security modules AppArmor and SELinux.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::procfs::Procfs;
use crate::error::{Call, Context, Error, Result};
use crate::sys::xattr;

/// Whether AppArmor is enabled on this machine.
pub fn apparmor_is_enabled() -> bool {
    let parameter = std::fs::read("/sys/module/apparmor/parameters/enabled");
    parameter.is_ok_and(|value| value.first() == Some(&b'Y'))
}

/// Whether SELinux is enabled on this machine: its file system is there, with a policy loaded.
pub fn selinux_is_enabled() -> bool {
    Path::new("/sys/fs/selinux/enforce").exists()
}

/// Refuses labels that no module of this machine would enforce.
pub fn check_supported(
    apparmor_profile: Option<&str>,
    selinux_label: Option<&str>,
    mount_label: Option<&CStr>,
) -> Result<()> {
    if apparmor_profile.is_some() && !apparmor_is_enabled() {
        return Err(Error::refused(
            "process.apparmorProfile: apparmor: config provided but apparmor not supported",
        ));
    }
    let labels = [
        ("process.selinuxLabel", selinux_label.is_some()),
        ("linux.mountLabel", mount_label.is_some()),
    ];
    match labels.iter().find(|(_, asked)| *asked) {
        Some((field, _)) if !selinux_is_enabled() => Err(Error::refused(format!(
            "{field}: selinux label is specified in config, but selinux is disabled or not supported"
        ))),
        _ => Ok(()),
    }
}

/// Has the next execve of this thread change to an AppArmor profile (aa_change_onexec(2)).
pub fn set_apparmor_on_exec(procfs: &Procfs, profile: &str) -> Result<()> {
    let command = format!("exec {profile}");
    // The module's own directory (Linux 5.8) is there also when another module owns the shared file.
    let result = match procfs.write("thread-self/attr/apparmor/exec", &command) {
        Err(error) if error.errno() == Some(Errno::ENOENT) => {
            procfs.write("thread-self/attr/exec", &command)
        }
        other => other,
    };
    result
        .map_err(|error| match error.errno() {
            Some(Errno::ENOENT) => error.hint("is the profile loaded? apparmor_parser(8) loads it"),
            _ => error,
        })
        .context("unable to apply apparmor profile")
}

/// Has the next execve of this thread change to an SELinux context (setexeccon(3)).
pub fn set_selinux_on_exec(procfs: &Procfs, label: &str) -> Result<()> {
    procfs.write("thread-self/attr/exec", label).context("set the SELinux label for exec")
}

/// Has keyrings that this thread makes from now on carry an SELinux context (setkeycreatecon(3)); `None` is the default again.
pub fn set_selinux_for_keys(procfs: &Procfs, label: Option<&str>) -> Result<()> {
    let label = label.unwrap_or("\0");
    procfs.write("thread-self/attr/keycreate", label).context("set the SELinux label for keyrings")
}

/// Gives a directory an SELinux context (setfilecon(3)). It may be open for its path alone.
pub fn label_directory(directory: BorrowedFd<'_>, label: &CStr) -> Result<()> {
    label_with(directory, c"security.selinux", label.to_bytes_with_nul())
}

fn label_with(directory: BorrowedFd<'_>, attribute: &CStr, label: &[u8]) -> Result<()> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let opened = openat(directory, ".", flags, Mode::empty()).call(|| "openat(\".\")")?;
    xattr::set(opened.as_fd(), attribute, label).call(|| format!("fsetxattr({attribute:?})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_open_for_its_path_gets_its_label() {
        let directory = tempfile::tempdir().unwrap();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let fd = nix::fcntl::open(directory.path(), flags, Mode::empty()).unwrap();
        label_with(fd.as_fd(), c"user.etui", b"label").unwrap();
        let readonly = label_with(fd.as_fd(), c"nonsense", b"label").unwrap_err().to_string();
        assert!(readonly.starts_with("fsetxattr(\"nonsense\")"), "{readonly}");
    }

    #[test]
    fn nothing_asked_is_supported_everywhere() {
        assert!(check_supported(None, None, None).is_ok());
    }
}
