//! From `mounts` to mount operations (config.md, "Mounts" and "Linux mount options").

mod id_maps;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::mount_options::Options;
use crate::error::{Context, Error, Result};
use crate::kernel::devices::Making;
use crate::kernel::id_maps::IdMap;
use crate::kernel::mounts::{
    Bind, CgroupView, CopyUp, Filesystem, FsOption, Mount, MountAttr, MountIdMap, Reach, What,
};
use crate::kernel::namespaces::{Namespace, Namespaces};
use crate::spec;
use crate::warning::warn;

/// What the rest of the plan knows that mounts depend on.
#[derive(Debug)]
pub struct Surroundings<'a> {
    /// The bundle's directory: relative sources start there.
    pub bundle: &'a Path,
    /// The container's namespaces.
    pub namespaces: &'a Namespaces,
    /// The container's own id maps, for `idmap` without maps of its own.
    pub id_maps: (&'a [IdMap], &'a [IdMap]),
    /// Where the host has its cgroup v2 hierarchy.
    pub cgroup_mount_point: &'a Path,
    /// The container's cgroup, a directory of the host.
    pub cgroup: &'a Path,
    /// What gives new file systems their SELinux context.
    pub label: Option<&'a FsOption>,
}

/// The mounts of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mounts {
    /// In order.
    pub all: Vec<Mount>,
    /// Whether the container brings a /dev of its own: then nothing is made there.
    pub brings_dev: bool,
}

/// Plans every mount of `config.json`.
pub fn plan(mounts: &[spec::Mount], surroundings: &Surroundings<'_>) -> Result<Mounts> {
    let mut planned = Mounts::default();
    for (position, mount) in mounts.iter().enumerate() {
        let field = format!("mounts[{position}] ({})", mount.destination.display());
        let mut mount = one(mount, surroundings).context(field)?;
        mount.field = format!("mounts[{position}]");
        if mount.destination == Path::new("/dev") && matches!(mount.what, What::Bind(_)) {
            planned.brings_dev = true;
        }
        planned.all.push(mount);
    }
    Ok(planned)
}

/// What is mounted from outside of the container, by its places inside.
pub fn external(plan: &super::Plan) -> impl Iterator<Item = &Path> {
    let binds = plan.mounts.iter().filter(|mount| matches!(mount.what, What::Bind(_)));
    let nodes = plan.dev.iter().filter(|dev| dev.making == Making::Bind);
    let nodes = nodes.flat_map(|dev| dev.nodes.iter().map(|node| node.path.as_path()));
    binds.map(|mount| mount.destination.as_path()).chain(nodes)
}

fn one(mount: &spec::Mount, surroundings: &Surroundings<'_>) -> Result<Mount> {
    let options = Options::parse(&mount.options)?;
    let destination = destination(mount)?;
    let mapped = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    let what = if options.remount {
        remount(mount, &options)?
    } else if options.bind.is_some() || mount.kind == "bind" {
        What::Bind(bind(mount, &options, surroundings)?)
    } else if options.id_map.is_some() || mapped {
        return Err(Error::refused(
            "options idmap and ridmap, and mappings, are for bind mounts only",
        ));
    } else if matches!(mount.kind.as_str(), "cgroup" | "cgroup2") {
        cgroup(&options, surroundings)
    } else {
        What::Filesystem(filesystem(mount, &destination, &options, surroundings.label)?)
    };
    Ok(Mount {
        field: String::new(),
        destination,
        destination_link: options.destination_link,
        what,
        recursive: options.recursive,
        propagation: options.propagation,
    })
}

fn destination(mount: &spec::Mount) -> Result<PathBuf> {
    let path = &mount.destination;
    if path.as_os_str().is_empty() {
        return Err(Error::refused("destination: is missing"));
    }
    if path.as_os_str().as_bytes().contains(&0) {
        return Err(Error::refused("destination: contains a null byte"));
    }
    if !path.is_absolute() {
        warn(format!(
            "mounts: destination {} is relative, which the specification forbids: taken from /",
            path.display()
        ));
    }
    Ok(cleaned(path))
}

/// From the root on, without `.` and `..`: as runc does by the text alone, whatever links the image has there.
fn cleaned(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => drop(cleaned.pop()),
            _ => {}
        }
    }
    cleaned
}

fn remount(mount: &spec::Mount, options: &Options) -> Result<What> {
    let attr = MountAttr { clear: options.cleared_by_remount(), ..options.attr };
    let options = match options.bind {
        Some(_) => None,
        None => Some(filesystem_of_kind(&mount.kind, mount, options)?),
    };
    Ok(What::Remount { attr, options })
}

