//! The verb `start`.
