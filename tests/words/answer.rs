//! What a runtime answered, and what it should: exit code, standard output, message.
//!
//! A message is the last error of the log, or, where there is none, the last warning after `warning: `. The columns
//! are words that have to be there, in this order, with ` .. ` for anything between them; `-` is nothing at all, `*`
//! whatever there is; `keys A B` on standard output a JSON object with just these keys.

use std::collections::BTreeSet;
use std::fmt;

/// What was seen, names and places of the machine replaced.
pub struct Answer {
    pub exit: i32,
    pub stdout: String,
    pub message: String,
}

/// What a table demands.
pub struct Expected {
    exit: String,
    stdout: String,
    message: String,
}

impl Expected {
    pub fn parse(columns: &str) -> Expected {
        let mut columns = columns.split(" | ").map(|column| column.trim().to_owned());
        let mut next = || columns.next().unwrap_or_else(|| "?".to_owned());
        Expected { exit: next(), stdout: next(), message: next() }
    }

    /// Why the answer is not this one.
    pub fn fits(&self, answer: &Answer) -> Result<(), String> {
        if self.exit != answer.exit.to_string() {
            return Err(format!("exit code {} is wanted", self.exit));
        }
        if !holds(&self.stdout, &answer.stdout) {
            return Err(format!("standard output is to say: {}", self.stdout));
        }
        if !holds(&self.message, &answer.message) {
            return Err(format!("the message is to say: {}", self.message));
        }
        Ok(())
    }
}

fn holds(wanted: &str, seen: &str) -> bool {
    match wanted {
        "-" => seen.is_empty(),
        "*" => true,
        _ => match wanted.strip_prefix("keys ") {
            Some(keys) => keys_of(seen) == Some(keys.split(' ').map(str::to_owned).collect()),
            None => has_in_order(wanted, seen),
        },
    }
}

fn keys_of(text: &str) -> Option<BTreeSet<String>> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    Some(value.as_object()?.keys().cloned().collect())
}

fn has_in_order(wanted: &str, seen: &str) -> bool {
    let mut rest = seen;
    for words in wanted.split(" .. ") {
        let Some(at) = rest.find(words) else { return false };
        rest = &rest[at + words.len()..];
    }
    true
}

/// One line, as a table has it.
impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = |text: &str| match text.trim() {
            "" => "-".to_owned(),
            text => text.replace('\n', "\\n").chars().take(400).collect(),
        };
        write!(formatter, "{} | {} | {}", self.exit, column(&self.stdout), column(&self.message))
    }
}
