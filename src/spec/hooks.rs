//! `hooks` (config.md, "POSIX-platform Hooks").

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::config::null_as_default;

/// The six lists of programs to run at points of the life cycle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// Deprecated: run right before `createRuntime`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub prestart: Vec<Hook>,
    /// In the runtime's namespaces, after the container's exist, before pivot_root.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub create_runtime: Vec<Hook>,
    /// In the container's namespaces, before pivot_root.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub create_container: Vec<Hook>,
    /// In the container, as part of `start`, before the user's program.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub start_container: Vec<Hook>,
    /// In the runtime's namespaces, after the user's program executes, before `start` returns.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub poststart: Vec<Hook>,
    /// In the runtime's namespaces, after `delete`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub poststop: Vec<Hook>,
}

/// One program.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// Absolute.
    #[serde(deserialize_with = "null_as_default")]
    pub path: PathBuf,
    /// As in execv(3): the first is the program's name.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub args: Vec<String>,
    /// The whole environment.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub env: Vec<String>,
    /// Seconds until it is killed; greater than zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}
