//! The instructions of a device filter, written by hand: bpf(2), and the kernel's bpf/standardization/instruction-set.rst
//! for the numbers. Knows rules that are alike, not the order of others.
//!
//! The kernel passes the address of a `struct bpf_cgroup_dev_ctx` in r1: three 32-bit words, the access in the high and
//! the kind of device in the low half of the first, then the major and the minor number. The program answers in r0:
//! 1 allows, 0 denies.

use super::device_rules::{Access, DeviceRule, Devices, Verdict};
use crate::sys::bpf::Instruction;

/// A register of the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
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
/// The device's number as the kernel keeps it: the major number above, the minor one in the lower twenty bits.
const NUMBER: Register = Register(7);
const MINOR_BITS: u32 = 20;
const MAJOR_BITS: u32 = 12;

/// Rules that are alike in one group; more are several groups: jumps reach 32767 instructions far.
const GROUP: usize = 1000;

/// Reads the question into registers.
pub(super) fn prologue() -> Vec<Instruction> {
    vec![
        load_word(KIND, CONTEXT, 0),
        copy(ACCESS, KIND),
        and(KIND, 0xffff),
        shift_right(ACCESS, 16),
        load_word(MAJOR, CONTEXT, 4),
        load_word(MINOR, CONTEXT, 8),
        copy(NUMBER, MAJOR),
        shift_left(NUMBER, MINOR_BITS),
        or(NUMBER, MINOR),
    ]
}

/// Ends with an answer.
pub(super) fn verdict(verdict: Verdict) -> [Instruction; 2] {
    [set(ANSWER, i32::from(verdict == Verdict::Allow)), exit()]
}

/// Rules that are alike, or a single one; does nothing for devices they don't name.
pub(super) fn group(rules: &[DeviceRule]) -> Vec<Instruction> {
    match rules {
        [rule] => block(rule),
        _ => rules.chunks(GROUP).flat_map(several).collect(),
    }
}

/// What tells a device of the right kind from others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Test {
    /// The register holds the number.
    Equal(Register, u32),
    /// It is one.
    Always,
    /// There is no such device.
    Never,
}

fn test(major: Option<u32>, minor: Option<u32>) -> Test {
    match (major, minor) {
        (Some(major), _) if major >> MAJOR_BITS != 0 => Test::Never,
        (_, Some(minor)) if minor >> MINOR_BITS != 0 => Test::Never,
        (Some(major), Some(minor)) => Test::Equal(NUMBER, major << MINOR_BITS | minor),
        (Some(major), None) => Test::Equal(MAJOR, major),
        (None, Some(minor)) => Test::Equal(MINOR, minor),
        (None, None) => Test::Always,
    }
}

/// Rules of one verdict over all accesses to devices of one kind: a jump for each to the one answer at the end.
fn several(rules: &[DeviceRule]) -> Vec<Instruction> {
    let (Some(first), mut tests) = (rules.first(), Vec::new()) else { return Vec::new() };
    for rule in rules {
        let Devices::Named { major, minor, .. } = rule.devices else { continue };
        match test(major, minor) {
            Test::Equal(register, number) => tests.push((register, number)),
            // As good as that rule alone.
            Test::Always => return block(rule),
            Test::Never => {}
        }
    }
    let mut group = Vec::with_capacity(tests.len() + 4);
    let answer = verdict(first.verdict);
    for (position, (register, number)) in tests.iter().enumerate() {
        // Over the tests that are left and the jump past the answer.
        group.push(if_equal(*register, *number, tests.len() - position));
    }
    group.push(jump(answer.len()));
    group.extend(answer);
    let Devices::Named { kind, .. } = first.devices else { return Vec::new() };
    group.insert(0, unless_equal(KIND, kind as u32, group.len()));
    group
}

/// One rule. An allowing one strikes off what it allows and ends when nothing is left; a denying one ends when it denies
/// any of what is left.
fn block(rule: &DeviceRule) -> Vec<Instruction> {
    let Devices::Named { kind, major, minor } = rule.devices else { return Vec::new() };
    let access = i32::from(rule.access.bits());
    let mut block = verdict(rule.verdict).to_vec();
    let mut before = |instruction: &dyn Fn(usize) -> Instruction| {
        let past_the_end = block.len();
        block.insert(0, instruction(past_the_end));
    };
    match rule.verdict {
        _ if rule.access == Access::ALL => {}
        Verdict::Allow => {
            before(&|end| unless_equal(ACCESS, 0, end));
            before(&|_| and(ACCESS, !access));
        }
        Verdict::Deny => {
            before(&|end| if_equal(SCRATCH, 0, end));
            before(&|_| and(SCRATCH, access));
            before(&|_| copy(SCRATCH, ACCESS));
        }
    }
    match test(major, minor) {
        Test::Equal(register, number) => before(&|end| unless_equal(register, number, end)),
        Test::Always => {}
        Test::Never => return Vec::new(),
    }
    before(&|end| unless_equal(KIND, kind as u32, end));
    block
}

// 32-bit operations: numbers of devices are unsigned words, and a 64-bit comparison would extend the sign of a constant.
const LOAD_WORD: u8 = 0x61;
const COPY: u8 = 0xbc;
const SET: u8 = 0xb4;
const AND: u8 = 0x54;
const OR: u8 = 0x4c;
const SHIFT_LEFT: u8 = 0x64;
const SHIFT_RIGHT: u8 = 0x74;
const JUMP: u8 = 0x05;
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

fn or(to: Register, from: Register) -> Instruction {
    Instruction { opcode: OR, registers: to.0 | from.0 << 4, offset: 0, immediate: 0 }
}

fn shift_left(register: Register, bits: u32) -> Instruction {
    with_constant(SHIFT_LEFT, register, bits.cast_signed())
}

fn shift_right(register: Register, bits: i32) -> Instruction {
    with_constant(SHIFT_RIGHT, register, bits)
}

/// Skips `count` instructions unless the register holds the number.
fn unless_equal(register: Register, number: u32, over: usize) -> Instruction {
    jump_over(over, with_constant(JUMP_UNLESS_EQUAL, register, number.cast_signed()))
}

/// Skips `count` instructions if the register holds the number.
fn if_equal(register: Register, number: u32, over: usize) -> Instruction {
    jump_over(over, with_constant(JUMP_IF_EQUAL, register, number.cast_signed()))
}

fn jump(over: usize) -> Instruction {
    jump_over(over, with_constant(JUMP, Register(0), 0))
}

fn jump_over(count: usize, jump: Instruction) -> Instruction {
    Instruction { offset: i16::try_from(count).expect("a group is short"), ..jump }
}

fn exit() -> Instruction {
    with_constant(EXIT, ANSWER, 0)
}

fn with_constant(opcode: u8, register: Register, immediate: i32) -> Instruction {
    Instruction { opcode, registers: register.0, offset: 0, immediate }
}
