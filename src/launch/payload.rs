//! The last steps on the way to the user's program, the same for init and for a process that joins: who it is, where
//! it is, what it executes. Knows nothing of how the container came to be.

use std::ffi::CString;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{AccessFlags, Pid, chdir, faccessat, getcwd, getpid};

use super::channel::Channel;
use super::messages::{ToInit, ToParent};
use crate::error::{Call, Context, Error, Result};
use crate::kernel::credentials::{self, User};
use crate::kernel::keyring::{self, Searchers};
use crate::kernel::procfs::Procfs;
use crate::kernel::scheduling::NumberSet;
use crate::kernel::seccomp::Filter;
use crate::kernel::{
    accounts, capabilities, fds, limits, lsm, no_new_privs, process, scheduling, streams, terminal,
};
use crate::plan::process::Process;
use crate::sys::exec::{self, CStrings};
use crate::sys::signals;
use crate::{timeline, warning};

/// More than any account file has; a hostile image's may have no end.
const LONGEST_ACCOUNT_FILE: u64 = 1 << 20;

/// Gives this process the dispositions of a fresh one, but for SIGPIPE, which we ignore.
pub fn reset_dispositions() {
    signals::reset_dispositions();
    signals::ignore(Signal::SIGPIPE);
}

/// The last of it: execve(2) keeps what is blocked or ignored.
pub fn reset_signals() -> Result<()> {
    signals::set_default(Signal::SIGPIPE);
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
        .call(|| "sigprocmask(SIG_SETMASK, none)")
}

/// Sets what a process keeps across its change of user: priorities, policies, and the end of new privileges.
pub fn set_attributes(process: &Process) -> Result<()> {
    if process.no_new_privileges {
        no_new_privs::set().context("process.noNewPrivileges")?;
    }
    if let Some(scheduler) = &process.scheduler {
        scheduling::set_scheduler(scheduler).context("process.scheduler")?;
    }
    if let Some(priority) = &process.io_priority {
        scheduling::set_io_priority(*priority).context("process.ioPriority")?;
    }
    if let Some(personality) = process.personality {
        scheduling::set_personality(personality).context("linux.personality")?;
    }
    if let Some(policy) = &process.memory_policy {
        scheduling::set_memory_policy(policy).context("linux.memoryPolicy")?;
    }
    credentials::set_umask(&process.user);
    Ok(())
}

/// Lets this process run on these processors of its cpuset; on all of them, whatever its caller was bound to, where none
/// are named. It comes after the process is in its cgroup.
pub fn set_affinity(processors: Option<&NumberSet>) -> Result<()> {
    let this = Pid::from_raw(0);
    match processors {
        Some(processors) => scheduling::set_affinity(this, processors),
        None => scheduling::reset_affinity(this),
    }
}

/// Joins the container's session keyring, which carries the process's label where it is made here.
pub fn join_keyring(
    id: &str,
    searchers: Searchers,
    process: &Process,
    procfs: &Procfs,
) -> Result<()> {
    let Some(label) = &process.selinux_label else { return keyring::join_session(id, searchers) };
    lsm::set_selinux_for_keys(procfs, Some(label)).context("process.selinuxLabel")?;
    keyring::join_session(id, searchers)?;
    lsm::set_selinux_for_keys(procfs, None)
}

/// Names the labels the next execve takes.
pub fn set_labels(procfs: &Procfs, process: &Process) -> Result<()> {
    if let Some(profile) = &process.apparmor_profile {
        lsm::set_apparmor_on_exec(procfs, profile).context("process.apparmorProfile")?;
    }
    if let Some(label) = &process.selinux_label {
        lsm::set_selinux_on_exec(procfs, label).context("process.selinuxLabel")?;
    }
    Ok(())
}

/// Waits for the filter; none where the container has none.
pub fn receive_filter(channel: &Channel) -> Result<Option<Filter>> {
    let bytes = ToInit::wait_filter(channel)?;
    if bytes.is_empty() { Ok(None) } else { Filter::from_bytes(&bytes).map(Some) }
}

/// Becomes what the process is but for its program, which is looked up last: user, capabilities, working directory,
/// filter. Of our descriptors only the channel, the gate and procfs are open here.
pub fn become_process(
    process: &Process,
    filter: Option<Filter>,
    procfs: Procfs,
    channel: &Channel,
) -> Result<Program> {
    // Without no_new_privs only CAP_SYS_ADMIN may load a filter: it must come before that is given up.
    let (early, late) = match process.no_new_privileges {
        true => (None, filter),
        false => (filter, None),
    };
    load(early.as_ref(), channel)?;
    warning::keep();
    let entered = try_cwd(process)?;
    set_limits(process, channel)?;
    become_user(&procfs, process)?;
    drop(procfs);
    match entered {
        Entered::NotYet => enter_cwd(&process.cwd)?,
        Entered::Yes => {}
    }
    timeline::done("become the user");
    let program = look_up(process, &environment(process))?;
    timeline::done("look the program up");
    for text in warning::take_kept() {
        ToParent::Warning(text).send(channel)?;
    }
    load(late.as_ref(), channel)?;
    Ok(program)
}

