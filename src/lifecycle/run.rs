//! The verb `run`.
