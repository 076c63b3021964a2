//! clone3(2) with fork semantics.
