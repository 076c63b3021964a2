//! An attack of our own for every entry of `docs/security.md` that can be shown on one machine.
//!
//! The image, the volumes and the processes of the container are hostile; the host must come out unchanged.

mod support;

#[path = "attacks/binary.rs"]
mod binary;
#[path = "attacks/entering.rs"]
mod entering;
#[path = "attacks/image.rs"]
mod image;
#[path = "attacks/inside.rs"]
mod inside;
#[path = "attacks/locked_mounts.rs"]
mod locked_mounts;
