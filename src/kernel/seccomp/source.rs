//! Where a container's filter comes from.

use super::{Filter, Listener, Profile, compile};
use crate::error::{Context, Result};

/// Where a container's filter comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is compiled.
    Profile(Profile),
    /// Somebody has done so already.
    Program(Filter),
}

impl Source {
    /// The filter.
    pub fn filter(&self) -> Result<Filter> {
        match self {
            Source::Profile(profile) => compile(profile).context("linux.seccomp"),
            Source::Program(filter) => Ok(filter.clone()),
        }
    }

    /// Who answers for it.
    pub fn listener(&self) -> Option<&Listener> {
        match self {
            Source::Profile(profile) => profile.listener.as_ref(),
            Source::Program(_) => None,
        }
    }
}
