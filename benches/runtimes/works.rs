//! What is measured: each work is done by each program in turn.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::figures::Figure;
use crate::measure::time;
use crate::{Result, Runtime, bundles};

/// How often each is run before anything counts: caches fill, crun compiles its filters.
const WARM_UPS: usize = 3;

/// All that is measured, and where.
#[derive(Debug)]
pub struct Rig {
    /// A directory on a tmpfs.
    pub scratch: PathBuf,
    /// The floor program.
    pub floor: PathBuf,
    /// The runtimes, etui first.
    pub runtimes: Vec<Runtime>,
    /// The root file system of all containers.
    pub root: PathBuf,
    /// A bundle with the configuration of `etui spec` that runs `true`.
    pub default: PathBuf,
    /// Docker's configuration, to run `true`.
    docker: Value,
    /// The same, to sleep.
    sleeper: Value,
}

/// The figures of one work, in the order of the rig: the floor where it can do it, then the runtimes.
#[derive(Debug)]
pub struct Work {
    /// What was done.
    pub name: &'static str,
    /// The floor's figure.
    pub floor: Option<Figure>,
    /// Each runtime's; none where it fails.
    pub runtimes: Vec<Option<Figure>>,
    /// How etui must compare with crun.
    pub target: f64,
}

impl Rig {
    /// Makes the bundles.
    pub fn new(scratch: &Path, floor: PathBuf, runtimes: Vec<Runtime>) -> Result<Rig> {
        let root = bundles::root(scratch)?;
        let etui = &runtimes[0].path;
        let config = bundles::default(scratch, etui, &root, &["true"])?;
        let default = bundles::write(&scratch.join("spec"), &config)?;
        let docker = bundles::docker(scratch, &root, &["true"])?;
        let sleeper = bundles::docker(scratch, &root, &["sleep", "10000"])?;
        Ok(Rig { scratch: scratch.to_owned(), floor, runtimes, root, default, docker, sleeper })
    }

    /// A bundle for the runtime's container `name`, with Docker's configuration and a cgroup nobody else has.
    pub fn docker(&self, runtime: &Runtime, name: &str) -> Result<String> {
        self.docker_bundle(&self.docker, &format!("{}-{name}", runtime.name))
    }

    /// Starts the runtime's container `held`, which sleeps until it is deleted.
    pub fn hold(&self, runtime: &Runtime) -> Result<()> {
        let bundle = self.docker_bundle(&self.sleeper, &format!("{}-held", runtime.name))?;
        self.verb(runtime, &["run", "--detach", "--bundle", &bundle, "@held"]).map(drop)
    }

    fn docker_bundle(&self, config: &Value, id: &str) -> Result<String> {
        let mut config = config.clone();
        config["linux"]["cgroupsPath"] = format!("/docker/{id}").into();
        let bundle = bundles::write(&self.scratch.join("bundles").join(id), &config)?;
        Ok(bundle.display().to_string())
    }

    /// Runs a verb of a runtime; its state lies apart from the others'.
    pub fn verb(&self, runtime: &Runtime, words: &[&str]) -> Result<Duration> {
        time(&runtime.path, &self.words(runtime, words))
    }

    /// The arguments of such a call; a container `@name` has a cgroup apart from the other runtimes' of that name.
    pub fn words(&self, runtime: &Runtime, words: &[&str]) -> Vec<String> {
        let state = self.scratch.join("state").join(&runtime.name);
        let global = ["--root".to_owned(), state.display().to_string()];
        let own = |word: &&str| match word.strip_prefix('@') {
            Some(name) => format!("{}-{name}", runtime.name),
            None => (*word).to_owned(),
        };
        global.into_iter().chain(words.iter().map(own)).collect()
    }

    /// Runs the floor.
    pub fn floor(&self) -> Result<Duration> {
        time(&self.floor, &self.floor_words())
    }

    /// Its arguments.
    pub fn floor_words(&self) -> Vec<String> {
        let root = self.root.display().to_string();
        vec![root, "/sys/fs/cgroup/floor".into(), "/bin/true".into()]
    }
}

/// Every work, by every program.
pub fn measure_all(rig: &Rig, runs: usize) -> Result<Vec<Work>> {
    let default = rig.default.display().to_string();
    let run = |runtime: &Runtime| rig.verb(runtime, &["run", "--bundle", &default, "@bench"]);
    let run_docker = |runtime: &Runtime| {
        let bundle = rig.docker(runtime, "bench")?;
        rig.verb(runtime, &["run", "--bundle", &bundle, "@bench"])
    };
    let whole_life = |runtime: &Runtime| {
        let bundle = rig.docker(runtime, "bench")?;
        let created = rig.verb(runtime, &["create", "--bundle", &bundle, "@bench"])?;
        let started = rig.verb(runtime, &["start", "@bench"])?;
        let deleted = rig.verb(runtime, &["delete", "--force", "@bench"])?;
        Ok(created + started + deleted)
    };
    let exec = |runtime: &Runtime| rig.verb(runtime, &["exec", "@held", "true"]);
    let state = |runtime: &Runtime| rig.verb(runtime, &["state", "@held"]);
    let floor = || rig.floor();

    let mut works = vec![
        interleave(rig, "run, default configuration", 0.5, Some(&floor), &run, runs),
        interleave(rig, "run, Docker's configuration", 0.5, None, &run_docker, runs),
        interleave(rig, "create, start, delete", 0.45, None, &whole_life, runs),
    ];
    for runtime in &rig.runtimes {
        // One that fails has no figures for what follows.
        let _ = rig.hold(runtime);
    }
    works.push(interleave(rig, "exec of true", 0.4, None, &exec, runs));
    works.push(interleave(rig, "state", 0.35, None, &state, runs));
    for runtime in &rig.runtimes {
        let _ = rig.verb(runtime, &["delete", "--force", "@held"]);
    }
    Ok(works)
}

type Floor<'a> = &'a dyn Fn() -> Result<Duration>;
type Act<'a> = &'a dyn Fn(&Runtime) -> Result<Duration>;

fn interleave(
    rig: &Rig,
    name: &'static str,
    target: f64,
    floor: Option<Floor<'_>>,
    act: Act<'_>,
    runs: usize,
) -> Work {
    let mut floors = Vec::new();
    let mut all: Vec<Option<Vec<Duration>>> = vec![Some(Vec::new()); rig.runtimes.len()];
    for round in 0..WARM_UPS + runs {
        if let Some(Ok(took)) = floor.map(|floor| floor()) {
            floors.extend((round >= WARM_UPS).then_some(took));
        }
        for (runtime, times) in rig.runtimes.iter().zip(&mut all) {
            let Some(good) = times else { continue };
            match act(runtime) {
                Ok(took) => good.extend((round >= WARM_UPS).then_some(took)),
                Err(error) => {
                    eprintln!("{name}: {error}");
                    *times = None;
                }
            }
        }
    }
    Work {
        name,
        floor: (!floors.is_empty()).then(|| Figure::of(floors)),
        runtimes: all.into_iter().map(|times| times.map(Figure::of)).collect(),
        target,
    }
}
