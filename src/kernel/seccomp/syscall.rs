//! System calls by name, and their numbers on each architecture. The table is made at build time (`build.rs`).

use std::fmt;

use super::Arch;

/// A system call that at least one architecture has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Syscall(u16);

/// One call. Its name lies in `NAMES`; `Row::numbers` is in the order of [`Arch`]'s variants.
struct Row {
    start: u16,
    end: u16,
    numbers: [u32; 5],
}

// `NAMES`, all names one after the other, and `ROWS`, sorted by name.
include!(concat!(env!("OUT_DIR"), "/syscalls.rs"));

/// "This architecture has no such call".
const NONE: u32 = u32::MAX;

impl Syscall {
    /// None when no architecture knows the name.
    pub fn named(name: &str) -> Option<Self> {
        let index = ROWS.binary_search_by(|row| row.name().cmp(name)).ok()?;
        u16::try_from(index).ok().map(Self)
    }

    /// All of them, sorted by name.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).take(ROWS.len()).map(Self)
    }

    /// As in `<asm/unistd.h>`, without `__NR_`.
    pub fn name(self) -> &'static str {
        self.row().name()
    }

    /// The number a filter sees; on x32 with bit 30 set.
    pub fn number(self, arch: Arch) -> Option<u32> {
        Some(self.row().numbers[arch as usize]).filter(|&number| number != NONE)
    }

    fn row(self) -> &'static Row {
        &ROWS[usize::from(self.0)]
    }
}

impl Row {
    fn name(&self) -> &'static str {
        &NAMES[usize::from(self.start)..usize::from(self.end)]
    }
}

impl fmt::Debug for Syscall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from the kernel's `syscall_*.tbl`, one of each kind: the same everywhere, of one architecture, of
    /// x32's own range, of arm's private range, a 32-bit name that differs inside the kernel.
    #[test]
    fn knows_the_numbers_of_each_architecture() {
        let numbers = |name: &str| {
            let syscall = Syscall::named(name)?;
            let archs = [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm];
            Some(archs.map(|arch| syscall.number(arch)))
        };
        assert_eq!(numbers("read"), Some([Some(0), Some(3), Some(0x4000_0000), Some(63), Some(3)]));
        assert_eq!(
            numbers("rt_sigaction"),
            Some([Some(13), Some(174), Some(0x4000_0200), Some(134), Some(174)])
        );
        assert_eq!(
            numbers("clock_gettime"),
            Some([Some(228), Some(265), Some(0x4000_00e4), Some(113), Some(263)])
        );
        assert_eq!(numbers("mq_unlink").map(|n| n[1]), Some(Some(278)));
        assert_eq!(numbers("socketcall"), Some([None, Some(102), None, None, None]));
        assert_eq!(numbers("set_tls"), Some([None, None, None, None, Some(0xf_0005)]));
        assert_eq!(
            numbers("file_setattr"),
            Some([Some(469), Some(469), Some(0x4000_01d5), Some(469), Some(469)])
        );
        assert_eq!(numbers("no_such_call"), None);
    }

    #[test]
    fn finds_every_call_by_its_name() {
        for syscall in Syscall::all() {
            assert_eq!(Syscall::named(syscall.name()), Some(syscall), "{syscall:?}");
        }
        assert!(Syscall::all().count() > 450);
    }
}
