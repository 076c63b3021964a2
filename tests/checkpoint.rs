//! `checkpoint` and `restore`. Needs root, and for most of it a criu(8) that works on this kernel.

mod support;

use std::fs;
use std::io::{PipeReader, Read, Write, pipe};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command};

use serde_json::json;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use support::terminal::{ConsoleSocket, read_until};
use support::{Container, Kind, Outcome, only_on, skip, wait_for};

/// A container that counts, and whose standard streams are pipes, for criu knows no file outside.
struct Counter {
    container: Container,
    _output: PipeReader,
}

const SCRIPT: &str = "i=0; while sleep 0.05; do i=$((i + 1)); echo $i > /tmp/count; done";

impl Counter {
    fn new() -> Option<Counter> {
        Counter::changed(|_| ())
    }

    /// With another configuration. None where criu does not work; noted as skipped.
    fn changed(change: impl FnOnce(&mut Container)) -> Option<Counter> {
        if !only_on(&[Kind::Etui, Kind::Runc], "crun's flags differ") {
            return None;
        }
        let works = Command::new("criu").arg("check").output();
        if !works.is_ok_and(|output| output.status.success()) {
            skip("no criu that works here");
            return None;
        }
        let mut container = Container::sh(SCRIPT);
        // To hold packets back criu needs iptables, which this is not about.
        let namespaces = container.config["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "network");
        change(&mut container);
        let (reader, writer) = pipe().unwrap();
        container.write_config();
        let mut run = container.command();
        run.args(["run", "--detach", "--bundle"]).arg(container.bundle()).arg(&container.id);
        run.stdin(pipe().unwrap().0).stdout(writer.try_clone().unwrap()).stderr(writer);
        assert!(run.status().unwrap().success());
        let counter = Counter { container, _output: reader };
        counter.wait_for_more();
        Some(counter)
    }

    fn count(&self) -> u32 {
        let text = fs::read_to_string(self.container.rootfs().join("tmp/count"));
        text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    fn wait_for_more(&self) {
        let before = self.count();
        wait_for("counting", || self.count() > before);
    }

    fn checkpoint(&self, flags: &[&str]) -> Outcome {
        let images = self.container.dir().join("images");
        let images = ["checkpoint", "--image-path", images.to_str().unwrap()];
        self.container.verb(&[&images, flags, &[&self.container.id]].concat())
    }

    fn restore(&mut self, flags: &[&str]) -> Child {
        let (reader, writer) = pipe().unwrap();
        let mut restore = self.container.command();
        restore.arg("restore").arg("--image-path").arg(self.container.dir().join("images"));
        restore.arg("--bundle").arg(self.container.bundle()).args(flags).arg(&self.container.id);
        restore.stdin(pipe().unwrap().0).stdout(writer.try_clone().unwrap()).stderr(writer);
        self._output = reader;
        restore.spawn().unwrap()
    }
}

#[test]
fn a_container_ends_and_goes_on_where_it_was() {
    let Some(mut counter) = Counter::new() else { return };
    counter.checkpoint(&[]).ok();
    counter.container.assert_nothing_left();
    let count = counter.count();
    assert!(counter.restore(&["--detach"]).wait().unwrap().success());
    counter.wait_for_more();
    assert!(counter.count() >= count, "it began anew");
    assert_eq!(counter.container.status(), "running");
    let own = counter.container.exec_sh(&[], "hostname; grep ^0:: /proc/1/cgroup").ok();
    assert_eq!(own.lines(), ["inside", "0::/"]);
    counter.container.kill("KILL").ok();
    counter.container.wait_until("stopped");
}

#[test]
fn a_restore_that_fails_at_its_end_leaves_nothing() {
    let Some(mut counter) = Counter::new() else { return };
    counter.checkpoint(&[]).ok();
    let nowhere = counter.container.dir().join("nowhere/pid");
    let mut restore = counter.restore(&["--detach", "--pid-file", nowhere.to_str().unwrap()]);
    assert!(!restore.wait().unwrap().success());
    counter.container.assert_nothing_left();
}

#[test]
fn a_container_may_be_left_running() {
    let Some(counter) = Counter::new() else { return };
    counter.checkpoint(&["--leave-running"]).ok();
    assert_eq!(counter.container.status(), "running");
    counter.wait_for_more();
}

#[test]
fn memory_may_be_written_before() {
    let Some(mut counter) = Counter::new() else { return };
    let before = counter.container.dir().join("before");
    let before = ["checkpoint", "--pre-dump", "--image-path", before.to_str().unwrap()];
    let outcome = counter.container.verb(&[&before[..], &[&counter.container.id]].concat());
    if outcome.stderr.contains("does not track memory") {
        return skip("this kernel does not track memory");
    }
    outcome.ok();
    counter.wait_for_more();
    counter.checkpoint(&["--parent-path", "/before"]).says("must be relative");
    counter.checkpoint(&["--parent-path", "../before"]).ok();
    assert!(counter.restore(&["--detach"]).wait().unwrap().success());
    counter.wait_for_more();
}

#[test]
fn restore_in_the_foreground_ends_as_the_process_does() {
    let Some(mut counter) = Counter::new() else { return };
    counter.checkpoint(&[]).ok();
    let pid_file = counter.container.dir().join("pid");
    let mut restore = counter.restore(&["--pid-file", pid_file.to_str().unwrap()]);
    counter.wait_for_more();
    wait_for("the pid file", || pid_file.exists());
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), counter.container.pid().to_string());
    counter.container.kill("TERM").ok();
    counter.container.kill("KILL").ok();
    assert_eq!(restore.wait().unwrap().code(), Some(137));
    counter.container.assert_nothing_left();
}

