//! Opening and making paths inside a hostile tree.
