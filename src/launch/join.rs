//! Inside, for `exec`: joining a container that is there.
