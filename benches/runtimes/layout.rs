//! Which functions etui runs, for the linker to lay them together (`layout.ld`): each is found by stepping through the verbs
//! (ptrace(2)), which takes a minute.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::ptrace::{self, Event, Options};
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
/* Which code lies together: what every container's start runs, in the order of who runs it. Spread over the whole program it
   costs a page fault for each function or two; the kernel maps sixteen pages at a fault. Written by `make layout`: what is not
   listed, or exists no more, costs time and nothing else. */
SECTIONS
{
  .text.first :
  {
";
const END: &str = "  }\n}\nINSERT BEFORE .text;\n";

/// Steps through every verb of `etui`, which must have its symbols, and writes `layout` for the linker.
pub fn write(rig: &Rig, layout: &Path) -> Result<()> {
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
    let mut pieces = symbol.split("Cs");
    let mut pattern = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once('_') {
            Some((_, rest)) => pattern.extend(["Cs*_", rest]),
            None => pattern.extend(["Cs", piece]),
        }
    }
    pattern
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
            writeln!(script, "    *(.text.{pattern} .text.unlikely.{pattern})")?;
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

/// What `program` with `arguments` runs, up to the container's own program: addresses as the program counts them, and who
/// runs what is there first.
fn trace(program: &Path, arguments: &[String]) -> Result<HashMap<u64, Part>> {
    // It executes the program once we trace it.
    let mut shell = Command::new("sh")
        .args(["-c", "read _; exec \"$0\" \"$@\" </dev/null"])
        .arg(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let first = Pid::from_raw(shell.id().try_into()?);
    let forks =
        Options::PTRACE_O_TRACEFORK | Options::PTRACE_O_TRACEVFORK | Options::PTRACE_O_TRACECLONE;
    ptrace::seize(first, forks | Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL)?;
    shell.stdin.take().ok_or("no pipe to the shell")?.write_all(b"\n")?;

    let mut stepped: HashMap<Pid, Stepped> = HashMap::new();
    let mut seen = HashMap::new();
    let mut executions = 0;
    let mut is_over = false;
    loop {
        let (pid, signal) = match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Err(Errno::ECHILD) => break,
            Ok(WaitStatus::Exited(pid, _)) if pid == first => {
                // A process that `create` made goes on without us.
                is_over = true;
                stepped.remove(&first);
                stepped.retain(|&pid, _| ptrace::interrupt(pid).is_ok());
                if stepped.is_empty() {
                    break;
                }
                continue;
            }
            Ok(WaitStatus::PtraceEvent(pid, _, event))
                if event == Event::PTRACE_EVENT_EXEC as i32 =>
            {
                executions += 1;
                match stepped.get(&pid) {
                    Some(Stepped { part: Part::Init, .. }) => _ = stepped.remove(&pid),
                    _ => _ = stepped.insert(pid, Stepped { part: Part::Start, base: base(pid)? }),
                }
                if executions > 1
                    && let Some(stepped) = stepped.get_mut(&pid)
                {
                    stepped.part = Part::Parent;
                }
                (pid, None)
            }
            Ok(WaitStatus::PtraceEvent(pid, _, event)) if event != libc::PTRACE_EVENT_STOP => {
                if let Some(&Stepped { base, .. }) = stepped.get(&pid) {
                    let child = Pid::from_raw(ptrace::getevent(pid)?.try_into()?);
                    stepped.insert(child, Stepped { part: Part::Init, base });
                }
                (pid, None)
            }
            Ok(WaitStatus::PtraceEvent(pid, ..) | WaitStatus::Stopped(pid, Signal::SIGTRAP)) => {
                (pid, None)
            }
            Ok(WaitStatus::Stopped(pid, signal)) => (pid, Some(signal)),
            Ok(ended) => {
                _ = ended.pid().map(|pid| stepped.remove(&pid));
                continue;
            }
            Err(errno) => return Err(errno.into()),
        };
        if is_over {
            ptrace::detach(pid, signal)?;
            stepped.remove(&pid);
            if stepped.is_empty() {
                break;
            }
            continue;
        }
        let Some(&Stepped { part, base }) = stepped.get(&pid) else {
            ptrace::cont(pid, signal)?;
            continue;
        };
        if let Some(address) = instruction(pid)?.checked_sub(base) {
            let first = seen.entry(address).or_insert(part);
            *first = part.min(*first);
        }
        ptrace::step(pid, signal)?;
    }
    // A program that does not execute itself again has no start of its own.
    if executions == 1 {
        seen.values_mut().for_each(|part| *part = Part::Parent);
    }
    Ok(seen)
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
