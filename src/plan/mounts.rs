//! From `mounts` to mount operations.
