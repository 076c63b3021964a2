//! Pseudo-terminals and the relay.

mod nouns_support;
mod support;

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use etui::kernel::mounts::Place;
use etui::kernel::namespaces;
use etui::kernel::relay::Relay;
use etui::kernel::terminal::{self, Pty, Terminal, WindowSize};
use etui::sys::{ioctl, socket};
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::mount::{MsFlags, mount};
use nix::poll::{PollTimeout, poll};
use nix::pty::openpty;
use nix::sched::CloneFlags;
use nix::sys::socket::SockType;
use nix::sys::stat::Mode;
use nouns_support::{alone, root};

fn place<'a>(root: &'a OwnedFd, path: &'a str) -> Place<'a> {
    let path = Path::new(path);
    Place { root: root.as_fd(), path, whole: path }
}

/// A root directory with a devpts of its own, in a mount namespace of this process's own.
fn tree() -> (tempfile::TempDir, OwnedFd) {
    namespaces::create(CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    let directory = tempfile::tempdir().unwrap();
    mount(None::<&str>, directory.path(), Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    let pts = directory.path().join("dev/pts");
    std::fs::create_dir_all(&pts).unwrap();
    let data = Some("newinstance,ptmxmode=0666,mode=0620");
    mount(None::<&str>, &pts, Some("devpts"), MsFlags::empty(), data).unwrap();
    let root = directory_fd(directory.path());
    (directory, root)
}

fn directory_fd(path: &Path) -> OwnedFd {
    open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).unwrap()
}

#[test]
fn a_terminal_is_made_in_the_containers_devpts() {
    if !root() {
        return;
    }
    alone("a_terminal_is_made_in_the_containers_devpts", || {
        let (directory, root) = tree();
        let size = WindowSize { rows: 33, columns: 99 };
        let pty = terminal::open(place(&root, "/dev/pts"), &Terminal { size: Some(size) }).unwrap();
        assert_eq!(ioctl::window_size(&pty.slave).unwrap(), size);
        terminal::give_to(pty.slave.as_fd(), 1234).unwrap();
        let node = directory.path().join(format!("dev/pts/{}", pty.number));
        assert_eq!(std::fs::metadata(node).unwrap().uid(), 1234);

        terminal::bind_console(place(&root, "/dev/console"), &pty).unwrap();
        let console = std::fs::metadata(directory.path().join("dev/console")).unwrap();
        let slave = nix::sys::stat::fstat(&pty.slave).unwrap();
        assert_eq!(console.rdev(), slave.st_rdev);
    });
}

#[test]
fn a_console_that_is_a_link_is_refused() {
    if !root() {
        return;
    }
    alone("a_console_that_is_a_link_is_refused", || {
        let (directory, root) = tree();
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "").unwrap();
        symlink("/victim", directory.path().join("dev/console")).unwrap();
        let pty = terminal::open(place(&root, "/dev/pts"), &Terminal::default()).unwrap();
        assert!(terminal::bind_console(place(&root, "/dev/console"), &pty).is_err());
        assert!(std::fs::metadata(&victim).unwrap().is_file());
    });
}

#[test]
fn what_is_no_devpts_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("ptmx"), "").unwrap();
    let error = terminal::open_in(directory_fd(directory.path()).as_fd()).unwrap_err().to_string();
    assert!(error.starts_with("/dev/pts is not a devpts"), "{error}");
}

#[test]
fn the_slave_becomes_the_streams_and_the_sessions_terminal() {
    if !root() {
        return;
    }
    alone("the_slave_becomes_the_streams_and_the_sessions_terminal", || {
        let pty = host_pty();
        nix::unistd::setsid().unwrap();
        terminal::become_streams(pty.slave.as_fd()).unwrap();
        let session = nix::sys::termios::tcgetsid(std::io::stdin()).unwrap();
        assert_eq!(session, nix::unistd::getpid());
        let tty = std::fs::File::options().read(true).write(true).open("/dev/tty").unwrap();
        assert!(nix::unistd::isatty(&tty).unwrap());
        assert!(nix::unistd::isatty(std::io::stderr()).unwrap());
        // Closing the master would hang the session up.
        std::mem::forget(pty);
    });
}

fn host_pty() -> Pty {
    terminal::open_in(directory_fd(Path::new("/dev/pts")).as_fd()).unwrap()
}

