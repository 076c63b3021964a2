//! From `linux.sysctl` to kernel parameters, none of them the host's.
