//! How fast etui is, beside other runtimes and the floor (`benches/floor`): `make bench`, as root.
//!
//! Everything runs in one private mount namespace with a cgroup2 tree of its own on /sys/fs/cgroup and the state on a
//! tmpfs, as on an ordinary host. The programs take turns, so that whatever else the machine does hits all alike.
//!
//! ```text
//! make bench ARGS="--runs 30 --tree DIR --runtime PATH --write"
//!   --runs N        how often each is measured in a round (30)
//!   --rounds N      how often all of it is repeated (1): a target counts as met when it is in three rounds of three
//!   --tree DIR      a root tree whose crun and runc are measured, with its libraries, instead of the host's
//!   --runtime PATH  one more runtime
//!   --only          nothing but etui and what --runtime names
//!   --scale         also: many containers, many mounts, large configurations
//!   --write         writes docs/performance.md and docs/performance.svg
//!   --layout PATH   measures nothing, and writes which functions etui runs, for the linker (`make layout`)
//! ```

mod bundles;
mod calls;
mod facts;
mod figures;
mod layout;
mod measure;
mod phases;
mod report;
mod scale;
mod view;
mod works;

use std::path::{Path, PathBuf};
use std::process::Command;

type Error = Box<dyn std::error::Error>;
type Result<T> = std::result::Result<T, Error>;

/// A program that is measured.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// Its column in the table.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

#[derive(Debug)]
struct Options {
    runs: usize,
    rounds: usize,
    tree: Option<PathBuf>,
    runtimes: Vec<PathBuf>,
    only: bool,
    scale: bool,
    write: bool,
    layout: Option<PathBuf>,
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1).peekable();
    if words.next_if(|word| word == measure::UNDER_WATCH).is_some() {
        return measure::watch(&words.collect::<Vec<_>>());
    }
    if !nix::unistd::geteuid().is_root() {
        return Err("containers, cgroups and mounts are made: run it as root".into());
    }
    if words.next_if(|word| word == view::INSIDE).is_none() {
        std::process::exit(view::run_inside()?);
    }
    let options = read_options(words)?;
    let scratch = view::furnish()?;
    let floor = build(&scratch, "floor")?;
    build(&scratch, "calls")?;
    options.tree.as_deref().map_or(Ok(()), view::use_libraries_of)?;
    let runtimes = find_runtimes(&options)?;
    let rig = works::Rig::new(&scratch, floor, runtimes)?;
    if let Some(layout) = &options.layout {
        return layout::write(&rig, layout);
    }
    let mut report = report::Report::new(&rig);
    report.works = works::measure_all(&rig, options.rounds, options.runs)?;
    report.facts = facts::gather(&rig)?;
    report.calls = calls::measure(&rig)?;
    report.phases = phases::measure(&rig, options.runs)?;
    if options.scale {
        report.scale = scale::measure(&rig)?;
    }
    print!("{}", report.markdown());
    if options.write {
        report.write(Path::new(env!("CARGO_MANIFEST_DIR")))?;
    }
    Ok(())
}

fn read_options(mut words: impl Iterator<Item = String>) -> Result<Options> {
    let mut options = Options {
        runs: 30,
        rounds: 1,
        tree: None,
        runtimes: Vec::new(),
        only: false,
        scale: false,
        write: false,
        layout: None,
    };
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--runs" => options.runs = value()?.parse()?,
            "--rounds" => options.rounds = value()?.parse()?,
            "--tree" => options.tree = Some(value()?.into()),
            "--runtime" => options.runtimes.push(value()?.into()),
            "--only" => options.only = true,
            "--scale" => options.scale = true,
            "--write" => options.write = true,
            "--layout" => options.layout = Some(std::path::absolute(value()?)?),
            // What `cargo bench` adds.
            "--bench" => {}
            _ => return Err(format!("unknown option {word}").into()),
        }
    }
    Ok(options)
}

/// Builds a program of ours in C.
fn build(scratch: &Path, name: &str) -> Result<PathBuf> {
    let source = format!("{}/benches/{name}/{name}.c", env!("CARGO_MANIFEST_DIR"));
    let program = scratch.join(name);
    let built =
        Command::new("cc").args(["-O2", "-static", "-o"]).arg(&program).arg(source).status()?;
    match built.success() {
        true => Ok(program),
        false => Err(format!("the program {name} does not build: is there a C compiler").into()),
    }
}

/// etui first, crun second: ratios are to these two.
/// etui as `make install` leaves it, a copy, like the peers: what the linker writes bit by bit lies in small pieces in the page
/// cache, and takes 7 % longer to run.
fn installed() -> Result<PathBuf> {
    let built = Path::new(env!("CARGO_BIN_EXE_etui"));
    let directory = built.with_file_name("installed");
    std::fs::create_dir_all(&directory)?;
    let path = directory.join("etui");
    let _ = std::fs::remove_file(&path);
    std::fs::copy(built, &path)?;
    Ok(path)
}

fn find_runtimes(options: &Options) -> Result<Vec<Runtime>> {
    let mut runtimes = vec![Runtime { name: "etui".into(), path: installed()? }];
    for (name, places) in [
        ("crun", &["usr/bin/crun", "usr/local/bin/crun"][..]),
        ("runc", &["usr/bin/runc", "usr/sbin/runc", "usr/local/sbin/runc"]),
        ("youki", &["usr/bin/youki", "usr/local/bin/youki"]),
    ] {
        if options.only {
            break;
        }
        let roots = options.tree.as_deref().into_iter().chain([Path::new("/")]);
        let found = roots.flat_map(|root| places.iter().map(|place| root.join(place)));
        if let Some(path) = found.into_iter().find(|path| path.exists()) {
            runtimes.push(Runtime { name: name.into(), path });
        }
    }
    for path in &options.runtimes {
        let name = path.file_name().ok_or("--runtime names no file")?.to_string_lossy().into();
        runtimes.push(Runtime { name, path: std::path::absolute(path)? });
    }
    Ok(runtimes)
}
