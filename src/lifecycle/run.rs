//! The verb `run`: create, start, and in the foreground wait and delete.

use super::create::{self, Made, Terminal, Waits};
use super::foreground::Company;
use super::{Attachment, Global, delete, foreground, hooks_outside, notify_socket};
use crate::error::Result;
use crate::kernel::own_binary::{self, View};
use crate::kernel::process;
use crate::kernel::signals::Signals;
use crate::record::store::Store;
use crate::timeline;

/// What `run` is told by its flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// What it shares with `create`.
    pub create: create::Options,
    /// Whether it stays with the process (`--detach`).
    pub attachment: Attachment,
    /// Whether the container is deleted when its process ends (`--keep`).
    pub afterwards: Afterwards,
    /// Whether it adopts the container's orphans (`--no-subreaper`).
    pub orphans: Orphans,
}

/// What becomes of the container when its process ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Afterwards {
    /// It is deleted.
    #[default]
    Delete,
    /// It is kept, stopped.
    Keep,
}

/// Who adopts the container's orphans while `run` waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Orphans {
    /// etui does (prctl(2) `PR_SET_CHILD_SUBREAPER`).
    #[default]
    Adopt,
    /// They go to the next reaper up.
    Leave,
}

/// Creates and starts a container; in the foreground returns its process's exit code (128 plus the signal that killed it).
pub fn run(global: &Global, options: &Options) -> Result<i32> {
    let own_binary = own_binary::keep_out_of_reach()?;
    match options.attachment {
        Attachment::Detached => run_detached(global, options, own_binary).map(|()| 0),
        Attachment::Foreground => run_in_foreground(global, options, own_binary),
    }
}

fn run_detached(global: &Global, options: &Options, own_binary: View) -> Result<()> {
    let waits = Waits::ForUs(own_binary);
    let signals = Signals::that_end_a_program()?;
    let made = create::make(global, &options.create, waits, Terminal::GoesToSocket, &signals)?;
    let (made, notifications) = start(global, made, &signals)?;
    let (pid, process) = made.init.release();
    match notifications {
        Some(notifications) => notifications.relay_until_ready(pid, &process),
        None => Ok(()),
    }
}

fn run_in_foreground(global: &Global, options: &Options, own_binary: View) -> Result<i32> {
    let waits = Waits::ForUs(own_binary);
    let signals = Signals::all()?;
    if options.orphans == Orphans::Adopt {
        process::adopt_orphans()?;
    }
    let mut made = create::make(global, &options.create, waits, Terminal::StaysWithUs, &signals)?;
    let relay = foreground::relay(&mut made.init)?;
    let (made, notifications) = start(global, made, &signals)?;
    let (pid, process) = made.init.release();
    let mut company = Company { relay, notifications, signals: &signals };
    let code = company.stay_with(pid, &process)?;
    timeline::done("wait for the end");
    company.take_leave(code, || match options.afterwards {
        Afterwards::Delete => {
            delete::delete_this(&Store::new(&global.root), &made.record, made.written)
        }
        Afterwards::Keep => Ok(()),
    })
}

/// From here on the container is on record: what fails now removes it as `delete` would.
fn start<'a>(
    global: &Global,
    mut made: Made<'a>,
    signals: &Signals,
) -> Result<(Made<'a>, Option<notify_socket::Relay>)> {
    let store = Store::new(&global.root);
    let mut go = || {
        let notifications = notify_socket::listen(&store.directory(&made.record.id)?)?;
        made.init.let_go()?;
        made.init.wait_for_execve(made.cgroup.as_ref())?;
        timeline::done("wait for execve");
        hooks_outside::run_poststart(&made.record, Some(signals))?;
        Ok(notifications)
    };
    match go() {
        Ok(notifications) => Ok((made, notifications)),
        Err(error) => {
            // The first failure is the one to tell; `delete --force` can remove what is left.
            let _ = delete::delete_this(&store, &made.record, made.written);
            Err(error)
        }
    }
}
