//! Which functions etui runs, for the linker to lay them together (`layout.ld`): each is found by stepping through the verbs
//! (ptrace(2)), which takes a minute.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::Result;
use crate::works::Rig;

/// A pattern that would bring more than this many bytes for each one that runs is left to the end: its name stands for many
/// functions, which differ in their types alone.
const MOST_FOR_ONE: u64 = 3;

/// Who runs a function, the one that has least time first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// The program before it executes itself from its view.
    Start,
    /// The process that becomes the container's, and the one that makes its network.
    Init,
    /// Whoever makes, starts, shows and deletes a container.
    Parent,
    /// Whoever: what is run of these is a small part of what bears their names.
    ManyOfAName,
}

const PARTS: [(Part, &str); 4] = [
    (Part::Start, "The start, up to the execution of itself."),
    (Part::Init, "Init."),
    (Part::Parent, "The parent."),
    (Part::ManyOfAName, "Names that stand for many functions."),
];

const HEAD: &str = "\
/* Which functions lie together: those that run whenever a container is made, in the order of who runs them. Where they are spread
   over the whole program most of them cost a page fault, and the kernel maps sixteen pages at a fault. Written by `make layout`;
   what is not listed, or exists no more, costs time and nothing else. */
SECTIONS
{
  .text.first :
  {
";
const END: &str = "  }\n}\nINSERT BEFORE .text;\n";

/// Steps through every verb of `etui`, which must have its symbols, and writes `layout` for the linker.
pub fn write(rig: &Rig, layout: &Path) -> Result<()> {
    if !cfg!(target_env = "musl") {
        return Err("the list has musl's functions too: build for musl".into());
    }
    let etui = &rig.runtimes[0];
    let functions = functions(&etui.path)?;
    let default = rig.default.display().to_string();
    let docker = rig.docker(etui, "bench")?;
    // Two processors would wake each other for each step.
    let mut one = CpuSet::new();
    one.set(0)?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    let mut run_by = HashMap::new();
    let mut step = |words: &[&str]| -> Result<()> {
        eprintln!("{}", words.join(" "));
        for (address, part) in trace(&etui.path, &rig.words(etui, words))? {
            let before = functions.range(..=address).next_back();
            if let Some((start, function)) = before
                && address < start + function.size
            {
                let first = run_by.entry(*start).or_insert(part);
                *first = part.min(*first);
            }
        }
        Ok(())
    };
    step(&["run", "--bundle", &default, "@bench"])?;
    step(&["run", "--bundle", &docker, "@bench"])?;
    step(&["create", "--bundle", &docker, "@bench"])?;
    step(&["start", "@bench"])?;
    step(&["delete", "--force", "@bench"])?;
    rig.hold(etui)?;
    step(&["exec", "@held", "true"])?;
    step(&["state", "@held"])?;
    rig.verb(etui, &["delete", "--force", "@held"])?;
    Ok(fs::write(layout, script(&functions, &run_by)?)?)
}

/// A function of the program.
#[derive(Debug)]
struct Function {
    size: u64,
    pattern: String,
}

/// All functions of `program`, by their addresses.
fn functions(program: &Path) -> Result<BTreeMap<u64, Function>> {
    let output =
        Command::new("nm").args(["--print-size", "--defined-only"]).arg(program).output()?;
    let text = String::from_utf8(output.stdout)?;
    // Address, size, kind, name.
    let function = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
        [address, size, "t" | "T" | "w" | "W", name] => {
            let size = u64::from_str_radix(size, 16).ok()?;
            let function = Function { size, pattern: pattern(name) };
            Some((u64::from_str_radix(address, 16).ok()?, function))
        }
        _ => None,
    };
    let functions: BTreeMap<_, _> = text.lines().filter_map(function).collect();
    match functions.is_empty() {
        true => Err("etui has no symbols: `make layout` builds one that has".into()),
        false => Ok(functions),
    }
}

/// A symbol without what another compiler, or another version of a crate, would write in it: the hash of the older mangling
/// (`17h`, 16 digits, `E`), the disambiguators of crates in the newer one (`Cs`, digits and letters, `_`).
fn pattern(symbol: &str) -> String {
    if symbol.starts_with("_ZN") {
        return match symbol.rsplit_once("17h") {
            Some((name, _)) => format!("{name}17h*"),
            None => symbol.to_owned(),
        };
    }
    if !symbol.starts_with("_R") {
        return symbol.to_owned();
    }
    // What the compiler numbers has a dot behind its name.
    let (name, end) = symbol.split_once('.').map_or((symbol, ""), |(name, _)| (name, "*"));
    let mut pieces = name.split("Cs");
    let mut pattern = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once('_') {
            Some((_, rest)) => pattern.extend(["Cs*_", rest]),
            None => pattern.extend(["Cs", piece]),
        }
    }
    pattern + end
}

/// A script that the linker runs before its own.
fn script(functions: &BTreeMap<u64, Function>, run_by: &HashMap<u64, Part>) -> Result<String> {
    let mut sizes = HashMap::new();
    for function in functions.values() {
        *sizes.entry(&function.pattern).or_insert(0) += function.size;
    }
    let mut run: HashMap<&String, (u64, Part)> = HashMap::new();
    for (address, &part) in run_by {
        let function = &functions[address];
        let (size, first) = run.entry(&function.pattern).or_insert((0, part));
        *size += function.size;
        *first = part.min(*first);
    }
    let part_of = |(pattern, (size, part)): (&&String, &(u64, Part))| {
        if sizes[*pattern] > size * MOST_FOR_ONE { Part::ManyOfAName } else { *part }
    };
    let mut script = HEAD.to_owned();
    for (part, title) in PARTS {
        writeln!(script, "    /* {title} */")?;
        let of_part = run.iter().filter(|&entry| part_of(entry) == part);
        for pattern in of_part.map(|(pattern, _)| pattern).collect::<BTreeSet<_>>() {
            writeln!(script, "    *(.text*.{pattern})")?;
        }
    }
    Ok(script + END)
}

