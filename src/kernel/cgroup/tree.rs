//! A walk through a cgroup and all below it. The container may have made them: as deep as it likes, under any name.

use std::ffi::{CStr, CString};

use super::Directory;
use crate::error::Result;

/// Where the walk is.
pub(super) enum Step<'a> {
    /// In a cgroup; those below it come later.
    Entered(&'a Directory),
    /// Back in the cgroup `above`, done with all of its child `name`.
    Left {
        /// The cgroup above.
        above: &'a Directory,
        /// The child.
        name: &'a CStr,
    },
}

/// Walks through `top` and every cgroup below it, depth first. What vanishes meanwhile is passed over.
///
/// By names and `..`, not by paths, which end at 4096 bytes; with one descriptor, however deep it goes, and a list instead
/// of recursion.
pub(super) fn walk(top: &Directory, visit: &mut dyn FnMut(Step<'_>) -> Result<()>) -> Result<()> {
    visit(Step::Entered(top))?;
    // The cgroup we are in, where it is not `top`; the names that lead there; and what is still to be seen on each level.
    let mut here: Option<Directory> = None;
    let mut names: Vec<CString> = Vec::new();
    let mut ahead = vec![top.children()?];
    while let Some(level) = ahead.last_mut() {
        if let Some(name) = level.pop() {
            let Some(child) = here.as_ref().unwrap_or(top).open_child(&name)? else { continue };
            visit(Step::Entered(&child))?;
            ahead.push(child.children()?);
            names.push(name);
            here = Some(child);
            continue;
        }
        ahead.pop();
        let (Some(name), Some(left)) = (names.pop(), here.take()) else { break };
        if !names.is_empty() {
            here = Some(left.open_parent()?);
        }
        visit(Step::Left { above: here.as_ref().unwrap_or(top), name: &name })?;
    }
    Ok(())
}
