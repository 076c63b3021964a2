//! The state directory: reserved ids, locks, atomic replacement. Knows no plan and no process.
