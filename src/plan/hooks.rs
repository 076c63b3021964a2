//! From `hooks` to programs to run, by point of the life cycle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::refuse;
use crate::error::{Error, Result};
use crate::hooks::{Hook, OutputFiles};
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
    /// Where their outputs go.
    pub outputs: OutputFiles,
}

impl Hooks {
    /// Whether init has to wait for hooks in the runtime's namespaces before it enters the root.
    pub fn run_outside_before_pivot(&self) -> bool {
        !self.prestart.is_empty() || !self.create_runtime.is_empty()
    }
}

/// Plans `hooks`, of a bundle with these annotations.
pub fn plan(
    hooks: Option<&spec::Hooks>,
    bundle: &Path,
    annotations: &BTreeMap<String, String>,
) -> Result<Hooks> {
    let Some(hooks) = hooks else { return Ok(Hooks::default()) };
    Ok(Hooks {
        prestart: point("prestart", &hooks.prestart)?,
        create_runtime: point("createRuntime", &hooks.create_runtime)?,
        create_container: point("createContainer", &hooks.create_container)?,
        start_container: point("startContainer", &hooks.start_container)?,
        poststart: point("poststart", &hooks.poststart)?,
        poststop: point("poststop", &hooks.poststop)?,
        outputs: OutputFiles {
            stdout: output_file("run.oci.hooks.stdout", bundle, annotations)?,
            stderr: output_file("run.oci.hooks.stderr", bundle, annotations)?,
        },
    })
}

/// crun's: a relative path starts at the bundle.
fn output_file(
    key: &str,
    bundle: &Path,
    annotations: &BTreeMap<String, String>,
) -> Result<Option<PathBuf>> {
    let Some(file) = annotations.get(key).filter(|file| !file.is_empty()) else { return Ok(None) };
    refuse::null_byte(&format!("annotations[{key:?}]"), file)?;
    Ok(Some(bundle.join(file)))
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
        let hooks = spec::Hooks { poststart: vec![hook], ..Default::default() };
        plan(Some(&hooks), Path::new("/bundle"), &BTreeMap::new())
    }

    #[test]
    fn a_hook_goes_to_its_point() {
        let hooks = planned("/bin/true", Some(3)).unwrap();
        assert_eq!(hooks.poststart[0].path, PathBuf::from("/bin/true"));
        assert_eq!(hooks.poststart[0].timeout, Some(Duration::from_secs(3)));
        assert!(hooks.prestart.is_empty() && !hooks.run_outside_before_pivot());
        assert_eq!(plan(None, Path::new("/bundle"), &BTreeMap::new()).unwrap(), Hooks::default());
    }

    #[test]
    fn outputs_go_to_files_below_the_bundle_or_elsewhere() {
        let annotations = |stdout: &str, stderr: &str| {
            let keys = ["run.oci.hooks.stdout", "run.oci.hooks.stderr"].map(str::to_owned);
            keys.into_iter().zip([stdout.to_owned(), stderr.to_owned()]).collect()
        };
        let hooks = spec::Hooks::default();
        let planned = |annotations| plan(Some(&hooks), Path::new("/bundle"), &annotations);
        let outputs = planned(annotations("/var/log/out", "err")).unwrap().outputs;
        assert_eq!(outputs.stdout, Some("/var/log/out".into()));
        assert_eq!(outputs.stderr, Some("/bundle/err".into()));
        assert_eq!(planned(annotations("", "")).unwrap().outputs, OutputFiles::default());
        let error = planned(annotations("a\0b", "")).unwrap_err().to_string();
        assert!(error.starts_with("annotations[\"run.oci.hooks.stdout\"]: "), "{error}");
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