#[test]
fn without_criu_it_is_refused_and_nothing_happens() {
    if !only_on(&[Kind::Etui], "runc says it in other words") {
        return;
    }
    let container = Container::sleeping();
    container.up();
    let images = container.dir().join("images");
    let mut command = container.command();
    command.env("PATH", "/nowhere").args(["checkpoint", "--image-path"]).arg(&images);
    command.arg(&container.id);
    container.complete(command).exits(1).says("criu(8) is not installed, or not on PATH");
    assert!(!images.exists());
    assert_eq!(container.status(), "running");
}

#[test]
fn only_a_running_container_can_be_written_down() {
    let container = Container::sleeping();
    container.create().ok();
    container.verb(&["checkpoint", &container.id]).exits(1);
    let missing = container.verb(&["checkpoint", "nosuch"]).exits(1);
    assert!(missing.stderr.contains("does not exist"), "{missing:?}");
}

#[test]
fn a_bad_value_is_refused() {
    if !only_on(&[Kind::Etui], "the others take some of them") {
        return;
    }
    let container = Container::sleeping().with("/annotations", json!({}));
    container.up();
    for (flags, words) in [
        (["--manage-cgroups-mode", "hard"], "invalid manage-cgroups-mode"),
        (["--page-server", "here"], "ADDRESS:PORT"),
        (["--empty-ns", "pid"], "not supported"),
    ] {
        let arguments = ["checkpoint", flags[0], flags[1], &container.id];
        container.verb(&arguments).exits(1).says(words);
    }
}

/// A port where nobody listens yet.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn criu(arguments: &[&str]) -> Child {
    Command::new("criu").args(arguments).spawn().unwrap()
}

/// The way back takes a criu whose lazy pages work with the kernel; up to here every one gets.
#[test]
fn memory_may_follow_when_it_is_needed() {
    let Some(counter) = Counter::new() else { return };
    let port = free_port();
    let server = format!("127.0.0.1:{port}");
    let (mut status, writer) = pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let status_fd = writer.as_raw_fd().to_string();
    let mut checkpoint = counter.container.command();
    checkpoint.args(["checkpoint", "--lazy-pages", "--page-server", &server]);
    checkpoint.args(["--status-fd", &status_fd, "--image-path"]);
    checkpoint.arg(counter.container.dir().join("images")).arg(&counter.container.id);
    let mut checkpoint = checkpoint.spawn().unwrap();
    drop(writer);
    let mut byte = [1; 1];
    if status.read_exact(&mut byte).is_err() {
        assert!(!checkpoint.wait().unwrap().success());
        return skip("no lazy pages on this kernel");
    }
    assert_eq!(byte, [0]);
    assert!(checkpoint.try_wait().unwrap().is_none(), "it waits until the pages are fetched");
    // Whoever comes for them has enough at once.
    drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
    assert!(checkpoint.wait().unwrap().success());
    counter.container.assert_nothing_left();
}

