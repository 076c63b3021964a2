//! Resource limits of setrlimit(2) and the OOM score, set from outside.
