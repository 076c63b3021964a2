//! The session keyring (session-keyring(7)).