#[test]
fn memory_may_go_to_a_server() {
    let Some(mut counter) = Counter::new() else { return };
    let port = free_port().to_string();
    let images = counter.container.dir().join("images");
    fs::create_dir(&images).unwrap();
    let mut server = criu(&["page-server", "--port", &port, "-D", images.to_str().unwrap()]);
    let listens = || {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        table.contains(&format!(":{:04X} 00000000:0000 0A", port.parse::<u16>().unwrap()))
    };
    wait_for("the server", listens);
    counter.checkpoint(&["--page-server", &format!("127.0.0.1:{port}")]).ok();
    assert!(server.wait().unwrap().success());
    assert!(counter.restore(&["--detach"]).wait().unwrap().success());
    counter.wait_for_more();
}

#[test]
fn every_mode_of_cgroups_goes() {
    for mode in ["ignore", "soft", "full"] {
        let Some(mut counter) = Counter::new() else { return };
        counter.checkpoint(&["--manage-cgroups-mode", mode]).ok();
        let mut restore = counter.restore(&["--detach", "--manage-cgroups-mode", mode]);
        assert!(restore.wait().unwrap().success(), "{mode}");
        counter.wait_for_more();
        let seen = fs::read_to_string(format!("/proc/{}/cgroup", counter.container.pid())).unwrap();
        assert!(seen.contains(&format!("0::/{}", counter.container.id)), "{mode}: {seen}");
    }
}

#[test]
fn a_container_comes_back_under_another_name() {
    let Some(mut counter) = Counter::new() else { return };
    counter.checkpoint(&[]).ok();
    let id = counter.container.id.clone();
    let other = format!("{id}other");
    counter.container.set("/linux/cgroupsPath", format!("/{other}"));
    counter.container.write_config();
    counter.container.id = other.clone();
    assert!(counter.restore(&["--detach"]).wait().unwrap().success());
    counter.wait_for_more();
    let seen = fs::read_to_string(format!("/proc/{}/cgroup", counter.container.pid())).unwrap();
    assert!(seen.contains(&format!("0::/{other}\n")), "{seen}");
    counter.container.verb(&["delete", "--force", &other]).ok();
    counter.container.assert_nothing_left();
    counter.container.id = id;
}

/// criu wants no cgroup of the container's to be there, and as with runc it is there.
#[test]
fn the_strict_mode_of_cgroups_fails_and_leaves_nothing() {
    let Some(mut counter) = Counter::new() else { return };
    counter.checkpoint(&["--manage-cgroups-mode", "strict"]).ok();
    let mut restore = counter.restore(&["--detach", "--manage-cgroups-mode", "strict"]);
    assert!(!restore.wait().unwrap().success());
    counter.container.assert_nothing_left();
}

#[test]
fn a_container_without_a_cgroup_comes_back_without_one() {
    if !only_on(&[Kind::Etui], "runc has no such flag") {
        return;
    }
    let Some(mut counter) = Counter::new() else { return };
    counter.checkpoint(&[]).ok();
    let (reader, writer) = pipe().unwrap();
    let mut restore = counter.container.command();
    restore.args([
        "--cgroup-manager",
        "disabled",
        "restore",
        "--detach",
        "--manage-cgroups-mode",
        "ignore",
    ]);
    restore.arg("--image-path").arg(counter.container.dir().join("images"));
    restore.arg("--bundle").arg(counter.container.bundle()).arg(&counter.container.id);
    restore.stdin(pipe().unwrap().0).stdout(writer.try_clone().unwrap()).stderr(writer);
    counter._output = reader;
    assert!(restore.status().unwrap().success());
    counter.wait_for_more();
    assert!(!counter.container.cgroup().exists());
    counter.container.verb(&["pause", &counter.container.id]).says("no cgroup of its own");
}

