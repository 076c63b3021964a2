//! The verbs that work on a container's cgroup alone: on a record and a process made by hand. Needs root; no controller.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use etui::error::Kind;
use etui::host::Host;
use etui::kernel::cgroup::{Directory, Limits, Path, cgroupfs, processes, removal};
use etui::kernel::process::Process;
use etui::lifecycle::delete::{self, Force};
use etui::lifecycle::events::EventKind;
use etui::lifecycle::{CgroupManager, Global, Rootless, events, pause, ps, update};
use etui::record::store::Store;
use etui::record::{Record, Stage};
use etui::spec::Resources;

/// A process in a cgroup of its own, and a record that calls it a container.
struct Container {
    id: String,
    init: Child,
    cgroup: PathBuf,
    global: Global,
    _root: tempfile::TempDir,
}

impl Container {
    fn new(test: &str) -> Self {
        let host = Host::probe().expect("a cgroup v2 tree");
        assert_eq!(host.effective_uid, 0, "these tests make cgroups: run them as root");
        let id = format!("etui-test-verbs-{test}-{}", std::process::id());
        let path = Path::below_root(&id);
        let new = cgroupfs::create(&host.cgroup_mount, &path, &[], &Limits::default()).unwrap();
        let init = Command::new("sleep").arg("60").spawn().unwrap();
        new.directory().add_process(init.id().cast_signed()).unwrap();
        let cgroup = new.commit().path().to_owned();

        let root = tempfile::tempdir().unwrap();
        let mut record = Record { id: id.clone(), stage: Stage::Created, ..Record::default() };
        record.set_cgroup_path(cgroup.clone());
        record.set_init(Process::of(init.id().cast_signed()).unwrap().unwrap());
        let reservation = Store::new(root.path()).reserve(&record).unwrap();
        reservation.prepare(&record).unwrap();
        reservation.publish().unwrap();
        reservation.commit();
        let global = Global {
            root: root.path().to_owned(),
            cgroup_manager: CgroupManager::Cgroupfs,
            rootless: Rootless::No,
        };
        Container { id, init, cgroup, global, _root: root }
    }

    fn end(&mut self) {
        self.init.kill().unwrap();
        self.init.wait().unwrap();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Ok(cgroup) = Directory::open(&self.cgroup) {
            let _ = processes::kill(&cgroup);
        }
        let _ = self.init.wait();
        let _ = removal::remove(&self.cgroup, Duration::from_secs(5));
    }
}

#[test]
fn pauses_once_and_resumes_once() {
    let mut container = Container::new("pause");
    let (global, id) = (container.global.clone(), container.id.clone());
    let not_paused = pause::resume(&global, &id).unwrap_err();
    assert_eq!(not_paused.to_string(), "container not paused");

    pause::pause(&global, &id).unwrap();
    let cgroup = Directory::open(&container.cgroup).unwrap();
    assert!(cgroup.read("cgroup.events").unwrap().contains("frozen 1"));
    let not_running = pause::pause(&global, &id).unwrap_err();
    assert_eq!(not_running.to_string(), "container not running");
    assert_eq!(not_running.kind(), Kind::NotRunning);

    pause::resume(&global, &id).unwrap();
    assert!(cgroup.read("cgroup.events").unwrap().contains("frozen 0"));

    container.end();
    assert_eq!(pause::pause(&global, &id).unwrap_err().to_string(), "container not running");
}

#[test]
fn lists_its_processes() {
    let mut container = Container::new("ps");
    let pid = container.init.id().cast_signed();
    assert_eq!(ps::processes(&container.global, &container.id).unwrap(), [pid]);
    container.end();
    assert_eq!(ps::processes(&container.global, &container.id).unwrap(), Vec::<i32>::new());
    removal::remove(&container.cgroup, Duration::from_secs(5)).unwrap();
    assert_eq!(ps::processes(&container.global, &container.id).unwrap(), Vec::<i32>::new());
    let nobody = ps::processes(&container.global, "nobody").unwrap_err();
    assert_eq!(nobody.kind(), Kind::NoSuchContainer);
}

#[test]
fn an_update_that_fails_changes_nothing() {
    let mut container = Container::new("update");
    let cgroup = Directory::open(&container.cgroup).unwrap();
    let wanted = |depth: &str, descendants: &str| Resources {
        unified: [("cgroup.max.depth", depth), ("cgroup.max.descendants", descendants)]
            .map(|(key, text)| (key.to_owned(), text.to_owned()))
            .into(),
        ..Resources::default()
    };
    let update = |wanted: &Resources| update::update(&container.global, &container.id, wanted, &[]);
    update(&wanted("7", "9")).unwrap();
    let error = update(&wanted("5", "nonsense")).unwrap_err().to_string();
    assert!(error.starts_with("linux.resources.unified.cgroup.max.descendants: "), "{error}");
    assert_eq!(cgroup.read("cgroup.max.depth").unwrap(), "7\n");
    assert_eq!(cgroup.read("cgroup.max.descendants").unwrap(), "9\n");

    let store = Store::new(&container.global.root);
    let mut record = store.load(&container.id).unwrap();
    record.systemd_unit = format!("{}.scope", container.id);
    store.update(&record).unwrap();
    // There is no such unit, and maybe no systemd.
    update(&wanted("6", "8")).unwrap_err();
    assert_eq!(cgroup.read("cgroup.max.depth").unwrap(), "7\n");

    container.end();
    let ended =
        update::update(&container.global, &container.id, &wanted("1", "1"), &[]).unwrap_err();
    assert_eq!(ended.kind(), Kind::NotRunning);
}

#[test]
fn tells_its_numbers_until_it_ends() {
    let mut container = Container::new("events");
    let event = events::stats(&container.global, &container.id).unwrap();
    assert_eq!((event.kind, &event.id), (EventKind::Stats, &container.id));
    let document = serde_json::to_value(&event).unwrap();
    assert_eq!(document["type"], "stats");
    assert!(document["data"]["cpu"]["usage"]["kernel"].is_u64());

    let (global, id) = (container.global.clone(), container.id.clone());
    let began = Instant::now();
    let mut told = 0;
    let interval = Duration::from_millis(20);
    events::follow(&global, &id, interval, &mut |event| {
        assert_eq!(event.kind, EventKind::Stats);
        told += 1;
        if told == 3 {
            container.end();
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(told, 3, "the end of the container ends the stream, at once");
    assert!(began.elapsed() >= 3 * interval);
    let ended = events::stats(&global, &id).unwrap_err();
    assert_eq!(ended.to_string(), format!("container with id {id} is not running"));
}

/// What a `create` leaves that was killed before it saw that the cgroup is in use by somebody else.
#[test]
fn a_cgroup_that_is_not_known_to_be_the_containers_keeps_its_processes() {
    let mut container = Container::new("stranger");
    let store = Store::new(&container.global.root);
    let mut record = store.load(&container.id).unwrap();
    (record.stage, record.init_pid) = (Stage::Provisional, 0);
    store.update(&record).unwrap();

    delete::delete(&container.global, &container.id, Force::Yes).unwrap();
    assert!(container.init.try_wait().unwrap().is_none(), "a stranger was killed");
    assert!(container.cgroup.exists());
    assert_eq!(store.load(&container.id).unwrap_err().kind(), Kind::NoSuchContainer);
}

#[test]
fn a_cgroup_of_the_containers_own_loses_them() {
    let mut container = Container::new("own");
    delete::delete(&container.global, &container.id, Force::Yes).unwrap();
    assert!(container.init.wait().unwrap().code().is_none(), "it was not killed");
    assert!(!container.cgroup.exists());
}
