//! From words to flags and arguments, by the rules of the parser that runc has (urfave/cli v3): a long name may have one
//! dash or two, a value follows as the next word or after `=`, a switch may be given `=false`, and a word such as `-9`
//! is an argument. Beyond them, switches of one letter may be joined (`-ti`). Knows no particular flag.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::duration;
use super::grammar::{Flag, FlagsEnd, Takes};
use crate::error::{Call, Error, Kind, Result};

/// What was given on the command line.
#[derive(Debug, Default)]
pub struct Given {
    flags: Vec<(&'static Flag, OsString)>,
    /// What is neither a flag nor a flag's value.
    pub arguments: Vec<OsString>,
}

/// Sorts `words` into flags (those of `known`) and arguments.
pub fn parse(words: &[OsString], known: &[&'static Flag], end: FlagsEnd) -> Result<Given> {
    let mut given = Given::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if end == FlagsEnd::AtVerb && !given.arguments.is_empty() {
            given.arguments.push(word.clone());
            given.arguments.extend(words.cloned());
            break;
        }
        if word == "--" {
            given.arguments.extend(words.cloned());
            break;
        }
        if end == FlagsEnd::AtFirstArgument && !given.arguments.is_empty() {
            given.arguments.push(word.clone());
            given.arguments.extend(words.cloned());
            break;
        }
        let Some((name, value)) = split_flag(word) else {
            given.arguments.push(word.clone());
            continue;
        };
        for (flag, value) in resolve(&name, value, known)? {
            let value = match (flag.takes, value) {
                (_, Some(value)) => value,
                (Takes::Nothing, None) => "true".into(),
                (_, None) => words
                    .next()
                    .cloned()
                    .ok_or_else(|| usage(format!("flag needs an argument: {}", word.display())))?,
            };
            judge(flag, &value)?;
            given.flags.push((flag, value));
        }
    }
    Ok(given)
}

/// Refuses a value that is not of the flag's kind, as the rest of the usage is refused: before anything is done.
fn judge(flag: &Flag, value: &OsString) -> Result<()> {
    let text = value.to_str();
    match flag.takes {
        Takes::Nothing if switch_named(value).is_none() => {
            Err(invalid(value, flag, "it is true or false"))
        }
        Takes::Number(_) | Takes::Numbers(_)
            if text.and_then(|text| text.parse::<i64>().ok()).is_none() =>
        {
            Err(invalid(value, flag, "it is a number"))
        }
        Takes::Duration(_) if text.and_then(duration::parse).is_none() => {
            Err(invalid(value, flag, "it is a duration such as 500ms"))
        }
        _ => Ok(()),
    }
}

fn switch_named(value: &OsString) -> Option<bool> {
    match value.to_str()? {
        "1" | "t" | "T" | "true" | "TRUE" | "True" | "" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A flag's name and the value joined to it; `None` for an argument.
fn split_flag(word: &OsStr) -> Option<(String, Option<OsString>)> {
    let bytes = word.as_bytes();
    let name = bytes.strip_prefix(b"--").or_else(|| bytes.strip_prefix(b"-"))?;
    if !bytes.starts_with(b"--") && !name.first()?.is_ascii_alphabetic() {
        return None;
    }
    let end_of_name = name.iter().position(|&byte| byte == b'=');
    let value = end_of_name.map(|at| OsString::from_vec(name[at + 1..].to_vec()));
    let name = &name[..end_of_name.unwrap_or(name.len())];
    Some((String::from_utf8_lossy(name).into_owned(), value))
}

type Resolved = Vec<(&'static Flag, Option<OsString>)>;

/// The flag called `name`, or the switches whose letters it joins, the last of which may take a value.
fn resolve(name: &str, value: Option<OsString>, known: &[&'static Flag]) -> Result<Resolved> {
    let find = |name: &str| known.iter().copied().find(|flag| flag.is_called(name));
    if let Some(flag) = find(name) {
        return Ok(vec![(flag, value)]);
    }
    let unknown = || usage(format!("flag provided but not defined: -{name}"));
    let letters: Option<Vec<&'static Flag>> =
        name.chars().map(|letter| find(letter.encode_utf8(&mut [0; 4]))).collect();
    let mut joined = letters.ok_or_else(unknown)?;
    let last = joined.pop().ok_or_else(unknown)?;
    if joined.iter().any(|flag| flag.takes != Takes::Nothing) {
        return Err(unknown());
    }
    let mut resolved: Resolved = joined.into_iter().map(|flag| (flag, None)).collect();
    resolved.push((last, value));
    Ok(resolved)
}

impl Given {
    /// Whether a switch is on.
    pub fn switch(&self, flag: &Flag) -> Result<bool> {
        Ok(self.switch_if_given(flag)?.unwrap_or(false))
    }

    /// Whether a switch is on; `None` when it was not given.
    pub fn switch_if_given(&self, flag: &Flag) -> Result<Option<bool>> {
        let Some(value) = self.last(flag) else { return Ok(None) };
        match switch_named(value) {
            Some(on) => Ok(Some(on)),
            None => Err(invalid(value, flag, "it is true or false")),
        }
    }

    /// A flag's value as a path; an empty one counts as not given.
    pub fn path(&self, flag: &Flag) -> Option<PathBuf> {
        self.last(flag).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// As [`Given::path`], with a relative path taken from the current directory.
    pub fn absolute_path(&self, flag: &Flag) -> Result<Option<PathBuf>> {
        self.path(flag).map(|path| absolute(&path)).transpose()
    }

    /// The same, with a default.
    pub fn absolute_path_or(&self, flag: &Flag, default: &Path) -> Result<PathBuf> {
        absolute(self.path(flag).as_deref().unwrap_or(default))
    }

    /// A flag's value as text; an empty one counts as not given.
    pub fn text(&self, flag: &Flag) -> Result<Option<&str>> {
        match self.last(flag).map(|value| text_of(value)).transpose()? {
            Some("") => Ok(None),
            text => Ok(text),
        }
    }

    /// A flag's value as text, though it be empty.
    pub fn text_or_empty(&self, flag: &Flag) -> Result<Option<&str>> {
        self.last(flag).map(|value| text_of(value)).transpose()
    }

    /// A flag's value as a duration; zero for what is less than nothing.
    pub fn duration(&self, flag: &Flag) -> Result<Option<Duration>> {
        let Some(value) = self.last(flag) else { return Ok(None) };
        match value.to_str().and_then(duration::parse) {
            Some(duration) => Ok(Some(duration)),
            None => Err(invalid(value, flag, "it is a duration such as 500ms")),
        }
    }

    /// A flag's value as a number.
    pub fn number<T: FromStr>(&self, flag: &Flag) -> Result<Option<T>> {
        let Some(value) = self.last(flag) else { return Ok(None) };
        match value.to_str().and_then(|text| text.parse().ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(invalid(value, flag, "it is a number, in range")),
        }
    }

    /// All values of a flag as text.
    pub fn texts(&self, flag: &Flag) -> Result<Vec<String>> {
        self.all(flag).map(|value| text_of(value).map(str::to_owned)).collect()
    }

    /// All values of a flag as numbers.
    pub fn numbers<T: FromStr>(&self, flag: &Flag) -> Result<Vec<T>> {
        let parse = |value: &OsString| match value.to_str().and_then(|text| text.parse().ok()) {
            Some(number) => Ok(number),
            None => Err(invalid(value, flag, "it is a number, in range")),
        };
        self.all(flag).map(parse).collect()
    }

    /// Whether a flag was given at all.
    pub fn has(&self, flag: &Flag) -> bool {
        self.last(flag).is_some()
    }

    /// The argument at `index` as text; empty when there is none.
    pub fn argument(&self, index: usize) -> Result<&str> {
        self.arguments.get(index).map_or(Ok(""), |argument| text_of(argument))
    }

    /// The arguments from `index` on as text.
    pub fn arguments_from(&self, index: usize) -> Result<Vec<String>> {
        self.arguments.iter().skip(index).map(|word| text_of(word).map(str::to_owned)).collect()
    }

    /// What was given here, after what was given `before`.
    pub fn after(mut self, mut before: Given) -> Given {
        before.flags.append(&mut self.flags);
        Given { flags: before.flags, arguments: self.arguments }
    }

    fn all(&self, flag: &Flag) -> impl Iterator<Item = &OsString> {
        // By identity: `spec --rootless` is not the global `--rootless`.
        self.flags.iter().filter(|(given, _)| std::ptr::eq(*given, flag)).map(|(_, value)| value)
    }

    fn last(&self, flag: &Flag) -> Option<&OsString> {
        self.all(flag).last()
    }
}

fn text_of(word: &OsString) -> Result<&str> {
    word.to_str().ok_or_else(|| usage(format!("not valid UTF-8: {word:?}")))
}

fn invalid(value: &OsString, flag: &Flag, why: &str) -> Error {
    usage(format!("invalid value {value:?} for flag -{}: {why}", flag.long))
}

fn usage(message: String) -> Error {
    Error::refused(message).of_kind(Kind::Usage)
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).call(|| "getcwd()")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    static DETACH: Flag = Flag::switch("detach", "").short('d');
    static TTY: Flag = Flag::switch("tty", "").short('t');
    static ENV: Flag = Flag::values("env", "K=V", "").short('e');
    static CWD: Flag = Flag::value("cwd", "DIR", "");
    static GID: Flag = Flag::numbers("gid", "GID", "");
    static WAIT: Flag = Flag::duration("wait", "DURATION", "");
    static KNOWN: &[&Flag] = &[&DETACH, &TTY, &ENV, &CWD, &GID, &WAIT];

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn read(line: &str, end: FlagsEnd) -> Result<Given> {
        parse(&words(line), KNOWN, end)
    }

    fn arguments(line: &str, end: FlagsEnd) -> String {
        let given = read(line, end).expect(line);
        given.arguments_from(0).expect("text").join(" ")
    }

    #[test]
    fn one_dash_or_two_joined_or_apart() {
        for line in
            ["--cwd /a", "-cwd /a", "--cwd=/a", "-cwd=/a", "--cwd /b --cwd=/a", "id -cwd /a"]
        {
            let given = read(line, FlagsEnd::Never).expect(line);
            assert_eq!(given.path(&CWD), Some("/a".into()), "{line}");
        }
        for line in ["-d", "-detach", "--detach", "--detach=true", "-d=1", "--detach=0 -d", "-td"] {
            assert!(
                read(line, FlagsEnd::Never).expect(line).switch(&DETACH).expect(line),
                "{line}"
            );
        }
        let given = read("-tde A=1,B=2 --env=C=3", FlagsEnd::Never).expect("joined");
        assert_eq!(given.texts(&ENV).expect("text"), ["A=1,B=2", "C=3"]);
        assert!(given.switch(&TTY).expect("switch"));
        assert_eq!(given.switch_if_given(&DETACH).expect("switch"), Some(true));
        let off = read("--detach=false", FlagsEnd::Never).expect("off");
        assert_eq!(off.switch_if_given(&DETACH).expect("switch"), Some(false));
    }

    #[test]
    fn flags_end_where_the_verb_says() {
        assert_eq!(
            arguments("-d id sh -c x --cwd y", FlagsEnd::AtFirstArgument),
            "id sh -c x --cwd y"
        );
        assert_eq!(arguments("id -- sh -d", FlagsEnd::AtFirstArgument), "id sh -d");
        assert_eq!(arguments("id sh -- -d", FlagsEnd::AtFirstArgument), "id sh -- -d");
        assert_eq!(arguments("-d id -- -d", FlagsEnd::AtVerb), "id -- -d");
        assert_eq!(arguments("id -d other", FlagsEnd::Never), "id other");
        assert_eq!(arguments("-d -- -d", FlagsEnd::Never), "-d");
        assert_eq!(arguments("id -9 -", FlagsEnd::Never), "id -9 -");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |line| read(line, FlagsEnd::Never).expect_err(line).to_string();
        assert_eq!(said("--bogus"), "flag provided but not defined: -bogus");
        assert_eq!(said("-bogus=1"), "flag provided but not defined: -bogus");
        assert_eq!(said("-et"), "flag provided but not defined: -et");
        assert_eq!(said("id --cwd"), "flag needs an argument: --cwd");
        assert!(said("--detach=x").starts_with("invalid value \"x\" for flag -detach"));
        assert!(said("--gid 1,2").starts_with("invalid value \"1,2\" for flag -gid"));
        assert!(said("--wait 5").starts_with("invalid value \"5\" for flag -wait"));
        let given = read("--gid -1", FlagsEnd::Never).expect("a number");
        assert!(given.numbers::<u32>(&GID).is_err());
        assert_eq!(given.number::<u32>(&TTY).expect("not given"), None);
    }

    proptest! {
        #[test]
        fn any_words_are_survived(words: Vec<String>) {
            let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
            let _ = parse(&words, KNOWN, FlagsEnd::Never);
        }
    }
}
