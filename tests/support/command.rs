//! One run of a program: started with its output in files, waited for with a deadline.
//!
//! Files and not pipes, for a detached container keeps the descriptors: a pipe would not end.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// Longer than any command takes on a busy machine or in the lab; a test that gets here has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The exit code; 128 and the signal's number where a signal ended it.
    pub fn code(&self) -> i32 {
        use std::os::unix::process::ExitStatusExt;
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Itself, when the exit code is zero.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "{self:#?}");
        self
    }

    /// Itself, when the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{self:#?}");
        self
    }

    /// Itself, when the command failed with these words in its error, whatever their case.
    #[track_caller]
    pub fn says(self, words: &str) -> Self {
        assert!(!self.status.success(), "succeeded: {self:#?}");
        assert!(
            self.stderr.to_lowercase().contains(&words.to_lowercase()),
            "no {words:?}: {self:#?}"
        );
        self
    }

    /// Standard output without the white space around it.
    pub fn text(&self) -> &str {
        self.stdout.trim()
    }

    /// Standard output, line by line.
    pub fn lines(&self) -> Vec<&str> {
        self.stdout.lines().collect()
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Runs `command` to its end, its output in `dir/NAME.out` and `dir/NAME.err`.
#[track_caller]
pub fn complete(mut command: Command, dir: &Path, name: &str) -> Outcome {
    let (out, err) = (dir.join(format!("{name}.out")), dir.join(format!("{name}.err")));
    command.stdout(File::create(&out).expect("a file for output"));
    command.stderr(File::create(&err).expect("a file for errors"));
    command.stdin(empty_file(dir));
    let mut child = command.spawn().expect("the program starts");
    let status = wait_with_deadline(&mut child);
    let read = |path| String::from_utf8_lossy(&fs::read(path).expect("its output")).into_owned();
    let outcome = Outcome {
        status: status.unwrap_or_else(|| child.wait().expect("the killed child")),
        stdout: read(&out),
        stderr: read(&err),
    };
    assert!(status.is_some(), "{command:?} was still running after {DEADLINE:?}: {outcome:#?}");
    outcome
}

/// Not `/dev/null`: a runtime that gives standard input to the container's user may spoil the machine's.
fn empty_file(dir: &Path) -> File {
    let path = dir.join("empty");
    fs::write(&path, "").expect("an empty file");
    File::open(path).expect("an empty file")
}

fn wait_with_deadline(child: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return Some(status);
        }
        if start.elapsed() > DEADLINE {
            child.kill().expect("a child of ours");
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until `condition` holds, and fails when it doesn't within five seconds.
#[track_caller]
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(5), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
