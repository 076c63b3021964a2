//! From `linux.resources` to the files of a cgroup and a device program.
