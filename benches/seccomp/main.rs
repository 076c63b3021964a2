//! How long Docker's profile takes to become a filter, and how long the filter is, beside libseccomp:
//! `cargo bench --bench seccomp`. What a filtered call costs is measured in containers, by `make bench`.

use std::path::Path;
use std::process::Command;

use etui::kernel::seccomp::{self, Profile};
use etui::plan;
use etui::spec::Spec;
use etui::spec::bundle;

const CONFIG: &str = include_str!("../fixtures/docker-config.json");

/// The profile for the first so many of its architectures.
fn profile(architectures: usize) -> Profile {
    let spec: Spec = bundle::parse(CONFIG.as_bytes()).expect("a configuration");
    let mut profile = spec.linux.and_then(|linux| linux.seccomp).expect("Docker's profile");
    profile.architectures.truncate(architectures);
    plan::seccomp::profile(&profile).expect("a profile").expect("a filter")
}

#[divan::bench(args = [1, 3])]
fn compile(bencher: divan::Bencher<'_, '_>, architectures: usize) {
    let profile = profile(architectures);
    bencher.bench(|| seccomp::compile(&profile).expect("a filter").to_bytes());
}

fn main() {
    for architectures in [1, 3] {
        let bytes = seccomp::compile(&profile(architectures)).expect("a filter").to_bytes();
        println!("etui, {architectures} architectures: {} instructions", bytes.len() / 8);
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
    let compared = Command::new("python3")
        .arg(directory.join("seccomp/libseccomp.py"))
        .arg(directory.join("fixtures/docker-config.json"))
        .status();
    if !compared.is_ok_and(|status| status.success()) {
        println!("libseccomp: not compared, it takes python3 and libseccomp.so.2");
    }
    divan::main();
}