#[test]
fn the_master_goes_through_the_console_socket() {
    if !root() {
        return;
    }
    let pty = host_pty();
    let (ours, theirs) = socket::pair(SockType::Stream).unwrap();
    terminal::send_master(ours.as_fd(), &pty).unwrap();
    let mut name = [0; 64];
    let mut received = socket::receive(theirs.as_fd(), &mut name).unwrap();
    assert_eq!(&name[..received.bytes], b"/dev/ptmx");
    let master = received.descriptors.pop().unwrap();
    nix::unistd::write(&pty.slave, b"hello").unwrap();
    let mut said = [0; 5];
    std::fs::File::from(master).read_exact(&mut said).unwrap();
    assert_eq!(&said, b"hello");
}

/// Drives a relay until `done`.
fn drive(relay: &mut Relay, mut done: impl FnMut(&Relay) -> bool) {
    let started = Instant::now();
    while !done(relay) {
        assert!(started.elapsed() < Duration::from_secs(30), "the relay goes on");
        let mut fds = relay.poll_fds();
        poll(&mut fds, PollTimeout::from(100u8)).unwrap();
        drop(fds);
        relay.pump().unwrap();
    }
}

#[test]
fn a_slow_reader_loses_nothing_and_line_feeds_stay_alone() {
    if !root() {
        return;
    }
    let Pty { master, slave, .. } = host_pty();
    let (nothing, _writer) = nix::unistd::pipe().unwrap();
    let (reader, output) = nix::unistd::pipe().unwrap();
    let mut relay = Relay::between(master, nothing.as_fd(), output.as_fd()).unwrap();
    drop(output);
    let lines: String = (0..40_000).map(|number| format!("line {number}\n")).collect();
    let expected = lines.clone();
    let writer = std::thread::spawn(move || {
        std::fs::File::from(slave).write_all(lines.as_bytes()).unwrap();
    });
    let reader = std::thread::spawn(move || {
        let (mut file, mut all, mut chunk) =
            (std::fs::File::from(reader), Vec::<u8>::new(), [0; 9000]);
        loop {
            std::thread::sleep(Duration::from_millis(1));
            match file.read(&mut chunk).unwrap() {
                0 => return all,
                bytes => all.extend(&chunk[..bytes]),
            }
        }
    });
    drive(&mut relay, Relay::is_done);
    writer.join().unwrap();
    drop(relay);
    assert!(reader.join().unwrap() == expected.as_bytes());
}

#[test]
fn input_arrives_and_its_end_is_not_the_end() {
    if !root() {
        return;
    }
    let Pty { master, slave, .. } = host_pty();
    let (input, writer) = nix::unistd::pipe().unwrap();
    let (reader, output) = nix::unistd::pipe().unwrap();
    let mut relay = Relay::between(master, input.as_fd(), output.as_fd()).unwrap();
    drop(output);
    nix::unistd::write(&writer, b"typed\n").unwrap();
    drop(writer);
    let mut turns = 0;
    drive(&mut relay, |_| {
        turns += 1;
        turns > 5
    });
    let mut line = [0; 6];
    nix::unistd::read(&slave, &mut line).unwrap();
    assert_eq!(&line, b"typed\n");
    assert!(!relay.is_done());

    // The process says a last word and ends; another one still holds the terminal.
    nix::unistd::write(&slave, b"bye").unwrap();
    let (silence, _kept) = std::io::pipe().unwrap();
    relay.drain(silence.as_fd(), &|| Ok(false)).unwrap();
    drop(relay);
    let mut said = String::new();
    std::fs::File::from(reader).read_to_string(&mut said).unwrap();
    assert!(said.ends_with("bye"), "{said:?}");
}

#[test]
fn a_reader_that_does_not_read_is_given_up_when_told_so() {
    let pty = openpty(None, None).unwrap();
    let (input, _typing) = std::io::pipe().unwrap();
    let (_reader, mut writer) = std::io::pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while writer.write(&[0; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    let mut relay = Relay::between(pty.master, input.as_fd(), writer.as_fd()).unwrap();
    nix::unistd::write(&pty.slave, b"bye").unwrap();
    relay.pump().unwrap();

    let (news, mut teller) = std::io::pipe().unwrap();
    let draining = std::thread::spawn(move || relay.drain(news.as_fd(), &|| Ok(true)));
    std::thread::sleep(Duration::from_millis(100));
    assert!(!draining.is_finished(), "it waits for the reader");
    teller.write_all(b"end").unwrap();
    draining.join().unwrap().unwrap();
}
