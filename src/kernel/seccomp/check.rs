//! Comparing arguments. The kernel shows each as 64 bits, BPF compares 32 at a time: high half first, then low.

use super::assembler::{Assembler, Field, Label, Test};
use super::{Action, Argument, Condition, Operator};

/// One alternative: all conditions hold, then the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Check<'p> {
    pub(super) conditions: &'p [Condition],
    pub(super) action: Action,
}

/// How much of an argument an architecture's calls use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// 64 bits.
    Whole,
    /// The low 32 bits.
    Half,
}

/// The first check that holds decides; none, and it is the default.
pub(super) fn emit(
    assembler: &mut Assembler,
    checks: &[Check<'_>],
    width: Width,
    default: Action,
) -> Label {
    let mut otherwise = assembler.answer(default);
    let alike: Vec<_> = checks.chunk_by(|a, b| are_values_of_one_argument(a, b, width)).collect();
    for group in alike.into_iter().rev() {
        let action = assembler.answer(group[0].action);
        otherwise = match group {
            [only] => all(assembler, only.conditions, width, action, otherwise),
            several => one_of(assembler, several, width, action, otherwise),
        };
    }
    otherwise
}

/// Whether two checks differ only in the low half of the value that one argument must equal: then the argument is
/// loaded once for both.
fn are_values_of_one_argument(a: &Check<'_>, b: &Check<'_>, width: Width) -> bool {
    let ([x], [y]) = (a.conditions, b.conditions) else { return false };
    a.action == b.action
        && x.operator == Operator::Equal
        && y.operator == Operator::Equal
        && x.argument == y.argument
        && (width == Width::Half || high(x.value) == high(y.value))
}

fn one_of(
    assembler: &mut Assembler,
    checks: &[Check<'_>],
    width: Width,
    yes: Label,
    no: Label,
) -> Label {
    let first = checks[0].conditions[0];
    let values = checks.iter().flat_map(|check| check.conditions);
    let comparisons = values.rev().fold(no, |otherwise, condition| {
        assembler.branch(Test::Equal, low(condition.value), yes, otherwise)
    });
    let halves = Halves { argument: first.argument, width };
    halves.equal_high(assembler, high(first.value), u32::MAX, comparisons, no)
}

fn all(
    assembler: &mut Assembler,
    conditions: &[Condition],
    width: Width,
    yes: Label,
    no: Label,
) -> Label {
    conditions.iter().rev().fold(yes, |then, condition| one(assembler, *condition, width, then, no))
}

fn one(
    assembler: &mut Assembler,
    Condition { argument, operator, value }: Condition,
    width: Width,
    yes: Label,
    no: Label,
) -> Label {
    let halves = Halves { argument, width };
    match operator {
        Operator::Equal => halves.equal(assembler, value, u64::MAX, yes, no),
        Operator::NotEqual => halves.equal(assembler, value, u64::MAX, no, yes),
        Operator::MaskedEqual { mask } => halves.equal(assembler, value & mask, mask, yes, no),
        Operator::Greater => halves.ordered(assembler, Test::Greater, value, yes, no),
        Operator::LessOrEqual => halves.ordered(assembler, Test::Greater, value, no, yes),
        Operator::GreaterOrEqual => halves.ordered(assembler, Test::GreaterOrEqual, value, yes, no),
        Operator::Less => halves.ordered(assembler, Test::GreaterOrEqual, value, no, yes),
    }
}

/// An argument as the two words it is compared by.
struct Halves {
    argument: Argument,
    width: Width,
}

impl Halves {
    /// The bits of the mask equal `value`, which has none outside it.
    fn equal(
        &self,
        assembler: &mut Assembler,
        value: u64,
        mask: u64,
        yes: Label,
        no: Label,
    ) -> Label {
        let compare = assembler.branch(Test::Equal, low(value), yes, no);
        let compare = masked(assembler, low(mask), compare);
        self.equal_high(assembler, high(value), high(mask), compare, no)
    }

    /// Like `equal`, for the high half; `low` goes on with the low half in the accumulator.
    fn equal_high(
        &self,
        assembler: &mut Assembler,
        value: u32,
        mask: u32,
        low: Label,
        no: Label,
    ) -> Label {
        let low = assembler.load(Field::Low(self.argument), low);
        if self.width == Width::Half || mask == 0 {
            return low;
        }
        let compare = assembler.branch(Test::Equal, value, low, no);
        let compare = masked(assembler, mask, compare);
        assembler.load(Field::High(self.argument), compare)
    }

    /// The argument is greater than `value`, or greater or equal, as `test` says of the low half.
    fn ordered(
        &self,
        assembler: &mut Assembler,
        test: Test,
        value: u64,
        yes: Label,
        no: Label,
    ) -> Label {
        let low_half = assembler.branch(test, low(value), yes, no);
        let low_half = assembler.load(Field::Low(self.argument), low_half);
        if self.width == Width::Half {
            return low_half;
        }
        let not_greater = match high(value) {
            0 => low_half,
            value => assembler.branch(Test::Equal, value, low_half, no),
        };
        let compare = assembler.branch(Test::Greater, high(value), yes, not_greater);
        assembler.load(Field::High(self.argument), compare)
    }
}

fn masked(assembler: &mut Assembler, mask: u32, then: Label) -> Label {
    if mask == u32::MAX { then } else { assembler.mask(mask, then) }
}

fn high(value: u64) -> u32 {
    u32::try_from(value >> 32).expect("32 bits are left")
}

fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).expect("32 bits are left")
}
