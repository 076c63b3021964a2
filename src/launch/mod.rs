//! How a container process is born.
//!
//! One clone makes init: a copy of its parent, in the container's cgroup and in most of its namespaces. From then on
//! both work at the same time, and talk over one channel:
//!
//! ```text
//!  parent (parent.rs)                              init (init.rs)
//!  ------------------                              --------------
//!  clone3 ---------------------------------------> becomes the leader of a session
//!  [user namespace: write the id maps]
//!                        ------ IdsMapped -------> becomes root of it
//!  record the pid                                  namespaces, loopback, root file system, mounts, /dev
//!  OOM score, cgroup limits, device filter
//!  compile the system call filter
//!                        ------ Filter ----------> keeps it
//!                        <----- RunHooks --------- [hooks]
//!  prestart, createRuntime hooks
//!                        ------ HooksRan --------> createContainer hooks
//!                                                  masks, pivot_root
//!                        <----- Terminal --------- [foreground with a terminal]
//!                        <----- SetLimits -------- [limits it may not set itself]
//!                        ------ LimitsSet ------->
//!                                                  everything else that can fail
//!                        <----- Listener --------- [filter that notifies]
//!                        <----- Ready ------------ can only execute now
//!  record
//!                        ------ Committed -------> outlives its parent from here on
//!                                                  waits at the gate (start_gate.rs)
//!  [run]                 ------ Start -----------> passes it
//!                        <----- Passed -----------
//!                                                  startContainer hooks, execve
//!                        <----- Failed -----------  or the end of the channel: it executes
//! ```
//!
//! At any point init may say Failed instead, and ends. When the channel ends before Committed, its parent is gone, and
//! init ends too. A process that joins a running container (join.rs) uses the same messages, but for the hooks.

mod birth;
pub mod channel;
mod death;
pub mod init;
pub mod join;
mod listener;
pub mod messages;
pub mod newborn;
pub mod parent;
pub mod payload;
pub mod start_gate;
