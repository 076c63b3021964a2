//! What must not grow: the time of `run` beside many containers, with many mounts, of a large configuration.

use std::fs;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;

use crate::figures::Figure;
use crate::works::{Rig, Round, interleave};
use crate::{Result, Runtime, bundles};

const RUNS: usize = 21;
/// More containers than these are held by etui and crun only: each of runc's keeps a Go program in memory.
const HELD_BY_ALL: usize = 100;

/// What surrounds it, and what each takes.
pub type Row = (String, Round);

/// Every row.
pub fn measure(rig: &Rig) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for held in [0, 10, 100, 1000] {
        rows.push((format!("run beside {held} containers"), beside(rig, held)));
    }
    rows.push(("run on a host with 1000 more mounts".into(), among_mounts(rig, 1000)?));
    // What follows takes the place of the default bundle.
    let eight = interleave(rig, None, &|runtime| at_once(rig, runtime, 8), RUNS);
    rows.push(("8 creates at once".into(), eight));
    let mut config = bundles::default(&rig.scratch, &rig.runtimes[0].path, &rig.root, &["true"])?;
    let mounts = config["mounts"].as_array_mut().ok_or("no mounts")?;
    for number in 0..200 {
        mounts.push(json!({"destination": format!("/tmp/{number}"), "type": "bind",
            "source": "/dev/null", "options": ["bind", "ro"]}));
    }
    rows.push(("run with 200 more mounts".into(), with(rig, &config)?));
    let mut config = bundles::default(&rig.scratch, &rig.runtimes[0].path, &rig.root, &["true"])?;
    let notes = (0..1000).map(|number| (format!("note.{number}"), json!("x".repeat(1000))));
    config["annotations"] = notes.collect();
    rows.push(("run of a configuration of 1 MB".into(), with(rig, &config)?));
    Ok(rows)
}

fn with(rig: &Rig, config: &serde_json::Value) -> Result<Round> {
    let directory = rig.scratch.join("scale");
    let bundle = bundles::write(&directory, config)?.display().to_string();
    let run = |runtime: &Runtime| rig.verb(runtime, &["run", "--bundle", &bundle, "@bench"]);
    let round = interleave(rig, None, &run, RUNS);
    fs::remove_dir_all(directory)?;
    Ok(round)
}

fn beside(rig: &Rig, held: usize) -> Round {
    let bundle = rig.default.display().to_string();
    // The floor has no containers to hold: those of the first runtime surround it.
    let mut floors = Vec::new();
    let mut one = |runtime: &Runtime| {
        let names: Vec<String> = (0..held).map(|number| format!("@held{number}")).collect();
        for name in &names {
            let docker = rig.docker(runtime, name.trim_start_matches('@'))?;
            rig.verb(runtime, &["create", "--bundle", &docker, name])?;
        }
        let is_first = runtime.name == rig.runtimes[0].name;
        let mut run = || {
            if is_first {
                floors.push(rig.floor()?);
            }
            rig.verb(runtime, &["run", "--bundle", &bundle, "@bench"])
        };
        let times: Result<Vec<_>> = (0..RUNS).map(|_| run()).collect();
        for name in &names {
            rig.verb(runtime, &["delete", "--force", name])?;
        }
        times.map(Figure::of)
    };
    let measured = if held > HELD_BY_ALL { 2 } else { rig.runtimes.len() };
    let one = |(at, runtime)| (at < measured).then(|| one(runtime).ok()).flatten();
    let runtimes = rig.runtimes.iter().enumerate().map(one).collect();
    Round { floor: (!floors.is_empty()).then(|| Figure::of(floors)), runtimes }
}

fn among_mounts(rig: &Rig, count: usize) -> Result<Round> {
    let places: Vec<_> =
        (0..count).map(|number| rig.scratch.join(format!("mounts/{number}"))).collect();
    for place in &places {
        fs::create_dir_all(place)?;
        mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::empty(), None::<&str>)?;
    }
    let bundle = rig.default.display().to_string();
    let run = |runtime: &Runtime| rig.verb(runtime, &["run", "--bundle", &bundle, "@bench"]);
    let round = interleave(rig, Some(&|| rig.floor()), &run, RUNS);
    for place in &places {
        umount2(place, MntFlags::MNT_DETACH)?;
    }
    Ok(round)
}

fn at_once(rig: &Rig, runtime: &Runtime, count: usize) -> Result<Duration> {
    let names: Vec<String> = (0..count).map(|number| format!("@once{number}")).collect();
    let calls: Result<Vec<_>> = (names.iter())
        .map(|name| {
            let docker = rig.docker(runtime, name.trim_start_matches('@'))?;
            Ok(rig.words(runtime, &["create", "--bundle", &docker, name]))
        })
        .collect();
    let calls = calls?;
    let start = Instant::now();
    std::thread::scope(|scope| {
        let creating: Vec<_> = (calls.iter())
            .map(|words| scope.spawn(|| crate::measure::time(&runtime.path, words).is_ok()))
            .collect();
        let created = creating.into_iter().all(|thread| thread.join().unwrap_or(false));
        if created { Ok(()) } else { Err("a create failed") }
    })?;
    let took = start.elapsed();
    for name in &names {
        rig.verb(runtime, &["delete", "--force", name])?;
    }
    Ok(took)
}
