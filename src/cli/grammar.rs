//! What a command line may be, as data: verbs, their flags, their arguments. The parser, the help, the shell completions
//! and the manual pages all read the same definitions. Knows no particular verb.

/// One flag. It is known by its place in memory: two verbs may each have a flag of one name.
#[derive(Debug)]
pub struct Flag {
    /// Its name after the dashes.
    pub long: &'static str,
    /// Its one-letter name.
    pub short: Option<char>,
    /// What follows it.
    pub takes: Takes,
    /// Whether help shows it.
    pub shown: Shown,
    /// What it is for, in a line.
    pub help: &'static str,
}

/// What follows a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Nothing, or `=true` and `=false`.
    Nothing,
    /// One value; the last one given counts. Help shows it by this name.
    Value(&'static str),
    /// One value each time it is given; commas separate nothing. Help shows it by this name.
    Values(&'static str),
    /// One whole number; the last one given counts.
    Number(&'static str),
    /// One whole number each time it is given.
    Numbers(&'static str),
    /// One duration; the last one given counts.
    Duration(&'static str),
}

/// Whether help shows a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// It does.
    Yes,
    /// It doesn't: kept for callers of old, or for packagers.
    Hidden,
}

impl Flag {
    /// A flag that stands alone.
    pub const fn switch(long: &'static str, help: &'static str) -> Flag {
        Flag { long, short: None, takes: Takes::Nothing, shown: Shown::Yes, help }
    }

    /// A flag with one value.
    pub const fn value(long: &'static str, name: &'static str, help: &'static str) -> Flag {
        Flag { long, short: None, takes: Takes::Value(name), shown: Shown::Yes, help }
    }

    /// A flag with one value each time it is given.
    pub const fn values(long: &'static str, name: &'static str, help: &'static str) -> Flag {
        Flag { long, short: None, takes: Takes::Values(name), shown: Shown::Yes, help }
    }

    /// A flag with one whole number.
    pub const fn number(long: &'static str, name: &'static str, help: &'static str) -> Flag {
        Flag { takes: Takes::Number(name), ..Flag::value(long, name, help) }
    }

    /// A flag with one whole number each time it is given.
    pub const fn numbers(long: &'static str, name: &'static str, help: &'static str) -> Flag {
        Flag { takes: Takes::Numbers(name), ..Flag::value(long, name, help) }
    }

    /// A flag with one duration.
    pub const fn duration(long: &'static str, name: &'static str, help: &'static str) -> Flag {
        Flag { takes: Takes::Duration(name), ..Flag::value(long, name, help) }
    }

    /// The same flag with a one-letter name.
    pub const fn short(mut self, letter: char) -> Flag {
        self.short = Some(letter);
        self
    }

    /// The same flag, unseen in help.
    pub const fn hidden(mut self) -> Flag {
        self.shown = Shown::Hidden;
        self
    }

    /// Whether `name`, without its dashes, is one of its names.
    pub fn is_called(&self, name: &str) -> bool {
        let mut letters = name.chars();
        self.long == name
            || (self.short.is_some() && self.short == letters.next() && letters.next().is_none())
    }
}

/// One verb.
#[derive(Debug)]
pub struct Verb {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Its arguments, as help writes them.
    pub usage: &'static str,
    /// How many arguments it takes.
    pub arguments: Arguments,
    /// Where its flags may stand.
    pub flags_end: FlagsEnd,
    /// Whether help shows it.
    pub shown: Shown,
    /// Its flags.
    pub flags: &'static [&'static Flag],
}

/// How many arguments a verb takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arguments {
    /// Exactly this number.
    Exactly(usize),
    /// This number or more.
    AtLeast(usize),
    /// From the first number to the second.
    Between(usize, usize),
}

/// Where the flags of a verb may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagsEnd {
    /// Anywhere.
    Never,
    /// Before the first argument: what follows it may belong to another program; `--` after it is dropped.
    AtFirstArgument,
    /// Before the first argument: what follows it is the verb's own, `--` too.
    AtVerb,
}

impl Arguments {
    /// What is wrong with `count` arguments to `verb`; `None` when it is fine.
    pub fn fault(self, verb: &str, count: usize) -> Option<String> {
        let wanted = match self {
            Arguments::Exactly(wanted) if count != wanted => format!("exactly {wanted}"),
            Arguments::AtLeast(least) | Arguments::Between(least, _) if count < least => {
                format!("a minimum of {least}")
            }
            Arguments::Between(_, most) if count > most => format!("a maximum of {most}"),
            _ => return None,
        };
        Some(format!("etui: \"{verb}\" requires {wanted} argument(s)"))
    }
}
