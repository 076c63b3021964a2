//! CVE-2019-5736: a container that overwrites the host's runtime through `/proc/self/exe`.

use std::fs;
use std::process::Command;

use serde_json::json;

use crate::support::{Container, Kind, kind, only_on, runtime, skip, wait_for};

/// A copy of the runtime, so that a successful attack harms only the test.
fn copied_runtime(container: &Container) -> (std::path::PathBuf, Vec<u8>) {
    let copy = container.dir().join("runtime");
    fs::copy(runtime(), &copy).expect("a copy of the runtime");
    let bytes = fs::read(&copy).expect("the copy");
    (copy, bytes)
}

/// The copy with the global flags of the container; arguments follow.
fn command(copy: &std::path::Path, container: &Container) -> Command {
    let mut command = Command::new(copy);
    command.args(container.command().get_args()).env("ETUI_TEST", &container.id);
    command
}

/// Finds a process whose program is not busybox, keeps it open for reading, then opens that for writing.
const OVERWRITE: &str = r#"
    cd /proc
    while :; do
        for p in [0-9]*; do
            case $(readlink $p/exe) in *busybox | "") continue ;; esac
            exec 9<$p/exe || continue
            echo opened >>/tmp/log
            (echo overwritten >>$p/exe) 2>/dev/null && echo WRITTEN >>/tmp/log
            (echo overwritten >>/proc/self/fd/9) 2>/dev/null && echo WRITTEN >>/tmp/log
            : >/tmp/done
            sleep 1000
        done
    done"#;

#[test]
fn the_runtimes_binary_can_not_be_written_through_a_process_that_runs_it() {
    // The peers' binaries want libraries that the image lacks: they don't run inside.
    if !only_on(&[Kind::Etui], "its binary does not run inside") {
        return;
    }
    let container = Container::sh(OVERWRITE);
    let (copy, before) = copied_runtime(&container);
    container.up();
    // /proc/self/exe of the process on its way in is the runtime. Opening a pipe as its log makes it stay.
    assert!(container.exec(&["mkfifo", "/tmp/pipe"]).ok().status.success());
    let mut exec = command(&copy, &container);
    exec.args(["exec", &container.id, "/proc/self/exe", "--log", "/tmp/pipe", "state", "none"]);
    let mut child = exec.stdout(std::process::Stdio::null()).spawn().expect("the runtime starts");
    let done = container.rootfs().join("tmp/done");
    wait_for("the attack", || done.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    let log = fs::read_to_string(container.rootfs().join("tmp/log")).unwrap();
    assert_eq!(log, "opened\n");
    assert_eq!(fs::read(copy).unwrap(), before, "the runtime's binary has changed");
}

#[test]
fn the_runtimes_binary_can_not_be_written_from_process_one() {
    let container = Container::new().with("/process/args", json!(["/script"]));
    let (copy, before) = copied_runtime(&container);
    // The kernel runs the interpreter, which is the runtime itself, with the script as its argument.
    let script = container.rootfs().join("script");
    fs::write(&script, "#!/proc/self/exe\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    container.write_config();
    let mut run = command(&copy, &container);
    run.args(["run", "--bundle"]).arg(container.bundle()).arg(&container.id);
    container.complete(run);
    assert_eq!(fs::read(copy).unwrap(), before, "the runtime's binary has changed");
}

#[test]
fn the_runtimes_binary_is_unchanged_after_many_execs_under_attack() {
    let container = Container::sh(OVERWRITE);
    let (copy, before) = copied_runtime(&container);
    container.up();
    // The peers' binaries want libraries that the image lacks: none of them is ever seen running.
    let tried = || {
        let log = fs::read_to_string(container.rootfs().join("tmp/log")).unwrap_or_default();
        kind() != Kind::Etui || log.starts_with("opened\n")
    };
    for attempt in 0..200 {
        if attempt >= 10 && tried() {
            break;
        }
        let mut exec = command(&copy, &container);
        exec.args(["exec", &container.id, "/proc/self/exe", "--version"]);
        container.complete(exec);
    }
    assert_eq!(fs::read(copy).unwrap(), before, "the runtime's binary has changed");
    if !tried() {
        // With one processor it may never run at the right moment.
        skip("the attack has seen no runtime in 200 attempts");
    }
}
