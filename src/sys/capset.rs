//! capget(2), capset(2): the three base sets in one call.
