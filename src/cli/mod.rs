//! Flags in; text, JSON and exit code out. Knows runc's flags and output formats, no `config.json`, no system call.

mod checkpoint;
mod containers;
mod duration;
mod exec;
mod flags;
mod global;
mod grammar;
mod help;
mod log;
mod parse;
mod processes;
mod reports;
mod resources;
mod signal;
mod table;
mod verbs;

use std::ffi::OsString;
use std::io::Write;

use crate::error::{Call, Error, Kind, Result};
use crate::kernel::signals::expect_children;
use crate::lifecycle::Global;
use crate::lifecycle::container::Container;
use crate::timeline;
use grammar::{Flag, FlagsEnd, Verb};
use parse::Given;

/// What every failure returns, but for those below.
const FAILED: u8 = 1;
/// What `exec` returns when it can't run the process: the process's own codes are 0 to 254, so callers tell them apart.
const EXEC_FAILED: u8 = 255;
/// What an unknown verb returns.
const NO_SUCH_VERB: u8 = 3;

/// Carries out the command line of this process; answers its exit code.
pub fn main() -> i32 {
    expect_children();
    let mut words = crate::sys::entry::arguments();
    i32::from(obey(&words.split_off(words.len().min(1))))
}

fn obey(words: &[OsString]) -> u8 {
    let given = match parse::parse(words, verbs::GLOBAL, FlagsEnd::AtVerb) {
        Ok(given) => given,
        Err(error) => return refuse_usage(None, &error),
    };
    if given.has(&flags::HELP) || given.has(&flags::VERSION) {
        return without_verb(&given);
    }
    let Some(name) = given.arguments.first() else { return without_verb(&given) };
    let verb = verbs::named(name);
    let Some((verb, act)) = verb.and_then(|verb| Some((verb, action(verb.name)?))) else {
        if let Err(error) = global::open_log(&given) {
            return fail(FAILED, &error);
        }
        return fail(NO_SUCH_VERB, &help::no_topic(&name.to_string_lossy()));
    };
    match parse::parse(&given.arguments[1..], &known_to(verb), verb.flags_end) {
        Ok(own) => obey_verb(verb, act, &own.after(given)),
        Err(error) => match global::open_log(&given) {
            Ok(()) => refuse_usage(Some(verb), &error),
            Err(error) => fail(FAILED, &error),
        },
    }
}

/// Carries out a verb; returns the exit code.
type Action = fn(&Global, &Given) -> Result<u8>;

fn action(verb: &str) -> Option<Action> {
    Some(match verb {
        "checkpoint" => checkpoint::checkpoint,
        "create" => containers::create,
        "delete" => containers::delete,
        "events" => reports::events,
        "exec" => exec::exec,
        "features" => reports::features,
        "kill" => containers::kill,
        "list" => reports::list,
        "pause" => containers::pause,
        "ps" => reports::ps,
        "restore" => checkpoint::restore,
        "resume" => containers::resume,
        "run" => containers::run,
        "spec" => reports::spec,
        "start" => containers::start,
        "state" => reports::state,
        "update" => resources::update,
        "help" => help::help,
        "completion" => help::completion,
        "man" => help::manual,
        _ => return None,
    })
}

/// The verb's own flags, then the global ones: a flag of its own hides a global one of that name.
fn known_to(verb: &Verb) -> Vec<&'static Flag> {
    verb.flags.iter().chain(verbs::GLOBAL).copied().collect()
}

fn obey_verb(verb: &Verb, act: Action, given: &Given) -> u8 {
    if given.has(&flags::HELP) {
        return print_help(Some(verb));
    }
    let opened = global::open_log(given).and_then(|()| global::begin_timeline(given, verb.name));
    if let Err(error) = opened {
        return fail(FAILED, &error);
    }
    if let Some(fault) = verb.arguments.fault(verb.name, given.arguments.len()) {
        return refuse_usage(Some(verb), &Error::refused(fault).of_kind(Kind::Usage));
    }
    let code_of_failure = if verb.name == "exec" { EXEC_FAILED } else { FAILED };
    let global = match global::read(given) {
        Ok(global) => global,
        Err(error) => return fail(FAILED, &error),
    };
    let acted = act(&global, given).map_err(|error| or_absence(&global, verb, given, error));
    if let Err(error) = timeline::write() {
        log::warning(&error.to_string());
    }
    match acted {
        Ok(code) => code,
        Err(error) if error.kind() == Kind::NoSuchVerb => fail(NO_SUCH_VERB, &error),
        Err(error) => fail(code_of_failure, &in_callers_words(verb, error)),
    }
}

/// runc looks for the container before it reads the values of flags, we the other way round: where both are wrong, the
/// absence is what callers look for.
fn or_absence(global: &Global, verb: &Verb, given: &Given, error: Error) -> Error {
    let of_a_container = ["checkpoint", "events", "exec", "kill", "ps", "update"];
    if !of_a_container.contains(&verb.name) {
        return error;
    }
    match given.argument(0).and_then(|id| Container::load(global, id)) {
        Ok(_) => error,
        Err(absence) => absence,
    }
}

/// Callers know these beginnings from runc.
fn in_callers_words(verb: &Verb, error: Error) -> Error {
    match verb.name {
        "create" | "run" => error.context(format!("etui {} failed", verb.name)),
        "exec" => error.context("exec failed"),
        _ => error,
    }
}

fn without_verb(given: &Given) -> u8 {
    if given.has(&flags::VERSION) {
        return print_or_fail(&version());
    }
    print_help(None)
}

fn version() -> String {
    let mut text = format!("etui version {}\n", env!("CARGO_PKG_VERSION"));
    if let Some(commit) = option_env!("ETUI_COMMIT") {
        text.push_str(&format!("commit: {commit}\n"));
    }
    text.push_str(&format!("spec: {}\n", crate::spec::state::OCI_VERSION));
    text
}

fn print_help(verb: Option<&Verb>) -> u8 {
    print_or_fail(&help::text(verb))
}

fn print_or_fail(text: &str) -> u8 {
    match print(text) {
        Ok(()) => 0,
        Err(error) => fail(FAILED, &error),
    }
}

/// Help goes to standard output, as runc has it; what is wrong to the log.
fn refuse_usage(verb: Option<&Verb>, error: &Error) -> u8 {
    let _ = print(&format!("Incorrect Usage.\n\n{}", help::text(verb)));
    fail(FAILED, error)
}

fn fail(code: u8, error: &Error) -> u8 {
    log::error(&error.to_string());
    code
}

/// Writes to standard output; unlike `println!` a reader that went away is an error, not a panic.
fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).call(|| "write(1)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_carried_out() {
        for verb in verbs::VERBS {
            assert!(action(verb.name).is_some(), "{}", verb.name);
        }
    }
}
