//! Which runtime is under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The runtimes whose answers the tests know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Etui,
    Crun,
    Runc,
}

/// The runtime's program.
pub fn runtime() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("RUNTIME") {
        Some(program) => program.into(),
        None => env!("CARGO_BIN_EXE_etui").into(),
    })
}

/// By the first word of its `--version`.
pub fn kind() -> Kind {
    static KIND: OnceLock<Kind> = OnceLock::new();
    *KIND.get_or_init(|| {
        let output = Command::new(runtime()).arg("--version").output().expect("the runtime runs");
        match String::from_utf8_lossy(&output.stdout).split_whitespace().next() {
            Some("crun") => Kind::Crun,
            Some("runc") => Kind::Runc,
            _ => Kind::Etui,
        }
    })
}
