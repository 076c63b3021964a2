//! The no_new_privs bit.
