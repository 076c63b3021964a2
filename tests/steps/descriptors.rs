//! Standard input, output and error, and that no other descriptor gets in.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use serde_json::json;

use crate::support::{Container, Kind, only_on};

#[test]
fn a_user_may_reopen_standard_output_and_error() {
    let container = Container::sh("echo out >/dev/stdout && echo err >/dev/stderr")
        .with("/process/user", json!({ "uid": 1000, "gid": 1000 }));
    container.write_config();
    let mut command = container.command();
    command.args(["run", "--bundle"]).arg(container.bundle()).arg(&container.id);
    let output = command.stdin(Stdio::null()).output().expect("the runtime runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out\n", "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "err\n", "{output:?}");
}

#[test]
fn dev_null_as_standard_input_keeps_its_owner() {
    if !only_on(&[Kind::Etui, Kind::Runc], "it gives the machine's /dev/null to the user") {
        return;
    }
    let container = Container::sh("true").with("/process/user/uid", 1000);
    container.write_config();
    let mut command = container.command();
    command.args(["run", "--bundle"]).arg(container.bundle()).arg(&container.id);
    assert!(command.stdin(Stdio::null()).status().expect("the runtime runs").success());
    assert_eq!(std::fs::metadata("/dev/null").unwrap().uid(), 0);
}

#[test]
fn standard_input_is_the_callers() {
    let container = Container::new().with("/process/args", json!(["cat"]));
    container.write_config();
    let input = container.dir().join("input");
    std::fs::write(&input, "from the caller").unwrap();
    let mut command = container.command();
    command.args(["run", "--bundle"]).arg(container.bundle()).arg(&container.id);
    let output = command.stdin(File::open(input).unwrap()).output().expect("the runtime runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "from the caller");
}

#[test]
fn no_other_descriptor_is_open() {
    // `ls` itself has the directory open, as 3.
    let container = Container::new().with("/process/args", json!(["ls", "/proc/self/fd"]));
    assert_eq!(container.run().ok().lines(), ["0", "1", "2", "3"]);
}

#[test]
fn no_other_descriptor_is_open_in_an_exec() {
    let container = Container::sleeping();
    container.up();
    assert_eq!(container.exec(&["ls", "/proc/self/fd"]).ok().lines(), ["0", "1", "2", "3"]);
    assert_eq!(container.exec(&["ls", "/proc/1/fd"]).ok().lines(), ["0", "1", "2"]);
}

#[test]
fn a_descriptor_of_the_caller_does_not_get_in() {
    let container = Container::new().with("/process/args", json!(["ls", "/proc/self/fd"]));
    container.write_config();
    let bundle = container.bundle();
    let arguments = ["run", "--bundle", bundle.to_str().unwrap(), &container.id];
    assert_eq!(leaked(&container, &arguments), ["0", "1", "2", "3"]);
}

#[test]
fn a_descriptor_of_the_caller_does_not_get_into_an_exec() {
    let container = Container::sleeping();
    container.up();
    assert_eq!(
        leaked(&container, &["exec", &container.id, "ls", "/proc/self/fd"]),
        ["0", "1", "2", "3"]
    );
}

/// What a verb prints when its caller has descriptors 7 and 9 open on the host's root and on a file.
fn leaked(container: &Container, arguments: &[&str]) -> Vec<String> {
    let own = container.command();
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", "exec \"$@\" 7</ 9</etc/passwd", "sh"])
        .arg(own.get_program())
        .args(own.get_args());
    shell.args(arguments).env("ETUI_TEST", &container.id);
    container.complete(shell).ok().lines().into_iter().map(str::to_owned).collect()
}

#[test]
fn preserved_descriptors_get_in() {
    let container = Container::sh("cat <&3; ls /proc/self/fd");
    container.write_config();
    let file = container.dir().join("third");
    std::fs::write(&file, "third\n").unwrap();
    let own = container.command();
    let mut shell = std::process::Command::new("sh");
    let script = format!("exec \"$@\" 3<{} 4</ 5</", file.display());
    shell.args(["-c", &script, "sh"]).arg(own.get_program()).args(own.get_args());
    shell
        .args(["run", "--preserve-fds", "1", "--bundle"])
        .arg(container.bundle())
        .arg(&container.id);
    let outcome = container.complete(shell).ok();
    assert_eq!(outcome.lines(), ["third", "0", "1", "2", "3", "4"]);
}

#[test]
fn listen_fds_are_announced_to_process_one() {
    if !only_on(&[Kind::Etui, Kind::Runc], "no LISTEN_PID") {
        return;
    }
    let container = Container::sh("cat <&3; echo $LISTEN_FDS $LISTEN_PID");
    container.write_config();
    let file = container.dir().join("third");
    std::fs::write(&file, "socket\n").unwrap();
    let own = container.command();
    let mut shell = std::process::Command::new("sh");
    let script = format!("LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\" 3<{}", file.display());
    shell.args(["-c", &script, "sh"]).arg(own.get_program()).args(own.get_args());
    shell.args(["run", "--bundle"]).arg(container.bundle()).arg(&container.id);
    assert_eq!(container.complete(shell).ok().lines(), ["socket", "1 1"]);
}

#[test]
fn preserving_a_descriptor_that_is_not_open_fails() {
    if !only_on(&[Kind::Etui], "crun takes it; runc leaves its state directory") {
        return;
    }
    let container = Container::new();
    container.write_config();
    for count in ["1", "5"] {
        let own = container.command();
        let mut shell = std::process::Command::new("sh");
        // Without it etui's own first descriptor has the number.
        shell.args(["-c", "exec \"$@\" 3>&-", "sh"]).arg(own.get_program()).args(own.get_args());
        shell.args(["run", "--preserve-fds", count, "--bundle"]).arg(container.bundle());
        shell.arg(&container.id);
        container.complete(shell).exits(1).says("unable to stat preserved-fd 0");
        container.assert_nothing_left();
    }
}

#[test]
fn a_detached_container_keeps_the_callers_pipe() {
    let container = Container::sh("usleep 20000; echo later");
    container.write_config();
    let (mut reader, writer) = std::io::pipe().unwrap();
    assert!(reader.as_raw_fd() > 2);
    let mut command = container.command();
    command.args(["run", "--detach", "--bundle"]).arg(container.bundle()).arg(&container.id);
    let status = command.stdin(Stdio::null()).stdout(writer.try_clone().unwrap()).status().unwrap();
    assert!(status.success());
    drop((writer, command));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "later\n");
}
