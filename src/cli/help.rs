//! Help, shell completions and manual pages, made by clap out of our definitions. clap parses nothing here: building its
//! commands costs more than all the parsing, and its rules are not those that runc's callers rely on.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, ValueHint};
use clap_complete::Shell;

use super::grammar::{Flag, Shown, Takes, Verb};
use super::parse::Given;
use super::verbs::{self, GLOBAL, VERBS};
use super::{flags, print};
use crate::error::{Call, Error, Kind, Result};
use crate::lifecycle::Global;

const ABOUT: &str = "Open Container Initiative runtime";

/// The help of etui, or of one verb.
pub(super) fn text(verb: Option<&Verb>) -> String {
    let mut command = match verb {
        Some(verb) => verb_command(verb)
            .display_name(format!("etui {}", verb.name))
            .override_usage(usage(verb)),
        None => global_command()
            .override_usage("etui [options] <verb> [options] [arguments]")
            .help_template(template(&format!("VERBS:\n{}\n", verb_lines()))),
    };
    command.render_help().to_string()
}

pub(super) fn help(_global: &Global, given: &Given) -> Result<u8> {
    let name = given.argument(0)?;
    let verb = verbs::named(OsStr::new(name));
    if verb.is_none() && !name.is_empty() {
        return Err(no_topic(name));
    }
    print(&text(verb))?;
    Ok(0)
}

/// There is no verb of this name.
pub(super) fn no_topic(name: &str) -> Error {
    Error::refused(format!("No help topic for '{name}'")).of_kind(Kind::NoSuchVerb)
}

pub(super) fn completion(_global: &Global, given: &Given) -> Result<u8> {
    let name = given.argument(0)?;
    let shell = match name {
        "bash" => Shell::Bash,
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        _ => return Err(Error::refused(format!("no completions for {name:?}: bash, zsh or fish"))),
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut whole_command(), "etui", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}

pub(super) fn manual(_global: &Global, given: &Given) -> Result<u8> {
    let directory = PathBuf::from(given.argument(0)?);
    fs::create_dir_all(&directory).call(|| format!("mkdir({directory:?})"))?;
    clap_mangen::generate_to(whole_command(), &directory)
        .call(|| format!("write({directory:?})"))?;
    Ok(0)
}

/// runc's headings: some callers look for them. `more` stands before the options.
fn template(more: &str) -> String {
    format!(
        "NAME:\n   {{name}} - {{about}}\n\nUSAGE:\n   {{usage}}\n\n{more}OPTIONS:\n{{options}}\n"
    )
}

fn usage(verb: &Verb) -> String {
    let options = if verb.flags.is_empty() { "" } else { " [options]" };
    format!("etui {}{options} {}", verb.name, verb.usage).trim_end().to_owned()
}

fn verb_lines() -> String {
    let shown = VERBS.iter().filter(|verb| verb.shown == Shown::Yes);
    shown.map(|verb| format!("   {:<10} {}\n", verb.name, verb.about)).collect()
}

/// etui with all the verbs that are shown.
fn whole_command() -> Command {
    let verbs = VERBS.iter().filter(|verb| verb.shown == Shown::Yes);
    global_command().subcommands(verbs.map(verb_command))
}

fn global_command() -> Command {
    GLOBAL.iter().fold(base("etui"), |command, flag| command.arg(flag_argument(flag))).about(ABOUT)
}

fn verb_command(verb: &Verb) -> Command {
    let shown = verb.flags.iter().filter(|flag| flag.shown == Shown::Yes);
    base(verb.name)
        .about(verb.about)
        .args(shown.chain([&&flags::HELP]).map(|flag| flag_argument(flag)))
        .args(arguments(verb))
}

/// The arguments of the usage line, up to another form of it.
fn arguments(verb: &Verb) -> impl Iterator<Item = Arg> {
    let words = verb.usage.split(' ').take_while(|&word| word != "|" && !word.is_empty());
    words.map(|word| {
        let name = word.trim_matches(['<', '>', '[', ']']);
        let argument = Arg::new(name.trim_end_matches("...")).required(word.starts_with('<'));
        if name.ends_with("...") { argument.num_args(0..) } else { argument }
    })
}

fn base(name: &'static str) -> Command {
    Command::new(name)
        .version(env!("CARGO_PKG_VERSION"))
        .help_template(template(""))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .disable_help_subcommand(true)
}

fn flag_argument(flag: &'static Flag) -> Arg {
    let argument = Arg::new(flag.long).long(flag.long).help(flag.help);
    let argument = match flag.short {
        Some(letter) => argument.short(letter),
        None => argument,
    };
    match flag.takes {
        Takes::Nothing => argument.action(ArgAction::SetTrue),
        Takes::Value(name) | Takes::Number(name) | Takes::Duration(name) => {
            argument.value_name(name).value_hint(hint(name))
        }
        Takes::Values(name) | Takes::Numbers(name) => {
            argument.value_name(name).action(ArgAction::Append)
        }
    }
}

/// What a shell offers for a value of this name.
fn hint(name: &str) -> ValueHint {
    match name {
        "DIR" => ValueHint::DirPath,
        "FILE" | "SOCKET" => ValueHint::FilePath,
        _ => ValueHint::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        whole_command().debug_assert();
    }

    #[test]
    fn help_has_the_headings_of_runc() {
        let help = text(None);
        let lines: Vec<&str> = help.lines().collect();
        assert_eq!(lines[0], "NAME:");
        assert_eq!(lines[1], "   etui - Open Container Initiative runtime");
        assert!(help.contains("--root <DIR>"), "{help}");
        assert!(!help.contains("completion"), "hidden");
        let exec = VERBS.iter().find(|verb| verb.name == "exec");
        let help = text(exec);
        assert!(help.contains("etui exec [options] <container-id> <command>"), "{help}");
        assert!(help.contains("-e, --env <NAME=VALUE>"), "{help}");
    }

    #[test]
    fn hidden_flags_are_hidden() {
        let kill = VERBS.iter().find(|verb| verb.name == "kill");
        assert!(!text(kill).contains("--all"));
    }

    #[test]
    fn completions_are_made_for_every_verb() {
        let mut script = Vec::new();
        clap_complete::generate(Shell::Bash, &mut whole_command(), "etui", &mut script);
        let script = String::from_utf8(script).expect("text");
        for verb in VERBS {
            let case = format!("etui,{})", verb.name);
            assert_eq!(script.contains(&case), verb.shown == Shown::Yes, "{}", verb.name);
        }
    }
}
