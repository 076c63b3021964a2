//! prctl(2) operations: dumpable, subreaper, keepcaps, ambient and bounding sets, no_new_privs, name.
