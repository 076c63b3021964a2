//! From `linux.namespaces`, id mappings and time offsets to namespaces to create and to join.

use super::refuse;
use crate::error::{Context, Error, Result};
use crate::kernel::id_maps::IdMap;
use crate::kernel::namespaces::{Namespace, Namespaces, TimeOffset, parse};
use crate::spec::Linux;
use crate::spec::mounts::IdMapping;

/// Plans the namespaces of `config.json`.
pub fn plan(linux: &Linux) -> Result<Namespaces> {
    let mut namespaces = Namespaces::default();
    for (position, namespace) in linux.namespaces.iter().enumerate() {
        let field = || format!("linux.namespaces[{position}]");
        let kind = parse(&namespace.kind).with_context(field)?;
        if namespaces.separates(kind) {
            return Err(Error::refused(format!("type: {:?} is listed twice", kind.name())))
                .with_context(field);
        }
        if namespace.path.as_os_str().is_empty() {
            namespaces.create.push(kind);
        } else if namespace.path.is_absolute() {
            refuse::null_byte("path", &namespace.path).with_context(field)?;
            namespaces.join.push((kind, namespace.path.clone()));
        } else {
            return Err(Error::refused(format!("path: {:?} is not absolute", namespace.path)))
                .with_context(field);
        }
    }
    // A user namespace comes first: it gives the rights over the others.
    namespaces.join.sort_by_key(|(kind, _)| Namespace::ALL.iter().position(|other| other == kind));
    namespaces.time_offsets = time_offsets(linux, &namespaces)?;
    Ok(namespaces)
}

/// time_namespaces(7): "an unsigned value that specifies a nanosecond offset", less than a second.
const MOST_NANOSECONDS: u32 = 999_999_999;

fn time_offsets(linux: &Linux, namespaces: &Namespaces) -> Result<Vec<TimeOffset>> {
    if linux.time_offsets.is_empty() {
        return Ok(Vec::new());
    }
    if !namespaces.creates(Namespace::Time) {
        return Err(Error::refused(
            "linux.timeOffsets: needs a new time namespace, not a joined one or none",
        ));
    }
    linux
        .time_offsets
        .iter()
        .map(|(clock, offset)| match clock.as_str() {
            "monotonic" | "boottime" if offset.nanosecs > MOST_NANOSECONDS => {
                Err(Error::refused(format!(
                    "linux.timeOffsets.{clock}.nanosecs: {} is a second or more",
                    offset.nanosecs
                )))
            }
            "monotonic" | "boottime" => Ok(TimeOffset {
                clock: clock.clone(),
                seconds: offset.secs,
                nanoseconds: offset.nanosecs,
            }),
            other => Err(Error::refused(format!(
                "linux.timeOffsets: {other:?} is neither monotonic nor boottime"
            ))),
        })
        .collect()
}

/// The specification's id mappings as the kernel's.
pub fn id_maps(mappings: &[IdMapping]) -> Vec<IdMap> {
    mappings
        .iter()
        .map(|mapping| IdMap {
            inside: mapping.container_id,
            outside: mapping.host_id,
            size: mapping.size,
        })
        .collect()
}
