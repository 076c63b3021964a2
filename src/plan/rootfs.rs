//! From `root`, masked and read-only paths to the root file system's plan.
