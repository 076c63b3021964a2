//! Hooks: what they are given, and how they may misbehave.

use std::time::{Duration, Instant};

use etui::hooks::{Hook, run, run_all};

/// A shell script as a hook.
fn script(text: &str) -> Hook {
    let args = ["sh", "-c", text].map(str::to_owned).to_vec();
    Hook { path: "/bin/sh".into(), args, ..Hook::default() }
}

fn within(seconds: u64, hook: &Hook, stdin: &[u8]) -> etui::error::Result<()> {
    let start = Instant::now();
    let result = run(hook, stdin);
    assert!(start.elapsed() < Duration::from_secs(seconds), "took {:?}", start.elapsed());
    result
}

#[test]
fn a_hook_reads_all_of_its_stdin_and_has_its_environment_only() {
    let mut hook = script("read first; test \"$first\" = a && test $(wc -c) = 1000000 && env");
    hook.env = vec!["NAME=value".to_owned()];
    let stdin = [b"a\n".as_slice(), &vec![b'x'; 1_000_000]].concat();
    within(10, &hook, &stdin).unwrap();

    hook.args[2] = "env >&2; exit 3".to_owned();
    let error = run(&hook, b"").unwrap_err().to_string();
    assert!(error.contains("NAME=value") && !error.contains("HOME="), "{error}");
}

#[test]
fn a_failure_tells_status_and_output() {
    let hook = script("echo to out; echo to err >&2; exit 7");
    let error = run_all("createRuntime", &[script("true"), hook], b"{}").unwrap_err().to_string();
    assert_eq!(
        error,
        "error running createRuntime hook #1: exit status 7, stdout: to out, stderr: to err"
    );
    let killed = run(&script("kill -9 $$"), b"").unwrap_err().to_string();
    assert_eq!(killed, "signal: SIGKILL, stdout: , stderr:");
}

#[test]
fn after_a_failure_no_further_hook_runs() {
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("mark");
    let touch = script(&format!("touch {}", mark.display()));
    run_all("poststart", &[script("false"), touch.clone()], b"").unwrap_err();
    assert!(!mark.exists());
    run_all("poststart", &[touch], b"").unwrap();
    assert!(mark.exists());
}

#[test]
fn a_file_that_can_not_run_is_told_by_the_kernels_words() {
    let missing = Hook { path: "/nowhere/hook".into(), ..Hook::default() };
    let error = run_all("prestart", &[missing], b"").unwrap_err().to_string();
    let expected = "error running prestart hook #0: exec /nowhere/hook: no such file or directory";
    assert_eq!(error, expected);
    let not_executable = Hook { path: "/etc/passwd".into(), ..Hook::default() };
    assert!(run(&not_executable, b"").unwrap_err().to_string().contains("permission denied"));
}

#[test]
fn without_arguments_the_path_is_the_name() {
    let hook = Hook { path: "/bin/true".into(), ..Hook::default() };
    run(&hook, b"").unwrap();
}

#[test]
fn a_hook_that_ignores_its_stdin_does_not_hold_us_up() {
    let stdin = vec![b'x'; 1_000_000];
    within(10, &script("exit 0"), &stdin).unwrap();
    within(10, &script("exec <&-; sleep 0.1"), &stdin).unwrap();
}

#[test]
fn of_a_huge_output_the_end_is_told() {
    let hook = script("i=0; head -c 3000000 /dev/zero | tr '\\0' x; echo the end; exit 1");
    let error = within(20, &hook, b"").unwrap_err().to_string();
    assert!(error.contains("xxxthe end, stderr:"), "{}", &error[error.len() - 40..]);
    assert!(error.len() < 70_000);
}

#[test]
fn a_deadline_ends_the_hook_and_its_children() {
    let directory = tempfile::tempdir().unwrap();
    let mark = directory.path().join("mark");
    let mut hook = script(&format!("(sleep 2; touch {}) & sleep 60", mark.display()));
    hook.timeout = Some(Duration::from_secs(1));
    let error = run_all("poststop", &[hook], b"").unwrap_err().to_string();
    assert_eq!(error, "error running poststop hook #0: hook ran past specified timeout of 1.0s");
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!mark.exists(), "a child lived on");
}

#[test]
fn one_that_never_stops_talking_meets_its_deadline() {
    let mut hook = script("exec yes");
    hook.timeout = Some(Duration::from_millis(500));
    let error = within(5, &hook, b"").unwrap_err().to_string();
    assert_eq!(error, "hook ran past specified timeout of 0.5s");
}

#[test]
fn what_a_hook_leaves_running_is_not_waited_for() {
    within(5, &script("sleep 8 & exit 0"), b"").unwrap();
}

#[test]
fn a_hook_starts_with_no_signal_blocked_or_ignored() {
    let all = nix::sys::signal::SigSet::all();
    all.thread_block().unwrap();
    let hook = script("grep -E 'Sig(Blk|Ign)' /proc/self/status >&2; exit 1");
    let error = run(&hook, b"").unwrap_err().to_string();
    all.thread_unblock().unwrap();
    // Some C libraries leave two signals of their own, 32 and 33, ignored.
    let expected = ["0000000180000000", "0000000000000000"]
        .map(|ignored| format!("SigBlk:\t0000000000000000\\nSigIgn:\t{ignored}"));
    assert!(expected.iter().any(|expected| error.ends_with(expected)), "{error}");
}
