//! The table of mount options (config.md, "Linux mount options"), and what a list of them adds up to.

use nix::mount::MsFlags;

use crate::error::{Error, Result};
use crate::kernel::mounts::{CopyUp, DestinationLink, MountAttr, Propagation, Reach, SourceLink};

/// What one option does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it names the default.
    None,
    /// Sets attributes of the mount.
    Set(u64),
    /// Clears attributes of the mount.
    Clear(u64),
    /// Chooses among the mutually exclusive access time attributes.
    AccessTime(u64),
    /// The same three for the mounts below too.
    SetBelow(u64),
    /// See [`Effect::Clear`].
    ClearBelow(u64),
    /// See [`Effect::AccessTime`].
    AccessTimeBelow(u64),
    /// Sets flags of the super block.
    SetSuper(MsFlags),
    /// Clears flags of the super block.
    ClearSuper(MsFlags),
    /// A bind mount.
    Bind(Reach),
    /// How mount events travel.
    Propagate(MsFlags, Reach),
    /// New attributes for what is mounted already.
    Remount,
    /// A tmpfs that starts with what it hides.
    CopyUp,
    /// A bind mount seen through id maps.
    IdMap(Reach),
    /// What a source that is a link stands for. Not of the specification: crun's.
    Source(SourceLink),
    /// A link at the destination is covered itself. Not of the specification: crun's.
    CoverLink,
}

use libc::{
    MOUNT_ATTR_NOATIME as NOATIME, MOUNT_ATTR_NODEV as NODEV, MOUNT_ATTR_NODIRATIME as NODIRATIME,
    MOUNT_ATTR_NOEXEC as NOEXEC, MOUNT_ATTR_NOSUID as NOSUID,
    MOUNT_ATTR_NOSYMFOLLOW as NOSYMFOLLOW, MOUNT_ATTR_RDONLY as RDONLY,
    MOUNT_ATTR_RELATIME as RELATIME, MOUNT_ATTR_STRICTATIME as STRICTATIME,
};

/// The field of mutually exclusive access time attributes in a set of mount attributes.
const ACCESS_TIME: u64 = libc::MOUNT_ATTR__ATIME;

/// Every attribute an option can clear, but for the access time field.
const CLEARABLE: u64 = RDONLY | NOSUID | NODEV | NOEXEC | NODIRATIME | NOSYMFOLLOW;

