//! The id maps of a user namespace (user_namespaces(7)).
