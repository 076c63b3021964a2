//! Facts about this machine, probed once: the cgroup v2 mount, privileges, kernel features. Knows nothing of the container.
