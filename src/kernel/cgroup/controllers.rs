//! Handing controllers down the tree: a cgroup has those that the one above names in `cgroup.subtree_control`.

use std::path::Path;

use nix::errno::Errno;

use super::{Directory, Limits};
use crate::error::{Error, Result};

const SUBTREE_CONTROL: &str = "cgroup.subtree_control";

/// Controllers that can't work on single threads (cgroup-v2.rst, "Threads"): where one of them is handed down, no cgroup
/// below is threaded.
const DOMAIN_CONTROLLERS: [&str; 5] = ["memory", "io", "hugetlb", "rdma", "misc"];

/// What a cgroup hands to those directly below.
#[derive(Debug, Default)]
pub(super) struct HandedDown {
    controllers: Vec<String>,
    refused: Vec<(String, Error)>,
}

/// Makes `parent` and every cgroup above it, up to `mount`, hand down what there is of `wanted`; one write for each
/// level, and none where all is so already. A controller that can't be had is remembered, with the kernel's reason.
pub(super) fn hand_down(parent: &Path, mount: &Path, wanted: &[String]) -> Result<HandedDown> {
    let level = Directory::open(parent)?;
    let enabled = level.read(SUBTREE_CONTROL)?;
    let mut handed = HandedDown {
        controllers: enabled.split_whitespace().map(str::to_owned).collect(),
        refused: Vec::new(),
    };
    if wanted.iter().all(|controller| handed.has(controller)) {
        return Ok(handed);
    }
    let offered = match parent.parent() {
        Some(above) if parent != mount => hand_down(above, mount, wanted)?,
        _ => HandedDown { controllers: wanted.to_vec(), refused: Vec::new() },
    };
    let missing: Vec<String> = (wanted.iter())
        .filter(|controller| offered.has(controller) && !handed.has(controller))
        .cloned()
        .collect();
    handed.refused = offered.refused;
    handed.add(&level, missing);
    Ok(handed)
}

impl HandedDown {
    fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|handed| handed == controller)
    }

    /// Whether cgroups below are ordinary domains for certain.
    pub(super) fn has_domain_controller(&self) -> bool {
        DOMAIN_CONTROLLERS.iter().any(|controller| self.has(controller))
    }

    /// All at once; where the kernel refuses one it refuses all, and each is tried alone.
    fn add(&mut self, level: &Directory, missing: Vec<String>) {
        if missing.is_empty() {
            return;
        }
        let all: Vec<String> = missing.iter().map(|controller| format!("+{controller}")).collect();
        if level.write(SUBTREE_CONTROL, &all.join(" ")).is_ok() {
            self.controllers.extend(missing);
            return;
        }
        for controller in missing {
            match level.write(SUBTREE_CONTROL, &format!("+{controller}")) {
                Ok(()) => self.controllers.push(controller),
                Err(error) => self.refused.push((controller, error)),
            }
        }
    }

    /// Errs when the limits need a controller that was not to be had.
    pub(super) fn must_serve(mut self, limits: &Limits) -> Result<()> {
        let lacking = limits.controllers().into_iter().find(|(name, _)| !self.has(name));
        let Some((controller, field)) = lacking else {
            return Ok(());
        };
        let reason = self.refused.iter().position(|(refused, _)| refused == controller);
        let error = match reason {
            Some(position) => with_hint(self.refused.swap_remove(position).1),
            None => Error::new("it is not among the controllers of the cgroup above")
                .hint("whoever made that cgroup has to enable it there, in cgroup.subtree_control"),
        };
        let intent = format!("{field}: enable the {controller} controller");
        Err(error.context(intent))
    }
}

/// Whether the limits need a controller that can't work on single threads.
pub(super) fn need_a_domain(limits: &Limits) -> bool {
    limits.controllers().iter().any(|(controller, _)| DOMAIN_CONTROLLERS.contains(controller))
}

fn with_hint(error: Error) -> Error {
    match error.errno() {
        Some(Errno::EBUSY) => error.hint(
            "that cgroup has processes of its own, and such a cgroup can't hand controllers down: \
             move them into a cgroup below it, or name another in linux.cgroupsPath",
        ),
        Some(Errno::EACCES | Errno::EPERM | Errno::EROFS) => {
            error.hint("that cgroup is not delegated to this user: see Delegate= of systemd")
        }
        _ => error,
    }
}
