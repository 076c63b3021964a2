//! Running a command, and what it took: time, memory, system calls.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use crate::Result;

/// The word by which this program calls itself to watch one command: only the memory of all children together can be
/// asked for, so each command gets a parent of its own.
pub const UNDER_WATCH: &str = "--under-watch";

/// Runs `program` with `arguments` to its successful end; answers how long that took.
pub fn time<A: AsRef<OsStr>>(program: &Path, arguments: &[A]) -> Result<Duration> {
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()?;
    let status = child.wait()?;
    let took = start.elapsed();
    match status.success() {
        true => Ok(took),
        false => Err(failure(program, arguments).into()),
    }
}

fn failure<A: AsRef<OsStr>>(program: &Path, arguments: &[A]) -> String {
    let words: Vec<_> = arguments.iter().map(|word| word.as_ref().to_string_lossy()).collect();
    format!("{} {} failed", program.display(), words.join(" "))
}

/// What a command used, its children that it waited for included.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// The largest resident size of one process, in KiB.
    pub resident: i64,
    /// Processor time, in microseconds.
    pub processor: i64,
    /// Page faults that needed no disk.
    pub faults: i64,
}

/// What `program` with `arguments` uses.
pub fn usage<A: AsRef<OsStr>>(program: &Path, arguments: &[A]) -> Result<Usage> {
    let output = Command::new(std::env::current_exe()?)
        .arg(UNDER_WATCH)
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        // Not piped: a container that stays would keep it open.
        .stderr(Stdio::inherit())
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let numbers: Vec<i64> =
        text.split_whitespace().map(str::parse).collect::<std::result::Result<_, _>>()?;
    match numbers[..] {
        [resident, processor, faults] => Ok(Usage { resident, processor, faults }),
        _ => Err(failure(program, arguments).into()),
    }
}

/// The other side of [`usage`].
pub fn watch(command: &[String]) -> Result<()> {
    let (program, arguments) = command.split_first().ok_or("nothing to watch")?;
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(failure(Path::new(program), arguments).into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = usage.user_time() + usage.system_time();
    let microseconds = time.tv_sec() * 1_000_000 + time.tv_usec();
    println!("{} {microseconds} {}", usage.max_rss(), usage.minor_page_faults());
    Ok(())
}

/// A program that runs under strace(1), with all its children.
#[derive(Debug)]
pub struct Traced {
    strace: Child,
    counts: PathBuf,
}

impl Traced {
    /// Starts it; none without strace.
    pub fn begin<A: AsRef<OsStr>>(
        program: &Path,
        arguments: &[A],
        counts: &Path,
    ) -> Option<Traced> {
        let strace = Command::new("strace")
            .args(["-f", "-c", "-o"])
            .arg(counts)
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Some(Traced { strace: strace.ok()?, counts: counts.to_owned() })
    }

    /// How often each system call was made, once all of them have ended.
    pub fn calls(mut self) -> Result<BTreeMap<String, u64>> {
        self.strace.wait()?;
        let text = fs::read_to_string(self.counts)?;
        // Share of time, seconds, microseconds a call, calls, errors where there were some, name.
        let rows = text.lines().filter(|line| !line.contains("---") && !line.contains("% time"));
        let row = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            Some(((*words.last()?).to_owned(), words.get(3)?.parse().ok()?))
        };
        Ok(rows.filter_map(row).filter(|(name, _)| name != "total").collect())
    }
}

/// How often `program` with `arguments` and all its children make each system call; none without strace(1).
pub fn system_calls<A: AsRef<OsStr>>(
    program: &Path,
    arguments: &[A],
    scratch: &Path,
) -> Result<Option<BTreeMap<String, u64>>> {
    Traced::begin(program, arguments, &scratch.join("strace")).map(Traced::calls).transpose()
}