/// While this process is still root: the user could raise no limit. Not earlier, for a low limit would be our own.
fn set_limits(process: &Process, channel: &Channel) -> Result<()> {
    match limits::set(getpid(), &process.rlimits) {
        Err(error) if error.errno() == Some(Errno::EPERM) => {
            ToParent::SetLimits.send(channel)?;
            ToInit::LimitsSet.wait(channel)
        }
        other => other.context("process.rlimits"),
    }
}

/// The terminal's master goes out; its slave becomes the standard streams and the session's terminal.
pub fn hand_out(
    pty: &terminal::Pty,
    process: &Process,
    socket: Option<&OwnedFd>,
    channel: &Channel,
) -> Result<()> {
    terminal::give_to(pty.slave.as_fd(), process.user.uid)?;
    match socket {
        Some(socket) => terminal::send_master(socket.as_fd(), pty)?,
        None => ToParent::Terminal(pty.master.try_clone().call(|| "dup")?).send(channel)?,
    }
    terminal::become_streams(pty.slave.as_fd())
}

/// Loads the filter, where there is one, and hands its listener out by number: the parent fetches it, for this process
/// may be unable to send anything by now. It stays open until execve(2) closes it.
fn load(filter: Option<&Filter>, channel: &Channel) -> Result<()> {
    let Some(filter) = filter else { return Ok(()) };
    match filter.load().context("linux.seccomp")? {
        Some(listener) => ToParent::Listener(listener.into_raw_fd()).send(channel),
        None => Ok(()),
    }
}

/// Becomes the process's user, with its capabilities and no others.
///
/// Bounding set first, while CAP_SETPCAP is there; then the user, keeping what is permitted; then the sets themselves.
fn become_user(procfs: &Procfs, process: &Process) -> Result<()> {
    let sets = &process.capabilities;
    capabilities::drop_bounding(sets.bounding).context("process.capabilities.bounding")?;
    credentials::keep_capabilities()?;
    credentials::become_user(procfs, &process.user, process.old_groups).context("process.user")?;
    stay_uninspected(&process.user)?;
    capabilities::set(sets).context("process.capabilities")?;
    capabilities::set_ambient(sets.ambient).context("process.capabilities.ambient")
}

/// A change of ids gives back what fs.suid_dumpable says (proc_sys_fs(5)): with 1, a process that others may look into.
fn stay_uninspected(user: &User) -> Result<()> {
    match (user.uid, user.gid) {
        (0, 0) => Ok(()),
        _ => process::forbid_inspection(),
    }
}

/// Whether the working directory was entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entered {
    /// It was.
    Yes,
    /// This user may not; the next may.
    NotYet,
}

/// Tries to enter the working directory: it may be open to root only (a home on NFS: to the user only).
fn try_cwd(process: &Process) -> Result<Entered> {
    match enter_cwd(&process.cwd) {
        Ok(()) => Ok(Entered::Yes),
        Err(error) if matches!(error.errno(), Some(Errno::EACCES | Errno::EPERM)) => {
            Ok(Entered::NotYet)
        }
        Err(error) => Err(error),
    }
}

/// Enters the working directory, which must lie inside the container: a path such as /proc/self/fd/7 could lead to
/// a directory of the host (CVE-2024-21626).
fn enter_cwd(cwd: &Path) -> Result<()> {
    chdir(cwd)
        .call(|| format!("chdir to cwd ({cwd:?}) set in config.json failed"))
        .context("process.cwd")?;
    verify_cwd()
}

/// Makes sure that the working directory lies inside the container's root.
fn verify_cwd() -> Result<()> {
    match getcwd() {
        Ok(path) if path.is_absolute() => Ok(()),
        _ => Err(Error::new(
            "process.cwd: current working directory is outside of container mount namespace root -- possible container breakout detected",
        )),
    }
}

/// Adds what a process expects and its configuration lacks: HOME, from the container's own account file.
pub(super) fn environment(process: &Process) -> Vec<String> {
    let mut environment = process.env.clone();
    let home = environment.iter().position(|entry| entry.starts_with("HOME="));
    if home.is_some_and(|position| environment[position].len() > "HOME=".len()) {
        return environment;
    }
    let home_entry =
        format!("HOME={}", home_of(process.user.uid).unwrap_or_else(|| "/".to_owned()));
    match home {
        Some(position) => environment[position] = home_entry,
        None => environment.push(home_entry),
    }
    environment
}

/// The file is the image's: a pipe would block the open, a device or an endless file the read.
fn home_of(uid: u32) -> Option<String> {
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open("/etc/passwd")
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(LONGEST_ACCOUNT_FILE).read_to_end(&mut text).ok()?;
    accounts::home_of(uid, &text)?.to_str().map(str::to_owned)
}

/// What will be executed.
#[derive(Debug)]
pub struct Program {
    path: CString,
    arguments: CStrings,
    environment: CStrings,
}

