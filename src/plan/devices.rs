//! From `linux.devices` to device nodes.
