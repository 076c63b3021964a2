//! Creating and joining the eight namespaces.
