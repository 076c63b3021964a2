//! The crate `oci-spec` as a second opinion: what it reads, we read, and as the same.

use etui::spec::Spec;
use etui::spec::bundle::parse;
use oci_spec::runtime as other;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value, json};

use crate::places::{places, with};
use crate::{all_texts, every_field};

/// What we leave out on purpose: other platforms.
const NOT_OURS: [&str; 5] = ["windows", "solaris", "vm", "commandLine", "username"];

/// Without what says nothing: types differ in whether they write it.
fn said(value: &Value) -> Option<Value> {
    let left = match value {
        Value::Object(object) => {
            let said = object.iter().filter(|(key, _)| !NOT_OURS.contains(&key.as_str()));
            let said: Map<_, _> =
                said.filter_map(|(key, inner)| Some((key.clone(), self::said(inner)?))).collect();
            Value::Object(said)
        }
        Value::Array(items) if items.iter().all(is_capability) => {
            let mut names: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            names.sort_unstable();
            json!(names)
        }
        // Order means something but in sets; nothing is left out of a list.
        Value::Array(items) => items.iter().map(|item| said(item).unwrap_or(Value::Null)).collect(),
        other => other.clone(),
    };
    Some(left).filter(says_something)
}

fn is_capability(value: &Value) -> bool {
    value.as_str().is_some_and(|name| name.starts_with("CAP_"))
}

fn says_something(value: &Value) -> bool {
    ![json!(null), json!(0), json!(false), json!(""), json!([]), json!({})].contains(value)
}

/// Holds our reading of a document against the other's, where the other has one.
fn compare(text: &[u8]) -> Result<bool, String> {
    let Ok(theirs) = serde_json::from_slice::<other::Spec>(text) else { return Ok(false) };
    let ours: Spec = match parse(text) {
        Ok(ours) => ours,
        // Some of the other's numbers have a sign that the specification's have not.
        Err(error) if error.to_string().contains("invalid value: integer") => return Ok(false),
        Err(error) => return Err(error.to_string()),
    };
    let ours = said(&serde_json::to_value(&ours).unwrap()).unwrap_or_default();
    let theirs = said(&serde_json::to_value(&theirs).unwrap()).unwrap_or_default();
    let places = places(&ours).into_iter().chain(places(&theirs));
    let differing = places.map(|place| place.pointer).filter(|pointer| {
        let (one, two) = (ours.pointer(pointer), theirs.pointer(pointer));
        let both_contain =
            |kind: fn(&Value) -> bool| one.is_some_and(kind) && two.is_some_and(kind);
        one != two && !both_contain(Value::is_object) && !both_contain(Value::is_array)
    });
    let tell = |pointer: String| {
        format!("{pointer}: {:?}, not {:?}", ours.pointer(&pointer), theirs.pointer(&pointer))
    };
    let told: Vec<String> = differing.map(tell).collect();
    if told.is_empty() { Ok(true) } else { Err(told.join("\n")) }
}

#[test]
fn reads_what_engines_write_as_another_reads_it() {
    let read = all_texts().iter().filter(|text| compare(text).unwrap()).count();
    assert!(read >= 8, "only {read} of the documents are known to the other");
}

/// Every field, with no name that the other doesn't know.
fn known_to_the_other() -> Value {
    let mut document = every_field();
    document["process"]["capabilities"]["bounding"] = json!(["CAP_KILL", "CAP_SYS_ADMIN"]);
    document["process"]["scheduler"]["flags"] = json!(["SCHED_FLAG_RECLAIM"]);
    document["linux"]["personality"] = Value::Null;
    document
}

#[test]
fn reads_every_field_as_another_reads_it() {
    assert_eq!(compare(known_to_the_other().to_string().as_bytes()), Ok(true));
}

/// One change of a document: where, and into what.
fn changes() -> impl Strategy<Value = Vec<(Index, Value)>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..100_u64).prop_map(Value::from),
        "[a-z/]{0,8}".prop_map(Value::from),
    ];
    prop::collection::vec((any::<Index>(), value), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn reads_a_changed_document_as_another_reads_it(changes in changes()) {
        let mut document = known_to_the_other();
        for (index, value) in changes {
            let places = places(&document);
            let place = index.get(&places);
            document = with(&document, place, value);
        }
        if let Err(difference) = compare(document.to_string().as_bytes()) {
            prop_assert!(false, "{difference}");
        }
    }
}
