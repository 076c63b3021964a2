//! Terminals: sent to a console socket, or relayed in the foreground.

use std::io::Write;
use std::process::Command;

use serde_json::json;

use crate::support::terminal::{ConsoleSocket, read_until};
use crate::support::{Container, Kind, only_on};

fn on_a_terminal(script: &str) -> Container {
    Container::sh(script).with("/process/terminal", true)
}

#[test]
fn a_console_socket_gets_the_terminal() {
    let container = on_a_terminal(
        "test -t 0 && test -t 1 && test -t 2 && echo three && read line && echo got $line",
    );
    let path = container.dir().join("socket");
    let socket = ConsoleSocket::bind(&path);
    container.create_with(&["--console-socket", path.to_str().unwrap()]).ok();
    let (mut master, _) = socket.receive();
    container.start().ok();
    master.write_all(b"hello\n").unwrap();
    let text = read_until(&mut master, "got hello");
    assert!(text.contains("three") && text.contains("got hello"), "{text:?}");
}

#[test]
fn a_relative_console_socket_starts_at_the_bundle() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it starts where the runtime is called") {
        return;
    }
    let container = on_a_terminal("echo here");
    let socket = ConsoleSocket::bind(&container.bundle().join("console.sock"));
    // A pid file starts where the runtime is called, which is `/` here.
    let pid_file = container.dir().join("pid");
    let flags =
        ["--console-socket", "console.sock", "--pid-file", &pid_file.to_str().unwrap()[1..]];
    container.create_with(&flags).ok();
    let (mut master, _) = socket.receive();
    assert!(pid_file.exists());
    container.start().ok();
    read_until(&mut master, "here");
}

#[test]
fn a_terminal_is_the_controlling_one_and_belongs_to_the_user() {
    let container = on_a_terminal(
        "(: >/dev/tty) && echo controlling; stat -L -c '%u %t' /proc/self/fd/0; tty; echo done",
    )
    .with("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    let path = container.dir().join("socket");
    let socket = ConsoleSocket::bind(&path);
    container.run_with(&["--detach", "--console-socket", path.to_str().unwrap()]).ok();
    let (mut master, _) = socket.receive();
    let text = read_until(&mut master, "done");
    // Major number 0x88 is that of pseudo-terminals.
    assert_eq!(text.lines().take(2).collect::<Vec<_>>(), ["controlling", "1000 88"], "{text:?}");
    assert!(text.contains("/dev/"), "{text:?}");
}

#[test]
fn a_terminal_has_its_size_from_the_start() {
    let container = on_a_terminal("stty size; echo done")
        .with("/process/consoleSize", json!({ "height": 33, "width": 77 }));
    let path = container.dir().join("socket");
    let socket = ConsoleSocket::bind(&path);
    container.run_with(&["--detach", "--console-socket", path.to_str().unwrap()]).ok();
    let (mut master, _) = socket.receive();
    let text = read_until(&mut master, "done");
    assert!(text.contains("33 77"), "{text:?}");
}

/// As with the container's own process: whoever knows better sets it once the master is there.
#[test]
fn an_execs_terminal_has_the_containers_size() {
    if !only_on(&[Kind::Etui, Kind::Runc], "its exec has the size of nobody") {
        return;
    }
    let container =
        Container::sleeping().with("/process/consoleSize", json!({ "height": 33, "width": 77 }));
    container.up();
    let path = container.dir().join("socket");
    let socket = ConsoleSocket::bind(&path);
    let flags = ["--tty", "--detach", "--console-socket", path.to_str().unwrap()];
    container.exec_sh(&flags, "stty size; echo done").ok();
    let (mut master, _) = socket.receive();
    let text = read_until(&mut master, "done");
    assert!(text.contains("33 77"), "{text:?}");
}

#[test]
fn a_terminal_is_dev_console() {
    let container =
        on_a_terminal("stat -L -c %t /dev/console; echo to the console >/dev/console; echo done");
    let path = container.dir().join("socket");
    let socket = ConsoleSocket::bind(&path);
    container.run_with(&["--detach", "--console-socket", path.to_str().unwrap()]).ok();
    let (mut master, _) = socket.receive();
    let text = read_until(&mut master, "done");
    assert_eq!(text.lines().take(2).collect::<Vec<_>>(), ["88", "to the console"], "{text:?}");
}

#[test]
fn an_exec_gets_a_terminal() {
    let container = Container::sleeping();
    container.up();
    let path = container.dir().join("socket");
    let socket = ConsoleSocket::bind(&path);
    let flags = ["--tty", "--detach", "--console-socket", path.to_str().unwrap()];
    container.exec_sh(&flags, "test -t 0 && tty && echo done").ok();
    let (mut master, _) = socket.receive();
    let text = read_until(&mut master, "done");
    assert!(text.contains("/dev/pts/"), "{text:?}");
}

/// Runs a verb of the runtime under `script`, which gives it a terminal, and types `input` once the program has
/// said `cue`: what is typed before the terminal is raw is the outer terminal's.
fn under_script(
    container: &Container,
    arguments: &str,
    cue: &str,
    input: &str,
) -> crate::support::Outcome {
    container.write_config();
    let runtime = container.command();
    let words = std::iter::once(runtime.get_program()).chain(runtime.get_args());
    let line = words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ");
    let mut shell = Command::new("sh");
    let typescript = container.dir().join("typescript");
    std::fs::write(&typescript, "").unwrap();
    let typescript = typescript.display();
    let script = format!(
        "{{ timeout 20 sh -c 'until grep -q {cue} {typescript}; do sleep 0.05; done'; printf '{input}'; sleep 0.2; }} |
        script --flush -qec '{line} {arguments}' {typescript}"
    );
    shell.args(["-c", &script]).env("ETUI_TEST", &container.id);
    container.complete(shell)
}

#[test]
fn the_foreground_relays_the_terminal() {
    let container = on_a_terminal("stty -echo; echo ready; read line; echo got $line; exit 6");
    let arguments = format!("run --bundle {} {}", container.bundle().display(), container.id);
    let outcome = under_script(&container, &arguments, "^ready", "typed\\n").exits(6);
    assert!(outcome.stdout.contains("got typed"), "{outcome:#?}");
}

#[test]
fn the_foreground_passes_control_keys_on() {
    let container = on_a_terminal(
        "trap 'echo interrupted; exit 4' INT; echo ready; while :; do usleep 5000; done",
    );
    let arguments = format!("run --bundle {} {}", container.bundle().display(), container.id);
    let outcome = under_script(&container, &arguments, "^ready", "\\003").exits(4);
    assert!(outcome.stdout.contains("interrupted"), "{outcome:#?}");
}

#[test]
fn a_foreground_exec_relays_the_terminal() {
    let container = Container::sleeping();
    container.up();
    let arguments =
        format!("exec --tty {} sh -c \"tty; read l; echo got \\$l; exit 5\"", container.id);
    let outcome = under_script(&container, &arguments, "/dev/pts/", "typed\\n").exits(5);
    assert!(
        outcome.stdout.contains("got typed") && outcome.stdout.contains("/dev/pts/"),
        "{outcome:#?}"
    );
}

#[test]
fn a_detached_terminal_needs_a_console_socket() {
    let container = on_a_terminal("true");
    assert_ne!(container.create().code(), 0);
    assert_ne!(container.run_with(&["--detach"]).code(), 0);
    container.assert_nothing_left();
}
