//! Limits: what is written into which file of a cgroup, in order.

use std::collections::BTreeSet;

use nix::errno::Errno;

use super::Directory;
use crate::error::{Error, Result};

/// Everything that is written into a new or changed cgroup, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits(pub Vec<Write>);

/// One text for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Who asks for it: the path of a field of the configuration.
    pub field: String,
    /// The file's name.
    pub file: String,
    /// What is written, by one write(2).
    pub text: String,
    /// What else is right.
    pub otherwise: Otherwise,
}

/// What else is right where a write fails.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing: it is an error.
    #[default]
    Fail,
    /// A file that isn't there is passed over: without it the kernel does what is asked anyway.
    PassOverMissing,
    /// EINVAL is passed over: the write comes again, after another that it depends on.
    ComesAgain,
    /// Where the file isn't there, this one takes its place.
    Instead {
        /// The other file.
        file: String,
        /// What is written there.
        text: String,
    },
}

impl Write {
    /// A write that must succeed.
    pub fn new(field: impl Into<String>, file: impl Into<String>, text: impl Into<String>) -> Self {
        Write {
            field: field.into(),
            file: file.into(),
            text: text.into(),
            otherwise: Otherwise::Fail,
        }
    }

    /// The same write, with another way out.
    pub fn or(mut self, otherwise: Otherwise) -> Self {
        self.otherwise = otherwise;
        self
    }

    /// The controller whose file it is; `None` for the core's files (`cgroup.*`).
    pub fn controller(&self) -> Option<&str> {
        let name = self.file.split('.').next().unwrap_or_default();
        (name != "cgroup").then_some(name)
    }
}

impl Limits {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The controllers it takes, each once, with the field that first asks for it.
    pub fn controllers(&self) -> Vec<(&str, &str)> {
        let mut seen = BTreeSet::new();
        let named = self.0.iter().filter_map(|write| Some((write.controller()?, &*write.field)));
        named.filter(|(controller, _)| seen.insert(*controller)).collect()
    }
}

/// Writes the limits into the cgroup. An error names the field that asked.
pub fn apply(cgroup: &Directory, limits: &Limits) -> Result<()> {
    limits.0.iter().try_for_each(|write| {
        apply_one(cgroup, write)
            .map_err(|error| with_hint(error, write).context(write.field.clone()))
    })
}

/// Limits of a cgroup in use that are changed: put back, as well as that can be done, unless they are committed.
#[derive(Debug)]
#[must_use = "dropping it puts the old limits back"]
pub struct Change<'a> {
    cgroup: &'a Directory,
    /// Files and what was in them, in the order they are written; some can only be written, and are not among them.
    before: Vec<(&'a str, String)>,
}

/// Changes the limits of a cgroup that is in use: all of them, or none.
pub fn change<'a>(cgroup: &'a Directory, limits: &'a Limits) -> Result<Change<'a>> {
    let files = limits.0.iter().flat_map(|write| {
        let instead = match &write.otherwise {
            Otherwise::Instead { file, .. } => Some(file.as_str()),
            _ => None,
        };
        std::iter::once(write.file.as_str()).chain(instead)
    });
    let text = |file| Some((file, cgroup.read_if_there(file).ok().flatten()?));
    let change = Change { cgroup, before: files.filter_map(text).collect() };
    apply(cgroup, limits)?;
    Ok(change)
}

impl Change<'_> {
    /// Keeps the new limits.
    pub fn commit(mut self) {
        self.before.clear();
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        for (file, text) in self.before.iter().rev() {
            for line in text.lines() {
                // The error that led here is the one to tell.
                let _ = self.cgroup.write(file, line);
            }
        }
    }
}

fn apply_one(cgroup: &Directory, write: &Write) -> Result<()> {
    let Err(error) = cgroup.write(&write.file, &write.text) else {
        return Ok(());
    };
    match (&write.otherwise, error.errno()) {
        (Otherwise::PassOverMissing, Some(Errno::ENOENT))
        | (Otherwise::ComesAgain, Some(Errno::EINVAL)) => Ok(()),
        (Otherwise::Instead { file, text }, Some(Errno::ENOENT)) => cgroup.write(file, text),
        _ => Err(error),
    }
}

