//! Where the time goes: the steps of this process and of the one it clones, as a trace that Perfetto (ui.perfetto.dev)
//! and chrome://tracing open. Knows no particular step.
//!
//! Both processes note their steps in memory they share, so nothing has to cross between them, and no descriptor of the
//! file reaches the container: the memory is gone with the execve of its program. Unless [`begin`] was called a note
//! costs one comparison.

use std::fmt::Write;
use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{Call, Context, Error, Result};
use crate::sys::shared;

/// The processes: the one that carries out a verb, and the one it makes.
const LANES: [&str; 2] = ["parent", "init"];
/// How many steps of one process are kept; those beyond are not.
const STEPS: usize = 96;
/// A step: when it began and when it ended, in nanoseconds, and its name.
const STEP: usize = 2 + NAME;
/// The words of a name.
const NAME: usize = 4;
/// How many steps there are, when the current one began, and the steps.
const LANE: NonZeroUsize = NonZeroUsize::new(2 + STEPS * STEP).expect("not zero");
/// What closes a trace.
const END: &[u8] = b"\n]\n";

static TIMELINE: OnceLock<Timeline> = OnceLock::new();
/// Which of [`LANES`] this process is.
static OWN_LANE: AtomicUsize = AtomicUsize::new(0);

struct Timeline {
    file: PathBuf,
    /// The process that carries out the verb.
    pid: u32,
    verb: String,
    numbers: &'static [AtomicU64],
}

/// Notes from here on what is done to carry out `verb`; [`write`] adds it to `file`.
pub fn begin(file: &Path, verb: &str) -> Result<()> {
    open(file)?;
    let numbers =
        shared::numbers(LANE.saturating_mul(NonZeroUsize::new(LANES.len()).expect("two")))
            .call(|| "mmap(MAP_SHARED|MAP_ANONYMOUS)")?;
    let (file, verb) = (file.to_owned(), verb.to_owned());
    TIMELINE.get_or_init(|| Timeline { file, pid: std::process::id(), verb, numbers });
    enter_lane(0);
    Ok(())
}

/// This process was cloned just now: its own first step begins.
pub fn born() {
    enter_lane(1);
}

fn enter_lane(lane: usize) {
    if let Some(timeline) = TIMELINE.get() {
        OWN_LANE.store(lane, Ordering::Relaxed);
        timeline.lane(lane)[1].store(now(), Ordering::Relaxed);
    }
}

/// The step `name`, of at most 32 bytes, is done, and the next one begins.
#[inline]
pub fn done(name: &str) {
    if let Some(timeline) = TIMELINE.get() {
        timeline.note(name);
    }
}

/// Adds what was noted to the file.
pub fn write() -> Result<()> {
    match TIMELINE.get() {
        Some(timeline) => timeline.write(),
        None => Ok(()),
    }
}

impl Timeline {
    fn lane(&self, lane: usize) -> &[AtomicU64] {
        &self.numbers[lane * LANE.get()..][..LANE.get()]
    }

    fn note(&self, name: &str) {
        let lane = self.lane(OWN_LANE.load(Ordering::Relaxed));
        let (count, now) = (lane[0].load(Ordering::Relaxed), now());
        let index = usize::try_from(count).unwrap_or(usize::MAX);
        if index >= STEPS {
            return;
        }
        let step = &lane[2 + index * STEP..][..STEP];
        step[0].store(lane[1].load(Ordering::Relaxed), Ordering::Relaxed);
        step[1].store(now, Ordering::Relaxed);
        let letters = name.as_bytes().chunks(8).chain(std::iter::repeat(&[][..]));
        for (word, letters) in step[2..].iter().zip(letters) {
            let mut bytes = [0; 8];
            bytes[..letters.len()].copy_from_slice(letters);
            word.store(u64::from_ne_bytes(bytes), Ordering::Relaxed);
        }
        lane[1].store(now, Ordering::Relaxed);
        // The other process reads a step once it is counted.
        lane[0].store(count + 1, Ordering::Release);
    }

    fn write(&self) -> Result<()> {
        let (file, length) = open(&self.file)?;
        let mut text = String::new();
        for lane in 0..LANES.len() {
            self.print_lane(lane, &mut text);
        }
        let begin = if length == 0 { "[\n" } else { ",\n" };
        let text = [begin.as_bytes(), text.trim_end_matches(",\n").as_bytes(), END].concat();
        let at = length.saturating_sub(END.len() as u64);
        file.write_all_at(&text, at)
            .call(|| format!("write({:?})", self.file))
            .context("--timeline")
    }

    /// The steps of a process, as `ph` X, after its names, as `ph` M (Trace Event Format); they are forgotten here.
    fn print_lane(&self, lane: usize, text: &mut String) {
        let (pid, verb, name) = (self.pid, &self.verb, LANES[lane]);
        let numbers = self.lane(lane);
        let count = usize::try_from(numbers[0].load(Ordering::Acquire)).unwrap_or(STEPS);
        if count == 0 {
            return;
        }
        let own = format!(r#""pid":{pid},"tid":{lane}"#);
        let _ = write!(
            text,
            "{{\"name\":\"process_name\",\"ph\":\"M\",{own},\"args\":{{\"name\":\"etui {verb}\"}}}},\n\
             {{\"name\":\"thread_name\",\"ph\":\"M\",{own},\"args\":{{\"name\":\"{name}\"}}}},\n"
        );
        for step in numbers[2..].chunks_exact(STEP).take(count) {
            let [began, ended] = [0, 1].map(|which: usize| step[which].load(Ordering::Relaxed));
            let (start, took) = (microseconds(began), microseconds(ended.saturating_sub(began)));
            let name = name_of(&step[2..]);
            let _ =
                writeln!(text, r#"{{"name":"{name}","ph":"X",{own},"ts":{start},"dur":{took}}},"#);
        }
        numbers[0].store(0, Ordering::Relaxed);
    }
}

fn name_of(words: &[AtomicU64]) -> String {
    let letters = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
    let letters: Vec<u8> = letters.take_while(|letter| *letter != 0).collect();
    String::from_utf8_lossy(&letters).into_owned()
}

fn microseconds(nanoseconds: u64) -> String {
    format!("{}.{:03}", nanoseconds / 1000, nanoseconds % 1000)
}

/// The trace so far and its length: other calls may have begun it. What is no trace stays as it is.
fn open(path: &Path) -> Result<(File, u64)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o644);
    let call = || format!("open({path:?})");
    let file = options.open(path).call(call).context("--timeline")?;
    let length = file.metadata().call(call)?.len();
    let mut end = [0; END.len()];
    let is_trace = length == 0
        || length
            .checked_sub(END.len() as u64)
            .is_some_and(|at| file.read_exact_at(&mut end, at).is_ok() && end == *END);
    match is_trace {
        true => Ok((file, length)),
        false => Err(Error::refused(format!("--timeline: {path:?} exists and is not a timeline"))),
    }
}

/// Not the monotonic clock: a time namespace would shift it between the two processes. In nanoseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(0)
}
