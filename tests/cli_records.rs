//! Verbs that need no more of a container than its record and its process: `state`, `list`, `kill`. The records are
//! etui's own, so only etui is tested.

mod cli_support;

use std::path::Path;
use std::process::{Child, Command};

use cli_support::run_etui as run;
use etui::kernel::process::Process;
use etui::record::store::Store;
use etui::record::{Record, Stage};

/// A process that ends with the test.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Sleeper {
        Sleeper(Command::new("sleep").arg("600").spawn().expect("sleep"))
    }

    fn process(&self) -> Process {
        let pid = i32::try_from(self.0.id()).expect("pids are positive");
        Process::of(pid).expect("procfs").expect("it sleeps")
    }

    fn signal_of_death(mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt;
        self.0.wait().expect("our child").signal()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn remember(root: &Path, id: &str, process: Process) {
    let mut record = Record {
        id: id.into(),
        oci_version: "1.2.0".into(),
        stage: Stage::Created,
        created: "2026-01-02T15:04:05.5Z".into(),
        bundle: "/srv/web".into(),
        owner: 4_000_000_000,
        ..Record::default()
    };
    record.config.rootfs = "/srv/web/rootfs".into();
    record.config.annotations.insert("a=b".into(), "c".into());
    record.set_init(process);
    let reservation = Store::new(root).reserve(&record).expect("free");
    reservation.prepare(&record).expect("disk");
    reservation.publish().expect("disk");
    reservation.commit();
}

#[test]
fn state_of_what_runs_and_of_what_has_ended() {
    let root = tempfile::tempdir().expect("tmp");
    let sleeper = Sleeper::start();
    let process = sleeper.process();
    remember(root.path(), "web", process);
    remember(root.path(), "gone", Process { start_time: process.start_time + 1, ..process });

    let state = run(root.path(), "state web").stdout;
    let expected = format!(
        "{{\n  \"ociVersion\": \"1.2.0\",\n  \"id\": \"web\",\n  \"pid\": {},\n  \"status\": \"running\",\n  \
         \"bundle\": \"/srv/web\",\n  \"rootfs\": \"/srv/web/rootfs\",\n  \
         \"created\": \"2026-01-02T15:04:05.5Z\",\n  \"annotations\": {{\n    \"a=b\": \"c\"\n  }},\n  \
         \"owner\": \"\"\n}}",
        process.pid
    );
    assert_eq!(state, expected);

    let gone: serde_json::Value =
        serde_json::from_str(&run(root.path(), "state gone").stdout).expect("JSON");
    assert_eq!(gone["status"], "stopped");
    assert_eq!(gone["pid"], 0);
}

#[test]
fn list_shows_what_it_can_read() {
    let root = tempfile::tempdir().expect("tmp");
    let sleeper = Sleeper::start();
    remember(root.path(), "web", sleeper.process());
    std::fs::create_dir(root.path().join("broken")).expect("tmp");
    std::fs::write(root.path().join("broken/state.json"), "{").expect("tmp");
    std::fs::write(root.path().join("file"), "").expect("tmp");

    let outcome = run(root.path(), "list");
    assert_eq!(outcome.code, 0);
    let row = outcome.stdout.lines().nth(1).expect("a row");
    let cells: Vec<&str> = row.split_whitespace().collect();
    let pid = sleeper.process().pid.to_string();
    let expected = ["web", &pid, "running", "/srv/web", "2026-01-02T15:04:05.5Z", "#4000000000"];
    assert_eq!(cells, expected);
    assert!(outcome.stderr.starts_with("load container broken: "), "{outcome:?}");
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");

    assert_eq!(run(root.path(), "list --quiet").stdout, "web\n");
    let json = run(root.path(), "list --format json").stdout;
    assert!(json.starts_with("[{\"ociVersion\":\"1.2.0\",\"id\":\"web\""), "{json}");
    assert!(json.ends_with("}]\n"), "{json}");
}

#[test]
fn kill_sends_any_signal_by_any_of_its_names() {
    for (name, number) in [("", 15), ("KILL", 9), ("sigusr1", 10), ("37", 37), ("SIGRTMIN+3", 37)] {
        let root = tempfile::tempdir().expect("tmp");
        let sleeper = Sleeper::start();
        remember(root.path(), "web", sleeper.process());
        let outcome = run(root.path(), &format!("kill web {name}"));
        assert_eq!(outcome.code, 0, "{name}: {outcome:?}");
        assert_eq!(sleeper.signal_of_death(), Some(number), "{name}");
    }
}

#[test]
fn kill_of_what_has_ended() {
    let root = tempfile::tempdir().expect("tmp");
    let sleeper = Sleeper::start();
    let process = sleeper.process();
    // Another process has the id now: it must not be hit.
    remember(root.path(), "gone", Process { start_time: process.start_time - 1, ..process });
    let outcome = run(root.path(), "kill gone KILL");
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("container not running"), "{outcome:?}");
    assert_eq!(run(root.path(), "kill --all gone KILL").code, 0);
    assert_eq!(run(root.path(), "kill -a gone").code, 0);
    assert!(process.is_alive().expect("procfs"));

    let outcome = run(root.path(), "kill gone FOO");
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.replace('\\', "").contains("unknown signal \"FOO\""), "{outcome:?}");
}
