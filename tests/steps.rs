//! Every step between `create` and the first instruction of the container's program, seen from inside.

mod support;

#[path = "steps/annotations.rs"]
mod annotations;
#[path = "steps/arrival.rs"]
mod arrival;
#[path = "steps/binds.rs"]
mod binds;
#[path = "steps/descriptors.rs"]
mod descriptors;
#[path = "steps/devices.rs"]
mod devices;
#[path = "steps/file_systems.rs"]
mod file_systems;
#[path = "steps/gate.rs"]
mod gate;
#[path = "steps/hooks.rs"]
mod hooks;
#[path = "steps/mounts.rs"]
mod mounts;
#[path = "steps/namespaces.rs"]
mod namespaces;
#[path = "steps/no_cgroup.rs"]
mod no_cgroup;
#[path = "steps/notify.rs"]
mod notify;
#[path = "steps/process.rs"]
mod process;
#[path = "steps/streams.rs"]
mod streams;
#[path = "steps/terminals.rs"]
mod terminals;
