//! From `hooks` to the programs of each point of the life cycle.
