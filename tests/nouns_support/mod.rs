//! Running a test alone in a process, whose credentials and namespaces it may spoil.

use std::process::Command;
use std::time::Duration;

const MARK: &str = "ETUI_TEST_ALONE";

/// Whether these tests can do what they need to; where they can't, the test is noted as skipped.
pub fn root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        crate::support::skip("not root");
    }
    root
}

/// Runs `body` in a process of its own, of one thread: this test program again, with this test only.
pub fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var_os(MARK).is_some() {
        // musl locks its list of threads while it makes one, and a process that is cloned meanwhile would wait for ever.
        std::thread::sleep(Duration::from_millis(20));
        return body();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1", "--nocapture"])
        .env(MARK, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", output.status);
}
