//! The words that callers match on: tables of invocations as go-runc, conmon, Podman, nerdctl, buildkit and people make
//! them, each with its exit code, what is on standard output and the message; told first as runc answers (1.5, where
//! the releases differ), then, with the reason, where etui answers otherwise on purpose.
//!
//! `RUNTIME=... cargo test --test words` and `scripts/peer runc words` hold another runtime against the same tables;
//! `WORDS=print` prints what was seen, as lines of a table; `WORDS_FILE=FILE` takes that table instead.
//!
//! A line is `[SET-UP; SET-UP... ::] COMMAND | EXIT | STDOUT | MESSAGE`, indented lines below it are answers of one
//! runtime, `NAME | EXIT | STDOUT | MESSAGE # REASON`. [`words::setup`] knows the set-ups, [`words::answer`] the columns.

#[path = "words/answer.rs"]
mod answer;
#[path = "words/setup.rs"]
mod setup;
mod support;
#[path = "words/table.rs"]
mod table;

use std::process::Command;

use setup::Scene;
use support::{Kind, kind, only_on, runtime, skip};
use table::Case;

/// Holds the runtime against every line, and tells all that differ at once.
fn hold(name: &str, text: &str) {
    if !only_on(&[Kind::Etui, Kind::Runc], "crun has words of its own") {
        return;
    }
    let Some(answers) = answers() else {
        return skip("the tables tell runc 1.3 and 1.5");
    };
    let given =
        std::env::var_os("WORDS_FILE").map(|file| std::fs::read_to_string(file).expect("a table"));
    let cases = table::parse(given.as_deref().unwrap_or(text));
    let print = std::env::var_os("WORDS").is_some_and(|mode| mode == "print");
    let mut wrong = Vec::new();
    let mut unchanged: Option<(&[String], Scene)> = None;
    for case in &cases {
        let scene = match unchanged.take() {
            Some((setup, scene)) if setup == case.setup => scene,
            other => {
                drop(other);
                prepared(case)
            }
        };
        let seen = scene.ask(&case.command);
        // So that a case costs a command, not a container. What fails changes nothing: the next cases would tell. But
        // runc may keep an id that it could not use.
        if case.only_asks() || seen.exit != 0 && (kind() == Kind::Etui || !case.makes_containers())
        {
            unchanged = Some((&case.setup, scene));
        }
        if print {
            println!("{} | {seen}", case.line);
        } else if let Err(why) = case.expected(answers).fits(&seen) {
            wrong.push(format!(
                "{name}.txt:{}: {}\n    {why}\n    seen: {seen}",
                case.number, case.line
            ));
        }
    }
    println!("{name}: {} invocations", cases.len());
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Whose answers the tables are asked for.
fn answers() -> Option<&'static str> {
    if kind() == Kind::Etui {
        return Some("etui");
    }
    let output = Command::new(runtime()).arg("--version").output().expect("the runtime runs");
    let version = String::from_utf8_lossy(&output.stdout).split_whitespace().nth(2)?.to_owned();
    ["runc 1.3", "runc 1.5"].into_iter().find(|name| version.starts_with(&name[5..]))
}

fn prepared(case: &Case) -> Scene {
    let mut scene = Scene::new();
    for step in &case.setup {
        scene.prepare(step);
    }
    scene
}

macro_rules! tables {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            hold(stringify!($name), include_str!(concat!("words/", stringify!($name), ".txt")));
        })*
    };
}

tables!(callers, usage, states, exec, verbs, making, logs, process, config, hooks);
