//! The verb `spec`.
