//! A container's unit while it is made: with its first process, and undone unless it is kept.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::{Order, Systemd, UnitName};
use crate::error::{Context, Error, Result};
use crate::kernel::cgroup::{Directory, delegated, processes};

/// How long an undo waits for killed processes to vanish.
const UNDO_PATIENCE: Duration = Duration::from_secs(2);

/// A unit that is undone unless it is committed: its processes are killed, and it is stopped.
#[derive(Debug)]
#[must_use = "dropping it stops the unit"]
pub struct NewUnit<'a> {
    systemd: Systemd,
    order: Order<'a>,
    path: PathBuf,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Nothing of it is there, or it is kept.
    Nothing,
    /// systemd is at it.
    Asked,
    /// It is there.
    Made(Directory),
}

impl<'a> NewUnit<'a> {
    /// A unit whose cgroup will be at `path`; so far nothing is done but to see that nobody is there.
    pub fn plan(systemd: Systemd, order: Order<'a>, path: PathBuf) -> Result<NewUnit<'a>> {
        if let Some(directory) = open_if_there(&path)? {
            processes::must_be_none(&directory)?;
        }
        Ok(NewUnit { systemd, order, path, stage: Stage::Nothing })
    }

    /// Has systemd start the unit around the process `pid`, which is in its cgroup afterwards.
    pub fn start(&mut self, pid: i32) -> Result<()> {
        self.start_around(pid)
            .with_context(|| format!("have systemd start {}", self.order.unit.name.as_str()))
    }

    fn start_around(&mut self, pid: i32) -> Result<()> {
        let unit = &self.order.unit.name;
        let job = self.systemd.ask(self.order, pid)?;
        self.stage = Stage::Asked;
        self.systemd.wait_for(&job, unit.as_str())?;
        let directory = match (unit, open_if_there(self.units_own())?) {
            (UnitName::Scope(_), Some(directory)) if holds(&directory, pid)? => directory,
            (UnitName::Slice(_), Some(directory)) => {
                directory.add_process(pid)?;
                directory
            }
            _ => return Err(self.misplaced(pid)),
        };
        self.stage = Stage::Made(match &self.order.unit.subgroup {
            Some(name) => subgroup(&directory, name, pid, self.order)?,
            None => directory,
        });
        Ok(())
    }

    /// The unit's cgroup, which the container's may be below.
    fn units_own(&self) -> &Path {
        match (&self.order.unit.subgroup, self.path.parent()) {
            (Some(_), Some(parent)) => parent,
            _ => &self.path,
        }
    }

    fn misplaced(&self, pid: i32) -> Error {
        Error::new(format!("systemd has not put process {pid} into {:?}", self.units_own()))
            .hint("systemd-cgls shows where it is; an annotation must not change the unit's Slice")
    }

    /// Its cgroup; none before it is started.
    pub fn directory(&self) -> Option<&Directory> {
        match &self.stage {
            Stage::Made(directory) => Some(directory),
            Stage::Nothing | Stage::Asked => None,
        }
    }

    /// Keeps it. Its cgroup; none when it was never started.
    pub fn commit(mut self) -> Option<Directory> {
        match std::mem::replace(&mut self.stage, Stage::Nothing) {
            Stage::Made(directory) => Some(directory),
            Stage::Nothing | Stage::Asked => None,
        }
    }
}

impl Drop for NewUnit<'_> {
    fn drop(&mut self) {
        match &self.stage {
            Stage::Nothing => return,
            Stage::Made(own) if is_replaced(own) => return,
            Stage::Asked | Stage::Made(_) => {}
        }
        // Nothing more can be done about what fails here, and the error that led here is the one to tell.
        if let Ok(Some(directory)) = open_if_there(self.units_own()) {
            let _ = processes::kill(&directory);
            let _ = processes::wait_until_empty(&directory, Instant::now() + UNDO_PATIENCE);
        }
        self.systemd.bus.ignore_interrupts();
        let _ = self.systemd.stop(self.order.unit.name.as_str());
    }
}

/// Makes the cgroup `name` below the unit's own, the only process of which moves there: then it can have the controllers.
fn subgroup(own: &Directory, name: &str, pid: i32, order: Order<'_>) -> Result<Directory> {
    let below = delegated::make(own, name)?;
    below.add_process(pid)?;
    delegated::hand_down_all(own)?.must_serve(order.limits)?;
    Ok(below)
}

/// Whether the cgroup was removed, with its unit, and the next container has one of that name.
fn is_replaced(own: &Directory) -> bool {
    matches!(own.read_if_there("cgroup.events"), Ok(None)) && own.path().exists()
}

fn open_if_there(path: &Path) -> Result<Option<Directory>> {
    match Directory::open(path) {
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(None),
        opened => opened.map(Some),
    }
}

fn holds(directory: &Directory, pid: i32) -> Result<bool> {
    Ok(processes::processes(directory)?.contains(&pid))
}
