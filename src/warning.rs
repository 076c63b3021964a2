//! Warnings: what an operator should know although nothing failed. Whoever prints them says so once, at the top of the
//! house; until then they are dropped. Knows no log format.

use std::sync::{Mutex, OnceLock, PoisonError};

static SINK: OnceLock<fn(&str)> = OnceLock::new();

/// Warnings of a process that can't print them itself.
static KEPT: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// Names the function that prints warnings; the first call wins.
pub fn print_with(sink: fn(&str)) {
    SINK.get_or_init(|| sink);
}

/// Tells the operator `message`, one line.
pub fn warn(message: impl AsRef<str>) {
    let message = message.as_ref();
    if let Some(kept) = KEPT.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        kept.push(message.to_owned());
    } else if let Some(sink) = SINK.get() {
        sink(message);
    }
}

/// Keeps warnings from here on: a process that has become the container's has no log any more, and its standard error
/// is the container's.
pub fn keep() {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
}

/// What was kept, for whoever can print it.
pub fn take_kept() -> Vec<String> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.as_mut().map(std::mem::take).unwrap_or_default()
}
