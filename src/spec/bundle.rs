//! Reading a bundle: `config.json`, a process document, a resources document.

use std::fs;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use serde::de::DeserializeOwned;

use super::Spec;
use super::objects::ObjectsOnly;
use crate::error::{Call, Context, Error, Result};

/// A directory with a `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// Absolute.
    pub path: PathBuf,
    /// Its configuration.
    pub spec: Spec,
}

impl Bundle {
    /// Reads the bundle at `path`, and makes it the current directory: as with runc, what is relative starts there from
    /// then on, and hooks run there.
    pub fn enter(path: &Path) -> Result<Self> {
        nix::unistd::chdir(path).call(|| format!("chdir({path:?})")).context("bundle")?;
        Self::read(nix::unistd::getcwd().call(|| "getcwd()").context("bundle")?)
    }

    /// Reads the bundle at `path`, absolute.
    pub fn read(path: PathBuf) -> Result<Self> {
        let spec = read(&path.join("config.json")).map_err(|error| {
            let error =
                error.hint("a bundle is a directory with a config.json; name it with --bundle");
            match error.errno() {
                Some(Errno::ENOENT) => {
                    error.context("JSON specification file config.json not found")
                }
                _ => error,
            }
        })?;
        Ok(Bundle { path, spec })
    }
}

/// Reads one JSON document; an error names the field's path, line and column.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).call(|| format!("open({path:?})"))?;
    parse(&text).with_context(|| path.display().to_string())
}

/// Parses one JSON document; an error names the field's path, line and column.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    // The path of the field costs time to track: only a document that failed is read a second time.
    read_whole(text).map_err(|first| {
        let mut reader = serde_json::Deserializer::from_slice(text);
        match serde_path_to_error::deserialize::<_, T>(ObjectsOnly(&mut reader)) {
            Err(error) if !matches!(&*error.path().to_string(), "." | "?") => {
                Error::refused(format!("{}: {}", error.path(), error.inner()))
            }
            _ => Error::refused(format!("not a valid JSON document: {first}")),
        }
    })
}

fn read_whole<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = T::deserialize(ObjectsOnly(&mut reader))?;
    reader.end().map(|()| value)
}
