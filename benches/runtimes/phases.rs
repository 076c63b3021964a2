//! Where etui's time goes: the medians of many timelines (`etui --timeline FILE`).

use std::collections::HashMap;
use std::fs;

use serde_json::Value;

use crate::works::Rig;
use crate::{Result, measure};

/// One step of one process.
#[derive(Debug)]
pub struct Phase {
    /// The verb, with what distinguishes it.
    pub work: &'static str,
    /// Whether the parent does it, or the process it makes.
    pub process: &'static str,
    /// What it is.
    pub name: String,
    /// When it begins, in microseconds after the first step, and what it takes; medians.
    pub begins: f64,
    /// What it takes.
    pub takes: f64,
}

/// What execve and start-up take between the first steps and those after etui has executed itself from its view.
const EXECVE: &str = "execute itself from the view";

/// The phases of the verbs that make a process.
pub fn measure(rig: &Rig, runs: usize) -> Result<Vec<Phase>> {
    let etui = &rig.runtimes[0];
    let default = rig.default.display().to_string();
    let docker = rig.docker(etui, "bench")?;
    let mut phases = of(rig, "run, default", &["run", "--bundle", &default, "@bench"], runs)?;
    phases.extend(of(rig, "run, Docker's", &["run", "--bundle", &docker, "@bench"], runs)?);
    rig.hold(etui)?;
    phases.extend(of(rig, "exec", &["exec", "@held", "true"], runs)?);
    rig.verb(etui, &["delete", "--force", "@held"])?;
    Ok(phases)
}

fn of(rig: &Rig, work: &'static str, words: &[&str], runs: usize) -> Result<Vec<Phase>> {
    let etui = &rig.runtimes[0];
    let file = rig.scratch.join("timeline.json");
    let mut times: HashMap<(u64, String), Vec<(f64, f64)>> = HashMap::new();
    for _ in 0..runs {
        let traced = ["--timeline".to_owned(), file.display().to_string()];
        let words: Vec<_> = traced.into_iter().chain(rig.words(etui, words)).collect();
        measure::time(&etui.path, &words)?;
        let events: Vec<Value> = serde_json::from_slice(&fs::read(&file)?)?;
        fs::remove_file(&file)?;
        for (process, name, begins, takes) in steps(&events) {
            times.entry((process, name)).or_default().push((begins, takes));
        }
    }
    let mut phases: Vec<_> = (times.into_iter())
        .map(|((process, name), times)| Phase {
            work,
            process: if process == 0 { "parent" } else { "init" },
            name,
            begins: median(times.iter().map(|time| time.0)),
            takes: median(times.iter().map(|time| time.1)),
        })
        .collect();
    phases.sort_by(|one, other| one.begins.total_cmp(&other.begins));
    Ok(phases)
}

/// Process, name, begin after the first step, duration.
fn steps(events: &[Value]) -> Vec<(u64, String, f64, f64)> {
    let number = |event: &Value, key: &str| event[key].as_f64().unwrap_or_default();
    let steps: Vec<_> = events.iter().filter(|event| event["ph"] == "X").collect();
    let first = steps.iter().map(|event| number(event, "ts")).fold(f64::MAX, f64::min);
    let mut all: Vec<_> = (steps.iter())
        .map(|event| {
            let name = event["name"].as_str().unwrap_or_default().to_owned();
            let process = event["tid"].as_u64().unwrap_or_default();
            (process, name, number(event, "ts") - first, number(event, "dur"))
        })
        .collect();
    if let [view, next, ..] = &all[..] {
        let end = view.2 + view.3;
        all.push((0, EXECVE.into(), end, next.2 - end));
    }
    all
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}
