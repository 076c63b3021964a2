//! Where init waits for `start`, and how it is released.
