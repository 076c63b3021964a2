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

/// What is asked of etui at one work, as a share of another's median.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Of crun's.
    pub of_crun: f64,
    /// Of the floor's.
    pub of_floor: Option<f64>,
}

/// The figures of one work.
#[derive(Debug)]
pub struct Work {
    /// What was done.
    pub name: &'static str,
    /// How etui must compare.
    pub target: Target,
    /// One for each round.
    pub rounds: Vec<Round>,
}

/// The figures of one work in one round.
#[derive(Debug, Clone)]
pub struct Round {
    /// The floor's, where it can do it.
    pub floor: Option<Figure>,
    /// Each runtime's, in the order of the rig; none where it fails.
    pub runtimes: Vec<Option<Figure>>,
}

impl Round {
    fn etui_to(&self, other: Option<&Figure>) -> Option<f64> {
        Some(self.runtimes.first()?.as_ref()?.ratio(other?))
    }

    /// etui's median as a share of crun's.
    pub fn of_crun(&self) -> Option<f64> {
        self.etui_to(self.runtimes.get(1)?.as_ref())
    }

    /// And of the floor's.
    pub fn of_floor(&self) -> Option<f64> {
        self.etui_to(self.floor.as_ref())
    }

    /// Whether etui did what is asked of it; none where there is nothing to compare with.
    pub fn meets(&self, target: Target) -> Option<bool> {
        let of_floor =
            target.of_floor.zip(self.of_floor()).is_none_or(|(target, own)| own <= target);
        Some(self.of_crun()? <= target.of_crun && of_floor)
    }
}

impl Work {
    /// The middle of all rounds, for each program by itself.
    pub fn middle(&self) -> Round {
        let of = |pick: &dyn Fn(&Round) -> Option<Figure>| {
            Figure::middle(self.rounds.iter().filter_map(pick).collect())
        };
        let count = self.rounds.first().map_or(0, |round| round.runtimes.len());
        Round {
            floor: of(&|round| round.floor),
            runtimes: (0..count).map(|at| of(&|round| round.runtimes[at])).collect(),
        }
    }
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

/// Every work by every program, in so many rounds of so many runs.
pub fn measure_all(rig: &Rig, rounds: usize, runs: usize) -> Result<Vec<Work>> {
    let mut works: Vec<Work> = Vec::new();
    for number in 1..=rounds {
        if rounds > 1 {
            eprintln!("round {number} of {rounds}");
        }
        for (at, (name, target, round)) in measure_once(rig, runs)?.into_iter().enumerate() {
            match works.get_mut(at) {
                Some(work) => work.rounds.push(round),
                None => works.push(Work { name, target, rounds: vec![round] }),
            }
        }
    }
    Ok(works)
}

fn measure_once(rig: &Rig, runs: usize) -> Result<Vec<(&'static str, Target, Round)>> {
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
    let of_crun = |of_crun| Target { of_crun, of_floor: None };
    let of_both = Target { of_crun: 0.5, of_floor: Some(1.35) };

    let mut works = vec![
        ("run, default configuration", of_both, interleave(rig, Some(&floor), &run, runs)),
        ("run, Docker's configuration", of_crun(0.5), interleave(rig, None, &run_docker, runs)),
        ("create, start, delete", of_crun(0.45), interleave(rig, None, &whole_life, runs)),
    ];
    for runtime in &rig.runtimes {
        // One that fails has no figures for what follows.
        let _ = rig.hold(runtime);
    }
    works.push(("exec of true", of_crun(0.4), interleave(rig, None, &exec, runs)));
    works.push(("state", of_crun(0.35), interleave(rig, None, &state, runs)));
    for runtime in &rig.runtimes {
        let _ = rig.verb(runtime, &["delete", "--force", "@held"]);
    }
    Ok(works)
}

/// Runs the floor.
pub type Floor<'a> = &'a dyn Fn() -> Result<Duration>;
/// Has a runtime do its work.
pub type Act<'a> = &'a dyn Fn(&Runtime) -> Result<Duration>;

/// Everybody in turn, and each time another one first: whoever comes after a large program finds the processor's caches full of
/// what that one left there.
pub fn interleave(rig: &Rig, floor: Option<Floor<'_>>, act: Act<'_>, runs: usize) -> Round {
    let mut floors = Vec::new();
    let mut all: Vec<Option<Vec<Duration>>> = vec![Some(Vec::new()); rig.runtimes.len()];
    let players = all.len() + 1;
    for round in 0..WARM_UPS + runs {
        for player in (0..players).map(|place| (place + round) % players) {
            let Some(runtime) = rig.runtimes.get(player) else {
                if let Some(Ok(took)) = floor.map(|floor| floor()) {
                    floors.extend((round >= WARM_UPS).then_some(took));
                }
                continue;
            };
            let Some(good) = &mut all[player] else { continue };
            match act(runtime) {
                Ok(took) => good.extend((round >= WARM_UPS).then_some(took)),
                Err(error) => {
                    eprintln!("{error}");
                    all[player] = None;
                }
            }
        }
    }
    Round {
        floor: (!floors.is_empty()).then(|| Figure::of(floors)),
        runtimes: all.into_iter().map(|times| times.map(Figure::of)).collect(),
    }
}
