//! Outside: the clone, what init can't do for itself, and waiting for Ready.
