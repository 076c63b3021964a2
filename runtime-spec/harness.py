"""A container of one test: its bundle, the runtime's verbs, and what is left of it."""

import ctypes
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
DEADLINE = 20  # seconds; longer than any verb takes on a busy machine
PR_SET_CHILD_SUBREAPER = 36
CAPABILITIES = ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_MKNOD", "CAP_SETGID", "CAP_SETUID"]
APPLETS = (
    "awk cat chmod chown chrt cp cut date dd echo env false grep head hostname id ip ipcs kill ln ls mkdir mkfifo "
    "mknod mount mv nc nice od printf ps pwd readlink rm sed sh sleep sort stat stty sync tail touch tr true tty "
    "umount uname wc which"
).split()


class Outcome:
    """How one run of the runtime ended."""

    def __init__(self, code, out, err, out_file):
        self.code, self.out, self.err, self.out_file = code, out, err, out_file

    def ok(self):
        assert self.code == 0, f"exit code {self.code}: {self.err.strip()}"
        return self

    def failed(self):
        assert self.code != 0, "the verb succeeded, where an error is demanded"
        return self


class Machine:
    """The runtime under test, and the suite as the parent of orphans, which a shim is in real life."""

    def __init__(self, runtime, cleaner, reaps=True):
        self.runtime, self.cleaner = runtime, cleaner
        self.lock, self.ours, self.count = threading.Lock(), set(), 0
        self.controllers = (CGROUPS / "cgroup.controllers").read_text().split()
        if reaps:
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            threading.Thread(target=self.reap_for_ever, daemon=True).start()

    def reap_for_ever(self):
        while True:
            with self.lock:
                for pid in children() - self.ours:
                    try:
                        os.waitpid(pid, os.WNOHANG)
                    except ChildProcessError:
                        pass
            time.sleep(0.005)

    def complete(self, command, directory, **kwargs):
        """Runs `command` to its end. Its output goes to files, for a container keeps the descriptors."""
        self.count += 1
        out_file, err_file = (Path(directory) / f"{self.count}.{kind}" for kind in ("out", "err"))
        nothing = Path(directory) / "empty"
        nothing.touch()
        with open(out_file, "wb") as out, open(err_file, "wb") as err, open(nothing, "rb") as stdin:
            with self.lock:
                child = subprocess.Popen(command, stdout=out, stderr=err, stdin=stdin, **kwargs)
                self.ours.add(child.pid)
            try:
                code = child.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                raise AssertionError(f"{' '.join(command[1:])} still ran after {DEADLINE} s") from None
            finally:
                self.ours.discard(child.pid)
        return Outcome(code, out_file.read_text(errors="replace"), err_file.read_text(errors="replace"), out_file)


def children():
    found = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            found |= {int(pid) for pid in (task / "children").read_text().split()}
        except OSError:
            continue
    return found


def wait_for(what, condition, seconds=5):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.005)


def remove_cgroup(path):
    def removed():
        try:
            path.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    wait_for(f"{path} to be empty", removed)


def default_config(container_id):
    def mount(destination, kind, *options):
        return {"destination": destination, "type": kind, "source": kind, "options": list(options)}

    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["true"],
            "env": ["PATH=/bin", f"CONFORMANCE={container_id}"],
            "cwd": "/",
            "capabilities": {kind: list(CAPABILITIES) for kind in ("bounding", "effective", "permitted")},
        },
        "root": {"path": "rootfs"},
        "hostname": "inside",
        "mounts": [
            mount("/proc", "proc", "nosuid", "noexec", "nodev"),
            mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"),
            mount("/sys", "sysfs", "nosuid", "noexec", "nodev", "ro"),
        ],
        "linux": {
            "cgroupsPath": f"/{container_id}",
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
        },
    }


def put(tree, path, value):
    """Sets `tree["a"]["b"]` for `a.b`, making what is missing; the value `...` takes it away."""
    *parents, last = path.split(".")
    for parent in parents:
        tree = tree[int(parent)] if isinstance(tree, list) else tree.setdefault(parent, {})
    if value is ...:
        tree.pop(last, None)
    else:
        tree[int(last) if isinstance(tree, list) else last] = value


