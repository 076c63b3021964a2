//! The flags of `exec`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::containers::{attachment, exit_code};
use super::flags;
use super::parse::Given;
use crate::error::{Error, Result};
use crate::lifecycle::Global;
use crate::lifecycle::exec::{self, Paused, Terminal};

pub(super) fn exec(global: &Global, given: &Given) -> Result<u8> {
    exit_code(exec::exec(global, &options(given)?)?)
}

fn options(given: &Given) -> Result<exec::Options> {
    let process = given.path(&flags::PROCESS);
    let args = given.arguments_from(1)?;
    Ok(exec::Options {
        id: given.argument(0)?.to_owned(),
        process,
        args,
        cwd: given.path(&flags::CWD),
        env: given.texts(&flags::ENV)?,
        terminal: if given.switch(&flags::TTY)? { Terminal::Yes } else { Terminal::No },
        user: given.text(&flags::USER)?.map(user).transpose()?,
        additional_gids: given.numbers(&flags::ADDITIONAL_GIDS)?,
        capabilities: given.texts(&flags::CAP)?,
        no_new_privileges: given.switch_if_given(&flags::NO_NEW_PRIVS)?,
        apparmor_profile: given.text(&flags::APPARMOR)?.map(str::to_owned),
        selinux_label: given.text(&flags::PROCESS_LABEL)?.map(str::to_owned),
        cgroup: cgroup(&given.texts(&flags::CGROUP)?)?,
        paused: match given.switch(&flags::IGNORE_PAUSED)? {
            true => Paused::Enter,
            false => Paused::Refuse,
        },
        attachment: attachment(given)?,
        pid_file: given.path(&flags::PID_FILE),
        console_socket: given.path(&flags::CONSOLE_SOCKET),
        pidfd_socket: given.path(&flags::PIDFD_SOCKET),
        preserve_fds: given.number(&flags::PRESERVE_FDS)?.unwrap_or(0),
    })
}

/// `UID` or `UID:GID`. Only numbers: a name would be looked up in a file of the container (CVE-2016-3697).
fn user(text: &str) -> Result<(u32, Option<u32>)> {
    let number = |id: &str| {
        id.parse::<u32>()
            .map_err(|error| Error::refused(format!("--user {text:?}: {id:?}: {error}")))
    };
    match text.split_once(':') {
        Some((uid, gid)) => Ok((number(uid)?, Some(number(gid)?))),
        None => Ok((number(text)?, None)),
    }
}

/// `[CONTROLLER[,CONTROLLER]:]PATH`. cgroup v2 has one path for all controllers: the form that names them is understood, so
/// that its mistakes are told, and refused.
fn cgroup(arguments: &[String]) -> Result<Option<PathBuf>> {
    let mut named = BTreeSet::new();
    for argument in arguments {
        let Some((controllers, _)) = argument.split_once(':') else {
            return match arguments {
                [path] if path.is_empty() => Ok(None),
                [path] => Ok(Some(path.into())),
                _ => Err(invalid("missing <controller>: prefix")),
            };
        };
        for controller in controllers.split(',') {
            if controller.is_empty() {
                return Err(Error::refused(format!(
                    "invalid --cgroup argument: {argument} (empty <controller> prefix)"
                )));
            }
            if !named.insert(controller) {
                return Err(invalid(&format!("controller {controller} specified multiple times")));
            }
        }
    }
    match named.first() {
        None => Ok(None),
        Some(controller) => Err(Error::refused(format!(
            "unknown controller {controller} in --cgroup: cgroup v2 has one path for all controllers"
        ))),
    }
}

fn invalid(why: &str) -> Error {
    Error::refused(format!("invalid --cgroup argument: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_numbers() {
        assert_eq!(user("1000").expect("uid"), (1000, None));
        assert_eq!(user("1:2").expect("both"), (1, Some(2)));
        for bad in ["root", "", "1:", ":1", "-1", "4294967296", "1:2:3", "1:wheel"] {
            user(bad).expect_err(bad);
        }
    }

    #[test]
    fn a_cgroup_is_one_path() {
        let given = |arguments: &[&str]| {
            let owned: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            cgroup(&owned).map_err(|error| error.to_string())
        };
        assert_eq!(given(&[]), Ok(None));
        assert_eq!(given(&["/sub"]), Ok(Some("/sub".into())));
        for (arguments, why) in [
            (&["cpu:/sub"] as &[_], "unknown controller cpu"),
            (&["cpu,:/sub"], "cpu,:/sub (empty <controller> prefix)"),
            (&["cpu:/a", "io,cpu:/b"], "controller cpu specified multiple times"),
            (&["/a", "/b"], "missing <controller>: prefix"),
            (&["cpu:/a", "/b"], "missing <controller>: prefix"),
        ] {
            let error = given(arguments).expect_err(why);
            assert!(error.contains(why), "{error}");
        }
    }
}
