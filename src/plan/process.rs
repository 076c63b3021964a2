//! From `process` to what init becomes.
