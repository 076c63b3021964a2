//! The verbs that move a container through its life: from their flags to their options.

use std::path::PathBuf;

use super::flags;
use super::parse::Given;
use super::signal;
use crate::error::{Error, Result};
use crate::kernel::keyring::Session;
use crate::kernel::rootfs::Switch;
use crate::lifecycle::Attachment;
use crate::lifecycle::Global;
use crate::lifecycle::create;
use crate::lifecycle::delete::{self, Force};
use crate::lifecycle::kill::{self, Stopped};
use crate::lifecycle::run::{self, Afterwards, Orphans};
use crate::lifecycle::{pause, start};

pub(super) fn create(global: &Global, given: &Given) -> Result<u8> {
    create::create(global, &create_options(given)?)?;
    Ok(0)
}

pub(super) fn run(global: &Global, given: &Given) -> Result<u8> {
    let options = run::Options {
        create: create_options(given)?,
        attachment: attachment(given)?,
        afterwards: match given.switch(&flags::KEEP)? {
            true => Afterwards::Keep,
            false => Afterwards::Delete,
        },
        orphans: match given.switch(&flags::NO_SUBREAPER)? {
            true => Orphans::Leave,
            false => Orphans::Adopt,
        },
    };
    exit_code(run::run(global, &options)?)
}

pub(super) fn start(global: &Global, given: &Given) -> Result<u8> {
    start::start(global, given.argument(0)?)?;
    Ok(0)
}

pub(super) fn delete(global: &Global, given: &Given) -> Result<u8> {
    let force = if given.switch(&flags::FORCE)? { Force::Yes } else { Force::No };
    delete::delete(global, given.argument(0)?, force)?;
    Ok(0)
}

pub(super) fn kill(global: &Global, given: &Given) -> Result<u8> {
    let signal = match given.argument(1)? {
        "" => libc::SIGTERM,
        name => signal::named(name)?,
    };
    let stopped = if given.switch(&flags::ALL)? { Stopped::IsFine } else { Stopped::IsAnError };
    kill::kill(global, given.argument(0)?, signal, stopped)?;
    Ok(0)
}

pub(super) fn pause(global: &Global, given: &Given) -> Result<u8> {
    pause::pause(global, given.argument(0)?)?;
    Ok(0)
}

pub(super) fn resume(global: &Global, given: &Given) -> Result<u8> {
    pause::resume(global, given.argument(0)?)?;
    Ok(0)
}

pub(super) fn create_options(given: &Given) -> Result<create::Options> {
    Ok(create::Options {
        id: given.argument(0)?.to_owned(),
        bundle: given.path(&flags::BUNDLE).unwrap_or_else(|| PathBuf::from(".")),
        console_socket: given.path(&flags::CONSOLE_SOCKET),
        pidfd_socket: given.path(&flags::PIDFD_SOCKET),
        // Absolute, for what is relative later starts at the bundle.
        pid_file: given.absolute_path(&flags::PID_FILE)?,
        root_switch: match given.switch(&flags::NO_PIVOT)? {
            true => Switch::MoveAndChroot,
            false => Switch::Pivot,
        },
        keyring: match given.switch(&flags::NO_NEW_KEYRING)? {
            true => Session::Inherited,
            false => Session::New,
        },
        preserve_fds: given.number(&flags::PRESERVE_FDS)?.unwrap_or(0),
    })
}

/// Whether a verb stays with the process it started.
pub(super) fn attachment(given: &Given) -> Result<Attachment> {
    Ok(match given.switch(&flags::DETACH)? {
        true => Attachment::Detached,
        false => Attachment::Foreground,
    })
}

/// A process's exit code as ours.
pub(super) fn exit_code(code: i32) -> Result<u8> {
    u8::try_from(code).map_err(|_| Error::new(format!("exit code {code} is out of range")))
}
