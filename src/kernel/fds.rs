//! Which descriptors survive into the container.
