//! The flags of `checkpoint` and `restore`.

use std::path::Path;

use super::containers::{attachment, create_options, exit_code};
use super::flags;
use super::grammar::Flag;
use super::parse::Given;
use crate::error::{Error, Result};
use crate::kernel::criu::{CgroupMode, Switch};
use crate::lifecycle::Global;
use crate::lifecycle::checkpoint::{self, Common, Extent};
use crate::lifecycle::restore;
use crate::lifecycle::run::{Afterwards, Orphans};

pub(super) fn checkpoint(global: &Global, given: &Given) -> Result<u8> {
    let options = checkpoint::Options {
        id: given.argument(0)?.to_owned(),
        criu: common(given)?,
        parent: given.path(&flags::PARENT_PATH),
        page_server: given.text(&flags::PAGE_SERVER)?.map(page_server).transpose()?,
        status_fd: given.number(&flags::STATUS_FD)?,
        extent: match given.switch(&flags::PRE_DUMP)? {
            true => Extent::Memory,
            false => Extent::All,
        },
    };
    checkpoint::checkpoint(global, &options)?;
    Ok(0)
}

pub(super) fn restore(global: &Global, given: &Given) -> Result<u8> {
    let options = restore::Options {
        create: create_options(given)?,
        criu: common(given)?,
        attachment: attachment(given)?,
        afterwards: Afterwards::Delete,
        orphans: match given.switch(&flags::NO_SUBREAPER)? {
            true => Orphans::Leave,
            false => Orphans::Adopt,
        },
        lsm_profile: given.text(&flags::LSM_PROFILE)?.map(str::to_owned),
        lsm_mount_context: given.text(&flags::LSM_MOUNT_CONTEXT)?.map(str::to_owned),
    };
    exit_code(restore::restore(global, &options)?)
}

const SWITCHES: [(&Flag, Switch); 9] = [
    (&flags::LEAVE_RUNNING, Switch::LeaveRunning),
    (&flags::EXT_UNIX_SK, Switch::ExternalUnixSockets),
    (&flags::TCP_ESTABLISHED, Switch::TcpEstablished),
    (&flags::SHELL_JOB, Switch::ShellJob),
    (&flags::FILE_LOCKS, Switch::FileLocks),
    (&flags::AUTO_DEDUP, Switch::AutoDedup),
    (&flags::LINK_REMAP, Switch::LinkRemap),
    (&flags::TCP_SKIP_IN_FLIGHT, Switch::TcpSkipInFlight),
    (&flags::LAZY_PAGES, Switch::LazyPages),
];

fn common(given: &Given) -> Result<Common> {
    let mut switches = Vec::new();
    for (flag, switch) in SWITCHES {
        if given.switch(flag)? {
            switches.push(switch);
        }
    }
    Ok(Common {
        images: given.absolute_path_or(&flags::IMAGE_PATH, Path::new("checkpoint"))?,
        work: given.absolute_path(&flags::WORK_PATH)?,
        switches,
        cgroups: cgroup_mode(given.text(&flags::MANAGE_CGROUPS_MODE)?.unwrap_or_default())?,
        empty_namespaces: empty_namespaces(&given.texts(&flags::EMPTY_NS)?)?,
    })
}

fn cgroup_mode(name: &str) -> Result<CgroupMode> {
    match name {
        "" | "soft" => Ok(CgroupMode::Soft),
        "full" => Ok(CgroupMode::Full),
        "strict" => Ok(CgroupMode::Strict),
        "ignore" => Ok(CgroupMode::Ignore),
        _ => Err(Error::refused(format!("invalid manage-cgroups-mode value: {name:?}"))),
    }
}

fn empty_namespaces(names: &[String]) -> Result<u32> {
    match names.iter().find(|name| *name != "network") {
        Some(name) => Err(Error::refused(format!("namespace {name:?} is not supported"))),
        None if names.is_empty() => Ok(0),
        None => Ok(libc::CLONE_NEWNET.cast_unsigned()),
    }
}

/// `ADDRESS:PORT`.
fn page_server(text: &str) -> Result<(String, u16)> {
    let parts =
        text.rsplit_once(':').and_then(|(address, port)| Some((address, port.parse().ok()?)));
    match parts {
        Some((address, port)) if !address.is_empty() && port > 0 => Ok((address.to_owned(), port)),
        _ => Err(Error::refused(format!(
            "Use --page-server ADDRESS:PORT to specify page server, not {text:?}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_judged_before_anything_is_done() {
        assert_eq!(page_server("::1:27").unwrap(), ("::1".to_owned(), 27));
        for bad in ["localhost", ":1", "localhost:", "localhost:x", "a:0"] {
            page_server(bad).expect_err(bad);
        }
        assert_eq!(cgroup_mode("").unwrap(), CgroupMode::Soft);
        cgroup_mode("hard").unwrap_err();
        assert_eq!(empty_namespaces(&["network".to_owned()]).unwrap(), 0x4000_0000);
        empty_namespaces(&["pid".to_owned()]).unwrap_err();
    }
}