fn bind(mount: &spec::Mount, options: &Options, surroundings: &Surroundings<'_>) -> Result<Bind> {
    if let Some(unknown) = options.data.first() {
        return Err(Error::refused(format!(
            "options: {unknown:?} is not a valid option of a bind mount"
        )));
    }
    if mount.source.is_empty() {
        return Err(Error::refused("source: a bind mount needs one"));
    }
    text(&mount.source, "source")?;
    // As mount(8) does: naming no attribute keeps the source's, naming one names them all.
    let attr = if options.names_attributes {
        MountAttr { clear: options.cleared_by_remount(), ..options.attr }
    } else {
        MountAttr::default()
    };
    Ok(Bind {
        source: surroundings.bundle.join(&mount.source),
        source_link: options.source_link,
        reach: options.bind.unwrap_or(Reach::One),
        attr,
        cleared_by_name: options.cleared_by_name,
        id_map: id_map(mount, options, surroundings)?,
    })
}

fn id_map(
    mount: &spec::Mount,
    options: &Options,
    surroundings: &Surroundings<'_>,
) -> Result<Option<MountIdMap>> {
    let own = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    if options.id_map.is_none() && !own {
        return Ok(None);
    }
    let (uids, gids) = if let Some(maps) = &options.id_maps {
        id_maps::written(maps, surroundings.id_maps)
            .with_context(|| format!("options: idmap={maps}"))?
    } else if own {
        if mount.uid_mappings.is_empty() || mount.gid_mappings.is_empty() {
            return Err(Error::refused("uidMappings and gidMappings: one without the other"));
        }
        (
            super::namespaces::id_maps(&mount.uid_mappings),
            super::namespaces::id_maps(&mount.gid_mappings),
        )
    } else {
        let (uids, gids) = surroundings.id_maps;
        if uids.is_empty() || gids.is_empty() {
            return Err(Error::refused(
                "options: idmap without uidMappings and gidMappings needs a user namespace with maps",
            ));
        }
        (uids.to_vec(), gids.to_vec())
    };
    Ok(Some(MountIdMap { uids, gids, reach: options.id_map.unwrap_or(Reach::One) }))
}

fn cgroup(options: &Options, surroundings: &Surroundings<'_>) -> What {
    let view = if surroundings.namespaces.separates(Namespace::Cgroup) {
        CgroupView::Namespace { fallback: surroundings.cgroup.to_owned() }
    } else {
        CgroupView::Host { mount_point: surroundings.cgroup_mount_point.to_owned() }
    };
    What::Cgroup { attr: MountAttr { clear: 0, ..options.attr }, view }
}

/// What gives new file systems the context of `linux.mountLabel` (mount(8), "context"); an annotation of crun's says which
/// of the four options that is.
pub fn label(context: &str, annotations: &BTreeMap<String, String>) -> Result<Option<FsOption>> {
    const KIND: &str = "run.oci.mount_context_type";
    let key = match annotations.get(KIND).map(String::as_str) {
        None | Some("context") => c"context",
        Some("fscontext") => c"fscontext",
        Some("defcontext") => c"defcontext",
        Some("rootcontext") => c"rootcontext",
        Some(other) => {
            return Err(Error::refused(format!(
                "annotations[{KIND:?}]: {other:?} is none of context, fscontext, defcontext, rootcontext"
            )));
        }
    };
    if context.is_empty() {
        return Ok(None);
    }
    Ok(Some(FsOption { key: key.to_owned(), value: Some(text(context, "linux.mountLabel")?) }))
}

fn filesystem(
    mount: &spec::Mount,
    destination: &Path,
    options: &Options,
    label: Option<&FsOption>,
) -> Result<Filesystem> {
    if mount.kind.is_empty() {
        return Err(Error::refused("type: is missing, and options name neither bind nor rbind"));
    }
    let mut filesystem = filesystem_of_kind(&mount.kind, mount, options)?;
    // Mount points are still made there, content is copied up, nodes are made in /dev.
    if mount.kind == "tmpfs" || destination == Path::new("/dev") {
        filesystem.attr_at_the_end.set = filesystem.attr.set & libc::MOUNT_ATTR_RDONLY;
        filesystem.attr.set &= !libc::MOUNT_ATTR_RDONLY;
    }
    match (label, mount.kind.as_str()) {
        // Their labels are the policy's alone.
        (None, _) | (_, "proc" | "sysfs") => {}
        (Some(label), "mqueue") => filesystem.root_label.clone_from(&label.value),
        (Some(label), _) => filesystem.options.push(label.clone()),
    }
    Ok(filesystem)
}

