//! A process on this host: alive or not, since when, waiting for it, signalling it.
