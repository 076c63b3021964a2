//! The five capability sets of capabilities(7).
