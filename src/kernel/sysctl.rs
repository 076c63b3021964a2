//! Kernel parameters of the container's namespaces.