/// Every option etui knows; any other is the file system's own.
pub const TABLE: &[(&str, Effect)] = &[
    ("async", Effect::ClearSuper(MsFlags::MS_SYNCHRONOUS)),
    ("atime", Effect::AccessTime(RELATIME)),
    ("bind", Effect::Bind(Reach::One)),
    ("copy-symlink", Effect::Source(SourceLink::Copied)),
    ("defaults", Effect::None),
    ("dest-nofollow", Effect::CoverLink),
    ("dev", Effect::Clear(NODEV)),
    ("diratime", Effect::Clear(NODIRATIME)),
    ("dirsync", Effect::SetSuper(MsFlags::MS_DIRSYNC)),
    ("exec", Effect::Clear(NOEXEC)),
    ("idmap", Effect::IdMap(Reach::One)),
    ("iversion", Effect::SetSuper(MsFlags::MS_I_VERSION)),
    ("lazytime", Effect::SetSuper(MsFlags::MS_LAZYTIME)),
    ("loud", Effect::ClearSuper(MsFlags::MS_SILENT)),
    ("mand", Effect::SetSuper(MsFlags::MS_MANDLOCK)),
    ("noatime", Effect::AccessTime(NOATIME)),
    ("nodev", Effect::Set(NODEV)),
    ("nodiratime", Effect::Set(NODIRATIME)),
    ("noexec", Effect::Set(NOEXEC)),
    ("noiversion", Effect::ClearSuper(MsFlags::MS_I_VERSION)),
    ("nolazytime", Effect::ClearSuper(MsFlags::MS_LAZYTIME)),
    ("nomand", Effect::ClearSuper(MsFlags::MS_MANDLOCK)),
    ("norelatime", Effect::AccessTime(RELATIME)),
    ("nostrictatime", Effect::AccessTime(RELATIME)),
    ("nosuid", Effect::Set(NOSUID)),
    ("nosymfollow", Effect::Set(NOSYMFOLLOW)),
    ("private", Effect::Propagate(MsFlags::MS_PRIVATE, Reach::One)),
    ("ratime", Effect::AccessTimeBelow(RELATIME)),
    ("rbind", Effect::Bind(Reach::Recursive)),
    ("rdev", Effect::ClearBelow(NODEV)),
    ("rdiratime", Effect::ClearBelow(NODIRATIME)),
    ("relatime", Effect::AccessTime(RELATIME)),
    ("remount", Effect::Remount),
    ("rexec", Effect::ClearBelow(NOEXEC)),
    ("ridmap", Effect::IdMap(Reach::Recursive)),
    ("rnoatime", Effect::AccessTimeBelow(NOATIME)),
    ("rnodev", Effect::SetBelow(NODEV)),
    ("rnodiratime", Effect::SetBelow(NODIRATIME)),
    ("rnoexec", Effect::SetBelow(NOEXEC)),
    ("rnorelatime", Effect::AccessTimeBelow(RELATIME)),
    ("rnostrictatime", Effect::AccessTimeBelow(RELATIME)),
    ("rnosuid", Effect::SetBelow(NOSUID)),
    ("rnosymfollow", Effect::SetBelow(NOSYMFOLLOW)),
    ("ro", Effect::Set(RDONLY)),
    ("rprivate", Effect::Propagate(MsFlags::MS_PRIVATE, Reach::Recursive)),
    ("rrelatime", Effect::AccessTimeBelow(RELATIME)),
    ("rro", Effect::SetBelow(RDONLY)),
    ("rrw", Effect::ClearBelow(RDONLY)),
    ("rshared", Effect::Propagate(MsFlags::MS_SHARED, Reach::Recursive)),
    ("rslave", Effect::Propagate(MsFlags::MS_SLAVE, Reach::Recursive)),
    ("rstrictatime", Effect::AccessTimeBelow(STRICTATIME)),
    ("rsuid", Effect::ClearBelow(NOSUID)),
    ("rsymfollow", Effect::ClearBelow(NOSYMFOLLOW)),
    ("runbindable", Effect::Propagate(MsFlags::MS_UNBINDABLE, Reach::Recursive)),
    ("rw", Effect::Clear(RDONLY)),
    ("shared", Effect::Propagate(MsFlags::MS_SHARED, Reach::One)),
    ("silent", Effect::SetSuper(MsFlags::MS_SILENT)),
    ("slave", Effect::Propagate(MsFlags::MS_SLAVE, Reach::One)),
    ("src-nofollow", Effect::Source(SourceLink::Bound)),
    ("strictatime", Effect::AccessTime(STRICTATIME)),
    ("suid", Effect::Clear(NOSUID)),
    ("symfollow", Effect::Clear(NOSYMFOLLOW)),
    ("sync", Effect::SetSuper(MsFlags::MS_SYNCHRONOUS)),
    ("tmpcopyup", Effect::CopyUp),
    ("unbindable", Effect::Propagate(MsFlags::MS_UNBINDABLE, Reach::One)),
];

/// What a list of options adds up to; a later one overrides an earlier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Attributes of the mount.
    pub attr: MountAttr,
    /// Attributes cleared by name.
    pub cleared_by_name: u64,
    /// Whether any attribute was named, set or cleared.
    pub names_attributes: bool,
    /// Attributes of the mounts below too.
    pub recursive: MountAttr,
    /// Flags of the super block.
    pub super_block: u64,
    /// A bind mount.
    pub bind: Option<Reach>,
    /// In order.
    pub propagation: Vec<Propagation>,
    /// New attributes for what is mounted already.
    pub remount: bool,
    /// A tmpfs that starts with what it hides.
    pub copy_up: CopyUp,
    /// A bind mount seen through id maps.
    pub id_map: Option<Reach>,
    /// What a source that is a link stands for.
    pub source_link: SourceLink,
    /// Whether a link at the destination is followed.
    pub destination_link: DestinationLink,
    /// The maps of `idmap=` or `ridmap=`, as they were written. Not of the specification: crun's.
    pub id_maps: Option<String>,
    /// The file system's own options.
    pub data: Vec<String>,
    names_access_time: bool,
}

impl Options {
    /// Adds up `options`.
    pub fn parse(options: &[String]) -> Result<Self> {
        let mut sum = Options::default();
        for option in options {
            if option.contains('\0') {
                return Err(Error::refused(format!("options: {option:?} contains a null byte")));
            }
            match TABLE.binary_search_by(|(name, _)| (*name).cmp(option)) {
                Ok(position) => sum.add(TABLE[position].1),
                Err(_) if option.is_empty() => {}
                Err(_) if option.starts_with("idmap=") => sum.add_id_maps(option, Reach::One),
                Err(_) if option.starts_with("ridmap=") => {
                    sum.add_id_maps(option, Reach::Recursive);
                }
                Err(_) => sum.data.push(option.clone()),
            }
        }
        Ok(sum)
    }