/// What `exec` may not do tells whether there is a filter.
#[test]
fn exec_is_filtered_in_what_was_brought_back() {
    let Some(mut counter) = Counter::changed(|container| {
        container.set(
            "/linux/seccomp",
            json!({
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO" }]
            }),
        );
    }) else {
        return;
    };
    counter.container.exec(&["mkdir", "/tmp/a"]).says("not permitted");
    counter.checkpoint(&[]).ok();
    assert!(counter.restore(&["--detach"]).wait().unwrap().success());
    counter.container.exec(&["mkdir", "/tmp/a"]).says("not permitted");
}

#[test]
fn what_was_brought_back_has_a_session_keyring_of_its_own() {
    if !only_on(&[Kind::Etui], "runc leaves the caller's") {
        return;
    }
    // A keyring is listed with its name to whoever possesses it.
    let script =
        "while sleep 0.05; do i=$((i + 1)); cat /proc/keys > /tmp/keys; echo $i > /tmp/count; done";
    let Some(mut counter) = Counter::changed(|container| {
        container.set("/linux/maskedPaths", json!([]));
        container.set("/process/args", json!(["sh", "-c", script]));
    }) else {
        return;
    };
    counter.checkpoint(&[]).ok();
    let (keys, name) =
        (counter.container.rootfs().join("tmp/keys"), format!("_ses.{}", counter.container.id));
    let session = |text: &str| text.lines().find(|line| line.contains(&name)).map(str::to_owned);
    let before = session(&fs::read_to_string(&keys).unwrap());
    assert!(before.is_some());
    fs::remove_file(&keys).unwrap();
    let id = before.unwrap().split(' ').next().unwrap().to_owned();
    wait_for("the old keyring's end", || !fs::read_to_string("/proc/keys").unwrap().contains(&id));
    assert!(counter.restore(&["--detach"]).wait().unwrap().success());
    counter.wait_for_more();
    counter.wait_for_more();
    let after = fs::read_to_string(&keys).unwrap();
    assert!(session(&after).is_some(), "{after}");
}

#[test]
fn a_terminal_comes_back_to_a_console_socket() {
    let counts = "i=0; while sleep 0.05; do i=$((i + 1)); echo $i > /tmp/count; echo said $i; done";
    let Some(mut counter) = Counter::changed(|container| {
        container.set("/process/args", json!(["sh", "-c", counts]));
    }) else {
        return;
    };
    // The first one, without a terminal, was to see whether criu works.
    counter.container.verb(&["delete", "--force", &counter.container.id]).ok();
    counter.container.set("/process/terminal", true);
    let path = counter.container.dir().join("console");
    let console = ConsoleSocket::bind(&path);
    let flags = ["--console-socket", path.to_str().unwrap()];
    counter.container.create_with(&flags).ok();
    let (mut master, _) = console.receive();
    counter.container.start().ok();
    assert!(read_until(&mut master, "said").contains("said"));
    counter.checkpoint(&[]).ok();
    drop(master);

    let refused = ["restore", "--detach", "--image-path", "/nowhere", "--bundle"];
    let bundle = counter.container.bundle();
    let refused = [&refused[..], &[bundle.to_str().unwrap(), &counter.container.id]].concat();
    counter.container.verb(&refused).says("cannot allocate tty if");

    let count = counter.count();
    let mut restore = counter.restore(&[&["--detach"], &flags[..]].concat());
    let (mut master, _) = console.receive();
    assert!(restore.wait().unwrap().success());
    counter.wait_for_more();
    assert!(counter.count() > count);
    assert!(read_until(&mut master, "said").contains("said"));
    writeln!(master).unwrap();
}

