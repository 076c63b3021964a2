//! The verb `start`.

use super::Global;
use super::container::Container;
use super::hooks_outside;
use super::notify_socket::{self, Relay};
use crate::error::{Error, Kind, Result};
use crate::kernel::process::Execution;
use crate::launch::start_gate;
use crate::record::Record;
use crate::record::store::Store;
use crate::spec::state::Status;
use crate::timeline;

/// Releases the container's process; returns once the user's program executes and the poststart hooks have run, and
/// where a service manager waits for it to be ready, once it says so.
pub fn start(global: &Global, id: &str) -> Result<()> {
    let (container, notifications) = release(global, id)?;
    hooks_outside::run_poststart(&container.record, None)?;
    let (Some(notifications), Some(init)) = (notifications, container.record.init()) else {
        return Ok(());
    };
    match init.open()? {
        Some(process) => notifications.relay_until_ready(init.pid, &process),
        None => Ok(()),
    }
}

/// Alone with the container; the hooks run later, for they may call us.
fn release(global: &Global, id: &str) -> Result<(Container, Option<Relay>)> {
    let _lock = Store::new(&global.root).lock(id)?;
    let container = Container::load(global, id)?;
    match container.status()? {
        Status::Created => {}
        Status::Stopped => {
            return Err(
                Error::new("cannot start a container that has stopped").of_kind(Kind::NotRunning)
            );
        }
        Status::Running => return Err(Error::new("cannot start an already running container")),
        other => return Err(Error::new(format!("cannot start a container in the {other} state"))),
    }
    timeline::done("load the record");
    let notifications = notify_socket::listen(&container.directory)?;
    start_gate::release(&container.directory)?;
    must_have_executed(&container.record)?;
    timeline::done("wait for execve");
    Ok((container, notifications))
}

/// The end of the process looks like execve from outside; where its parent has not waited for it yet, it can be told.
fn must_have_executed(record: &Record) -> Result<()> {
    let Some(init) = record.init() else { return Ok(()) };
    match init.execution()? {
        Execution::Done | Execution::Unknown => Ok(()),
        Execution::NotYet => Err(Error::new(
            "the container's process ended before it executed its program",
        )
        .of_kind(Kind::NotRunning)
        .hint("someone killed it, or linux.seccomp kills on a call the runtime needs (read, write, close, execve)")),
    }
}
