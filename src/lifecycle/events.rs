//! The verb `events`.
