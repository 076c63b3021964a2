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

/// Edges inside a floor, each with why it is there.
pub const EDGES: &[(&str, &str, &str)] = &[
    ("main", "cli", "main turns cli's result into an exit code"),
    ("plan", "spec", "a plan is made from what was asked"),
    ("plan", "host", "and from what this machine can do"),
    ("lifecycle::run", "lifecycle::create", "run is create, start, wait, delete"),
    ("lifecycle::run", "lifecycle::start", "run is create, start, wait, delete"),
    ("lifecycle::run", "lifecycle::delete", "run is create, start, wait, delete"),
    ("launch::parent", "launch::messages", "what the parent and init say to each other"),
    ("launch::parent", "launch::channel", "over which socket"),
    ("launch::parent", "launch::start_gate", "the parent makes the gate"),
    ("launch::init", "launch::messages", "what the parent and init say to each other"),
    ("launch::init", "launch::channel", "over which socket"),
    ("launch::init", "launch::start_gate", "init waits at the gate"),
    ("launch::join", "launch::messages", "what the parent and init say to each other"),
    ("launch::join", "launch::channel", "over which socket"),
    ("launch::join", "launch::start_gate", "the end of the gate tells that exec happened"),
    ("launch::channel", "launch::messages", "a channel carries messages"),
];
