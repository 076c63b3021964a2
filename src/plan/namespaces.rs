//! From `linux.namespaces` to namespaces to create and to join.
