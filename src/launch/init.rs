//! Inside: the ordered steps to Ready, then to execve.
