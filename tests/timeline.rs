//! `--timeline`: the steps of every verb that makes or ends a process, as a trace, and nothing else different.

mod support;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::{Container, Kind, only_on};

/// Calls `words` with `--timeline`; answers the container's file of it.
fn traced(container: &Container, words: &[&str]) -> PathBuf {
    let file = container.dir().join("timeline.json");
    let path = file.display().to_string();
    container.verb(&[&["--timeline", &path][..], words].concat()).ok();
    file
}

/// The steps of one process of one verb, in order.
fn steps(trace: &Value, verb: &str, process: &str) -> Vec<String> {
    let events = trace.as_array().expect("an array of events");
    let named = |kind: &str, name: &str, event: &&Value| {
        event["name"] == kind && event["args"]["name"] == name
    };
    let verb = format!("etui {verb}");
    let of_verb = events.iter().find(|event| named("process_name", &verb, event));
    let of_process = events.iter().find(|event| named("thread_name", process, event));
    let (Some(of_verb), Some(of_process)) = (of_verb, of_process) else { return Vec::new() };
    let own = |event: &&Value| {
        event["ph"] == "X" && event["pid"] == of_verb["pid"] && event["tid"] == of_process["tid"]
    };
    let name = |event: &Value| event["name"].as_str().expect("a name").to_owned();
    events.iter().filter(own).map(name).collect()
}

fn read(file: PathBuf) -> Value {
    serde_json::from_str(&fs::read_to_string(file).expect("the timeline")).expect("JSON")
}

#[test]
fn every_verb_that_makes_or_ends_a_process_adds_its_steps() {
    if !only_on(&[Kind::Etui], "the timeline is etui's") {
        return;
    }
    let container = Container::sleeping();
    container.write_config();
    let (bundle, id) = (container.bundle().display().to_string(), container.id.clone());
    traced(&container, &["create", "--bundle", &bundle, &id]);
    traced(&container, &["start", &id]);
    traced(&container, &["exec", &id, "/bin/true"]);
    let trace = read(traced(&container, &["delete", "--force", &id]));

    for (verb, process, step) in [
        ("create", "parent", "make a view of the binary"),
        ("create", "parent", "commit the record"),
        ("create", "init", "mount"),
        ("create", "init", "look the program up"),
        ("start", "parent", "wait for execve"),
        ("exec", "parent", "wait for the end"),
        ("exec", "init", "enter namespaces"),
        ("delete", "parent", "remove the cgroup"),
    ] {
        let steps = steps(&trace, verb, process);
        assert!(steps.iter().any(|name| name == step), "{verb}, {process}: {step} in {steps:?}");
    }
}

#[test]
fn steps_follow_one_another() {
    if !only_on(&[Kind::Etui], "the timeline is etui's") {
        return;
    }
    let container = Container::sh("true");
    container.write_config();
    let bundle = container.bundle().display().to_string();
    let trace = read(traced(&container, &["run", "--bundle", &bundle, &container.id]));
    let mut ends = [0.0, 0.0];
    for event in trace.as_array().expect("events").iter().filter(|event| event["ph"] == "X") {
        let process = usize::try_from(event["tid"].as_u64().expect("a number")).expect("0 or 1");
        let [began, took] = ["ts", "dur"].map(|name| event[name].as_f64().expect("a number"));
        // Microseconds since 1970 in a double: the last digits are lost.
        assert!(began + 1.0 >= ends[process], "{event} begins before {}", ends[process]);
        assert!(took < 60e6, "{event}");
        ends[process] = began + took;
    }
    assert!(ends.iter().all(|end| *end > 0.0), "both processes: {ends:?}");
}

#[test]
fn a_failure_has_a_timeline_too() {
    if !only_on(&[Kind::Etui], "the timeline is etui's") {
        return;
    }
    let mut container = Container::new();
    container.config["process"]["args"] = serde_json::json!(["/no/such/program"]);
    container.write_config();
    let file = container.dir().join("timeline.json");
    let bundle = container.bundle().display().to_string();
    let path = file.display().to_string();
    container.verb(&["--timeline", &path, "run", "--bundle", &bundle, &container.id]).exits(1);
    let steps = steps(&read(file), "run", "init");
    assert_eq!(steps.last().map(String::as_str), Some("become the user"), "{steps:?}");
}

#[test]
fn a_file_that_is_no_timeline_stays_as_it_is() {
    if !only_on(&[Kind::Etui], "the timeline is etui's") {
        return;
    }
    let container = Container::new();
    let file = container.dir().join("notes.txt");
    fs::write(&file, "dear diary").expect("write");
    let path = file.display().to_string();
    container.verb(&["--timeline", &path, "list"]).exits(1).says("exists and is not a timeline");
    assert_eq!(fs::read_to_string(file).expect("read"), "dear diary");
}
