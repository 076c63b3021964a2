//! The verb `list`.
