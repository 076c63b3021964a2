//! The table of `ps`: what ps(1) prints, less the processes of others.

use std::ffi::OsString;
use std::process::Command;

use crate::error::{Call, Error, Result};

/// Runs ps(1) with `arguments` (`-ef` when there are none), and keeps its heading and the lines of `processes`.
pub(super) fn table(processes: &[i32], arguments: &[OsString]) -> Result<String> {
    let mut command = Command::new("ps");
    match arguments {
        [] => command.arg("-ef"),
        arguments => command.args(arguments),
    };
    let output = command.output().call(|| "execve(\"ps\")").map_err(|error| {
        error.hint("the table is made by ps(1), which must be installed; --format json needs none")
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::new(format!("ps: {}: {said}", output.status)));
    }
    rows_of(processes, &String::from_utf8_lossy(&output.stdout))
}

fn rows_of(processes: &[i32], table: &str) -> Result<String> {
    let mut lines = table.lines();
    let heading = lines.next().unwrap_or_default();
    let column = heading.split_whitespace().position(|name| name == "PID");
    let column = column.ok_or_else(|| {
        Error::refused("couldn't find PID field in ps output")
            .hint("choose ps arguments that print it")
    })?;
    let is_ours = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|pid| pid.parse().ok());
        pid.is_some_and(|pid| processes.contains(&pid))
    };
    let rows = std::iter::once(heading).chain(lines.filter(is_ours));
    Ok(rows.map(|row| format!("{row}\n")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_processes_are_left() {
        let table = "UID  PID PPID CMD\nroot 1 0 init 7\nroot   7 1 sh\nroot 77 7 sleep 7\n";
        assert_eq!(rows_of(&[7, 9], table).expect("a table"), "UID  PID PPID CMD\nroot   7 1 sh\n");
        rows_of(&[7], "UID CMD\nroot sh\n").expect_err("no PID column");
    }
}
