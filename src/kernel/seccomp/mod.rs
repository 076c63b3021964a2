//! The system call filter: from a profile to a program the kernel loads.
