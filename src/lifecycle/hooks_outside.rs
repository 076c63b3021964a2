//! Hooks that run in the runtime's own namespaces once the container is there: poststart and poststop.

use std::os::fd::AsFd;

use nix::sys::signal::Signal;

use crate::error::{Error, Result};
use crate::hooks;
use crate::kernel::signals::Signals;
use crate::plan;
use crate::record::Record;
use crate::spec;
use crate::spec::state::{State, Status};
use crate::warning::warn;

/// After the user's program executes. One that fails, or is interrupted, ends the container (runtime.md, "Lifecycle",
/// step 9).
pub(super) fn run_poststart(record: &Record, signals: Option<&Signals>) -> Result<()> {
    let Some(hooks) = &record.config.hooks else { return Ok(()) };
    if hooks.poststart.is_empty() {
        return Ok(());
    }
    let result = plan(record, hooks).and_then(|hooks| {
        let reason = || signals.map_or(Ok(()), Signals::check_interrupted);
        let interrupt =
            signals.map(|signals| hooks::Interrupt { news: signals.as_fd(), reason: &reason });
        let state = state(record, Status::Running)?;
        let outputs = Some(&hooks.outputs.open()?);
        let circumstances = hooks::Circumstances { interrupt, outputs };
        hooks::run_all_in("poststart", &hooks.poststart, &state, circumstances)
    });
    if result.is_err()
        && let Some(init) = record.init()
        && let Ok(Some(process)) = init.open()
    {
        // It may have ended by itself meanwhile.
        let _ = process.send_signal(Signal::SIGKILL as i32);
    }
    result
}

/// After the container is gone. One that fails is warned of, and the others run all the same (runtime.md, step 13).
pub(super) fn run_poststop(record: &Record) {
    let Some(hooks) = &record.config.hooks else { return };
    if hooks.poststop.is_empty() {
        return;
    }
    let run = || {
        let planned = plan(record, hooks)?;
        let state = state(record, Status::Stopped)?;
        // The hooks take down what others have made: where their words go matters less.
        let outputs = planned.outputs.open().unwrap_or_else(|error| {
            warn(error.to_string());
            hooks::Outputs::default()
        });
        let circumstances = hooks::Circumstances { outputs: Some(&outputs), interrupt: None };
        for (index, hook) in planned.poststop.iter().enumerate() {
            if let Err(error) = hooks::run_in(hook, &state, circumstances) {
                warn(error.context(format!("error running poststop hook #{index}")).to_string());
            }
        }
        Ok::<_, Error>(())
    };
    if let Err(error) = run() {
        warn(error.to_string());
    }
}

fn plan(record: &Record, hooks: &spec::Hooks) -> Result<plan::hooks::Hooks> {
    plan::hooks::plan(Some(hooks), &record.bundle, &record.config.annotations)
}

fn state(record: &Record, status: Status) -> Result<Vec<u8>> {
    let pid = if status == Status::Stopped { 0 } else { record.init_pid };
    let state = State {
        oci_version: record.oci_version.clone(),
        id: record.id.clone(),
        status,
        pid,
        bundle: record.bundle.clone(),
        annotations: record.config.annotations.clone(),
    };
    serde_json::to_vec(&state).map_err(|error| Error::new(error.to_string()))
}
