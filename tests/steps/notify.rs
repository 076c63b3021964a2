//! `NOTIFY_SOCKET`: the container's process says that it is ready, and a service manager outside hears it.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use crate::support::{Container, Kind, only_on, wait_for};

/// A service manager's end; a message's descriptors are closed as it is read, which is the answer to a barrier.
fn manager(container: &Container) -> UnixDatagram {
    let socket = UnixDatagram::bind(container.dir().join("manager")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket
}

fn with_manager(container: &Container, arguments: &[&str]) -> Command {
    container.write_config();
    let mut command = container.command();
    command.env("NOTIFY_SOCKET", container.dir().join("manager")).args(arguments);
    command
}

fn heard(manager: &UnixDatagram) -> String {
    let mut message = [0; 4096];
    let length = manager.recv(&mut message).expect("a message");
    String::from_utf8_lossy(&message[..length]).into_owned()
}

/// Speaks as the container's process would, at the place where it would.
fn say(container: &Container, words: &str) {
    let place = format!("/proc/{}/root/run/notify/notify.sock", container.pid());
    wait_for("the container's socket", || Path::new(&place).exists());
    UnixDatagram::unbound().unwrap().send_to(words.as_bytes(), &place).unwrap();
}

fn is_waiting(child: &mut Child) -> bool {
    std::thread::sleep(Duration::from_millis(150));
    child.try_wait().unwrap().is_none()
}

#[test]
fn start_waits_until_the_process_is_ready() {
    if !only_on(&[Kind::Etui, Kind::Runc], "crun passes the manager's own socket on") {
        return;
    }
    let container = Container::sleeping();
    let manager = manager(&container);
    let bundle = container.bundle();
    let create = ["create", "--bundle", bundle.to_str().unwrap(), &container.id];
    container.complete(with_manager(&container, &create)).ok();
    let mut start = with_manager(&container, &["start", &container.id]).spawn().unwrap();
    container.wait_until("running");

    say(&container, "STATUS=nearly");
    assert!(is_waiting(&mut start));
    say(&container, "READY=1\nSTATUS=up");

    assert_eq!(heard(&manager), "READY=1\n");
    assert_eq!(heard(&manager), format!("MAINPID={}\n", container.pid()));
    assert!(is_waiting(&mut start), "the barrier is not answered yet");
    assert_eq!(heard(&manager), "BARRIER=1");
    assert!(start.wait().unwrap().success());
}

#[test]
fn the_process_is_told_where_to_speak_and_can_change_nothing_there() {
    if !only_on(&[Kind::Etui, Kind::Runc], "crun passes the manager's own socket on") {
        return;
    }
    let script = "echo $NOTIFY_SOCKET; touch /run/notify/x || echo read-only; exec sleep 1000";
    let container = Container::sh(script).with("/process/user/uid", 1000);
    let _manager = manager(&container);
    let bundle = container.bundle();
    let create = ["create", "--bundle", bundle.to_str().unwrap(), &container.id];
    let mut command = with_manager(&container, &create);
    let output = container.dir().join("said");
    command.stdout(std::fs::File::create(&output).unwrap());
    assert!(command.stderr(std::process::Stdio::null()).status().unwrap().success());
    let mut start = with_manager(&container, &["start", &container.id]).spawn().unwrap();
    let said = || std::fs::read_to_string(&output).unwrap();
    wait_for("two lines", || said().lines().count() == 2);
    assert_eq!(said(), "/run/notify/notify.sock\nread-only\n");
    container.kill("KILL").ok();
    assert!(start.wait().unwrap().success(), "start ends with the process");
}

#[test]
fn run_detached_waits_too_and_a_user_namespace_is_no_obstacle() {
    if !only_on(&[Kind::Etui], "runc's state directory is out of reach of a user namespace") {
        return;
    }
    let mut container = Container::sleeping();
    container.give_user_namespace();
    std::os::unix::fs::chown(container.rootfs().join("run"), Some(100_000), None).unwrap();
    let manager = manager(&container);
    let bundle = container.bundle();
    let run = ["run", "--detach", "--bundle", bundle.to_str().unwrap(), &container.id];
    let mut run = with_manager(&container, &run).spawn().unwrap();
    wait_for("the container", || container.verb(&["state", &container.id]).status.success());
    container.wait_until("running");
    say(&container, "READY=1");
    assert_eq!(heard(&manager), "READY=1\n");
    assert_eq!(heard(&manager), format!("MAINPID={}\n", container.pid()));
    assert_eq!(heard(&manager), "BARRIER=1");
    assert!(run.wait().unwrap().success());
    container.kill("KILL").ok();
    container.wait_until("stopped");
}

#[test]
fn in_the_foreground_the_runtime_is_whom_the_manager_watches() {
    if !only_on(&[Kind::Etui], "runc reads the socket before its process runs") {
        return;
    }
    let container = Container::sleeping();
    let manager = manager(&container);
    let bundle = container.bundle();
    let run = ["run", "--bundle", bundle.to_str().unwrap(), &container.id];
    let mut run = with_manager(&container, &run).spawn().unwrap();
    wait_for("the container", || container.verb(&["state", &container.id]).status.success());
    container.wait_until("running");
    say(&container, "READY=1");
    assert_eq!(heard(&manager), "READY=1\n");
    assert_eq!(heard(&manager), format!("MAINPID={}\n", run.id()));
    container.kill("KILL").ok();
    assert_eq!(run.wait().unwrap().code(), Some(137));
}

#[test]
fn a_detached_run_that_waits_can_be_ended() {
    if !only_on(&[Kind::Etui], "runc waits differently") {
        return;
    }
    let container = Container::sleeping();
    let _manager = manager(&container);
    let bundle = container.bundle();
    let run = ["run", "--detach", "--bundle", bundle.to_str().unwrap(), &container.id];
    let mut run = with_manager(&container, &run).spawn().unwrap();
    wait_for("the container", || container.verb(&["state", &container.id]).status.success());
    container.wait_until("running");
    assert!(is_waiting(&mut run));
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(run.id().cast_signed()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    wait_for("its end", || run.try_wait().unwrap().is_some());
}
