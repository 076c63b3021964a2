//! The verb `events`: what a container has used, and when it ran out of memory.

mod document;
mod intel_rdt;

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use serde::Serialize;

use super::container::Container;
use super::{Global, cgroup, rdt};
use crate::error::{Error, Kind, Result};
use crate::kernel::cgroup::{Directory, EventsFile, statistics, wait_for_change};
use crate::spec::state::Status;

pub use document::Statistics;

/// One line of the stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// The container's id.
    pub id: String,
    /// The numbers, when that is what it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Statistics>,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// The numbers.
    Stats,
    /// The kernel killed a process because the memory limit was reached.
    Oom,
}

/// What the container has used until now.
pub fn stats(global: &Global, id: &str) -> Result<Event> {
    let container = load_running(global, id)?;
    measure(&container, &cgroup::open(&container)?)
}

/// Tells the numbers every `interval` and each kill for want of memory at once, until the container has no process.
pub fn follow(
    global: &Global,
    id: &str,
    interval: Duration,
    tell: &mut dyn FnMut(&Event) -> Result<()>,
) -> Result<()> {
    let container = load_running(global, id)?;
    let cgroup = cgroup::open(&container)?;
    let watch = Watch::open(&cgroup)?;
    let mut kills = watch.kills()?;
    let mut next = Instant::now() + interval;
    loop {
        watch.wait(next.saturating_duration_since(Instant::now()))?;
        let killed = watch.kills()?;
        if killed > kills {
            kills = killed;
            tell(&Event { kind: EventKind::Oom, id: id.to_owned(), data: None })?;
        }
        if watch.is_over()? {
            return Ok(());
        }
        if Instant::now() >= next {
            tell(&measure(&container, &cgroup)?)?;
            next += interval;
        }
    }
}

fn load_running(global: &Global, id: &str) -> Result<Container> {
    let container = Container::load(global, id)?;
    if container.status()? == Status::Stopped {
        let error = Error::new(format!("container with id {id} is not running"));
        return Err(error.of_kind(Kind::NotRunning));
    }
    Ok(container)
}

fn measure(container: &Container, cgroup: &Directory) -> Result<Event> {
    let numbers = Statistics::from(statistics::read(cgroup)?);
    let data = numbers.with_rdt(rdt::statistics(&container.record)?);
    Ok(Event { kind: EventKind::Stats, id: container.record.id.clone(), data: Some(data) })
}

/// The files that announce what happens to a cgroup.
struct Watch {
    population: EventsFile,
    /// Not there without the memory controller.
    memory: Option<EventsFile>,
}

impl Watch {
    fn open(cgroup: &Directory) -> Result<Watch> {
        let memory = match EventsFile::open(cgroup, "memory.events") {
            Err(error) if error.errno() == Some(Errno::ENOENT) => None,
            file => Some(file?),
        };
        Ok(Watch { population: EventsFile::open(cgroup, "cgroup.events")?, memory })
    }

    fn wait(&self, limit: Duration) -> Result<()> {
        let files = std::iter::once(&self.population).chain(&self.memory);
        wait_for_change(&files.map(AsFd::as_fd).collect::<Vec<BorrowedFd<'_>>>(), limit)
    }

    /// How many processes were killed for want of memory.
    fn kills(&self) -> Result<u64> {
        let Some(memory) = &self.memory else { return Ok(0) };
        Ok(memory.value("oom_kill")?.unwrap_or(0))
    }

    fn is_over(&self) -> Result<bool> {
        Ok(self.population.value("populated")?.unwrap_or(0) == 0)
    }
}
