//! What is there before a command is given, and giving it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

use serde_json::{Value, json};

use super::answer::Answer;
use super::support::{Container, Kind, Outcome, kind, runtime, wait_for};

/// A container, and what was put around it.
pub struct Scene {
    container: Container,
    sockets: Vec<UnixListener>,
    stdin: Option<String>,
}

impl Scene {
    /// A bundle whose process sleeps; no container yet.
    pub fn new() -> Scene {
        let container = Container::sleeping();
        container.write_config();
        Scene { container, sockets: Vec::new(), stdin: None }
    }

    /// Carries out one set-up: a state that the container is in, or a word and what belongs to it.
    pub fn prepare(&mut self, step: &str) {
        let step = self.filled_in(step);
        let (word, rest) = step.split_once(' ').unwrap_or((&step, ""));
        let (first, text) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "created" => drop(self.container.create().ok()),
            "running" => self.container.up(),
            "paused" => self.paused(),
            "stopped" => self.stopped(),
            "vanished" => self.vanished(),
            // The state directory without a record in it; with one that is no JSON; a file in its place.
            "no-record" => fs::create_dir(self.state()).unwrap(),
            "bad-record" => {
                fs::create_dir(self.state()).unwrap();
                fs::write(self.state().join("state.json"), "{\"id\": ").unwrap();
            }
            "file-for-state" => fs::write(self.state(), "").unwrap(),
            "set" => self.container.set(first, serde_json::from_str::<Value>(text).expect(text)),
            "unset" => self.unset(first),
            // config.json as it stands here.
            "config" => fs::write(self.container.bundle().join("config.json"), rest).unwrap(),
            "no-config" => fs::remove_file(self.container.bundle().join("config.json")).unwrap(),
            "file" => fs::write(self.container.dir().join(first), text).unwrap(),
            "dir" => fs::create_dir_all(self.container.dir().join(first)).unwrap(),
            "inside" => self.inside(first, text),
            "socket" => {
                self.sockets.push(UnixListener::bind(self.container.dir().join(first)).unwrap());
            }
            "stdin" => self.stdin = Some(rest.to_owned()),
            "do" => drop(self.give(rest)),
            "wait" => self.container.wait_until(first),
            _ => panic!("no set-up is called {word}"),
        }
        if matches!(word, "set" | "unset") {
            self.container.write_config();
        }
    }

    fn state(&self) -> std::path::PathBuf {
        self.container.root().join(&self.container.id)
    }

    fn paused(&self) {
        self.container.up();
        self.container.verb(&["pause", &self.container.id]).ok();
    }

    fn stopped(&self) {
        self.container.up();
        self.container.kill("KILL").ok();
        self.container.wait_until("stopped");
    }

    /// The process is killed by someone else.
    fn vanished(&self) {
        self.container.up();
        let pid = i32::try_from(self.container.pid()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGKILL).unwrap();
        wait_for("its end", || self.container.status() == "stopped");
    }

    fn unset(&mut self, pointer: &str) {
        let (parent, key) = pointer.rsplit_once('/').expect("a JSON pointer");
        let parent = self.container.config.pointer_mut(parent).expect("its parent");
        match parent {
            Value::Object(object) => drop(object.remove(key)),
            Value::Array(array) => drop(array.remove(key.parse().expect("an index"))),
            _ => panic!("{pointer}: no such place"),
        }
    }

    /// `PATH MODE TEXT`: a file of the image; a directory where the text is `/`, a link where it begins with `->`.
    fn inside(&self, path: &str, rest: &str) {
        let path = self.container.rootfs().join(path);
        let (mode, text) = rest.split_once(' ').unwrap_or((rest, ""));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if text == "/" {
            fs::create_dir_all(&path).unwrap();
        } else if let Some(target) = text.strip_prefix("->") {
            return std::os::unix::fs::symlink(target, &path).unwrap();
        } else {
            fs::write(&path, text.replace("\\n", "\n")).unwrap();
        }
        let mode = u32::from_str_radix(mode, 8).expect("a mode");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Gives a command: with `--root` and a JSON log, as go-runc does; after `plain` with `--root` alone, after `bare`
    /// with nothing.
    pub fn ask(&self, command: &str) -> Answer {
        let outcome = self.give(command);
        let log = fs::read_to_string(self.container.dir().join("log.json")).unwrap_or_default();
        let message = match log.is_empty() {
            false => message_of(&log),
            true => outcome.stderr.lines().last().unwrap_or_default().to_owned(),
        };
        Answer {
            exit: outcome.code(),
            stdout: self.nameless(&outcome.stdout),
            message: self.nameless(&message),
        }
    }

    fn give(&self, command: &str) -> Outcome {
        let command = self.filled_in(command);
        let _ = fs::remove_file(self.container.dir().join("log.json"));
        let (globals, words) = match command.split_once(' ').unwrap_or((&command, "")) {
            ("bare", words) => (String::new(), words),
            ("plain", words) => (self.filled_in("--root {root}"), words),
            _ => {
                (self.filled_in("--root {root} --log {dir}/log.json --log-format json"), &*command)
            }
        };
        // A shell takes the quotes away.
        let input = self.container.dir().join("stdin");
        fs::write(&input, self.stdin.as_deref().unwrap_or_default()).unwrap();
        let line = format!("exec {} {globals} {words} <{}", runtime().display(), input.display());
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).env("ETUI_TEST", &self.container.id);
        shell.current_dir(self.container.dir());
        self.container.complete(shell)
    }

    /// `{id}`, `{dir}`, `{root}`, `{bundle}`, `{cgroup}` and `{b}`, which is `--bundle` and the bundle.
    fn filled_in(&self, text: &str) -> String {
        let bundle = self.container.bundle().display().to_string();
        text.replace("{id}", &self.container.id)
            .replace("{b}", &format!("--bundle {bundle}"))
            .replace("{bundle}", &bundle)
            .replace("{root}", &self.container.root().display().to_string())
            .replace("{cgroup}", &self.container.cgroup().display().to_string())
            .replace("{dir}", &self.container.dir().display().to_string())
    }

    /// The opposite, and the runtime's name as `RUNTIME`.
    fn nameless(&self, text: &str) -> String {
        let name = if kind() == Kind::Etui { "etui" } else { "runc" };
        text.replace(&self.container.dir().display().to_string(), "{dir}")
            .replace(&self.container.id, "{id}")
            .replace(&format!("{}: \"", runtime().display()), "RUNTIME: \"")
            .replace(&format!("{name}: \""), "RUNTIME: \"")
            .replace(&format!("{name} create failed"), "RUNTIME create failed")
            .replace(&format!("{name} run failed"), "RUNTIME run failed")
            .replace(&format!("{name} version"), "RUNTIME version")
    }
}

/// A peer may leave what etui may not: it goes, before the container's end looks for it.
impl Drop for Scene {
    fn drop(&mut self) {
        // A set-up's own.
        let _ = fs::remove_file(self.state());
        if kind() != Kind::Etui {
            let _ = self.container.verb(&["delete", "--force", &self.container.id]);
            let _ = fs::remove_dir_all(self.state());
            let _ = fs::write(self.container.cgroup().join("cgroup.kill"), "1");
            for _ in 0..100 {
                let gone = fs::remove_dir(self.container.cgroup());
                if gone.is_ok() || !self.container.cgroup().exists() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    }
}

fn message_of(log: &str) -> String {
    let lines: Vec<Value> =
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let last = |level: &str| {
        let line = lines.iter().rev().find(|line| line["level"] == json!(level))?;
        Some(line["msg"].as_str().expect("a message").to_owned())
    };
    last("error").or_else(|| Some(format!("warning: {}", last("warning")?))).unwrap_or_default()
}
