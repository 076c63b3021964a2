//! Standard streams: what of the caller's a process is handed, and what is relayed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::pty::{OpenptyResult, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::LocalFlags;
use nix::unistd::Pid;
use serde_json::json;

use crate::support::terminal::read_until;
use crate::support::{Container, Kind, only_on, wait_for};

/// The id and group of whoever is not root.
fn someone() -> serde_json::Value {
    json!({ "uid": 1000, "gid": 1000 })
}

fn run(container: &Container, flags: &[&str]) -> Command {
    container.write_config();
    let mut command = container.command();
    command.arg("run").args(flags).arg("--bundle").arg(container.bundle()).arg(&container.id);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn exec(container: &Container, flags: &[&str], script: &str) -> Command {
    let mut command = container.command();
    command.arg("exec").args(flags).args([&container.id, "sh", "-c", script]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Its exit code; the test fails where it does not end.
#[track_caller]
fn code(command: &mut Command) -> i32 {
    ends(&mut command.spawn().expect("the runtime starts"))
}

#[track_caller]
fn ends(child: &mut Child) -> i32 {
    for _ in 0..5_000 {
        if let Some(status) = child.try_wait().expect("a child of ours") {
            return status.code().expect("an exit code");
        }
        thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("a child of ours");
    panic!("it still runs");
}

fn socket(end: UnixStream) -> Stdio {
    Stdio::from(OwnedFd::from(end))
}

#[test]
fn a_file_of_the_callers_keeps_its_owner() {
    if !only_on(&[Kind::Etui, Kind::Runc], "the file becomes the user's") {
        return;
    }
    let container = Container::sh("echo out >/dev/stdout; echo err >/dev/stderr; sleep 1000")
        .with("/process/user", someone());
    let [out, err] = ["log.out", "log.err"].map(|name| container.dir().join(name));
    let files = |command: &mut Command| {
        command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    };
    let check = || {
        for (path, text) in [(&out, "out\n"), (&err, "err\n")] {
            assert_eq!(fs::read_to_string(path).unwrap(), text);
            assert_eq!(fs::metadata(path).unwrap().uid(), 0);
        }
    };
    let mut running = run(&container, &[]);
    files(&mut running);
    let mut running = running.spawn().unwrap();
    let has_words = |path| fs::read(path).is_ok_and(|text| !text.is_empty());
    wait_for("the words", || has_words(&out) && has_words(&err));
    check();
    let mut command = exec(&container, &[], "echo out >/dev/stdout; echo err >/dev/stderr");
    files(&mut command);
    assert_eq!(code(&mut command), 0);
    check();
    container.kill("KILL").ok();
    assert_eq!(ends(&mut running), 137);
}

/// Such as systemd's journal: a socket can't be opened again by its name in /proc (ENXIO).
#[test]
fn a_socket_of_the_callers_is_opened_again_as_a_pipe() {
    if !only_on(&[Kind::Etui, Kind::Runc], "the process has the socket itself") {
        return;
    }
    for user_namespace in [false, true] {
        let mut container = Container::sh("echo out >/dev/stdout && echo err >/dev/stderr")
            .with("/process/user", someone());
        if user_namespace {
            container.give_user_namespace();
        }
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut command = run(&container, &[]);
        command.stdout(socket(theirs.try_clone().unwrap())).stderr(socket(theirs));
        assert_eq!(code(&mut command), 0);
        drop(command);
        let mut text = String::new();
        ours.read_to_string(&mut text).unwrap();
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["err", "out"]);
    }
}

#[test]
fn a_terminal_of_the_callers_stays_outside() {
    if !only_on(&[Kind::Etui, Kind::Runc], "the process has the terminal itself") {
        return;
    }
    let container = Container::sh(
        "test -t 0 || test -t 1 || test -t 2 || echo none >/dev/stdout; read line; echo got $line",
    )
    .with("/process/user", someone());
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let mut command = run(&container, &[]);
    let stream = || Stdio::from(slave.try_clone().unwrap());
    command.stdin(stream()).stdout(stream()).stderr(stream());
    let mut master = File::from(master);
    master.write_all(b"typed\n").unwrap();
    assert_eq!(code(&mut command), 0);
    let text = read_until(&mut master, "got typed");
    assert!(text.contains("none"), "{text:?}");
    assert_eq!(nix::sys::stat::fstat(&slave).unwrap().st_uid, 0);
}

/// Such as conmon and containerd's shim use: nothing is done for them but by the process.
#[test]
fn a_pipe_of_the_callers_is_handed_over() {
    if !only_on(&[Kind::Etui, Kind::Crun], "there is a pipe of its own between") {
        return;
    }
    let container = Container::sh("readlink /proc/self/fd/0; readlink /proc/self/fd/1");
    let (mut reader, writer) = std::io::pipe().unwrap();
    let inode = nix::sys::stat::fstat(&writer).unwrap().st_ino;
    let mut command = run(&container, &[]);
    command.stdout(writer);
    assert_eq!(code(&mut command), 0);
    drop(command);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, format!("/dev/null\npipe:[{inode}]\n"));
}

#[test]
fn a_fifo_of_the_callers_is_relayed() {
    if !only_on(&[Kind::Etui, Kind::Runc], "the fifo becomes the user's") {
        return;
    }
    let container = Container::sh("echo out >/dev/stdout").with("/process/user", someone());
    let path = container.dir().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut fifo = File::options().read(true).write(true).open(&path).unwrap();
    let mut command = run(&container, &[]);
    command.stdout(fifo.try_clone().unwrap());
    assert_eq!(code(&mut command), 0);
    let mut text = [0; 4];
    fifo.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"out\n");
    assert_eq!(fs::metadata(&path).unwrap().uid(), 0);
}

fn binary(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * at / 251 + at / 4096).to_le_bytes()[0]).collect()
}

