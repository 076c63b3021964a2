//! The properties of `fuzz/` on stable: over its seeds, and over what small damage makes of it.

#[path = "../fuzz/properties.rs"]
mod properties;

use std::fs;
use std::path::Path;

/// Runs `property` over every file among the seeds, whole, cut short, and with bytes exchanged.
fn over_seeds(name: &str, property: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut seeds = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let seed = fs::read(entry.unwrap().path()).unwrap();
        seeds += 1;
        property(&seed);
        damaged(&seed).for_each(|damaged| property(&damaged));
    }
    assert!(seeds >= 2, "{name}: {seeds} seeds");
}

/// The seed with each of some of its places damaged; which ones, is the same at every run.
fn damaged(seed: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    const BYTES: &[u8] = b"\0\"{}[],:-019ae/\\\x7f\xff";
    let step = (seed.len() / 150).max(1);
    (0..seed.len()).step_by(step).flat_map(move |place| {
        let mut exchanged = seed.to_vec();
        exchanged[place] = BYTES[place % BYTES.len()];
        let mut doubled = seed.to_vec();
        doubled.extend_from_slice(&seed[place..]);
        [seed[..place].to_vec(), seed[place..].to_vec(), exchanged, doubled]
    })
}

#[test]
fn config() {
    over_seeds("config", properties::config);
}

#[test]
fn process() {
    over_seeds("process", properties::process);
}

#[test]
fn seccomp() {
    over_seeds("seccomp", properties::seccomp);
}

#[test]
fn record() {
    over_seeds("record", properties::record);
}

#[test]
fn channel() {
    over_seeds("channel", properties::channel);
}
