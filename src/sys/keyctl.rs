//! keyctl(2): the session keyring.
