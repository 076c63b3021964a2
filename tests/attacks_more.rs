//! More attacks: containers that hide from signals, root file systems that move, callers that hang.

mod support;

use std::process::{Command, Stdio};

use support::{Container, Kind, only_on};

/// What a configuration does not grant is not there, whatever the caller has to pass on.
#[test]
fn without_capabilities_in_the_configuration_there_are_none() {
    for uid in [0, 1000] {
        let mut container = Container::sh("grep Cap /proc/self/status");
        container.config["process"].as_object_mut().unwrap().remove("capabilities");
        container.set("/process/user/uid", uid);
        container.write_config();
        let runtime = container.command();
        let mut command = Command::new("setpriv");
        command.args(["--inh-caps", "+net_raw", "--ambient-caps", "+net_raw"]);
        command.arg(runtime.get_program()).args(runtime.get_args()).arg("run").arg("--bundle");
        command.arg(container.bundle()).arg(&container.id).stdin(Stdio::null());
        let outcome = container.complete(command).ok();
        for line in outcome.lines() {
            assert!(line.ends_with("\t0000000000000000"), "user {uid}: {line}");
        }
        assert_eq!(outcome.lines().len(), 5);
    }
}
