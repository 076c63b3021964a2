//! Runs a runtime's command line: etui's, or that of the program `RUNTIME` names.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program under test.
pub fn runtime() -> PathBuf {
    match std::env::var_os("RUNTIME") {
        Some(runtime) => runtime.into(),
        None => env!("CARGO_BIN_EXE_etui").into(),
    }
}

/// A command of the program under test, which keeps its containers under `root`.
pub fn command(root: &Path) -> Command {
    let mut command = Command::new(runtime());
    command.env_remove("XDG_RUNTIME_DIR").arg("--root").arg(root);
    command
}

/// Runs `line` on etui, whatever `RUNTIME` says.
pub fn run_etui(root: &Path, line: &str) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_etui"));
    command.arg("--root").arg(root).args(line.split_whitespace());
    command.output().expect("etui starts").into()
}

/// Runs `line`, words apart by spaces.
pub fn run(root: &Path, line: &str) -> Outcome {
    command(root).args(line.split_whitespace()).output().expect("the runtime starts").into()
}

/// What a program left.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Outcome {
        Outcome {
            code: output.status.code().expect("no signal ended it"),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}
