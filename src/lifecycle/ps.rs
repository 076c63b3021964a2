//! The verb `ps`.