#[test]
fn megabytes_pass_whole_both_ways() {
    let container = Container::new().with("/process/args", json!(["cat"]));
    let bytes = binary(3_000_001);
    let [input, output] = ["input", "output"].map(|name| container.dir().join(name));
    fs::write(&input, &bytes).unwrap();
    let mut command = run(&container, &[]);
    command.stdin(File::open(&input).unwrap()).stdout(File::create(&output).unwrap());
    assert_eq!(code(&mut command), 0);
    assert!(fs::read(&output).unwrap() == bytes);

    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut command = run(&container, &[]);
    command.stdin(socket(theirs.try_clone().unwrap())).stdout(socket(theirs));
    let mut child = command.spawn().unwrap();
    drop(command);
    let (mut writer, sent) = (ours.try_clone().unwrap(), bytes.clone());
    let writer = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(std::net::Shutdown::Write).unwrap();
    });
    // A slow reader.
    let (mut received, mut chunk) = (Vec::<u8>::new(), vec![0; 100_000]);
    loop {
        match ours.read(&mut chunk).unwrap() {
            0 => break,
            count => received.extend(&chunk[..count]),
        }
        thread::sleep(Duration::from_millis(1));
    }
    writer.join().unwrap();
    assert_eq!(ends(&mut child), 0);
    assert!(received == bytes);
}

#[test]
fn a_directory_as_standard_input_reads_as_its_end() {
    if !only_on(&[Kind::Etui, Kind::Runc], "the process has the host's directory") {
        return;
    }
    let container = Container::new().with("/process/args", json!(["cat"]));
    let mut command = run(&container, &[]);
    command.stdin(File::open("/").unwrap());
    assert_eq!(code(&mut command), 0);
}

#[test]
fn closed_streams_are_none_that_fail() {
    let container = Container::sh("cat; echo out; echo err >&2");
    let own = run(&container, &[]);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh"])
        .arg(own.get_program())
        .args(own.get_args());
    shell.env("ETUI_TEST", &container.id);
    assert_eq!(code(&mut shell), 0);
}

