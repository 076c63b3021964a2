//! The flags of `exec`.

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
    if process.is_none() && args.is_empty() {
        return Err(Error::refused("process args cannot be empty"));
    }
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
        cgroup: cgroup(given.texts(&flags::CGROUP)?)?,
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

/// cgroup v2 has one path for all controllers; runc's form for v1 names the controllers before a colon.
fn cgroup(mut paths: Vec<String>) -> Result<Option<PathBuf>> {
    let Some(path) = paths.pop() else { return Ok(None) };
    let refuse = |why| Err(Error::refused(format!("invalid --cgroup argument: {path} ({why})")));
    if path.contains(':') {
        return refuse("cgroup v2 has one path for all controllers");
    }
    if !paths.is_empty() {
        return refuse("a process is in one cgroup");
    }
    Ok(Some(path.into()))
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
        assert_eq!(cgroup(vec![]).expect("none"), None);
        assert_eq!(cgroup(vec!["/sub".into()]).expect("one"), Some("/sub".into()));
        cgroup(vec!["cpu:/sub".into()]).expect_err("cgroup v1's form");
        cgroup(vec!["/a".into(), "/b".into()]).expect_err("two");
    }
}
