//! Warnings: what an operator should know although nothing failed. Whoever prints them says so once, at the top of the
//! house; until then they are dropped. Knows no log format.

use std::sync::{Mutex, OnceLock, PoisonError};

static SINK: OnceLock<fn(&str)> = OnceLock::new();

/// Warnings of a process that can't print them itself. Not each thread's: for what has to be dropped with a thread the
/// C library's heap is taken into use, at each start.
static KEPT: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// Names the function that prints warnings; the first call wins.
pub fn print_with(sink: fn(&str)) {
    SINK.get_or_init(|| sink);
}

/// Tells the operator `message`, one line.
pub fn warn(message: impl AsRef<str>) {
    let message = message.as_ref();
    let is_kept = with_kept(|kept| kept.as_mut().map(|kept| kept.push(message.to_owned())));
    if is_kept.is_none()
        && let Some(sink) = SINK.get()
    {
        sink(message);
    }
}

/// Keeps warnings from here on: a process that has become the container's has no log any more, and its standard error
/// is the container's.
pub fn keep() {
    with_kept(|kept| {
        kept.get_or_insert_default();
    });
}

/// What was kept, for whoever can print it.
pub fn take_kept() -> Vec<String> {
    with_kept(|kept| kept.as_mut().map(std::mem::take).unwrap_or_default())
}

fn with_kept<T>(act: impl FnOnce(&mut Option<Vec<String>>) -> T) -> T {
    act(&mut KEPT.lock().unwrap_or_else(PoisonError::into_inner))
}
