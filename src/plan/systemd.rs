//! From `linux.cgroupsPath` and annotations to the unit that systemd makes (`--systemd-cgroup`).

mod text;

use std::collections::BTreeMap;

use super::cgroup_owner;
use crate::error::{Context, Error, Result};
use crate::kernel::cgroup::systemd::{Property, Realm, Slice, Unit, UnitName, Value};

/// Annotations that set properties of the unit begin with this.
const PROPERTY: &str = "org.systemd.property.";

/// The annotation of crun's that names a cgroup below the unit's own.
const SUBGROUP: &str = "run.oci.systemd.subgroup";

/// What the name of a unit begins with where `cgroupsPath` does not say.
const PREFIX: &str = "etui";

/// The unit that `cgroupsPath`, of the form `slice:prefix:name`, asks for. An empty slice, like an empty path, stands
/// for the usual one: `system.slice`, or `user.slice` of a user's systemd.
pub fn unit(
    cgroups_path: &str,
    id: &str,
    annotations: &BTreeMap<String, String>,
    realm: Realm,
) -> Result<Unit> {
    let parts: Vec<&str> = cgroups_path.split(':').collect();
    let (slice, prefix, name) = match parts[..] {
        [""] => ("", PREFIX, id),
        [slice, prefix, name] if !name.is_empty() => (slice, prefix, name),
        _ => return Err(malformed(cgroups_path)),
    };
    let usual = match realm {
        Realm::System => "system.slice",
        Realm::User => "user.slice",
    };
    let slice = if slice.is_empty() { usual } else { slice };
    Ok(Unit {
        name: UnitName::parse(&unit_name(prefix, name)).context("linux.cgroupsPath")?,
        slice: Slice::parse(slice).context("linux.cgroupsPath")?,
        description: format!("etui container {id}"),
        subgroup: match annotations.get(SUBGROUP) {
            Some(name) if !name.is_empty() => Some(cgroup_owner::cgroup_name(SUBGROUP, name)?),
            _ => None,
        },
        properties: properties(annotations)?,
    })
}

fn malformed(cgroups_path: &str) -> Error {
    Error::refused(format!(
        "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {cgroups_path:?} instead"
    ))
    .hint("name it like system.slice:docker:1234, or leave out --systemd-cgroup")
}

/// A name that is a slice's is taken as it is, any other becomes a scope's.
fn unit_name(prefix: &str, name: &str) -> String {
    match (prefix, name) {
        (_, name) if name.ends_with(".slice") => name.to_owned(),
        ("", name) => format!("{name}.scope"),
        (prefix, name) => format!("{prefix}-{name}.scope"),
    }
}

/// `org.systemd.property.TimeoutStopUSec: "uint64 5000000"`, as runc and crun have it.
fn properties(annotations: &BTreeMap<String, String>) -> Result<Vec<Property>> {
    let ours =
        annotations.iter().filter_map(|(key, text)| Some((key, key.strip_prefix(PROPERTY)?, text)));
    ours.map(|(key, name, text)| {
        property(name, text).with_context(|| format!("annotations[{key:?}]"))
    })
    .collect()
}

fn property(name: &str, text: &str) -> Result<Property> {
    if name.len() < 3 || !name.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return Err(Error::refused(format!("{name:?} is not a valid property name")));
    }
    let value = text::parse(text).map_err(|error| {
        error.hint("values are written like 'text', true, uint64 5 or ['a', 'b']")
    })?;
    match name.strip_suffix("Sec").filter(|stem| stem.ends_with(|c: char| c.is_ascii_lowercase())) {
        Some(stem) => Ok(Property::new(format!("{stem}USec"), microseconds(&value)?)),
        None => Ok(Property::new(name, value)),
    }
}

