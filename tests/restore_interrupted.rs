//! `restore` with a criu(8) that never answers.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Container, Kind, only_on, processes_of, wait_for};

/// A `restore` with this as criu, as soon as it has begun: it makes the file `began` beside itself.
fn with_criu(container: &Container, script: &str) -> Child {
    let programs = container.dir().join("programs");
    fs::create_dir(&programs).unwrap();
    let criu = programs.join("criu");
    let script = format!("#!/bin/bash\ncd {}\n>began\n{script}\n", programs.display());
    fs::write(&criu, script).unwrap();
    fs::set_permissions(&criu, fs::Permissions::from_mode(0o755)).unwrap();
    let images = container.dir().join("images");
    fs::create_dir(&images).unwrap();
    fs::write(images.join("descriptors.json"), "[\"/dev/null\",\"/dev/null\",\"/dev/null\"]")
        .unwrap();

    container.write_config();
    let mut command = container.command();
    command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    command.args(["restore", "--detach", "--image-path"]).arg(&images);
    command.arg("--bundle").arg(container.bundle()).arg(&container.id);
    let restore = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("criu", || programs.join("began").exists());
    restore
}

fn interrupt(mut restore: Child) {
    kill(Pid::from_raw(restore.id().cast_signed()), Signal::SIGTERM).unwrap();
    wait_for("its end", || restore.try_wait().unwrap().is_some());
}

#[test]
fn a_restore_that_hangs_ends_with_a_signal_and_leaves_nothing() {
    if !only_on(&[Kind::Etui], "it waits for ever") {
        return;
    }
    let container = Container::new();
    interrupt(with_criu(&container, "exec sleep 1000"));
    container.assert_nothing_left();
    assert!(processes_of(&container.id).is_empty());
}

/// It is not killed amid its work, which is to let go of what it has stopped.
#[test]
fn criu_may_undo_what_it_has_begun() {
    if !only_on(&[Kind::Etui], "it waits for ever") {
        return;
    }
    let container = Container::new();
    // The second word is its end of the socket.
    interrupt(with_criu(&container, "cat <&$2 >/dev/null; sleep 0.3; >undone"));
    assert!(container.dir().join("programs/undone").exists());
    container.assert_nothing_left();
}
