//! What a system call costs under the filter that each runtime makes of Docker's profile.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::works::Rig;
use crate::{Result, Runtime, bundles};

/// Of all kinds together.
const CALLS: &str = "10000000";

/// One kind of call: nanoseconds without a filter, then under each runtime's; none where it fails.
pub type Row = (String, Vec<Option<f64>>);

/// Every kind.
pub fn measure(rig: &Rig) -> Result<Vec<Row>> {
    let program = rig.root.join("bin/calls");
    fs::copy(rig.scratch.join("calls"), &program)?;
    let bare = read(Command::new(&program).arg(CALLS))?;
    let filtered: Vec<_> =
        rig.runtimes.iter().map(|runtime| in_container(rig, runtime).ok()).collect();
    let row = |(at, (kind, nanoseconds)): (usize, (String, f64))| {
        let of = |all: &Option<Vec<(String, f64)>>| Some(all.as_ref()?.get(at)?.1);
        (kind, std::iter::once(Some(nanoseconds)).chain(filtered.iter().map(of)).collect())
    };
    Ok(bare.into_iter().enumerate().map(row).collect())
}

fn in_container(rig: &Rig, runtime: &Runtime) -> Result<Vec<(String, f64)>> {
    let mut config = bundles::docker(&rig.scratch, &rig.root, &["calls", CALLS])?;
    config["linux"]["cgroupsPath"] = json!(format!("/docker/{}-calls", runtime.name));
    config["process"]["env"] = json!(["PATH=/bin"]);
    let bundle = bundles::write(&rig.scratch.join("bundles/calls"), &config)?.display().to_string();
    let words = rig.words(runtime, &["run", "--bundle", &bundle, "@calls"]);
    read(Command::new(&runtime.path).args(words))
}

fn read(command: &mut Command) -> Result<Vec<(String, f64)>> {
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
