//! The system call filter: from a [`Profile`] to a classic BPF program that the kernel loads (seccomp(2)).
//!
//! [`compile`] goes in three steps, each pure:
//!
//! 1. `outcome`: for each architecture, what the profile says of each number, as intervals of equal outcome that
//!    cover all 2^32 numbers;
//! 2. `tree`: a balanced tree of comparisons over the intervals, with argument checks at its leaves;
//! 3. `assembler`: the instructions, put together from the end, so that every jump knows its distance.
//!
//! What a profile means is what libseccomp and runc make of it, but for three things they leave open or get wrong:
//! see `outcome` for rules that contradict each other, for x86's `socketcall` and for the answer to calls newer than
//! the profile.
//!
//! Since Linux 5.11 the kernel runs each program once over all numbers when it is loaded and remembers which are
//! always allowed; those never reach the filter again. It understands loads, comparisons, jumps and AND only, so the
//! compiler uses nothing else, and the shorter the way to each answer, the faster the load.
//!
//! Nothing here sets `no_new_privs`: without it, loading needs CAP_SYS_ADMIN.

mod assembler;
mod check;
mod filter;
mod multiplex;
mod outcome;
mod profile;
mod source;
mod syscall;
mod tree;

pub use filter::{Filter, LIMIT, supports};
pub use profile::{Action, Arch, Argument, Condition, Flags, Listener, Operator, Profile, Rule};
pub use source::Source;
pub use syscall::Syscall;

use crate::error::{Error, Result};
use assembler::{Assembler, Field, Test};

/// The program for this machine. Fails, as a refusal, when it is longer than the kernel takes ([`LIMIT`]).
pub fn compile(profile: &Profile) -> Result<Filter> {
    compile_for(Arch::NATIVE, profile)
}

/// The program for a machine whose own architecture is `native`.
///
/// `native` is part of every filter, listed or not, as in libseccomp. Of the others only those count that such a
/// machine can run: the rest would be dead code.
pub fn compile_for(native: Arch, profile: &Profile) -> Result<Filter> {
    let mut assembler = Assembler::new();
    // A call of an architecture that the profile doesn't list: libseccomp's SCMP_FLTATR_ACT_BADARCH.
    let mut dispatch = assembler.answer(Action::KillThread);
    for (token, intervals) in outcome::sections(native, profile).iter().rev() {
        let numbers = tree::emit(&mut assembler, intervals, profile.default_action);
        let section = assembler.load(Field::Number, numbers);
        dispatch = assembler.branch(Test::Equal, *token, section, dispatch);
    }
    assembler.load(Field::Architecture, dispatch);
    let program = assembler.finish();
    if program.len() > LIMIT {
        return Err(Error::refused(format!(
            "linux.seccomp: the filter takes {} instructions, the kernel accepts {LIMIT}",
            program.len()
        )));
    }
    Ok(Filter { program, flags: profile.load_flags() })
}
