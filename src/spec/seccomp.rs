//! `linux.seccomp` (config-linux.md, "Seccomp").

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::config::null_as_default;

/// A system call profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Seccomp {
    /// `SCMP_ACT_*` for calls no rule names.
    #[serde(deserialize_with = "null_as_default")]
    pub default_action: String,
    /// The errno of a default `SCMP_ACT_ERRNO` or `SCMP_ACT_TRACE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// `SCMP_ARCH_*`; empty means the host's own.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub architectures: Vec<String>,
    /// `SECCOMP_FILTER_FLAG_*`; absent is not the same as empty (runc's default is then SPEC_ALLOW).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<String>>,
    /// A Unix socket that receives the listener of `SCMP_ACT_NOTIFY`.
    #[serde(skip_serializing_if = "path_is_empty", deserialize_with = "null_as_default")]
    pub listener_path: PathBuf,
    /// Opaque, sent along with the listener.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "null_as_default")]
    pub listener_metadata: String,
    /// The rules.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub syscalls: Vec<SyscallRule>,
}

/// One rule for several system calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyscallRule {
    /// Names of system calls; unknown ones are skipped.
    #[serde(deserialize_with = "null_as_default")]
    pub names: Vec<String>,
    /// `SCMP_ACT_*`.
    #[serde(deserialize_with = "null_as_default")]
    pub action: String,
    /// The errno of `SCMP_ACT_ERRNO` or `SCMP_ACT_TRACE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// All must hold (see runc's treatment of one argument named twice).
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_default")]
    pub args: Vec<SyscallArg>,
}

/// A comparison of one argument.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SyscallArg {
    /// 0 to 5.
    #[serde(deserialize_with = "null_as_default")]
    pub index: u32,
    /// What it is compared with; the mask of `SCMP_CMP_MASKED_EQ`.
    #[serde(deserialize_with = "null_as_default")]
    pub value: u64,
    /// The value of `SCMP_CMP_MASKED_EQ`.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_as_default")]
    pub value_two: u64,
    /// `SCMP_CMP_*`.
    #[serde(deserialize_with = "null_as_default")]
    pub op: String,
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

fn path_is_empty(path: &std::path::Path) -> bool {
    path.as_os_str().is_empty()
}
