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
//!                                                  namespaces
//!  [user namespace: a deputy in init's mount
//!  namespace (deputy.rs) makes what init may not]
//!                        ------ Detached --------> root file system, first mounts
//!                                                  enters the network namespace, which has come from its maker (network.rs)
//!                                                  mounts that depend on it, the others, /dev
//!  OOM score; compile the system call filter
//!                        ------ Filter ----------> keeps it
//!  record the pid, cgroup limits, device filter
//!                        <----- RunHooks --------- [hooks]
//!  prestart, createRuntime hooks
//!                        ------ HooksRan --------> createContainer hooks
//!                                                  masks, pivot_root
//!                        <----- Terminal --------- [foreground with a terminal]
//!                        <----- Pipe ------------- [foreground, for each standard stream that is not handed over]
//!                        <----- SetLimits -------- [limits it may not set itself]
//!                        ------ LimitsSet ------->
//!                                                  everything else that can fail
//!                        <----- Listener --------- [filter that notifies]
//!                        <----- Ready ------------ can only execute now
//!  record
//!  [create]              ------ Committed -------> outlives its parent from here on,
//!                                                  waits at the gate (start_gate.rs), passes it
//!                        <----- Passed -----------
//!  [run]                 ------ Start ----------->
//!                                                  startContainer hooks, execve
//!                        <----- Failed -----------  or the end of the channel: it executes
//! ```
//!
//! Where nothing is left to be done between Ready and Start, Start is said as soon as the container is on record, and init
//! finds it when it gets there. At any point init may say Failed instead, and ends; a deputy's Failed becomes its own. When the channel ends before Committed
//! or Start, its parent is gone, and init ends too. A process that joins a running container (join.rs) uses the same
//! messages, but for the hooks.

mod arrival;
mod birth;
pub mod channel;
mod death;
mod deputy;
pub mod init;
pub mod join;
mod listener;
pub mod messages;
pub mod network;
pub mod newborn;
pub mod parent;
pub mod payload;
pub mod start_gate;

/// What callers know from runc for what fails between the clone and the gate.
const NOT_READY: &str = "error during container init";
