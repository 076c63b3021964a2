//! execve(2) and execveat(2) on prepared strings, and the auxiliary vector.
