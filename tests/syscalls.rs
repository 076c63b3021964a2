//! How many system calls `run`, `exec` and `state` make. Unlike time that is the same on every machine: what makes them
//! slower has to show itself here, in `tests/syscalls/table.txt`, and to say why.
//!
//! Counted is what etui itself does, in all its processes, up to the execve of the container's program. Left out are
//! calls whose number is another with each C library, build, host or timing: memory, start-up, waiting, reading on.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use support::{Container, Kind, only_on, skip};

/// The test prints this file as it should be, where it is not.
const TABLE: &str = include_str!("syscalls/table.txt");

/// Memory; start-up of a program; waiting and what is repeated until something has come.
const NOT_COUNTED: &[&str] = &[
    "brk",
    "mmap",
    "munmap",
    "mprotect",
    "madvise",
    "mremap", // memory
    "arch_prctl",
    "set_tid_address",
    "set_robust_list",
    "rseq",
    "readlink",
    "getrandom",
    "gettid",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "sched_getaffinity",
    "prlimit64",
    "fcntl",
    "poll",
    "ppoll",
    "read",
    "recvmsg",
    "waitid",
    "wait4",
    "exit_group",
    "lseek",
    "getpid",
    "restart_syscall",
    // A C library that looks for its stack opens, asks and closes; a host with /proc/kcore gets one link more.
    "close",
    "stat",
    "symlinkat",
];

/// Several names of one call: which of them is made is the C library's choice.
const SAME: &[(&str, &str)] = &[
    ("openat", "open"),
    ("newfstatat", "stat"),
    ("fstat", "stat"),
    ("lstat", "stat"),
    ("statx", "stat"),
    ("faccessat", "access"),
    ("faccessat2", "access"),
    ("mkdirat", "mkdir"),
    ("unlinkat", "unlink"),
    ("rmdir", "unlink"),
    ("renameat", "rename"),
    ("renameat2", "rename"),
    ("fstatfs", "statfs"),
];

type Counts = BTreeMap<(String, String), usize>;

#[test]
fn no_verb_makes_more_system_calls_than_the_table_says() {
    if !only_on(&[Kind::Etui], "the table is etui's") {
        return;
    }
    if Command::new("strace").arg("-V").output().is_err() {
        return skip("strace is not there");
    }
    let container = Container::sleeping();
    container.up();
    let mut counts = Counts::new();
    count("exec", &container, &["exec", &container.id, "/bin/true"], &mut counts);
    count("state", &container, &["state", &container.id], &mut counts);
    let mut container = Container::new();
    container.config["process"]["args"] = serde_json::json!(["/bin/true"]);
    // Paths that every kernel has.
    container.config["linux"]["maskedPaths"] = serde_json::json!(["/proc/version", "/sys/kernel"]);
    container.config["linux"]["readonlyPaths"] = serde_json::json!(["/proc/fs", "/proc/sys"]);
    container.write_config();
    let bundle = container.bundle().display().to_string();
    count("run", &container, &["run", "--bundle", &bundle, &container.id], &mut counts);

    let expected: Counts = table().map(|row| ((row.verb, row.call), row.count)).collect();
    assert!(
        counts == expected,
        "another table, and each change needs its reason:\n{}",
        print(&counts)
    );
}

#[test]
fn a_count_that_changed_says_why() {
    for row in table() {
        assert!(row.count > 0, "{row:?}: a row for nothing");
        let reason = row.why.and_then(|why| why.strip_prefix(&format!("{}: ", row.count)));
        assert!(
            reason.map_or(row.count == row.first, |reason| reason.len() > 10),
            "{row:?}: changed, and not for a reason that begins with the new count"
        );
    }
}

/// One row of the table.
#[derive(Debug)]
struct Row {
    verb: String,
    call: String,
    /// When the table was begun.
    first: usize,
    count: usize,
    /// Behind a `#`: the count, and why it is another.
    why: Option<&'static str>,
}

fn table() -> impl Iterator<Item = Row> {
    let rows = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|line| {
        let (row, why) = line.split_once('#').map_or((line, None), |(row, why)| (row, Some(why)));
        let mut words = row.split_whitespace();
        let mut word = || words.next().expect("verb, call, two counts").to_owned();
        Row {
            verb: word(),
            call: word(),
            first: word().parse().expect("the first count"),
            count: word().parse().expect("a count"),
            why: why.map(str::trim),
        }
    })
}

fn print(counts: &Counts) -> String {
    let head = TABLE.lines().take_while(|line| line.starts_with('#'));
    let row = |((verb, call), count): (&(String, String), &usize)| {
        let before = table().find(|row| (&row.verb, &row.call) == (verb, call));
        let first = before.as_ref().map_or(0, |row| row.first);
        let why = before.and_then(|row| row.why).map(|why| format!("  # {why}"));
        format!("{verb:5} {call:14} {first:2} {count:2}{}", why.unwrap_or_default())
    };
    head.map(str::to_owned).chain(counts.iter().map(row)).collect::<Vec<_>>().join("\n")
}

/// Adds up the calls of one verb.
fn count(verb: &str, container: &Container, words: &[&str], counts: &mut Counts) {
    let own = container.command();
    let trace = container.dir().join(format!("{verb}.strace"));
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-e", "signal=none", "-o"]).arg(&trace);
    traced.arg(own.get_program()).args(own.get_args()).args(words);
    traced.envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // As engines do it: the null device and pipes, which a process is handed as they are.
    let output = traced.stdin(Stdio::null()).output().expect("strace runs");
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(trace).expect("what strace wrote");
    let mut gone = Vec::new();
    for line in text.lines() {
        let Some((process, rest)) = line.split_once(char::is_whitespace) else { continue };
        let rest = rest.trim_start();
        if rest.starts_with("<...")
            || rest.starts_with("+++")
            || gone.contains(&process)
            || rest.contains("/proc/self/maps")
        {
            continue;
        }
        let name = rest.split('(').next().unwrap_or_default();
        if rest.starts_with("execve(\"/bin/true\"") {
            gone.push(process);
        }
        let same = SAME.iter().find(|(other, _)| *other == name);
        let name = same.map_or(name, |(_, name)| *name);
        if !NOT_COUNTED.contains(&name) {
            *counts.entry((verb.to_owned(), name.to_owned())).or_default() += 1;
        }
    }
}
