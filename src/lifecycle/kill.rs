//! The verb `kill`.
