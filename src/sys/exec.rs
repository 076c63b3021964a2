//! execve(2) and execveat(2) with arguments prepared beforehand, posix_spawn(3), and the path we were executed by.

use std::ffi::{CStr, CString, NulError};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::unistd::Pid;

use super::pidfd;

/// An argument or environment list in the form the kernel takes, so that execve itself allocates nothing.
#[derive(Debug, Clone)]
pub struct CStrings {
    strings: Vec<CString>,
}

/// A list ready to be passed: it borrows the strings and ends in a null pointer.
#[derive(Debug)]
pub struct Vector<'strings> {
    pointers: Vec<*const libc::c_char>,
    strings: std::marker::PhantomData<&'strings CStrings>,
}

impl CStrings {
    /// Copies the strings; fails on one with a zero byte inside.
    pub fn new<S: AsRef<[u8]>>(strings: impl IntoIterator<Item = S>) -> Result<CStrings, NulError> {
        let strings = strings.into_iter().map(|string| CString::new(string.as_ref()));
        Ok(CStrings { strings: strings.collect::<Result<_, _>>()? })
    }

    /// The strings.
    pub fn as_slice(&self) -> &[CString] {
        &self.strings
    }

    /// The list of pointers to them.
    pub fn vector(&self) -> Vector<'_> {
        let pointers = self.strings.iter().map(|string| string.as_ptr());
        let pointers = pointers.chain([std::ptr::null()]).collect();
        Vector { pointers, strings: std::marker::PhantomData }
    }
}

/// Replaces the program by the file at `path`; returns only on failure.
pub fn execve(path: &CStr, arguments: &Vector<'_>, environment: &Vector<'_>) -> Errno {
    let (argv, envp) = (arguments.pointers.as_ptr(), environment.pointers.as_ptr());
    // SAFETY: the path is a C string, both lists end in a null pointer, and all they point to is borrowed for the call.
    unsafe { libc::execve(path.as_ptr(), argv, envp) };
    Errno::last()
}

/// Replaces the program by an open file (`AT_EMPTY_PATH`); returns only on failure.
///
/// A script's interpreter opens `/dev/fd/N`: for a close-on-exec `file` that is `ENOENT`.
pub fn execveat(file: BorrowedFd<'_>, arguments: &Vector<'_>, environment: &Vector<'_>) -> Errno {
    let (argv, envp) = (arguments.pointers.as_ptr(), environment.pointers.as_ptr());
    let (empty, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: as for `execve`; the descriptor is borrowed for the call.
    unsafe { libc::syscall(libc::SYS_execveat, file.as_raw_fd(), empty, argv, envp, flags) };
    Errno::last()
}

/// The path this program was executed by (getauxval(3), `AT_EXECFN`), as the caller wrote it.
pub fn executed_path() -> Option<&'static CStr> {
    // SAFETY: getauxval only reads the vector the kernel left at start-up.
    let address = unsafe { libc::getauxval(libc::AT_EXECFN) };
    if address == 0 {
        return None;
    }
    // SAFETY: a non-zero AT_EXECFN is the address of a C string at the top of the stack, where it stays.
    Some(unsafe { CStr::from_ptr(address as *const libc::c_char) })
}

/// A copy of `file` with the lowest free number from `lowest` on, which stays open across execve(2).
pub fn inheritable_copy(file: BorrowedFd<'_>, lowest: RawFd) -> nix::Result<OwnedFd> {
    // SAFETY: no pointers.
    let copy = Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, lowest) })?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Whether this program was executed by a descriptor rather than by a path; only the kernel says so (`AT_EXECFN`).
pub fn was_executed_by_descriptor() -> bool {
    executed_path().is_some_and(|path| path.to_bytes().starts_with(b"/dev/fd/"))
}

/// The descriptor this program was executed from by [`execveat`], if it was one from `lowest` on and is still open; made
/// close-on-exec. It can be taken once.
pub fn take_executed_descriptor(lowest: RawFd) -> Option<OwnedFd> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // execve(2) with AT_EMPTY_PATH leaves this name.
    let number = executed_path()?.to_str().ok()?.strip_prefix("/dev/fd/")?.parse().ok()?;
    if number < lowest || TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: no pointers; a number that is not open is EBADF.
    Errno::result(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) }).ok()?;
    // SAFETY: it is open since before this program started, and only here, once, does anything in it become its owner.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Ends this process without running what is registered for an exit: that belongs to the process this one was cloned from.
