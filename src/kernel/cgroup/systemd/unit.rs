//! Names of units (systemd.unit(5), systemd.slice(5)), and where their cgroups are.

use std::path::{Path as FilePath, PathBuf};

use super::value::Value;
use crate::error::{Error, Result};
use crate::kernel::cgroup::Path;

const SLICE: &str = ".slice";

/// A unit that is to be made for a container.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Its name.
    pub name: UnitName,
    /// The slice it is in.
    pub slice: Slice,
    /// The cgroup below the unit's own that is the container's; none where the unit's own is.
    pub subgroup: Option<String>,
    /// What `systemctl status` calls it.
    pub description: String,
    /// Properties of the operator's own, which come last and so override.
    pub properties: Vec<Property>,
}

/// A property of a unit (org.freedesktop.systemd1(5)).
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Its name on the bus, which may differ from the one in unit files.
    pub name: String,
    /// Its value.
    pub value: Value,
}

impl Property {
    /// A property.
    pub fn new(name: impl Into<String>, value: Value) -> Self {
        Property { name: name.into(), value }
    }
}

/// What kind of unit a container lives in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitName {
    /// A scope: processes that somebody else has started.
    Scope(String),
    /// A slice: systemd makes it, the process is moved in by us.
    Slice(Slice),
}

impl UnitName {
    /// The name `name`, whose ending tells the kind.
    pub fn parse(name: &str) -> Result<Self> {
        if name.ends_with(SLICE) {
            return match Slice::parse(name)? {
                root if root.directory().as_os_str().is_empty() => {
                    Err(Error::refused("the root slice can't be a container's"))
                }
                slice => Ok(UnitName::Slice(slice)),
            };
        }
        must_be_unit_name(name)?;
        Ok(UnitName::Scope(name.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        match self {
            UnitName::Scope(name) | UnitName::Slice(Slice(name)) => name,
        }
    }
}

impl Unit {
    /// The container's cgroup, where `root` is the cgroup of the systemd that makes the unit.
    pub fn cgroup(&self, root: &FilePath) -> Path {
        let below = match &self.name {
            UnitName::Scope(name) => self.slice.directory().join(name),
            UnitName::Slice(slice) => slice.directory(),
        };
        let own = root.join(below);
        Path::below_root(match &self.subgroup {
            Some(name) => own.join(name),
            None => own,
        })
    }
}

/// A slice. Its name says where it is: `a-b.slice` is in `a.slice`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice(String);

impl Slice {
    /// The slice `name`; one that systemd would refuse is refused.
    pub fn parse(name: &str) -> Result<Slice> {
        let refuse = |why: &str| {
            Err(Error::refused(format!("{name:?} is not a valid slice name: {why}"))
                .hint("a slice is called like user-1000.slice, which lies in user.slice"))
        };
        let Some(stem) = name.strip_suffix(SLICE) else {
            return refuse("it does not end in .slice");
        };
        must_be_unit_name(name)?;
        if stem != "-" && stem.split('-').any(str::is_empty) {
            return refuse("nothing stands before or after a hyphen");
        }
        Ok(Slice(name.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its cgroup, relative to systemd's own: `a.slice/a-b.slice`; nothing for the root slice, `-.slice`.
    pub fn directory(&self) -> PathBuf {
        let stem = self.0.strip_suffix(SLICE).unwrap_or(&self.0);
        if stem == "-" {
            return PathBuf::new();
        }
        let ends = stem.match_indices('-').map(|(hyphen, _)| hyphen).chain([stem.len()]);
        ends.map(|end| format!("{}{SLICE}", &stem[..end])).collect()
    }
}

/// What systemd takes for a name (systemd.unit(5), "Description"); above all nothing that leads elsewhere in a path.
fn must_be_unit_name(name: &str) -> Result<()> {
    const LONGEST: usize = 255;
    let of_units = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(&byte);
    let stem = name.rsplit_once('.').map_or("", |(stem, _)| stem);
    if stem.is_empty() || name.len() > LONGEST || !name.bytes().all(of_units) {
        return Err(Error::refused(format!("{name:?} is not a valid unit name"))
            .hint("at most 255 letters, digits and :-_.\\@; systemd-escape(1) writes the others"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(slice: &str) -> String {
        Slice::parse(slice).unwrap().directory().display().to_string()
    }

    #[test]
    fn a_slice_lies_where_its_name_says() {
        assert_eq!(directory("system.slice"), "system.slice");
        assert_eq!(directory("a-b-c.slice"), "a.slice/a-b.slice/a-b-c.slice");
        assert_eq!(directory("-.slice"), "");
    }

    #[test]
    fn what_is_no_slice_is_refused() {
        for name in ["system", ".slice", "a--b.slice", "-a.slice", "a-.slice", "a/b.slice", ""] {
            assert!(Slice::parse(name).is_err(), "{name}");
        }
    }

    fn cgroup(name: &str, slice: &str, root: &str) -> PathBuf {
        let unit = Unit {
            name: UnitName::parse(name).unwrap(),
            slice: Slice::parse(slice).unwrap(),
            subgroup: None,
            description: String::new(),
            properties: Vec::new(),
        };
        unit.cgroup(FilePath::new(root)).directory(FilePath::new("/cg"))
    }

    #[test]
    fn a_scope_lies_in_its_slice_and_a_slice_by_its_own_name() {
        assert_eq!(
            cgroup("x-1.scope", "a-b.slice", "/"),
            PathBuf::from("/cg/a.slice/a-b.slice/x-1.scope")
        );
        assert_eq!(cgroup("x.scope", "-.slice", ""), PathBuf::from("/cg/x.scope"));
        assert_eq!(
            cgroup("p-q.slice", "system.slice", "/"),
            PathBuf::from("/cg/p.slice/p-q.slice")
        );
        let users = "/user.slice/user-1000.slice/user@1000.service";
        assert_eq!(
            cgroup("x.scope", "user.slice", users),
            PathBuf::from("/cg").join(&users[1..]).join("user.slice/x.scope")
        );
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        for name in ["../x.scope", "a/b.scope", ".scope", "a b.scope", "a+b.scope", "-.slice", ""] {
            assert!(UnitName::parse(name).is_err(), "{name}");
        }
        assert!(UnitName::parse(&format!("{}.scope", "a".repeat(250))).is_err());
    }
}
