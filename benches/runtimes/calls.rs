//! What a system call costs under the filter that each runtime makes of Docker's profile.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::works::Rig;
use crate::{Result, Runtime, bundles};

/// Of all kinds together.
const CALLS: &str = "10000000";
/// How often each is measured; they take turns.
const ROUNDS: usize = 5;

/// One kind of call: nanoseconds without a filter, then under each runtime's; none where it fails.
pub type Row = (String, Vec<Option<f64>>);

/// What each kind takes in one run.
type Run = Vec<(String, f64)>;

/// Every kind.
pub fn measure(rig: &Rig) -> Result<Vec<Row>> {
    let program = rig.root.join("bin/calls");
    fs::copy(rig.scratch.join("calls"), &program)?;
    let mut columns: Vec<Vec<Run>> = vec![Vec::new(); 1 + rig.runtimes.len()];
    for _ in 0..ROUNDS {
        columns[0].push(read(Command::new(&program).arg(CALLS))?);
        for (column, runtime) in columns[1..].iter_mut().zip(&rig.runtimes) {
            // A runtime that fails has no figures.
            column.extend(in_container(rig, runtime));
        }
    }
    let kinds: Vec<String> = columns[0][0].iter().map(|(kind, _)| kind.clone()).collect();
    let row = |(at, kind): (usize, String)| {
        let median = |runs: &Vec<Run>| median(runs.iter().map(|run| run[at].1).collect());
        (kind, columns.iter().map(median).collect())
    };
    Ok(kinds.into_iter().enumerate().map(row).collect())
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

fn in_container(rig: &Rig, runtime: &Runtime) -> Result<Run> {
    let mut config = bundles::docker(&rig.scratch, &rig.root, &["calls", CALLS])?;
    config["linux"]["cgroupsPath"] = json!(format!("/docker/{}-calls", runtime.name));
    config["process"]["env"] = json!(["PATH=/bin"]);
    let bundle = bundles::write(&rig.scratch.join("bundles/calls"), &config)?.display().to_string();
    let words = rig.words(runtime, &["run", "--bundle", &bundle, "@calls"]);
    read(Command::new(&runtime.path).args(words))
}

fn read(command: &mut Command) -> Result<Run> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err("the program of calls failed".into());
    }
    let text = String::from_utf8(output.stdout)?;
    let row = |line: &str| {
        let (kind, nanoseconds) = line.split_once(": ").ok_or("a line without a figure")?;
        Ok((kind.to_owned(), nanoseconds.parse()?))
    };
    text.lines().map(row).collect()
}
