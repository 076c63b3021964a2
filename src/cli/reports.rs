//! The verbs that tell, and how they write it: runc's tables and JSON, to the byte where a program may read them.

use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::parse::Given;
use super::table::table;
use super::{flags, print, processes};
use crate::error::{Error, Result};
use crate::lifecycle::container::Description;
use crate::lifecycle::events::{self, Event};
use crate::lifecycle::list::{self, Listing};
use crate::lifecycle::spec::{self, For};
use crate::lifecycle::{Global, features, ps, state};

/// How `list` and `ps` write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Table,
    Json,
}

fn format(given: &Given) -> Result<Format> {
    match given.text_or_empty(&flags::FORMAT)? {
        None | Some("table") => Ok(Format::Table),
        Some("json") => Ok(Format::Json),
        Some(_) => Err(Error::refused("invalid format option")),
    }
}

pub(super) fn state(global: &Global, given: &Given) -> Result<u8> {
    let state = state::state(global, given.argument(0)?)?;
    print(&pretty(&state, "  ")?)?;
    Ok(0)
}

pub(super) fn features(_global: &Global, _given: &Given) -> Result<u8> {
    print(&(pretty(&features::features(), "    ")? + "\n"))?;
    Ok(0)
}

pub(super) fn spec(_global: &Global, given: &Given) -> Result<u8> {
    let bundle = given.path(&flags::BUNDLE).unwrap_or_else(|| PathBuf::from("."));
    let runner = if given.switch(&flags::SPEC_ROOTLESS)? { For::Caller } else { For::Root };
    spec::spec(&bundle, runner)?;
    Ok(0)
}

pub(super) fn list(global: &Global, given: &Given) -> Result<u8> {
    let listing = match list::list(global) {
        // The default root is made with the first container: until then there are none.
        Err(error) if is_absent(&error) && !given.has(&flags::ROOT) => Listing::default(),
        listing => listing?,
    };
    for (id, error) in &listing.broken {
        eprintln!("load container {id}: {error}");
    }
    let containers = &listing.containers;
    if given.switch(&flags::QUIET)? {
        print(&containers.iter().map(|one| format!("{}\n", one.id)).collect::<String>())?;
        return Ok(0);
    }
    match format(given)? {
        Format::Table => print(&list_table(containers))?,
        // As Go writes a list that was never begun.
        Format::Json if containers.is_empty() => print("null\n")?,
        Format::Json => print(&(json(containers)? + "\n"))?,
    }
    Ok(0)
}

fn is_absent(error: &Error) -> bool {
    error.errno() == Some(Errno::ENOENT)
}

fn list_table(containers: &[Description]) -> String {
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
    rows.extend(containers.iter().map(|one| {
        [
            one.id.clone(),
            one.pid.to_string(),
            one.status.to_string(),
            one.bundle.display().to_string(),
            one.created.clone(),
            one.owner.clone(),
        ]
    }));
    table(&rows)
}

pub(super) fn ps(global: &Global, given: &Given) -> Result<u8> {
    let format = format(given)?;
    let processes = ps::processes(global, given.argument(0)?)?;
    match format {
        Format::Json if processes.is_empty() => print("null\n")?,
        Format::Json => print(&(json(&processes)? + "\n"))?,
        Format::Table => print(&processes::table(&processes, &given.arguments[1..])?)?,
    }
    Ok(0)
}

pub(super) fn events(global: &Global, given: &Given) -> Result<u8> {
    let id = given.argument(0)?;
    let mut tell = |event: &Event| print(&(json(event)? + "\n"));
    let interval = given.duration(&flags::INTERVAL)?.unwrap_or(Duration::from_secs(5));
    if interval.is_zero() {
        return Err(Error::refused("duration interval must be greater than 0"));
    }
    if given.switch(&flags::STATS)? {
        tell(&events::stats(global, id)?)?;
        return Ok(0);
    }
    events::follow(global, id, interval, &mut tell)?;
    Ok(0)
}

fn json(value: &(impl Serialize + ?Sized)) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::new(error.to_string()))
}

fn pretty(value: &impl Serialize, indent: &str) -> Result<String> {
    let mut text = Vec::new();
    let formatter = PrettyFormatter::with_indent(indent.as_bytes());
    value
        .serialize(&mut Serializer::with_formatter(&mut text, formatter))
        .map_err(|error| Error::new(error.to_string()))?;
    String::from_utf8(text).map_err(|error| Error::new(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::spec::state::Status;

    fn web() -> Description {
        Description {
            oci_version: "1.3.0".into(),
            id: "web".into(),
            pid: 7,
            status: Status::Running,
            bundle: "/srv/web".into(),
            rootfs: "/srv/web/rootfs".into(),
            created: "2026-01-02T15:04:05.5Z".into(),
            annotations: BTreeMap::new(),
            owner: "root".into(),
        }
    }

    #[test]
    fn state_is_indented_by_two_and_names_an_owner() {
        let text = pretty(&web(), "  ").expect("plain data");
        assert_eq!(
            text,
            "{\n  \"ociVersion\": \"1.3.0\",\n  \"id\": \"web\",\n  \"pid\": 7,\n  \"status\": \"running\",\n  \
             \"bundle\": \"/srv/web\",\n  \"rootfs\": \"/srv/web/rootfs\",\n  \
             \"created\": \"2026-01-02T15:04:05.5Z\",\n  \"owner\": \"root\"\n}"
        );
    }

    #[test]
    fn a_list_is_a_table() {
        assert_eq!(
            list_table(&[web()]),
            "ID          PID         STATUS      BUNDLE      CREATED                  OWNER\n\
             web         7           running     /srv/web    2026-01-02T15:04:05.5Z   root\n"
        );
    }
}
