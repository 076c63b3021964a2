//! `restore` with a criu(8) that never answers.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Container, Kind, only_on, processes_of, wait_for};

#[test]
fn a_restore_that_hangs_ends_with_a_signal_and_leaves_nothing() {
    if !only_on(&[Kind::Etui], "it waits for ever") {
        return;
    }
    let container = Container::new();
    let programs = container.dir().join("programs");
    fs::create_dir(&programs).unwrap();
    let criu = programs.join("criu");
    let began = container.dir().join("began");
    fs::write(&criu, format!("#!/bin/sh\n>{}\nexec sleep 1000\n", began.display())).unwrap();
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
    let mut restore = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("criu", || began.exists());
    kill(Pid::from_raw(restore.id().cast_signed()), Signal::SIGTERM).unwrap();
    wait_for("its end", || restore.try_wait().unwrap().is_some());
    container.assert_nothing_left();
    assert!(processes_of(&container.id).is_empty());
}
