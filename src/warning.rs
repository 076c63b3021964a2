//! Warnings: what an operator should know although nothing failed. Whoever prints them says so once, at the top of the
//! house; until then they are dropped. Knows no log format.

use std::sync::OnceLock;

static SINK: OnceLock<fn(&str)> = OnceLock::new();

/// Names the function that prints warnings; the first call wins.
pub fn print_with(sink: fn(&str)) {
    SINK.get_or_init(|| sink);
}

/// Tells the operator `message`, one line.
pub fn warn(message: impl AsRef<str>) {
    if let Some(sink) = SINK.get() {
        sink(message.as_ref());
    }
}
