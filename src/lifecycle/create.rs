//! The verb `create`.
