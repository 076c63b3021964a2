//! What does not vary from run to run: system calls, memory, size.

use std::collections::BTreeMap;
use std::fs;

use crate::measure::{self, Usage};
use crate::works::Rig;
use crate::{Result, Runtime};

/// How often each system call is made.
pub type Calls = BTreeMap<String, u64>;

/// Of one program.
#[derive(Debug)]
pub struct Facts {
    /// Its name and version.
    pub version: String,
    /// The size of its file, in bytes.
    pub size: u64,
    /// Of each verb; none where it fails.
    pub verbs: Vec<(&'static str, Option<Usage>, Option<Calls>)>,
}

/// Of every program, the floor last.
pub fn gather(rig: &Rig) -> Result<Vec<Facts>> {
    let mut all =
        rig.runtimes.iter().map(|runtime| of(rig, runtime)).collect::<Result<Vec<_>>>()?;
    let words = rig.floor_words();
    all.push(Facts {
        version: "floor".into(),
        size: fs::metadata(&rig.floor)?.len(),
        verbs: vec![(
            "run",
            measure::usage(&rig.floor, &words).ok(),
            measure::system_calls(&rig.floor, &words, &rig.scratch)?,
        )],
    });
    Ok(all)
}

fn of(rig: &Rig, runtime: &Runtime) -> Result<Facts> {
    let bundle = rig.default.display().to_string();
    let _ = rig.hold(runtime);
    let mut verbs = Vec::new();
    for (name, words) in [
        ("run", &["run", "--bundle", &bundle, "@bench"][..]),
        ("exec", &["exec", "@held", "true"]),
        ("state", &["state", "@held"]),
    ] {
        let words = rig.words(runtime, words);
        let usage = measure::usage(&runtime.path, &words).ok();
        verbs.push((name, usage, measure::system_calls(&runtime.path, &words, &rig.scratch)?));
    }
    let _ = rig.verb(runtime, &["delete", "--force", "@held"]);
    let docker = rig.docker(runtime, "bench")?;
    // Their system calls are not counted: strace(1) would stay with the container's process.
    for (name, words) in [
        ("create", &["create", "--bundle", &docker, "@bench"][..]),
        ("start", &["start", "@bench"]),
        ("delete", &["delete", "--force", "@bench"]),
    ] {
        let words = rig.words(runtime, words);
        verbs.push((name, measure::usage(&runtime.path, &words).ok(), None));
    }
    Ok(Facts { version: version(runtime)?, size: fs::metadata(&runtime.path)?.len(), verbs })
}

fn version(runtime: &Runtime) -> Result<String> {
    let output = std::process::Command::new(&runtime.path).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = text.lines().next().unwrap_or_default();
    Ok(format!("{} {}", runtime.name, first.split_whitespace().last().unwrap_or_default()))
}
