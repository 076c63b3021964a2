//! The verb `start`.

use super::Global;
use crate::error::{Error, Result};

/// Releases the container's process; returns once the user's program executes.
pub fn start(_global: &Global, _id: &str) -> Result<()> {
    Err(Error::new("start is being built"))
}