#[test]
fn a_service_manager_hears_that_it_is_back() {
    if !only_on(&[Kind::Etui], "runc says nothing") {
        return;
    }
    let Some(mut counter) = Counter::new() else { return };
    counter.container.verb(&["delete", "--force", &counter.container.id]).ok();
    let path = counter.container.dir().join("manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
    let heard = || {
        let mut message = [0; 4096];
        let length = manager.recv(&mut message).expect("a message");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let (reader, writer) = pipe().unwrap();
    let mut create = counter.container.command();
    create.env("NOTIFY_SOCKET", &path).args(["create", "--bundle"]).arg(counter.container.bundle());
    create.stdin(pipe().unwrap().0).stdout(writer.try_clone().unwrap()).stderr(writer);
    assert!(create.arg(&counter.container.id).status().unwrap().success());
    counter._output = reader;
    counter.container.start().ok();
    counter.wait_for_more();
    counter.checkpoint(&[]).ok();

    let (reader, writer) = pipe().unwrap();
    let mut restore = counter.container.command();
    restore.env("NOTIFY_SOCKET", &path).args(["restore", "--detach", "--image-path"]);
    restore
        .arg(counter.container.dir().join("images"))
        .arg("--bundle")
        .arg(counter.container.bundle());
    restore.stdin(pipe().unwrap().0).stdout(writer.try_clone().unwrap()).stderr(writer);
    counter._output = reader;
    let mut restore = restore.arg(&counter.container.id).spawn().unwrap();
    assert_eq!(heard(), "READY=1\n");
    assert_eq!(heard(), format!("MAINPID={}\n", counter.container.pid()));
    assert_eq!(heard(), "BARRIER=1");
    assert!(restore.wait().unwrap().success());
    counter.wait_for_more();
    let inside = counter.container.exec(&["ls", "/run/notify"]).ok();
    assert_eq!(inside.text(), "notify.sock");
}

/// A configuration of criu's own: what it needs iptables for is left out.
fn without_network_lock(container: &mut Container) {
    let file = container.dir().join("criu.conf");
    fs::write(&file, "network-lock skip\n").unwrap();
    container.set("/annotations", json!({ "org.criu.config": file.to_str() }));
}

#[test]
fn a_network_that_is_not_the_containers_is_joined_again() {
    let mut other = Command::new("unshare").args(["--net", "sleep", "1000"]).spawn().unwrap();
    let network = format!("/proc/{}/ns/net", other.id());
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    wait_for("another network", || fs::read_link(&network).is_ok_and(|name| name != own));
    let counter = Counter::changed(|container| {
        without_network_lock(container);
        container.set("/linux/namespaces/-", json!({ "type": "network", "path": network }));
    });
    if let Some(mut counter) = counter {
        counter.checkpoint(&[]).ok();
        assert!(counter.restore(&["--detach"]).wait().unwrap().success());
        counter.wait_for_more();
        let seen = fs::read_link(format!("/proc/{}/ns/net", counter.container.pid())).unwrap();
        assert_eq!(seen, fs::read_link(&network).unwrap());
    }
    other.kill().unwrap();
    other.wait().unwrap();
}

#[test]
fn a_network_may_be_left_out() {
    let Some(mut counter) = Counter::changed(|container| {
        without_network_lock(container);
        container.set("/linux/namespaces/-", json!({ "type": "network" }));
    }) else {
        return;
    };
    counter.checkpoint(&["--empty-ns", "network"]).ok();
    assert!(counter.restore(&["--detach", "--empty-ns", "network"]).wait().unwrap().success());
    counter.wait_for_more();
    let seen = fs::read_link(format!("/proc/{}/ns/net", counter.container.pid())).unwrap();
    assert_ne!(seen, fs::read_link("/proc/self/ns/net").unwrap());
}

#[test]
fn an_interface_of_the_hosts_moves_again() {
    if !only_on(&[Kind::Etui], "runc leaves it to criu") {
        return;
    }
    let name = format!("etuicr{}", std::process::id() % 10_000);
    let made = Command::new("ip").args(["link", "add", &name, "type", "dummy"]).status();
    if !made.is_ok_and(|status| status.success()) {
        return skip("no dummy network devices on this machine");
    }
    let Some(mut counter) = Counter::changed(|container| {
        without_network_lock(container);
        container.set("/linux/namespaces/-", json!({ "type": "network" }));
        container.set("/linux/netDevices", json!({ &name: { "name": "inside0" } }));
    }) else {
        return;
    };
    counter.checkpoint(&[]).says("--empty-ns network");
    counter.checkpoint(&["--empty-ns", "network"]).ok();
    // A dummy device ends with its namespace; a real one would be back.
    let made = Command::new("ip").args(["link", "add", &name, "type", "dummy"]).status();
    assert!(made.unwrap().success());
    assert!(counter.restore(&["--detach", "--empty-ns", "network"]).wait().unwrap().success());
    counter.wait_for_more();
    counter.container.exec(&["ls", "/sys/class/net/inside0/mtu"]).ok();
}