#[test]
fn a_reader_that_is_gone_ends_what_is_written() {
    let container = Container::sh("while echo word; do :; done; exit 7");
    let (ours, theirs) = UnixStream::pair().unwrap();
    drop(ours);
    let mut command = run(&container, &[]);
    assert_eq!(code(command.stdout(socket(theirs))), 7);
}

/// It has no reader for what it is sent, and that is no reason to end it.
#[test]
fn a_process_that_closes_its_input_goes_on() {
    if !only_on(&[Kind::Etui, Kind::Crun], "it is sent the SIGPIPE of runc's own write") {
        return;
    }
    let container = Container::sleeping();
    container.up();
    let input = container.dir().join("input");
    fs::write(&input, binary(1_000_000)).unwrap();
    let mut command = exec(&container, &[], "exec <&-; usleep 100000; exit 5");
    assert_eq!(code(command.stdin(File::open(input).unwrap())), 5);
}

#[test]
fn an_exec_lasts_as_long_as_somebody_may_write() {
    let container = Container::sleeping();
    container.up();
    let output = container.dir().join("output");
    let mut command = exec(&container, &[], "{ usleep 200000; echo late; } & exit 3");
    assert_eq!(code(command.stdout(File::create(&output).unwrap())), 3);
    if only_on(&[Kind::Etui, Kind::Runc], "the process has the file itself") {
        assert_eq!(fs::read_to_string(&output).unwrap(), "late\n");
    }
}

#[test]
fn a_signal_ends_an_exec_whose_process_has_ended() {
    if !only_on(&[Kind::Etui, Kind::Crun], "it waits for the end of the output all the same") {
        return;
    }
    let container = Container::sleeping();
    container.up();
    let output = container.dir().join("output");
    let mut command = exec(&container, &[], "sleep 1000 & echo ready; exit 3");
    let mut child = command.stdout(File::create(&output).unwrap()).spawn().unwrap();
    wait_for("the word", || fs::read(&output).is_ok_and(|text| !text.is_empty()));
    thread::sleep(Duration::from_millis(50));
    signal(&child, Signal::SIGTERM);
    assert_eq!(ends(&mut child), 3);
}

#[test]
fn a_run_ends_with_those_that_its_process_leaves_behind() {
    let mut container = Container::sh("sleep 1000 & echo ready; exit 3");
    let namespaces = container.config["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "pid");
    let output = container.dir().join("output");
    let mut command = run(&container, &[]);
    assert_eq!(code(command.stdout(File::create(&output).unwrap())), 3);
    assert_eq!(fs::read_to_string(&output).unwrap(), "ready\n");
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

#[test]
fn a_reader_that_does_not_read_holds_up_no_signal() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it writes by itself") {
        return;
    }
    let container =
        Container::sh("trap 'exit 9' TERM; echo ready >&2; yes & while :; do usleep 5000; done");
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let ready = container.dir().join("ready");
    let mut command = run(&container, &[]);
    command.stdout(socket(theirs)).stderr(File::create(&ready).unwrap());
    let mut child = command.spawn().unwrap();
    drop(command);
    wait_for("the word", || fs::read(&ready).is_ok_and(|text| !text.is_empty()));
    thread::sleep(Duration::from_millis(100));
    signal(&child, Signal::SIGTERM);
    wait_for("the end of the process", || {
        container.verb(&["state", &container.id]).stdout.find("\"running\"").is_none()
    });
    let mut text = Vec::new();
    ours.read_to_end(&mut text).unwrap();
    assert!(text.starts_with(b"y\ny\n"));
    assert_eq!(ends(&mut child), 9);
}

/// As runc has it: SIGWINCH is about a terminal, which there is none of.
#[test]
fn sigpipe_is_passed_on_and_sigwinch_is_not() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it passes both on") {
        return;
    }
    let container = Container::sh(
        "trap 'exit 8' WINCH; trap 'exit 9' PIPE; echo ready; while :; do usleep 5000; done",
    );
    let output = container.dir().join("output");
    let mut command = run(&container, &[]);
    let mut child = command.stdout(File::create(&output).unwrap()).spawn().unwrap();
    wait_for("the word", || fs::read(&output).is_ok_and(|text| !text.is_empty()));
    signal(&child, Signal::SIGWINCH);
    thread::sleep(Duration::from_millis(100));
    signal(&child, Signal::SIGPIPE);
    assert_eq!(ends(&mut child), 9);
}

