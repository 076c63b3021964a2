//! A balanced tree of comparisons over the intervals of one architecture.

use super::Action;
use super::assembler::{Assembler, Label, Test};
use super::check;
use super::outcome::{Interval, Outcome};

/// Writes the tree; it expects the number in the accumulator. The intervals are sorted and cover all numbers.
pub(super) fn emit(
    assembler: &mut Assembler,
    intervals: &[Interval<'_>],
    default: Action,
) -> Label {
    match intervals {
        [only] => leaf(assembler, &only.outcome, default),
        // One number between equals.
        [before, one, after] if before.outcome == after.outcome && after.first == one.first + 1 => {
            let others = leaf(assembler, &before.outcome, default);
            let equal = leaf(assembler, &one.outcome, default);
            assembler.branch(Test::Equal, one.first, equal, others)
        }
        _ => {
            let middle = intervals.len() / 2;
            let (below, above) = intervals.split_at(middle);
            let first_above = above[0].first;
            let above = emit(assembler, above, default);
            let below = emit(assembler, below, default);
            assembler.branch(Test::GreaterOrEqual, first_above, above, below)
        }
    }
}

fn leaf(assembler: &mut Assembler, outcome: &Outcome<'_>, default: Action) -> Label {
    match outcome {
        Outcome::Answer(action) => assembler.answer(*action),
        Outcome::Checks { checks, width } => check::emit(assembler, checks, *width, default),
    }
}
