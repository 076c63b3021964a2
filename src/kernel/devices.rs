//! Device nodes and the links of /dev.
