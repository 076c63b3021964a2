//! Puts a classic BPF program together from its end to its start, so that every jump knows its distance when it is
//! written. Knows instructions and how far they reach, not what they are for.

use seccompiler::sock_filter;

use super::{Action, Argument};

/// How far a comparison jumps at most: 255 instructions, less the one that may come between when its other target
/// must be brought near.
const REACH: usize = 254;

/// An instruction that has been written, as a target. Counted from the program's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A word of the kernel's `struct seccomp_data`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    /// The system call's number.
    Number,
    /// An `AUDIT_ARCH_*` value.
    Architecture,
    /// The low 32 bits of an argument.
    Low(Argument),
    /// The high 32 bits of an argument.
    High(Argument),
}

impl Field {
    fn offset(self) -> u32 {
        let argument = |argument: Argument| 16 + 8 * u32::from(argument);
        let (low, high) = if cfg!(target_endian = "little") { (0, 4) } else { (4, 0) };
        match self {
            Self::Number => 0,
            Self::Architecture => 4,
            Self::Low(index) => argument(index) + low,
            Self::High(index) => argument(index) + high,
        }
    }
}

/// A comparison of the accumulator with a constant, unsigned.
#[derive(Debug, Clone, Copy)]
pub(super) enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
}

/// A program in the making.
pub(super) struct Assembler {
    /// The last instruction first.
    reversed: Vec<sock_filter>,
    /// For each answer the place nearest to the start where it is given.
    answers: Vec<(u32, Label)>,
}

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA

impl Test {
    fn code(self) -> u16 {
        match self {
            Self::Equal => 0x15,          // BPF_JMP | BPF_JEQ | BPF_K
            Self::Greater => 0x25,        // BPF_JMP | BPF_JGT | BPF_K
            Self::GreaterOrEqual => 0x35, // BPF_JMP | BPF_JGE | BPF_K
        }
    }
}

impl Assembler {
    pub(super) fn new() -> Self {
        Self { reversed: Vec::with_capacity(1024), answers: Vec::with_capacity(8) }
    }

    /// The end of the program: all that was written, the first instruction first.
    pub(super) fn finish(mut self) -> Vec<sock_filter> {
        self.reversed.reverse();
        self.reversed
    }

    /// The program ends with `action`.
    pub(super) fn answer(&mut self, action: Action) -> Label {
        let code = action.code();
        match self.answers.iter().find(|(known, _)| *known == code) {
            Some(&(_, label)) => label,
            None => self.give(code),
        }
    }

    /// Loads a field, then goes on at `then`.
    pub(super) fn load(&mut self, field: Field, then: Label) -> Label {
        self.go_on_at(then);
        self.write(LOAD, field.offset(), 0, 0)
    }

    /// Keeps the bits of `mask`, then goes on at `then`.
    pub(super) fn mask(&mut self, mask: u32, then: Label) -> Label {
        self.go_on_at(then);
        self.write(AND, mask, 0, 0)
    }

    /// Goes on at `yes` or `no`.
    pub(super) fn branch(&mut self, test: Test, value: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        let yes = self.bring_near(yes);
        let no = self.bring_near(no);
        let (jt, jf) = (self.distance(yes), self.distance(no));
        self.write(test.code(), value, short(jt), short(jf))
    }

    /// How many instructions lie between `label` and the one that would be written next.
    fn distance(&self, label: Label) -> usize {
        self.reversed.len() - 1 - label.0
    }

    /// The same target within reach of a comparison: itself, or a step to it.
    fn bring_near(&mut self, label: Label) -> Label {
        if self.distance(label) <= REACH { label } else { self.step_to(label) }
    }

    fn go_on_at(&mut self, label: Label) {
        if self.distance(label) > 0 {
            self.step_to(label);
        }
    }

    /// One instruction that does what `label` does: its answer again, or a jump.
    fn step_to(&mut self, label: Label) -> Label {
        let target = &self.reversed[label.0];
        if target.code == RETURN {
            return self.give(target.k);
        }
        let distance = u32::try_from(self.distance(label)).expect("a program is shorter than 2^32");
        self.write(JUMP, distance, 0, 0)
    }

    fn give(&mut self, code: u32) -> Label {
        let label = self.write(RETURN, code, 0, 0);
        match self.answers.iter_mut().find(|(known, _)| *known == code) {
            Some(answer) => answer.1 = label,
            None => self.answers.push((code, label)),
        }
        label
    }

    fn write(&mut self, code: u16, k: u32, jt: u8, jf: u8) -> Label {
        self.reversed.push(sock_filter { code, jt, jf, k });
        Label(self.reversed.len() - 1)
    }
}

fn short(distance: usize) -> u8 {
    u8::try_from(distance).expect("both targets were brought near")
}