    fn add(&mut self, effect: Effect) {
        match effect {
            Effect::None => {}
            Effect::Set(flags) => {
                self.attr.set |= flags;
                self.cleared_by_name &= !flags;
                self.names_attributes = true;
            }
            Effect::Clear(flags) => {
                self.attr.set &= !flags;
                self.cleared_by_name |= flags;
                self.names_attributes = true;
            }
            Effect::AccessTime(choice) => {
                self.attr.set = self.attr.set & !ACCESS_TIME | choice;
                self.cleared_by_name |= ACCESS_TIME;
                self.names_attributes = true;
                self.names_access_time = true;
            }
            Effect::SetBelow(flags) => {
                self.recursive.set |= flags;
                self.recursive.clear &= !flags;
            }
            Effect::ClearBelow(flags) => {
                self.recursive.set &= !flags;
                self.recursive.clear |= flags;
            }
            Effect::AccessTimeBelow(choice) => {
                self.recursive.set = self.recursive.set & !ACCESS_TIME | choice;
                self.recursive.clear |= ACCESS_TIME;
            }
            Effect::SetSuper(flags) => self.super_block |= flags.bits(),
            Effect::ClearSuper(flags) => self.super_block &= !flags.bits(),
            // As with mount(2)'s flags, of which `rbind` has one more: `bind` takes nothing back.
            Effect::Bind(_) if self.bind == Some(Reach::Recursive) => {}
            Effect::Bind(reach) => self.bind = Some(reach),
            Effect::Propagate(flag, reach) => {
                self.propagation.push(Propagation { flag: flag.bits(), reach });
            }
            Effect::Remount => self.remount = true,
            Effect::CopyUp => self.copy_up = CopyUp::Yes,
            Effect::IdMap(reach) => self.id_map = Some(reach),
            Effect::Source(link) => self.source_link = link,
            Effect::CoverLink => self.destination_link = DestinationLink::Covered,
        }
    }

    fn add_id_maps(&mut self, option: &str, reach: Reach) {
        self.id_map = Some(reach);
        self.id_maps = option.split_once('=').map(|(_, maps)| maps.to_owned());
    }

    /// What a remount with these options clears: all that is not set, but how the access time is kept only where that is
    /// named, as mount(2) has it.
    pub fn cleared_by_remount(&self) -> u64 {
        let kept = match self.names_access_time {
            true => 0,
            false => NODIRATIME & !self.cleared_by_name,
        };
        let access_time = if self.names_access_time { ACCESS_TIME } else { 0 };
        CLEARABLE & !self.attr.set & !kept | access_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Options {
        Options::parse(&options.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn table_is_sorted() {
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn later_options_override() {
        assert_eq!(parse(&["ro", "rw"]).attr.set, 0);
        assert_eq!(parse(&["rw", "ro"]).attr.set, RDONLY);
        assert_eq!(parse(&["noatime", "strictatime"]).attr.set, STRICTATIME);
    }

    #[test]
    fn a_recursive_bind_stays_one() {
        assert_eq!(parse(&["bind", "rbind"]).bind, Some(Reach::Recursive));
        assert_eq!(parse(&["rbind", "bind"]).bind, Some(Reach::Recursive));
        assert_eq!(parse(&["bind"]).bind, Some(Reach::One));
    }

    #[test]
    fn unknown_options_belong_to_the_file_system() {
        assert_eq!(parse(&["nosuid", "size=64k", "newinstance"]).data, ["size=64k", "newinstance"]);
    }

    #[test]
    fn naming_no_attribute_is_told_from_clearing_one() {
        assert!(!parse(&["rbind", "rprivate"]).names_attributes);
        assert!(parse(&["rbind", "rw"]).names_attributes);
    }

    #[test]
    fn access_time_is_cleared_only_when_named() {
        assert_eq!(parse(&["ro"]).cleared_by_remount() & ACCESS_TIME, 0);
        assert_eq!(parse(&["noatime"]).cleared_by_remount() & ACCESS_TIME, ACCESS_TIME);
        assert_eq!(parse(&["ro"]).cleared_by_remount() & NODIRATIME, 0);
        for option in ["noatime", "diratime"] {
            assert_eq!(parse(&[option]).cleared_by_remount() & NODIRATIME, NODIRATIME, "{option}");
        }
    }
}
