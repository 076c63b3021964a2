//! Runs one program: bytes on stdin, environment, deadline, captured output. Knows not which hook it is.
