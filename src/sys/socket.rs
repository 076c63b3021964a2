//! Unix sockets that pass descriptors (SCM_RIGHTS), and paths longer than sun_path.
