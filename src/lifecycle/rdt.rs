//! The groups of resctrl that a container is in.

use crate::error::{Context, Result};
use crate::kernel::rdt::{self, Change, NewGroups, Place, Rdt};
use crate::plan::{self, Plan};
use crate::record::Record;
use crate::record::store::{Reservation, Store};
use crate::spec::linux::IntelRdt;

/// Makes the groups that the plan asks for. Those that are not there yet are on record before they are made.
pub(super) fn make(
    plan: &Plan,
    record: &mut Record,
    reservation: &Reservation,
) -> Result<Option<NewGroups>> {
    let Some(wanted) = &plan.rdt else { return Ok(None) };
    let place = wanted.place(&rdt::mount_point()?, &plan.id);
    if !place.class.is_dir() {
        record.intel_rdt_path.clone_from(&place.class);
    }
    if let Some(monitor) = &place.monitor
        && !monitor.is_dir()
    {
        record.intel_rdt_mon_path.clone_from(monitor);
    }
    reservation.update(record)?;
    let groups = NewGroups::make(wanted, place)?;
    if disown(record, &groups) {
        reservation.update(record)?;
    }
    Ok(Some(groups))
}

/// Keeps those that were made.
pub(super) fn keep(groups: Option<NewGroups>) {
    if let Some(groups) = groups {
        groups.commit();
    }
}

/// Strikes the groups from the record that somebody else has made meanwhile; answers whether there were any.
fn disown(record: &mut Record, groups: &NewGroups) -> bool {
    let mut others = false;
    for path in [&mut record.intel_rdt_path, &mut record.intel_rdt_mon_path] {
        if !path.as_os_str().is_empty() && !groups.has_made(path) {
            path.clear();
            others = true;
        }
    }
    others
}

/// Makes a group of its own for a container that runs, and moves its threads there.
pub(super) fn make_for_running(
    record: &mut Record,
    store: &Store,
    threads: impl FnMut() -> Result<Vec<i32>>,
) -> Result<()> {
    let before = record.clone();
    let wanted = Rdt::default();
    let place = wanted.place(&rdt::mount_point()?, &record.id);
    record.config.intel_rdt = Some(IntelRdt::default());
    if !place.class.is_dir() {
        record.intel_rdt_path.clone_from(&place.class);
    }
    store.update(record)?;
    let made = NewGroups::make(&wanted, place).and_then(|groups| {
        groups.add_all(threads)?;
        Ok(groups)
    });
    match made {
        Ok(groups) => {
            let others = disown(record, &groups);
            groups.commit();
            if others { store.update(record) } else { Ok(()) }
        }
        Err(error) => {
            *record = before;
            store.update(record)?;
            Err(error)
        }
    }
}

/// Writes lines of limits for the container's group.
pub(super) fn change(record: &Record, schemata: &[String]) -> Result<Option<Change>> {
    match place(record)? {
        Some(place) => Change::make(place.class, schemata).map(Some),
        None => Ok(None),
    }
}

/// What resctrl tells of the container's groups; none where it has none.
pub(super) fn statistics(record: &Record) -> Result<Option<rdt::statistics::Statistics>> {
    let Some(place) = place(record)? else { return Ok(None) };
    rdt::statistics::read(&rdt::mount_point()?, &place).context("linux.intelRdt").map(Some)
}

/// Removes those that were made for the container.
pub(super) fn remove(record: &Record) -> Result<()> {
    let made = [&record.intel_rdt_mon_path, &record.intel_rdt_path];
    let mut made = made.into_iter().filter(|path| !path.as_os_str().is_empty());
    made.try_for_each(|path| rdt::remove(path)).context("remove the RDT group")
}

/// Where the container's groups are; none where it has none.
fn place(record: &Record) -> Result<Option<Place>> {
    let Some(asked) = &record.config.intel_rdt else { return Ok(None) };
    Ok(Some(plan::rdt::plan(asked)?.place(&rdt::mount_point()?, &record.id)))
}

/// Moves one more process, of one thread, into the container's groups.
pub(super) fn add(record: &Record, pid: i32) -> Result<()> {
    match place(record)? {
        Some(place) => rdt::add_task(&place, pid).context("linux.intelRdt"),
        None => Ok(()),
    }
}
