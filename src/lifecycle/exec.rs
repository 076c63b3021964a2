//! The verb `exec`.