class Container:
    """A bundle with a busybox, an id, and the verbs. `close` deletes whatever became of it."""

    made = 0

    def __init__(self, machine):
        Container.made += 1
        self.machine = machine
        self.id = f"conformance-{os.getpid()}-{Container.made}."
        self.dir = Path(tempfile.mkdtemp(prefix=self.id))
        self.bundle, self.root = self.dir / "bundle", self.dir / "root"
        self.rootfs = self.bundle / "rootfs"
        self.config = default_config(self.id)
        self.undo, self.before = [], []
        self.root.mkdir()
        self.dir.chmod(0o755)
        self.make_rootfs()

    def make_rootfs(self):
        for name in ("bin", "dev", "etc", "proc", "root", "sys", "tmp", "mnt"):
            (self.rootfs / name).mkdir(parents=True)
        busybox = next(path for path in ("/bin/busybox", "/usr/bin/busybox") if os.path.exists(path))
        shutil.copy(busybox, self.rootfs / "bin/busybox")
        for applet in APPLETS:
            (self.rootfs / "bin" / applet).symlink_to("busybox")

    # The configuration.

    def set(self, path, value):
        put(self.config, path, value)
        return self

    def mount(self, destination, kind, source, *options):
        entry = {"destination": destination, "type": kind, "source": str(source), "options": list(options)}
        self.config["mounts"].append(entry)
        return self

    def namespace(self, kind, **more):
        """The container gets a namespace of this kind of its own, or the one at `path`."""
        self.without_namespace(kind)
        self.config["linux"]["namespaces"].append({"type": kind, **more})
        return self

    def without_namespace(self, kind):
        kept = [entry for entry in self.config["linux"]["namespaces"] if entry["type"] != kind]
        return self.set("linux.namespaces", kept)

    def user_namespace(self):
        for kind in ("uidMappings", "gidMappings"):
            self.set(f"linux.{kind}", [{"containerID": 0, "hostID": 100000, "size": 65536}])
        return self.namespace("user")

    def script(self, text):
        return self.set("process.args", ["sh", "-c", text])

    def hook(self, kind, path, *args, **more):
        entry = {"path": str(path), "args": [Path(path).name, *map(str, args)], **more}
        self.config.setdefault("hooks", {}).setdefault(kind, []).append(entry)
        return self

    # The verbs.

    def verb(self, *args):
        runtime, before = [self.machine.runtime], [str(word) for word in self.before]
        if self.machine.runtime == self.machine.cleaner:
            runtime = [*before, *runtime]
        command = [*runtime, "--root", str(self.root), *map(str, args)]
        # A wrong runtime puts it before the right one itself.
        env = {**os.environ, "CONFORMANCE": self.id, "BEFORE": "\n".join(before)}
        return self.machine.complete(command, self.dir, cwd="/", env=env)

    def write(self):
        (self.bundle / "config.json").write_text(json.dumps(self.config, indent=1))

    def create(self, *flags):
        self.write()
        outcome = self.verb("create", "--bundle", self.bundle, *flags, self.id)
        self.out_file = outcome.out_file
        return outcome

    def start(self):
        return self.verb("start", self.id)

    def up(self):
        self.create().ok()
        self.start().ok()
        return self

    def run(self, *flags):
        self.write()
        return self.verb("run", "--bundle", self.bundle, *flags, self.id)

    def says(self, script):
        """What a shell script prints as the container's process."""
        return self.script(script).run().ok().out

    def output(self):
        return self.out_file.read_text(errors="replace")

    def state(self):
        return json.loads(self.verb("state", self.id).ok().out)

    def status(self):
        return self.state()["status"]

    def pid(self):
        return self.state()["pid"]

    def kill(self, name="KILL"):
        return self.verb("kill", self.id, name)

    def stopped(self):
        wait_for("the container to stop", lambda: self.status() == "stopped")
        return self

    def delete(self, *flags):
        return self.verb("delete", *flags, self.id)

    def exec(self, script):
        return self.verb("exec", self.id, "sh", "-c", script)

    # What is there of it.

    def cgroup(self):
        return CGROUPS / self.id

    def exists(self):
        return self.verb("state", self.id).code == 0

    def assert_gone(self):
        assert not self.exists(), "the container still has a state"
        wait_for("the cgroup to go", lambda: not self.cgroup().exists())
        wait_for("the processes to end", lambda: not self.processes())

    def processes(self):
        """Living processes that carry the id in their environment or their cgroup."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                carries = self.id.encode() in (entry / "environ").read_bytes() + (entry / "cgroup").read_bytes()
                zombie = (entry / "stat").read_text().rsplit(")")[-1].startswith(" Z")
            except OSError:
                continue
            if carries and not zombie:
                found.append(int(entry.name))
        return found

    def assert_refused(self):
        """`create`, or `start` at the latest, reports an error, and the program does not run."""
        self.script("echo > /ran; sleep 100")
        if self.create().code == 0:
            assert self.start().code != 0, "create and start succeeded, where an error is demanded"
        time.sleep(0.05)
        assert not (self.rootfs / "ran").exists(), "an error was reported, and yet the program ran"

    def close(self):
        command = [self.machine.cleaner, "--root", str(self.root), "delete", "--force", self.id]
        self.machine.complete(command, self.dir)
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for undo in reversed(self.undo):
            undo()
        wait_for("the processes to end", lambda: not self.processes())
        for cgroup in sorted(CGROUPS.glob(f"{self.id}*/**/"), reverse=True):
            remove_cgroup(cgroup)
        shutil.rmtree(self.dir, ignore_errors=True)
