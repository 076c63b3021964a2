//! The verb `state`.
