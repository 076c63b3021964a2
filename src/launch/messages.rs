//! What parent and init say to each other, and in which order they may.
