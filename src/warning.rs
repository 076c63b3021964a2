//! Warnings: what an operator should know although nothing failed. Whoever prints them says so once, at the top of the
//! house; until then they are dropped. Knows no log format.

use std::cell::RefCell;
use std::sync::OnceLock;

static SINK: OnceLock<fn(&str)> = OnceLock::new();

thread_local! {
    /// Warnings of a process that can't print them itself.
    static KEPT: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Names the function that prints warnings; the first call wins.
pub fn print_with(sink: fn(&str)) {
    SINK.get_or_init(|| sink);
}

/// Tells the operator `message`, one line.
pub fn warn(message: impl AsRef<str>) {
    let message = message.as_ref();
    KEPT.with_borrow_mut(|kept| match kept {
        Some(kept) => kept.push(message.to_owned()),
        None => {
            if let Some(sink) = SINK.get() {
                sink(message);
            }
        }
    });
}

/// Keeps warnings from here on: a process that has become the container's has no log any more, and its standard error
/// is the container's.
pub fn keep() {
    KEPT.with_borrow_mut(|kept| {
        kept.get_or_insert_default();
    });
}

/// What was kept, for whoever can print it.
pub fn take_kept() -> Vec<String> {
    KEPT.with_borrow_mut(|kept| kept.as_mut().map(std::mem::take).unwrap_or_default())
}