fn with_hint(error: Error, write: &Write) -> Error {
    match (error.errno(), write.controller()) {
        (Some(Errno::ENOENT), Some(controller)) => error.hint(format!(
            "this kernel has no such file, or the {controller} controller is not enabled for this cgroup"
        )),
        (Some(Errno::ENODEV), Some("io")) => error.hint("there is no such block device"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn cgroup(files: &[&str]) -> (tempfile::TempDir, Directory) {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            fs::write(directory.path().join(file), "").unwrap();
        }
        let cgroup = Directory::open(directory.path()).unwrap();
        (directory, cgroup)
    }

    #[test]
    fn writes_each_text_into_its_file() {
        let (_directory, cgroup) = cgroup(&["pids.max", "cpu.max"]);
        let limits = Limits(vec![
            Write::new("linux.resources.cpu.quota", "cpu.max", "50000 100000"),
            Write::new("linux.resources.pids.limit", "pids.max", "32"),
        ]);
        apply(&cgroup, &limits).unwrap();
        assert_eq!(cgroup.read("cpu.max").unwrap(), "50000 100000");
        assert_eq!(cgroup.read("pids.max").unwrap(), "32");
    }

    #[test]
    fn an_error_names_the_field_the_file_and_the_text() {
        let (directory, cgroup) = cgroup(&[]);
        let limits = Limits(vec![Write::new("linux.resources.memory.limit", "memory.max", "4096")]);
        let message = apply(&cgroup, &limits).unwrap_err().to_string();
        let call = format!("write({:?}, \"4096\")", directory.path().join("memory.max"));
        assert_eq!(
            message,
            format!(
                "linux.resources.memory.limit: {call}: no such file or directory; this kernel has no such file, \
                 or the memory controller is not enabled for this cgroup"
            )
        );
    }

    #[test]
    fn takes_the_way_out_only_where_one_is_given() {
        let (_directory, cgroup) = cgroup(&["io.weight"]);
        let without = Write::new("swap", "memory.swap.max", "0");
        apply(&cgroup, &Limits(vec![without.clone()])).unwrap_err();
        apply(&cgroup, &Limits(vec![without.or(Otherwise::PassOverMissing)])).unwrap();

        let instead = Otherwise::Instead { file: "io.weight".into(), text: "4950".into() };
        apply(&cgroup, &Limits(vec![Write::new("weight", "io.bfq.weight", "500").or(instead)]))
            .unwrap();
        assert_eq!(cgroup.read("io.weight").unwrap(), "4950");
    }

    #[test]
    fn a_change_that_fails_puts_back_what_it_had_written() {
        let (directory, cgroup) = cgroup(&["pids.max"]);
        fs::write(directory.path().join("pids.max"), "10\n").unwrap();
        let limits =
            Limits(vec![Write::new("a", "pids.max", "20"), Write::new("b", "cpu.max", "1")]);
        change(&cgroup, &limits).unwrap_err();
        assert_eq!(cgroup.read("pids.max").unwrap().lines().next(), Some("10"));
        let limits = Limits(vec![Write::new("a", "pids.max", "20")]);
        drop(change(&cgroup, &limits).unwrap());
        assert_eq!(cgroup.read("pids.max").unwrap().lines().next(), Some("10"));
        change(&cgroup, &limits).unwrap().commit();
        assert_eq!(cgroup.read("pids.max").unwrap().lines().next(), Some("20"));
    }

    #[test]
    fn lists_each_controller_with_the_field_that_asks_first() {
        let limits = Limits(vec![
            Write::new("a", "cpu.weight", "1"),
            Write::new("b", "cpu.max", "1"),
            Write::new("c", "cgroup.max.depth", "1"),
            Write::new("d", "hugetlb.2MB.max", "1"),
        ]);
        assert_eq!(limits.controllers(), [("cpu", "a"), ("hugetlb", "d")]);
    }
}
