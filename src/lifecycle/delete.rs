//! The verb `delete`.
