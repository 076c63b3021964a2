//! The verb `state`.

use super::Global;
use super::container::{Container, Description};
use crate::error::Result;

/// Says where container `id` is in its life.
pub fn state(global: &Global, id: &str) -> Result<Description> {
    Container::load(global, id)?.describe()
}
