//! bpf(2): loading and attaching a cgroup device program.