/// Unit files have seconds (`TimeoutStopSec`), the bus only microseconds (`TimeoutStopUSec`).
fn microseconds(seconds: &Value) -> Result<Value> {
    const A_SECOND: u64 = 1_000_000;
    let whole = match *seconds {
        Value::Byte(number) => Some(u64::from(number)),
        Value::Uint16(number) => Some(u64::from(number)),
        Value::Uint32(number) => Some(u64::from(number)),
        Value::Uint64(number) => Some(number),
        Value::Int16(number) => u64::try_from(number).ok(),
        Value::Int32(number) => u64::try_from(number).ok(),
        Value::Int64(number) => u64::try_from(number).ok(),
        Value::Double(number) => return fraction(number),
        _ => None,
    };
    let micro = whole.and_then(|seconds| seconds.checked_mul(A_SECOND)).map(Value::Uint64);
    micro.ok_or_else(|| Error::refused("it is not a valid number of seconds"))
}

fn fraction(seconds: f64) -> Result<Value> {
    const MOST: f64 = 1e12;
    if !(0.0..=MOST).contains(&seconds) {
        return Err(Error::refused("it is not a valid number of seconds"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 10^18"
    )]
    let micro = (seconds * 1e6) as u64;
    Ok(Value::Uint64(micro))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn planned(cgroups_path: &str, realm: Realm) -> Result<(String, String)> {
        let unit = unit(cgroups_path, "id", &BTreeMap::new(), realm)?;
        Ok((unit.slice.as_str().to_owned(), unit.name.as_str().to_owned()))
    }

    fn pair(slice: &str, name: &str) -> (String, String) {
        (slice.to_owned(), name.to_owned())
    }

    #[test]
    fn a_path_names_slice_prefix_and_name() {
        for (path, slice, name) in [
            ("system.slice:docker:1234", "system.slice", "docker-1234.scope"),
            ("a-b.slice:cri:x", "a-b.slice", "cri-x.scope"),
            ("::x", "system.slice", "x.scope"),
            (":p:x", "system.slice", "p-x.scope"),
            ("a.slice:p:a-pod.slice", "a.slice", "a-pod.slice"),
            ("", "system.slice", "etui-id.scope"),
        ] {
            assert_eq!(planned(path, Realm::System).unwrap(), pair(slice, name), "{path}");
        }
        assert_eq!(planned("", Realm::User).unwrap(), pair("user.slice", "etui-id.scope"));
    }

    #[test]
    fn another_path_is_refused_in_runcs_words() {
        for path in ["/docker/1234", "a:b", "a:b:c:d", "system.slice:docker:"] {
            let message = planned(path, Realm::System).unwrap_err().to_string();
            let wanted = format!(
                "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {path:?} instead; "
            );
            assert!(message.starts_with(&wanted), "{message}");
        }
        let message = planned("system:docker:x", Realm::System).unwrap_err().to_string();
        assert!(
            message.starts_with("linux.cgroupsPath: \"system\" is not a valid slice name"),
            "{message}"
        );
        assert!(planned("system.slice:docker:../../x", Realm::System).is_err());
    }

    fn annotated(name: &str, text: &str) -> Result<Property> {
        let annotations = BTreeMap::from([
            (format!("{PROPERTY}{name}"), text.to_owned()),
            ("org.example.other".to_owned(), "x".to_owned()),
        ]);
        unit("", "id", &annotations, Realm::System).map(|mut unit| unit.properties.remove(0))
    }

    #[test]
    fn annotations_set_properties() {
        assert_eq!(
            annotated("CollectMode", "'inactive'").unwrap(),
            Property::new("CollectMode", Value::string("inactive"))
        );
        let seconds = |text| annotated("TimeoutStopSec", text).unwrap();
        let usec = |usec| Property::new("TimeoutStopUSec", Value::Uint64(usec));
        assert_eq!(seconds("5"), usec(5_000_000));
        assert_eq!(seconds("1.5"), usec(1_500_000));
        assert_eq!(
            annotated("TimeoutStopUSec", "uint64 7").unwrap(),
            Property::new("TimeoutStopUSec", Value::Uint64(7))
        );
    }

    #[test]
    fn an_annotation_that_is_no_property_is_refused_by_name() {
        for (name, text) in [
            ("TimeoutStopSec", "'x'"),
            ("TimeoutStopSec", "-1"),
            ("Aa", "1"),
            ("A b c", "1"),
            ("Slice", "system"),
        ] {
            let message = annotated(name, text).unwrap_err().to_string();
            assert!(message.starts_with("annotations[\"org.systemd.property."), "{message}");
        }
    }
}
