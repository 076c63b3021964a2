//! Flags in; text, JSON and exit code out. Knows runc's flags and output formats, no `config.json`, no system call.
