//! The loopback interface, and network devices moved between namespaces.
