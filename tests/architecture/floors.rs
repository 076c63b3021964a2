//! The table: which module stands on which floor, and which edges inside a floor are meant.

/// A module imports only from floors below its own.
pub const FLOORS: &[(&str, u8)] = &[
    ("sys", 0),
    ("error", 0),
    ("warning", 0),
    ("kernel", 1),
    ("hooks", 1),
    ("spec", 2),
    ("host", 2),
    ("plan", 2),
    ("record", 3),
    ("launch", 3),
    ("lifecycle", 4),
    ("cli", 5),
    ("main", 5),
];

/// Directories whose files are nouns of their own: an edge between two of them needs a row in [`EDGES`].
pub const OF_NOUNS: &[&str] = &["kernel", "launch", "lifecycle"];

/// Edges inside a floor, each with why it is there. `*` stands for every file of the directory.
pub const EDGES: &[(&str, &str, &str)] = &[
    ("main", "cli", "main turns cli's result into an exit code"),
    ("plan", "spec", "a plan is made from what was asked"),
    ("plan", "host", "and from what this machine can do"),
    (
        "kernel::*",
        "kernel::procfs",
        "whatever is read or written in /proc goes through the verified one",
    ),
    ("kernel::*", "kernel::safe_path", "whatever is opened in the hostile tree is opened there"),
    ("kernel::mounts", "kernel::id_maps", "an idmapped mount takes its maps from a user namespace"),
    (
        "kernel::id_maps",
        "kernel::capabilities",
        "whoever lacks CAP_SETUID needs the helper programs",
    ),
    ("kernel::rootfs", "kernel::mounts", "the root is a mount"),
    (
        "kernel::masks",
        "kernel::mounts",
        "what is masked lies on mounts of ours, wherever they are moved",
    ),
    ("kernel::devices", "kernel::mounts", "the nodes lie on a mount of ours, wherever it is moved"),
    ("kernel::terminal", "kernel::mounts", "the devpts is a mount of ours, wherever it is moved"),
    ("launch::*", "launch::messages", "what the parent and init say to each other"),
    ("launch::*", "launch::channel", "over which socket"),
    ("launch::init", "launch::payload", "the last steps, the same for init and join"),
    ("launch::join", "launch::payload", "the last steps, the same for init and join"),
    ("launch::init", "launch::start_gate", "init waits at the gate"),
    ("launch::parent", "launch::start_gate", "the parent makes the gate"),
    ("launch::parent", "launch::init", "the parent gives birth to init"),
    ("launch::*", "launch::birth", "one clone makes both init and a process that joins"),
    ("launch::parent", "launch::network", "the parent makes the network namespace"),
    ("launch::init", "launch::network", "init enters it"),
    ("launch::parent", "launch::newborn", "what the clone made, from outside"),
    ("launch::join", "launch::newborn", "what the clone made, from outside"),
    ("launch::newborn", "launch::listener", "the listener of a filter is sent on"),
    ("launch::newborn", "launch::death", "how a process ended that said nothing"),
    ("launch::join", "launch::start_gate", "a process that joins passes the gate of its channel"),
    ("lifecycle::*", "lifecycle::container", "a verb finds its container"),
    ("lifecycle::*", "lifecycle::cgroup", "and its cgroup"),
    ("lifecycle::create", "lifecycle::socket_activation", "the sockets of a service manager"),
    ("lifecycle::*", "lifecycle::notify_socket", "a service manager waits for readiness"),
    ("lifecycle::*", "lifecycle::rdt", "the groups of resctrl"),
    ("lifecycle::*", "lifecycle::sockets", "the sockets that a caller gave"),
    ("lifecycle::*", "lifecycle::pid_file", "the pid file that a caller wants"),
    ("lifecycle::*", "lifecycle::hooks_outside", "the hooks of the runtime's namespace"),
    ("lifecycle::run", "lifecycle::foreground", "staying with a process until it ends"),
    ("lifecycle::exec", "lifecycle::foreground", "staying with a process until it ends"),
    ("lifecycle::run", "lifecycle::create", "run is create, start, wait, delete"),
    ("lifecycle::run", "lifecycle::start", "run is create, start, wait, delete"),
    ("lifecycle::run", "lifecycle::delete", "run is create, start, wait, delete"),
];
