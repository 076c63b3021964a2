//! Scheduler, I/O priority, memory policy, personality, CPU affinity.
