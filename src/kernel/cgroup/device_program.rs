//! The instructions of a device filter, written by hand: bpf(2), and the kernel's bpf/standardization/instruction-set.rst
//! for the numbers. Knows one rule at a time, not their order.
//!
//! The kernel passes the address of a `struct bpf_cgroup_dev_ctx` in r1: three 32-bit words, the access in the high and
//! the kind of device in the low half of the first, then the major and the minor number. The program answers in r0:
//! 1 allows, 0 denies.

use super::device_rules::{Access, DeviceKind, DeviceRule, Verdict};
use crate::sys::bpf::Instruction;

/// A register of the machine.
#[derive(Clone, Copy)]
struct Register(u8);

const ANSWER: Register = Register(0);
const CONTEXT: Register = Register(1);
const KIND: Register = Register(2);
/// The accesses asked for that no rule has allowed yet.
const ACCESS: Register = Register(3);
const MAJOR: Register = Register(4);
const MINOR: Register = Register(5);
/// For one comparison.
const SCRATCH: Register = Register(6);

/// Reads the question into registers.
pub(super) fn prologue() -> Vec<Instruction> {
    vec![
        load_word(KIND, CONTEXT, 0),
        copy(ACCESS, KIND),
        and(KIND, 0xffff),
        shift_right(ACCESS, 16),
        load_word(MAJOR, CONTEXT, 4),
        load_word(MINOR, CONTEXT, 8),
    ]
}

/// Ends with an answer.
pub(super) fn verdict(verdict: Verdict) -> [Instruction; 2] {
    [set(ANSWER, i32::from(verdict == Verdict::Allow)), exit()]
}

/// One rule: does nothing for devices it doesn't name. An allowing rule strikes off what it allows and ends when nothing
/// is left; a denying rule ends when it denies any of what is left.
pub(super) fn block(
    rule: &DeviceRule,
    kind: DeviceKind,
    major: Option<u32>,
    minor: Option<u32>,
) -> Vec<Instruction> {
    let mut tests = vec![unless_equal(KIND, kind as u32)];
    tests.extend(major.map(|number| unless_equal(MAJOR, number)));
    tests.extend(minor.map(|number| unless_equal(MINOR, number)));
    let access = i32::from(rule.access.bits());
    match rule.verdict {
        _ if rule.access == Access::ALL => {}
        Verdict::Allow => tests.extend([and(ACCESS, !access), unless_equal(ACCESS, 0)]),
        Verdict::Deny => {
            tests.extend([copy(SCRATCH, ACCESS), and(SCRATCH, access), unless_other(SCRATCH, 0)]);
        }
    }
    tests.extend(verdict(rule.verdict));
    aim_jumps_past_the_end(&mut tests);
    tests
}

/// Within a block every jump leads to the next block.
fn aim_jumps_past_the_end(block: &mut [Instruction]) {
    let length = block.len();
    for (position, instruction) in block.iter_mut().enumerate() {
        if matches!(instruction.opcode, JUMP_UNLESS_EQUAL | JUMP_IF_EQUAL) {
            let distance = length - position - 1;
            instruction.offset = i16::try_from(distance).expect("a block has ten instructions");
        }
    }
}

// 32-bit operations: numbers of devices are unsigned words, and a 64-bit comparison would extend the sign of a constant.
const LOAD_WORD: u8 = 0x61;
const COPY: u8 = 0xbc;
const SET: u8 = 0xb4;
const AND: u8 = 0x54;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP_UNLESS_EQUAL: u8 = 0x56;
const JUMP_IF_EQUAL: u8 = 0x16;
const EXIT: u8 = 0x95;

fn load_word(to: Register, address: Register, offset: i16) -> Instruction {
    let registers = to.0 | address.0 << 4;
    Instruction { opcode: LOAD_WORD, registers, offset, immediate: 0 }
}

fn copy(to: Register, from: Register) -> Instruction {
    Instruction { opcode: COPY, registers: to.0 | from.0 << 4, offset: 0, immediate: 0 }
}

fn set(register: Register, value: i32) -> Instruction {
    with_constant(SET, register, value)
}

fn and(register: Register, mask: i32) -> Instruction {
    with_constant(AND, register, mask)
}

fn shift_right(register: Register, bits: i32) -> Instruction {
    with_constant(SHIFT_RIGHT, register, bits)
}

/// Leaves the block unless the register holds the number.
fn unless_equal(register: Register, number: u32) -> Instruction {
    with_constant(JUMP_UNLESS_EQUAL, register, number.cast_signed())
}

/// Leaves the block unless the register holds another number.
fn unless_other(register: Register, number: u32) -> Instruction {
    with_constant(JUMP_IF_EQUAL, register, number.cast_signed())
}

fn exit() -> Instruction {
    with_constant(EXIT, ANSWER, 0)
}

fn with_constant(opcode: u8, register: Register, immediate: i32) -> Instruction {
    Instruction { opcode, registers: register.0, offset: 0, immediate }
}
