//! The verb `list`.

use std::fs;

use super::Global;
use super::container::{Container, Description};
use crate::error::{Error, Result};
use crate::kernel::accounts;
use crate::record::store::Store;

/// All containers under a root.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Those that could be read, by id.
    pub containers: Vec<Description>,
    /// Ids of those that could not, and why.
    pub broken: Vec<(String, Error)>,
}

/// Lists the containers under the root, which must be there.
pub fn list(global: &Global) -> Result<Listing> {
    let mut listing = Listing::default();
    // Without the file every owner is shown by number.
    let passwd = fs::read("/etc/passwd").unwrap_or_default();
    for id in Store::new(&global.root).ids()? {
        match describe(global, &id, &passwd) {
            Ok(description) => listing.containers.push(description),
            Err(error) => listing.broken.push((id, error)),
        }
    }
    Ok(listing)
}

fn describe(global: &Global, id: &str, passwd: &[u8]) -> Result<Description> {
    let container = Container::load(global, id)?;
    let uid = container.record.owner;
    let owner = accounts::name_of(uid, passwd).map_or_else(|| format!("#{uid}"), str::to_owned);
    Ok(Description { owner, ..container.describe()? })
}
