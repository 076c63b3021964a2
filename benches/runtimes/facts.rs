//! What does not vary from run to run: system calls, memory, size.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::measure::{self, Traced, Usage};
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
    let mut calls = calls_of_a_life(rig, runtime, &docker)?.into_iter();
    for (name, words) in [
        ("create", &["create", "--bundle", &docker, "@bench"][..]),
        ("start", &["start", "@bench"]),
        ("delete", &["delete", "--force", "@bench"]),
    ] {
        let words = rig.words(runtime, words);
        let usage = measure::usage(&runtime.path, &words).ok();
        verbs.push((name, usage, calls.next().flatten()));
    }
    Ok(Facts { version: version(runtime)?, size: fs::metadata(&runtime.path)?.len(), verbs })
}

/// The system calls of `create`, `start` and `delete`. Those of the container's program are among those of `create`: strace(1)
/// stays with it to its end, and so does not end before `start`.
fn calls_of_a_life(rig: &Rig, runtime: &Runtime, bundle: &str) -> Result<[Option<Calls>; 3]> {
    let begin = |words: &[&str], file: &str| {
        Traced::begin(&runtime.path, &rig.words(runtime, words), &rig.scratch.join(file))
    };
    let Some(create) = begin(&["create", "--bundle", bundle, "@bench"], "strace.create") else {
        return Ok([None, None, None]);
    };
    wait_until_created(rig, runtime)?;
    let start = begin(&["start", "@bench"], "strace").map(Traced::calls).transpose()?;
    let create = create.calls()?;
    let delete =
        begin(&["delete", "--force", "@bench"], "strace").map(Traced::calls).transpose()?;
    Ok([Some(create), start, delete])
}

fn wait_until_created(rig: &Rig, runtime: &Runtime) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        let state = Command::new(&runtime.path)
            .args(rig.words(runtime, &["state", "@bench"]))
            .stderr(Stdio::null())
            .output()?;
        let state: serde_json::Value = serde_json::from_slice(&state.stdout).unwrap_or_default();
        if state["status"] == "created" {
            return Ok(());
        }
        sleep(Duration::from_millis(20));
    }
    Err(format!("{} made no container under strace", runtime.name).into())
}

fn version(runtime: &Runtime) -> Result<String> {
    let output = Command::new(&runtime.path).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = text.lines().next().unwrap_or_default();
    Ok(format!("{} {}", runtime.name, first.split_whitespace().last().unwrap_or_default()))
}
