//! The verb `update`.
