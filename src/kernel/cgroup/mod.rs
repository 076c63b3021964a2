//! Control groups, version 2 (cgroups(7), the kernel's cgroup-v2.rst): one directory for one container. Knows no
//! config.json; a limit is a file and a text here.
//!
//! [`Path`] says where, [`cgroupfs`] or [`systemd`] makes it, [`Directory`] is the handle everything else works on: [`limits`],
//! [`devices`], [`freezer`], [`processes`], [`statistics`].

pub mod cgroupfs;
mod controllers;
mod delegated;
mod device_program;
pub mod device_rules;
pub mod devices;
mod directory;
mod events;
pub mod freezer;
mod home;
pub mod limits;
mod path;
pub mod processes;
pub mod removal;
pub mod statistics;
pub mod systemd;
mod tree;

pub use cgroupfs::NewCgroup;
pub use delegated::move_below;
pub use devices::DeviceFilter;
pub use directory::Directory;
pub use events::{EventsFile, wait_for_change};
pub use home::Home;
pub use limits::Limits;
pub use path::Path;
