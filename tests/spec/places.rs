//! Every place in a JSON document: where it is, as a pointer to it and as an error names it.

use serde_json::Value;

pub struct Place {
    /// As RFC 6901 writes it.
    pub pointer: String,
    /// As an error of ours names it: `mounts[0].options`.
    pub name: String,
}

/// All of them but the document itself, containers before what is in them.
pub fn places(document: &Value) -> Vec<Place> {
    let mut found = Vec::new();
    visit(document, "", "", &mut found);
    found
}

fn visit(value: &Value, pointer: &str, name: &str, found: &mut Vec<Place>) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                let escaped = key.replace('~', "~0").replace('/', "~1");
                let dot = if name.is_empty() { "" } else { "." };
                add(inner, &format!("{pointer}/{escaped}"), &format!("{name}{dot}{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                add(inner, &format!("{pointer}/{index}"), &format!("{name}[{index}]"), found);
            }
        }
        _ => {}
    }
}

fn add(value: &Value, pointer: &str, name: &str, found: &mut Vec<Place>) {
    found.push(Place { pointer: pointer.to_owned(), name: name.to_owned() });
    visit(value, pointer, name, found);
}

/// The document with another value at one place.
pub fn with(document: &Value, place: &Place, value: Value) -> Value {
    let mut changed = document.clone();
    *changed.pointer_mut(&place.pointer).expect("a place of this document") = value;
    changed
}
