//! The verbs `pause` and `resume`.
