//! The root file system: prepared, pivoted into, sealed.
