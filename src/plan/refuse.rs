//! Every refusal that concerns more than one field, with the sentence of the specification behind it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::kernel::namespaces::{Namespace, Namespaces};
use crate::spec::state::OCI_VERSION;
use crate::spec::{Linux, Spec};

/// config.md, "Specification version": "MUST be in SemVer v2.0.0 format"; a major version other than ours may mean
/// anything. An absent one is passed over, as runc does.
pub fn version(version: &str) -> Result<()> {
    if version.is_empty() {
        return Ok(());
    }
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = core.split('.').map(str::parse::<u32>).collect();
    match numbers.as_slice() {
        [Ok(1), Ok(_), Ok(_)] => Ok(()),
        [Ok(_), Ok(_), Ok(_)] => Err(Error::refused(format!(
            "ociVersion: {version:?} is not supported: etui implements {OCI_VERSION}"
        ))),
        _ => Err(Error::refused(format!(
            "ociVersion: {version:?} is not of the form MAJOR.MINOR.PATCH"
        ))),
    }
}

/// The kernel's strings end at a null byte: what stands behind one would silently be left out. `text` is what `field`
/// holds.
pub fn null_byte(field: &str, text: impl AsRef<OsStr>) -> Result<()> {
    if text.as_ref().as_bytes().contains(&0) {
        return Err(Error::refused(format!("{field}: {:?} contains a null byte", text.as_ref())));
    }
    Ok(())
}

/// config-linux.md, "Masked Paths" and "Readonly Paths": "The values MUST be absolute paths in the container namespace".
pub fn paths_inside(field: &str, paths: &[PathBuf]) -> Result<()> {
    for (index, path) in paths.iter().enumerate() {
        let field = format!("{field}[{index}]");
        null_byte(&field, path)?;
        if path.is_relative() {
            return Err(Error::refused(format!("{field}: {path:?} is not an absolute path")));
        }
    }
    Ok(())
}

/// Fields that contradict each other, or would change the host.
pub fn contradictions(spec: &Spec, linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    needs_mount_namespace(namespaces)?;
    names_need_uts_namespace(spec, namespaces)?;
    names_fit(spec)?;
    annotations_have_keys(spec)?;
    id_maps_fit_user_namespace(linux, namespaces)
}

/// config.md, "Mounts" and "Root" are about the container's own mount namespace; in the host's they would be the
/// host's mounts.
fn needs_mount_namespace(namespaces: &Namespaces) -> Result<()> {
    if namespaces.separates(Namespace::Mount) {
        return Ok(());
    }
    Err(Error::refused(
        "linux.namespaces: without a mount namespace the container's mounts would be the host's",
    )
    .hint("add {\"type\": \"mount\"}"))
}

/// config.md, "Hostname": it is the container's UTS namespace that it is set in; without one it would be the host's.
fn names_need_uts_namespace(spec: &Spec, namespaces: &Namespaces) -> Result<()> {
    if namespaces.separates(Namespace::Uts) {
        return Ok(());
    }
    for (field, value) in [("hostname", &spec.hostname), ("domainname", &spec.domainname)] {
        if !value.is_empty() {
            return Err(Error::refused(format!(
                "{field}: unable to set {field} without a private UTS namespace"
            ))
            .hint("add {\"type\": \"uts\"} to linux.namespaces"));
        }
    }
    Ok(())
}

/// sethostname(2): longer names are EINVAL, `__NEW_UTS_LEN` is 64.
fn names_fit(spec: &Spec) -> Result<()> {
    const LONGEST: usize = 64;
    for (field, value) in [("hostname", &spec.hostname), ("domainname", &spec.domainname)] {
        null_byte(field, value)?;
        if value.len() > LONGEST {
            let length = value.len();
            return Err(Error::refused(format!(
                "{field}: {value:?} has {length} bytes, more than the {LONGEST} the kernel takes"
            )));
        }
    }
    Ok(())
}

/// config.md, "Annotations": "Keys MUST NOT be an empty string".
fn annotations_have_keys(spec: &Spec) -> Result<()> {
    if spec.annotations.contains_key("") {
        return Err(Error::refused("annotations: a key is empty"));
    }
    Ok(())
}

/// config-linux.md, "User namespace mappings": they say how a new user namespace is mapped.
fn id_maps_fit_user_namespace(linux: &Linux, namespaces: &Namespaces) -> Result<()> {
    let mapped = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
    if mapped && !namespaces.separates(Namespace::User) {
        return Err(Error::refused(
            "linux.uidMappings, linux.gidMappings: there is no user namespace in linux.namespaces",
        ));
    }
    let complete = !linux.uid_mappings.is_empty() && !linux.gid_mappings.is_empty();
    if namespaces.creates(Namespace::User) && !complete {
        return Err(Error::refused(
            "linux.uidMappings, linux.gidMappings: a new user namespace needs both",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_inside_are_absolute_and_end_at_their_end() {
        paths_inside("linux.maskedPaths", &["/proc/kcore".into()]).unwrap();
        for bad in ["proc/kcore", "", "/proc\0kcore"] {
            let refused =
                paths_inside("linux.maskedPaths", &["/a".into(), bad.into()]).unwrap_err();
            assert!(refused.to_string().starts_with("linux.maskedPaths[1]: "), "{refused}");
        }
    }

    #[test]
    fn an_annotation_has_a_key() {
        let mut spec = Spec::default();
        spec.annotations.insert("org.example.key".to_owned(), String::new());
        annotations_have_keys(&spec).unwrap();
        spec.annotations.insert(String::new(), "value".to_owned());
        assert!(annotations_have_keys(&spec).is_err());
    }

    #[test]
    fn versions_of_our_major_are_accepted() {
        for good in ["", "1.0.0", "1.0.2-dev", "1.3.0+build", "1.9.0"] {
            version(good).unwrap();
        }
        for bad in ["2.0.0", "0.9.0", "1", "1.0", "one", "1.x.0"] {
            assert!(version(bad).is_err(), "{bad}");
        }
    }
}
