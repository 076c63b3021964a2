//! From `hooks` to programs to run, by point of the life cycle.

use std::time::Duration;

use super::refuse;
use crate::error::{Error, Result};
use crate::hooks::Hook;
use crate::spec;

/// Programs to run, by point of the life cycle, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    /// Right before `create_runtime`.
    pub prestart: Vec<Hook>,
    /// Outside, once the namespaces are made.
    pub create_runtime: Vec<Hook>,
    /// Inside, before the root is entered.
    pub create_container: Vec<Hook>,
    /// Inside, before the user's program.
    pub start_container: Vec<Hook>,
    /// Outside, after the user's program executes.
    pub poststart: Vec<Hook>,
    /// Outside, after `delete`.
    pub poststop: Vec<Hook>,
}

impl Hooks {
    /// Whether init has to wait for hooks in the runtime's namespaces before it enters the root.
    pub fn run_outside_before_pivot(&self) -> bool {
        !self.prestart.is_empty() || !self.create_runtime.is_empty()
    }
}

/// Plans `hooks`.
pub fn plan(hooks: Option<&spec::Hooks>) -> Result<Hooks> {
    let Some(hooks) = hooks else { return Ok(Hooks::default()) };
    Ok(Hooks {
        prestart: point("prestart", &hooks.prestart)?,
        create_runtime: point("createRuntime", &hooks.create_runtime)?,
        create_container: point("createContainer", &hooks.create_container)?,
        start_container: point("startContainer", &hooks.start_container)?,
        poststart: point("poststart", &hooks.poststart)?,
        poststop: point("poststop", &hooks.poststop)?,
    })
}

fn point(name: &str, hooks: &[spec::Hook]) -> Result<Vec<Hook>> {
    hooks
        .iter()
        .enumerate()
        .map(|(index, hook)| one(&format!("hooks.{name}[{index}]"), hook))
        .collect()
}

fn one(field: &str, hook: &spec::Hook) -> Result<Hook> {
    if !hook.path.is_absolute() {
        return Err(Error::refused(format!("{field}.path: {:?} is not absolute", hook.path)));
    }
    refuse::null_byte(&format!("{field}.path"), &hook.path)?;
    for (list, texts) in [("args", &hook.args), ("env", &hook.env)] {
        for (index, text) in texts.iter().enumerate() {
            refuse::null_byte(&format!("{field}.{list}[{index}]"), text)?;
        }
    }
    Ok(Hook {
        path: hook.path.clone(),
        args: hook.args.clone(),
        env: hook.env.clone(),
        timeout: hook.timeout.map(|seconds| timeout(field, seconds)).transpose()?,
    })
}

fn timeout(field: &str, seconds: i64) -> Result<Duration> {
    match u64::try_from(seconds) {
        Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        _ => Err(Error::refused(format!("{field}.timeout: {seconds} is not greater than zero"))),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn planned(path: &str, timeout: Option<i64>) -> Result<Hooks> {
        let hook = spec::Hook { path: path.into(), timeout, ..Default::default() };
        plan(Some(&spec::Hooks { poststart: vec![hook], ..Default::default() }))
    }

    #[test]
    fn a_hook_goes_to_its_point() {
        let hooks = planned("/bin/true", Some(3)).unwrap();
        assert_eq!(hooks.poststart[0].path, PathBuf::from("/bin/true"));
        assert_eq!(hooks.poststart[0].timeout, Some(Duration::from_secs(3)));
        assert!(hooks.prestart.is_empty() && !hooks.run_outside_before_pivot());
        assert_eq!(plan(None).unwrap(), Hooks::default());
    }

    #[test]
    fn refusals_name_the_field() {
        let path = planned("bin/true", None).unwrap_err().to_string();
        assert_eq!(path, "hooks.poststart[0].path: \"bin/true\" is not absolute");
        for seconds in [0, -1] {
            let error = planned("/bin/true", Some(seconds)).unwrap_err().to_string();
            assert!(error.starts_with("hooks.poststart[0].timeout: "), "{error}");
        }
    }
}
