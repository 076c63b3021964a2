//! close_range(2).
