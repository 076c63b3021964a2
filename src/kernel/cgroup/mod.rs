//! A cgroup v2 directory: made, limited, watched, emptied, removed.