pub fn exit_at_once(status: i32) -> ! {
    // SAFETY: the call ends the process; nothing is left to be unsound.
    unsafe { libc::_exit(status) }
}

/// A program to run beside us.
#[derive(Debug, Clone, Copy)]
pub struct Spawn<'a> {
    /// The file, not looked up in PATH.
    pub path: &'a CStr,
    /// Its arguments, the name first.
    pub arguments: &'a CStrings,
    /// Its whole environment.
    pub environment: &'a CStrings,
    /// Its standard input, output and error.
    pub stdio: [BorrowedFd<'a>; 3],
}

/// A child that runs.
#[derive(Debug)]
pub struct Child {
    /// Its process id, which is also its process group's.
    pub pid: Pid,
    /// Readable once it has ended; `None` where a system call filter forbids pidfd_open(2).
    pub pidfd: Option<OwnedFd>,
}

/// Runs a program in a process group of its own, with no signal blocked and every disposition at its default. A file that
/// can't be executed is an error here, not an exit status. The child shares our memory until it executes: no page is copied.
pub fn spawn(spawn: &Spawn<'_>) -> nix::Result<Child> {
    let attributes = Attributes::new()?;
    let mut actions = FileActions::new()?;
    for (target, source) in (0..).zip(spawn.stdio) {
        actions.duplicate(source, target)?;
    }
    let (argv, envp) = (spawn.arguments.vector(), spawn.environment.vector());
    let mut pid = 0;
    // SAFETY: path and lists are as for `execve` (posix_spawn does not write through its pointers, whatever their type
    // says); actions and attributes are initialised.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            spawn.path.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            argv.pointers.as_ptr().cast(),
            envp.pointers.as_ptr().cast(),
        )
    })?;
    Ok(Child { pid: Pid::from_raw(pid), pidfd: pidfd::open(pid).ok() })
}

/// The functions of posix_spawn(3) answer an error number.
fn check(answer: libc::c_int) -> nix::Result<()> {
    if answer == 0 { Ok(()) } else { Err(Errno::from_raw(answer)) }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    fn new() -> nix::Result<Attributes> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: the call initialises what it is given.
        check(unsafe { libc::posix_spawnattr_init(raw.as_mut_ptr()) })?;
        // SAFETY: it has just been initialised.
        let mut attributes = Attributes(unsafe { raw.assume_init() });
        let attr = &raw mut attributes.0;
        let (none, all) = (nix::sys::signal::SigSet::empty(), nix::sys::signal::SigSet::all());
        // SAFETY: both are initialised and outlive the call, which copies the set.
        check(unsafe { libc::posix_spawnattr_setsigmask(attr, none.as_ref()) })?;
        // SAFETY: as above.
        check(unsafe { libc::posix_spawnattr_setsigdefault(attr, all.as_ref()) })?;
        let flags = libc::POSIX_SPAWN_SETPGROUP
            | libc::POSIX_SPAWN_SETSIGMASK
            | libc::POSIX_SPAWN_SETSIGDEF;
        let flags = libc::c_short::try_from(flags).map_err(|_| Errno::EINVAL)?;
        // SAFETY: the attributes are initialised; the process group stays 0, which means a new one.
        check(unsafe { libc::posix_spawnattr_setflags(attr, flags) })?;
        Ok(attributes)
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    fn new() -> nix::Result<FileActions> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: the call initialises what it is given.
        check(unsafe { libc::posix_spawn_file_actions_init(raw.as_mut_ptr()) })?;
        // SAFETY: it has just been initialised.
        Ok(FileActions(unsafe { raw.assume_init() }))
    }

    fn duplicate(&mut self, from: BorrowedFd<'_>, to: libc::c_int) -> nix::Result<()> {
        let actions = &raw mut self.0;
        // SAFETY: the actions are initialised; the call only notes two numbers.
        check(unsafe { libc::posix_spawn_file_actions_adddup2(actions, from.as_raw_fd(), to) })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, destroyed once.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}
