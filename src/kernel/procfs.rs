//! A procfs known to be procfs.