/// Nobody stays to relay: the streams are the user's then, as of the caller.
#[test]
fn a_detached_user_may_reopen_a_terminal_and_a_file() {
    let container = Container::sh("echo out >/dev/stdout; echo err >/dev/stderr")
        .with("/process/user", someone());
    let OpenptyResult { master, slave } = openpty(None, None).unwrap();
    let gid = nix::sys::stat::fstat(&slave).unwrap().st_gid;
    let errors = container.dir().join("errors");
    let mut command = run(&container, &["--detach"]);
    command.stdout(slave.try_clone().unwrap()).stderr(File::create(&errors).unwrap());
    assert_eq!(code(&mut command), 0);
    wait_for("the word", || fs::read(&errors).is_ok_and(|text| text == b"err\n"));
    let of_terminal = nix::sys::stat::fstat(&slave).unwrap();
    assert_eq!((of_terminal.st_uid, of_terminal.st_gid), (1000, gid));
    let of_file = fs::metadata(&errors).unwrap();
    assert_eq!((of_file.uid(), of_file.gid()), (1000, 0));
    assert!(read_until(&mut File::from(master), "out").contains("out"));
}

/// Has `shell` run the container as a job in the background of a terminal of its own, then `script`.
fn in_background_of(shell: &str, container: &Container, script: &str) -> (Child, OwnedFd) {
    container.write_config();
    let runtime = container.command();
    let words = std::iter::once(runtime.get_program()).chain(runtime.get_args());
    let words: Vec<_> = words.map(|word| word.to_str().unwrap()).collect();
    let script = format!(
        "set -m; {} run --bundle {} {} </dev/tty & {script}",
        words.join(" "),
        container.bundle().display(),
        container.id
    );
    let pty = openpty(None, None).unwrap();
    let end = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut command = Command::new("setsid");
    command.args(["--ctty", shell, "-c", &script]).env("ETUI_TEST", &container.id);
    // Dropped at the end, or the test itself would hold the terminal open.
    let running = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    (running, pty.master)
}

/// A shell's job that reads from the terminal waits in the background, and reads on when it is brought back, which bash does
/// not tell it.
#[test]
fn a_terminal_that_is_another_jobs_for_a_while_is_read_again_later() {
    if !only_on(&[Kind::Etui], "it is stopped by SIGTTIN or holds the terminal itself") {
        return;
    }
    for shell in ["sh", "bash"] {
        let container = Container::sh("read line; echo got $line");
        let script = "sleep 0.4; echo type; sleep 0.6; fg";
        let (mut running, master) = in_background_of(shell, &container, script);
        let mut master = File::from(master);
        read_until(&mut master, "type");
        master.write_all(b"hello\n").unwrap();
        let text = read_until(&mut master, "got hello");
        assert!(text.contains("got hello"), "{shell}: {text:?}");
        running.wait().unwrap();
    }
}

/// Only then is its mode ours to change.
#[test]
fn a_terminal_that_is_another_jobs_stays_as_it_is() {
    if !only_on(&[Kind::Etui], "it is stopped by SIGTTOU or changes the terminal") {
        return;
    }
    let container = Container::sh("sleep 1.5").with("/process/terminal", true);
    let script = "sleep 0.4; echo here; sleep 0.4; fg";
    let (mut running, master) = in_background_of("bash", &container, script);
    let mut master = File::from(master);
    let edits_lines = |master: &File| {
        let mode = nix::sys::termios::tcgetattr(master).unwrap();
        mode.local_flags.contains(LocalFlags::ICANON)
    };
    read_until(&mut master, "here");
    assert!(edits_lines(&master), "its mode was changed");
    wait_for("raw mode", || !edits_lines(&master));
    read_until(&mut master, "never said");
    assert!(edits_lines(&master), "its mode was not given back");
    running.wait().unwrap();
}
