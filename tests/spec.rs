//! The types of `config.json`: what they read, write, refuse, and that they mean what others read there.

#[path = "spec/oracle.rs"]
mod oracle;
#[path = "spec/places.rs"]
mod places;

use std::fs;
use std::path::Path;

use etui::error::Kind;
use etui::spec::bundle::parse;
use etui::spec::{Process, Resources, Spec};
use serde_json::{Value, json};

use places::{Place, places, with};

/// The text of `tests/plans/NAME/config.json`.
fn text(name: &str) -> Vec<u8> {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    fs::read(plans.join(name).join("config.json")).unwrap()
}

/// Everything the specification knows for Linux.
fn every_field() -> Value {
    serde_json::from_slice(&text("every-field")).unwrap()
}

/// No more than a container needs.
fn least() -> Value {
    serde_json::from_slice(&text("least")).unwrap()
}

fn all_texts() -> Vec<Vec<u8>> {
    let plans = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    let mut names: Vec<_> = fs::read_dir(plans).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    names.iter().map(|name| text(name.to_str().unwrap())).collect()
}

/// Properties that no runtime on Linux reads, or that none reads at all.
fn is_ignored(place: &Place) -> bool {
    ["unknown", "windows", "solaris", "vm", "process.commandLine", "process.user.username"]
        .iter()
        .any(|ignored| place.name.starts_with(ignored))
}

#[test]
fn what_is_written_reads_as_it_was() {
    for text in all_texts() {
        let spec: Spec = parse(&text).unwrap();
        let written = serde_json::to_vec(&spec).unwrap();
        assert_eq!(parse::<Spec>(&written).unwrap(), spec);
    }
}

#[test]
fn nothing_that_is_known_is_lost() {
    let document = every_field();
    let spec: Spec = serde_json::from_value(document.clone()).unwrap();
    let written = serde_json::to_value(&spec).unwrap();
    for place in places(&document).iter().filter(|place| !is_ignored(place)) {
        let read = document.pointer(&place.pointer).unwrap();
        let says_nothing = [json!(null), json!(0), json!(false), json!(""), json!([]), json!({})];
        if read.is_object() || read.is_array() || says_nothing.contains(read) {
            continue;
        }
        assert_eq!(written.pointer(&place.pointer), Some(read), "{}", place.name);
    }
}

#[test]
fn properties_nobody_knows_are_ignored_everywhere() {
    let mut document = every_field();
    let objects: Vec<String> = places(&document)
        .into_iter()
        .map(|place| place.pointer)
        .filter(|pointer| document.pointer(pointer).unwrap().is_object())
        // Their keys are names of other things.
        .filter(|pointer| {
            let maps = ["annotations", "sysctl", "rdma", "unified", "timeOffsets"];
            !maps.iter().any(|map| pointer.ends_with(map))
        })
        .collect();
    let before: Spec = serde_json::from_value(document.clone()).unwrap();
    for pointer in objects {
        let object = document.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
        object.insert("extension".to_owned(), json!({"of": ["somebody"]}));
    }
    assert_eq!(serde_json::from_value::<Spec>(document).unwrap(), before);
}

#[test]
fn null_is_as_nothing_at_every_field() {
    let document = every_field();
    for place in places(&document).iter().filter(|place| !place.name.ends_with(']')) {
        // The value of a map of names has no absence: it is one or the key is not there.
        let parent = place.pointer.rsplit_once('/').unwrap().0;
        if ["/annotations", "/linux/sysctl", "/linux/resources/unified"].contains(&parent)
            || ["/linux/resources/rdma", "/linux/timeOffsets"].contains(&parent)
        {
            continue;
        }
        let text = serde_json::to_vec(&with(&document, place, Value::Null)).unwrap();
        parse::<Spec>(&text).unwrap_or_else(|error| panic!("{}: {error}", place.name));
    }
}

#[test]
fn a_value_of_another_type_is_refused_by_its_place() {
    let document = every_field();
    for place in places(&document).iter().filter(|place| !is_ignored(place)) {
        let other = match document.pointer(&place.pointer).unwrap() {
            Value::String(_) => json!(7),
            _ => json!("a text"),
        };
        let text = serde_json::to_vec(&with(&document, place, other)).unwrap();
        let error = parse::<Spec>(&text).expect_err(&place.name);
        let told = error.to_string();
        assert!(
            told.starts_with(&format!("{}: invalid type", place.name)),
            "{}: {told}",
            place.name
        );
        assert!(!told.contains('\n') && error.kind() == Kind::Refused);
    }
}

#[test]
fn a_number_out_of_range_is_refused_by_its_place() {
    let document = every_field();
    for place in places(&document).iter().filter(|place| !is_ignored(place)) {
        if !document.pointer(&place.pointer).unwrap().is_number() {
            continue;
        }
        for text in ["1e40", "-99999999999999999999", "1.5"] {
            let marked = with(&document, place, json!("MARK"));
            let text = serde_json::to_string(&marked).unwrap().replace("\"MARK\"", text);
            let told = parse::<Spec>(text.as_bytes()).expect_err(&place.name).to_string();
            assert!(told.starts_with(&place.name), "{}: {told}", place.name);
        }
    }
}

#[test]
fn a_document_cut_short_anywhere_is_refused_in_a_line() {
    // Without white space: each byte means something.
    for text in [every_field().to_string(), least().to_string()] {
        let text = text.as_bytes();
        for length in 0..text.len() {
            let error = parse::<Spec>(&text[..length]).expect_err("half a document");
            let told = error.to_string();
            assert!(error.kind() == Kind::Refused && !told.contains('\n'), "{told}");
            assert!(told.contains(" at line ") || length == 0, "{told}");
        }
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for text in [
        &b""[..],
        b"\0",
        b"\xff\xfe{}",
        b"[]]",
        b" []",
        b"{} {}",
        b"null",
        b"\"config\"",
        b"{'a': 1}",
    ] {
        let told = parse::<Spec>(text).expect_err("no configuration").to_string();
        assert!(told.starts_with("not a valid JSON document: "), "{told}");
    }
    let deep = "[".repeat(100_000);
    assert!(parse::<Spec>(format!("{{\"unknown\":{deep}").as_bytes()).is_err());
}

#[test]
fn a_process_and_a_resources_document_stand_alone() {
    let document = every_field();
    let process: Process = parse(document["process"].to_string().as_bytes()).unwrap();
    assert_eq!(process.args, ["prog", "arg"]);
    let resources: Resources =
        parse(document["linux"]["resources"].to_string().as_bytes()).unwrap();
    assert_eq!(resources.pids.unwrap().limit, Some(32771));
    let told = parse::<Resources>(b"{\"memory\":{\"limit\":\"1g\"}}").unwrap_err().to_string();
    assert!(told.starts_with("memory.limit: invalid type: string \"1g\""), "{told}");
}

#[test]
fn an_object_is_no_list() {
    let document = every_field();
    for place in places(&document).iter().filter(|place| !is_ignored(place)) {
        if !document.pointer(&place.pointer).unwrap().is_object() || place.name.ends_with(']') {
            continue;
        }
        let listed = with(&document, place, json!([]));
        let error = parse::<Spec>(&serde_json::to_vec(&listed).unwrap()).expect_err(&place.name);
        let expected = format!("{}: invalid type: sequence, expected ", place.name);
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    let error = parse::<Spec>(b"[\"1.0.0\"]").unwrap_err();
    assert!(error.to_string().contains("invalid type: sequence, expected struct Spec"), "{error}");
}