/// Looks the program up, as the user who will execute it: the answer comes while `create` can still tell it.
fn look_up(process: &Process, environment: &[String]) -> Result<Program> {
    let name = process.args.first().map(String::as_str).unwrap_or_default();
    let path = find(name, environment).map_err(|error| error.context(format!("exec: {name:?}")))?;
    let zero = |_| Error::refused("process.args, process.env: contain a null byte");
    Ok(Program {
        path: CString::new(path.as_os_str().as_bytes()).map_err(zero)?,
        arguments: CStrings::new(&process.args).map_err(zero)?,
        environment: CStrings::new(environment).map_err(zero)?,
    })
}

fn find(name: &str, environment: &[String]) -> Result<PathBuf> {
    if name.contains('/') {
        return executable(Path::new(name)).map(|()| PathBuf::from(name));
    }
    let path = environment.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
    if name.is_empty() {
        return Err(
            Error::new("executable file not found in $PATH").hint("process.args[0] is empty")
        );
    }
    let mut hint = format!("PATH is {path:?}");
    for directory in path.split(':') {
        let candidate = Path::new(if directory.is_empty() { "." } else { directory }).join(name);
        match executable(&candidate) {
            Ok(()) if candidate.is_relative() => {
                return Err(Error::new(
                    "cannot run executable found relative to current directory",
                )
                .hint(format!("make {directory:?} of PATH an absolute path")));
            }
            Ok(()) => return Ok(candidate),
            // Not in the kernel's words: callers would take them for the reason.
            Err(error) if error.errno() == Some(Errno::EACCES) => {
                hint =
                    format!("{} is there, but this user may not execute it", candidate.display());
            }
            Err(_) => {}
        }
    }
    Err(Error::new("executable file not found in $PATH").hint(hint))
}

fn executable(path: &Path) -> Result<()> {
    let file = nix::sys::stat::stat(path).call(|| format!("stat {}", path.display()))?;
    let kind = file.st_mode & libc::S_IFMT;
    if kind == libc::S_IFDIR {
        return Err(Error::call(format!("{} is a directory", path.display()), Errno::EACCES));
    }
    match faccessat(AT_FDCWD, path, AccessFlags::X_OK, AtFlags::AT_EACCESS) {
        // A filter or an old kernel may not know faccessat2: execve itself will tell.
        Ok(()) | Err(Errno::ENOSYS | Errno::EPERM) => Ok(()),
        Err(errno) => Err(Error::call(path.display().to_string(), errno).hint(
            "this user may execute it neither by its mode nor by that of a directory above, or its mount is noexec",
        )),
    }
}

impl Program {
    /// Becomes the program; what comes back is why not.
    ///
    /// Nothing of ours is open now but what `execve` closes and a report needs: a path such as /proc/self/fd/7/../x is
    /// looked up before close-on-exec takes effect (CVE-2024-21626).
    pub fn execute(&self) -> Error {
        let (arguments, environment) = (self.arguments.vector(), self.environment.vector());
        let errno = exec::execve(&self.path, &arguments, &environment);
        let path = self.path.to_string_lossy();
        let error = Error::call(format!("exec {path}"), errno);
        match errno {
            Errno::ENOEXEC => {
                error.hint("is it built for this machine, and does a script start with #!")
            }
            Errno::ENOENT => error.hint("the file is there: its interpreter or loader is not"),
            Errno::EACCES => {
                error.hint("is it on a noexec mount, or denied by AppArmor or SELinux")
            }
            Errno::EPERM => error.hint("does linux.seccomp allow execve"),
            Errno::E2BIG => error.hint("process.args and process.env are too long for one execve"),
            _ => error,
        }
    }
}

/// Closes every descriptor but the standard streams, those the caller passes on, and `ours`.
///
/// Whatever owned the others must be forgotten before.
pub fn close_descriptors(preserved: u32, ours: &[BorrowedFd<'_>]) -> Result<()> {
    let ours: Vec<_> = ours.iter().map(|fd| fd.as_raw_fd()).collect();
    fds::close_all_from(first_not_preserved(preserved), &ours)
}

/// The standard streams of a process without a terminal, which belong to its user; the other ends of pipes go out.
pub fn own_stdio(process: &Process, source: streams::Source, channel: &Channel) -> Result<()> {
    let pipes = streams::hand_out(source, process.user.uid).context("standard streams")?;
    pipes.into_iter().try_for_each(|pipe| ToParent::Pipe(pipe).send(channel))
}

/// Makes sure that every descriptor the caller wants passed on is open, and that hooks inherit no other.
pub fn take_charge_of_descriptors(preserved: u32) -> Result<()> {
    fds::check_preserved(fds::FIRST_AFTER_STDIO, preserved)?;
    fds::close_on_exec_from(first_not_preserved(preserved), &[])
}

fn first_not_preserved(preserved: u32) -> i32 {
    fds::FIRST_AFTER_STDIO.saturating_add(i32::try_from(preserved).unwrap_or(i32::MAX))
}
