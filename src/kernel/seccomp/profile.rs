//! What a filter shall do, as plain data.

use std::path::PathBuf;

use super::Syscall;

/// A whole profile. `Profile::rules` is in the order of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// For calls that no rule matches.
    pub default_action: Action,
    /// The architectures calls may be made with. The machine's own is always one of them.
    pub architectures: Vec<Arch>,
    /// What differs from the default.
    pub rules: Vec<Rule>,
    /// How the filter is loaded, besides [`Flags::NEW_LISTENER`], which follows from the rules.
    pub flags: Flags,
    /// Who is sent the listener of [`Action::Notify`].
    pub listener: Option<Listener>,
}

impl Profile {
    /// Whether loading the filter yields a listener.
    pub fn notifies(&self) -> bool {
        self.rules.iter().any(|rule| rule.action == Action::Notify)
    }

    pub(super) fn load_flags(&self) -> Flags {
        if self.notifies() {
            return self.flags | Flags::NEW_LISTENER;
        }
        // The kernel refuses WAIT_KILLABLE_RECV without a listener (EINVAL).
        self.flags.without(Flags::WAIT_KILLABLE_RECV)
    }
}

/// The Unix socket of a seccomp agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where the agent listens.
    pub socket: PathBuf,
    /// Sent along, opaque.
    pub metadata: String,
}

/// One action for several calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The calls it speaks of. One that an architecture doesn't have is passed over there.
    pub syscalls: Vec<Syscall>,
    /// What is done with a call that matches.
    pub action: Action,
    /// All must hold; none means: whatever the arguments. Conditions of which two or more look at the same argument
    /// are taken as alternatives instead, as runc takes them.
    pub conditions: Vec<Condition>,
}

/// What is done with a call (seccomp(2), "return values").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The process ends with SIGSYS.
    KillProcess,
    /// The calling thread ends with SIGSYS (`SCMP_ACT_KILL` too).
    KillThread,
    /// The call isn't made; the thread gets a SIGSYS it can catch.
    Trap,
    /// The call isn't made and fails with this errno.
    Errno(u16),
    /// The agent at the listener decides.
    Notify,
    /// The tracer decides and gets this datum; without one the call fails with ENOSYS.
    Trace(u16),
    /// The call is made and logged.
    Log,
    /// The call is made.
    Allow,
}

impl Action {
    /// The program's return value: the action above, its datum in the low 16 bits (`linux/seccomp.h`).
    pub fn code(self) -> u32 {
        match self {
            Self::KillProcess => 0x8000_0000,
            Self::KillThread => 0,
            Self::Trap => 0x0003_0000,
            Self::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Self::Notify => 0x7fc0_0000,
            Self::Trace(datum) => 0x7ff0_0000 | u32::from(datum),
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }

    /// A rank in the kernel's own order of precedence among filters, the strictest first: the value without its
    /// datum, compared as a signed number.
    pub fn laxity(self) -> i32 {
        (self.code() & 0xffff_0000).cast_signed()
    }
}

/// One comparison: the argument on the left, the value on the right, both unsigned.
///
/// 64 bits wide where arguments are. On x86, x32 and arm only the low halves are compared, as libseccomp does: there
/// a profile written for 64 bits may hold `-1` with all of them set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Which argument.
    pub argument: Argument,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub value: u64,
}

/// The index of an argument, 0 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Argument(u8);

impl Argument {
    pub(super) const FIRST: Self = Self(0);

    /// None above 5: a system call has six arguments.
    pub fn new(index: u32) -> Option<Self> {
        u8::try_from(index).ok().filter(|&index| index < 6).map(Self)
    }

    /// 0 to 5.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// How an argument is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
    /// `==` in the bits of the mask; bits of the value outside it count for nothing.
    MaskedEqual {
        /// The bits that count.
        mask: u64,
    },
}

/// An architecture of this machine's family, or of the other family etui knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    X86,
    /// 32-bit pointers in 64-bit mode. To the kernel it is x86_64 with bit 30 of the number set.
    X32,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM (EABI).
    Arm,
}

impl Arch {
    /// The architecture etui was built for.
    #[cfg(target_arch = "x86_64")]
    pub const NATIVE: Self = Self::X86_64;
    /// The architecture etui was built for.
    #[cfg(target_arch = "aarch64")]
    pub const NATIVE: Self = Self::Aarch64;

    /// The `arch` field of the kernel's `seccomp_data` (`AUDIT_ARCH_*` in `linux/audit.h`).
    pub fn audit_token(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    pub(super) fn runs_on(self, native: Self) -> bool {
        match native {
            Self::X86_64 => matches!(self, Self::X86_64 | Self::X86 | Self::X32),
            Self::Aarch64 => matches!(self, Self::Aarch64 | Self::Arm),
            other => self == other,
        }
    }

    /// Whether arguments are 64 bits wide.
    pub(super) fn is_wide(self) -> bool {
        matches!(self, Self::X86_64 | Self::Aarch64)
    }
}

/// `SECCOMP_FILTER_FLAG_*` (seccomp(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// None of them.
    pub const NONE: Self = Self(0);
    /// Log what isn't allowed (Linux 4.14).
    pub const LOG: Self = Self(1 << 1);
    /// Leave the mitigation of Speculative Store Bypass off (Linux 4.17).
    pub const SPEC_ALLOW: Self = Self(1 << 2);
    /// Yield a listener for [`Action::Notify`] (Linux 5.0).
    pub const NEW_LISTENER: Self = Self(1 << 3);
    /// Once the agent has received a notification, only a fatal signal ends the wait (Linux 5.19).
    pub const WAIT_KILLABLE_RECV: Self = Self(1 << 5);

    const ALL: Self =
        Self(Self::LOG.0 | Self::SPEC_ALLOW.0 | Self::NEW_LISTENER.0 | Self::WAIT_KILLABLE_RECV.0);

    /// As the system call takes them; none when a bit isn't one of ours.
    pub fn from_bits(bits: u32) -> Option<Self> {
        Some(Self(bits)).filter(|flags| flags.without(Self::ALL) == Self::NONE)
    }

    /// As the system call takes them.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl std::ops::BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl From<Argument> for u32 {
    fn from(argument: Argument) -> Self {
        u32::from(argument.0)
    }
}
