//! Rules of a device filter: which accesses to which devices are allowed or denied. Does not know how they are enforced.

use std::fmt;

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceRule {
    /// What becomes of an access it names.
    pub verdict: Verdict,
    /// Which devices it names.
    pub devices: Devices,
    /// Which accesses it names.
    pub access: Access,
}

/// What becomes of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is allowed.
    Allow,
    /// It fails with EPERM.
    Deny,
}

/// The devices a rule names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Devices {
    /// Every device, and every access whatever the rule names: all rules before are void.
    All,
    /// Those of one kind, by their numbers; `None` is any.
    Named {
        /// Block or character devices.
        kind: DeviceKind,
        /// Major number.
        major: Option<u32>,
        /// Minor number.
        minor: Option<u32>,
    },
}

/// Kinds of devices, as the kernel numbers them (`BPF_DEVCG_DEV_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// `b`
    Block = 1,
    /// `c`
    Character = 2,
}

/// A set of accesses, as the kernel numbers them (`BPF_DEVCG_ACC_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access(u8);

impl Access {
    /// `m`
    pub const MKNOD: Access = Access(1);
    /// `r`
    pub const READ: Access = Access(2);
    /// `w`
    pub const WRITE: Access = Access(4);
    /// `rwm`
    pub const ALL: Access = Access(7);

    /// Parses letters of `rwm`; `None` for any other letter.
    pub fn parse(letters: &str) -> Option<Access> {
        letters.chars().try_fold(Access(0), |access, letter| {
            let one = match letter {
                'r' => Access::READ,
                'w' => Access::WRITE,
                'm' => Access::MKNOD,
                _ => return None,
            };
            Some(Access(access.0 | one.0))
        })
    }

    /// The kernel's bits.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether it has all accesses of `other`.
    pub fn contains(self, other: Access) -> bool {
        self.0 & other.0 == other.0
    }
}

impl DeviceRule {
    /// Whether it allows.
    pub fn allows(&self) -> bool {
        self.verdict == Verdict::Allow
    }

    /// Whether it names all that `other` names.
    pub(super) fn covers(&self, other: &DeviceRule) -> bool {
        let among = |own: Option<u32>, number| own.is_none() || own == number;
        self.access.contains(other.access)
            && match (self.devices, other.devices) {
                (Devices::All, _) => true,
                (_, Devices::All) => false,
                (
                    Devices::Named { kind, major, minor },
                    Devices::Named { kind: other, major: its_major, minor: its_minor },
                ) => kind == other && among(major, its_major) && among(minor, its_minor),
            }
    }

    /// Whether there is a device that both name, whatever the access.
    pub(super) fn meets(&self, other: &DeviceRule) -> bool {
        let same =
            |one: Option<u32>, other: Option<u32>| one.is_none() || other.is_none() || one == other;
        match (self.devices, other.devices) {
            (Devices::All, _) | (_, Devices::All) => true,
            (
                Devices::Named { kind, major, minor },
                Devices::Named { kind: other, major: its_major, minor: its_minor },
            ) => kind == other && same(major, its_major) && same(minor, its_minor),
        }
    }

    /// Whether one answer serves both: the same verdict over all accesses to devices of one kind.
    pub(super) fn is_like(&self, other: &DeviceRule) -> bool {
        let kind = |rule: &DeviceRule| match rule.devices {
            Devices::All => None,
            Devices::Named { kind, .. } => Some(kind),
        };
        self.verdict == other.verdict
            && kind(self) == kind(other)
            && [self, other].iter().all(|rule| rule.access == Access::ALL)
    }
}

impl fmt::Display for DeviceRule {
    /// As cgroup v1 wrote rules: `allow c 1:3 rwm`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.allows() { "allow " } else { "deny " })?;
        match self.devices {
            Devices::All => f.write_str("a *:*"),
            Devices::Named { kind, major, minor } => {
                let letter = if kind == DeviceKind::Block { 'b' } else { 'c' };
                let number = |n: Option<u32>| n.map_or_else(|| "*".into(), |n| n.to_string());
                write!(f, "{letter} {}:{}", number(major), number(minor))
            }
        }?;
        write!(f, " {}", self.access)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [('r', Access::READ), ('w', Access::WRITE), ('m', Access::MKNOD)];
        letters
            .iter()
            .filter(|(_, one)| self.contains(*one))
            .try_for_each(|(letter, _)| write!(f, "{letter}"))
    }
}
