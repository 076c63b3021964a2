//! The verb `delete`.

use super::Global;
use crate::error::{Error, Result};

/// What may be deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Force {
    /// Only what is stopped, or created and never started.
    #[default]
    No,
    /// Anything; and what is not there is no error (`--force`).
    Yes,
}

/// Removes a container: its process, its cgroup, its record.
pub fn delete(_global: &Global, _id: &str, _force: Force) -> Result<()> {
    Err(Error::new("delete is being built"))
}