fn filesystem_of_kind(kind: &str, mount: &spec::Mount, options: &Options) -> Result<Filesystem> {
    if options.copy_up == CopyUp::Yes && kind != "tmpfs" {
        return Err(Error::refused("options: tmpcopyup is for tmpfs only"));
    }
    let data = options.data.iter().flat_map(|options| separated(options));
    Ok(Filesystem {
        kind: text(kind, "type")?,
        source: text(&mount.source, "source")?,
        options: data.map(fs_option).collect::<Result<_>>()?,
        super_block: options.super_block,
        attr: options.attr,
        attr_at_the_end: MountAttr::default(),
        copy_up: options.copy_up,
        root_label: None,
    })
}

/// One option of the configuration may hold several, as mount(2) takes them in one text: a comma separates them unless
/// it stands in quotes (SELinux) or behind a backslash (overlayfs).
fn separated(options: &str) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    let separates = |character: char| {
        let separates = character == ',' && !quoted && !escaped;
        quoted ^= character == '"';
        escaped = character == '\\' && !escaped;
        separates
    };
    options.split(separates).filter(|option| !option.is_empty()).collect()
}

/// Quotes around a label's commas are for mount(2), where options stand in one text.
fn fs_option(option: &str) -> Result<FsOption> {
    let (key, value) = match option.split_once('=') {
        Some((key, value)) => (key, Some(text(unquoted(key, value), "options")?)),
        None => (option, None),
    };
    Ok(FsOption { key: text(key, "options")?, value })
}

fn unquoted<'a>(key: &str, value: &'a str) -> &'a str {
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    quoted.filter(|_| key.ends_with("context")).unwrap_or(value)
}

fn text(value: &str, field: &str) -> Result<CString> {
    CString::new(value).map_err(|_| Error::refused(format!("{field}: contains a null byte")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_cleaned_by_its_text() {
        let table = [
            ("/a/../b", "/b"),
            ("/../../b//c/.", "/b/c"),
            ("a/./b/..", "/a"),
            ("/..", "/"),
            ("/a.b/..c", "/a.b/..c"),
        ];
        for (path, expected) in table {
            assert_eq!(cleaned(Path::new(path)).as_os_str(), expected, "{path}");
        }
    }

    #[test]
    fn several_options_in_one_text_are_separated() {
        let table: [(&str, &[&str]); 6] = [
            ("size=64k", &["size=64k"]),
            (
                "lowerdir=/a:/b,upperdir=/c,index=off",
                &["lowerdir=/a:/b", "upperdir=/c", "index=off"],
            ),
            ("context=\"u:r:t:s0:c1,c2\",mode=755", &["context=\"u:r:t:s0:c1,c2\"", "mode=755"]),
            (r"lowerdir=/with\,comma,ro", &[r"lowerdir=/with\,comma", "ro"]),
            (r"a\\,b", &[r"a\\", "b"]),
            (",,a,", &["a"]),
        ];
        for (text, expected) in table {
            assert_eq!(separated(text), expected, "{text}");
        }
    }

    #[test]
    fn a_label_loses_its_quotes_and_nothing_else_does() {
        let value = |option: &str| fs_option(option).unwrap().value.unwrap();
        assert_eq!(value("context=\"u:r:t:s0:c1,c2\"").as_c_str(), c"u:r:t:s0:c1,c2");
        assert_eq!(value("lowerdir=\"/a\"").as_c_str(), c"\"/a\"");
    }

    #[test]
    fn a_label_is_an_option_of_the_kind_that_is_asked_for() {
        let asked = |kind: &str| {
            let kind = ("run.oci.mount_context_type".to_owned(), kind.to_owned());
            label("u:r:t:s0", &[kind].into())
        };
        let usual = label("u:r:t:s0", &BTreeMap::new()).unwrap().unwrap();
        assert_eq!((&*usual.key, usual.value.as_deref()), (c"context", Some(c"u:r:t:s0")));
        assert_eq!(&*asked("rootcontext").unwrap().unwrap().key, c"rootcontext");
        assert!(asked("other").is_err());
        assert_eq!(label("", &BTreeMap::new()).unwrap(), None);
    }
}
