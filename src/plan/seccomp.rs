//! From `linux.seccomp` to a filter's profile.