/// A process that is stepped through.
#[derive(Debug, Clone, Copy)]
struct Stepped {
    part: Part,
    /// Where the program lies in its memory.
    base: u64,
}

/// What to do with a process that has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// One instruction, if it is stepped through; else it goes on. With a signal that it is to have.
    Go(Option<Signal>),
    /// It has ended.
    Nothing,
}

/// A verb that is being stepped through.
#[derive(Debug)]
struct Trace {
    /// The process that was called; when it ends, the verb has.
    called: Pid,
    stepped: HashMap<Pid, Stepped>,
    /// Addresses as the program counts them, and who is first to run what is there.
    seen: HashMap<u64, Part>,
    executions: usize,
}

/// What `program` with `arguments` runs to its successful end, but for the container's own program.
fn trace(program: &Path, arguments: &[String]) -> Result<HashMap<u64, Part>> {
    // It executes the program once we trace it.
    let mut shell = Command::new("sh")
        .args(["-c", "read _; exec \"$0\" \"$@\" </dev/null"])
        .arg(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let called = Pid::from_raw(shell.id().try_into()?);
    let forks =
        Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
    ptrace::seize(called, forks | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL)?;
    shell.stdin.take().ok_or("no pipe to the shell")?.write_all(b"\n")?;

    let stepped = HashMap::new();
    let mut trace = Trace { called, stepped, seen: HashMap::new(), executions: 0 };
    loop {
        let status = waitpid(None, Some(WaitPidFlag::__WALL))?;
        match status {
            WaitStatus::Exited(pid, code) if pid == called => {
                trace.let_others_go()?;
                return match code {
                    0 => Ok(trace.seen()),
                    _ => Err(format!("{} fails with {code}", arguments.join(" ")).into()),
                };
            }
            status => {
                let next = trace.hear(status)?;
                if let (Some(pid), Next::Go(signal)) = (status.pid(), next) {
                    trace.go_on(pid, signal)?;
                }
            }
        }
    }
}

impl Trace {
    fn hear(&mut self, status: WaitStatus) -> Result<Next> {
        match status {
            WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_EXEC) => {
                self.executions += 1;
                if self.stepped.get(&pid).is_some_and(|stepped| stepped.part == Part::Init) {
                    self.stepped.remove(&pid);
                } else {
                    let part = if self.executions == 1 { Part::Start } else { Part::Parent };
                    self.stepped.insert(pid, Stepped { part, base: base(pid)? });
                }
            }
            WaitStatus::PtraceEvent(
                pid,
                _,
                libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE,
            ) => {
                if let Some(&Stepped { base, .. }) = self.stepped.get(&pid) {
                    let child = Pid::from_raw(ptrace::getevent(pid)?.try_into()?);
                    self.stepped.insert(child, Stepped { part: Part::Init, base });
                }
            }
            WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(_, Signal::SIGTRAP) => {}
            WaitStatus::Stopped(_, signal) => return Ok(Next::Go(Some(signal))),
            ended => {
                ended.pid().map(|pid| self.stepped.remove(&pid));
                return Ok(Next::Nothing);
            }
        }
        Ok(Next::Go(None))
    }

    fn go_on(&mut self, pid: Pid, signal: Option<Signal>) -> Result<()> {
        let Some(Stepped { part, base }) = self.stepped.get(&pid) else {
            return Ok(ptrace::cont(pid, signal)?);
        };
        if let Some(address) = instruction(pid)?.checked_sub(*base) {
            let first = self.seen.entry(address).or_insert(*part);
            *first = (*part).min(*first);
        }
        Ok(ptrace::step(pid, signal)?)
    }

    /// A process that `create` made goes on without us.
    fn let_others_go(&mut self) -> Result<()> {
        self.stepped.remove(&self.called);
        self.stepped.retain(|&pid, _| ptrace::interrupt(pid).is_ok());
        while !self.stepped.is_empty() {
            let status = waitpid(None, Some(WaitPidFlag::__WALL))?;
            if let Next::Go(signal) = self.hear(status)?
                && let Some(pid) = status.pid()
            {
                self.stepped.remove(&pid);
                ptrace::detach(pid, signal)?;
            }
        }
        Ok(())
    }

    /// A program that never executes itself again has no start of its own: all of it is the parent's then.
    fn seen(self) -> HashMap<u64, Part> {
        let part = |part| match self.executions {
            1 => Part::Parent,
            _ => part,
        };
        self.seen.iter().map(|(&address, &seen)| (address, part(seen))).collect()
    }
}

#[cfg(target_arch = "x86_64")]
fn instruction(pid: Pid) -> nix::Result<u64> {
    Ok(ptrace::getregs(pid)?.rip)
}

#[cfg(target_arch = "aarch64")]
fn instruction(pid: Pid) -> nix::Result<u64> {
    Ok(ptrace::getregs(pid)?.pc)
}

/// Where the program of process `pid` begins: its first mapping of a file (proc_pid_maps(5)).
fn base(pid: Pid) -> Result<u64> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    // Addresses, rights, offset, device, inode.
    let begin = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        [addresses, _, "00000000", _, inode, ..] if inode != "0" => {
            u64::from_str_radix(addresses.split_once('-')?.0, 16).ok()
        }
        _ => None,
    };
    Ok(maps.lines().find_map(begin).ok_or("a program that is mapped nowhere")?)
}
