//! The verb `features`.
