//! A container's status, from its record and its process. Knows no files.
