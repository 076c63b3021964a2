"""runtime.md: the steps of a container's life, errors and warnings."""

import os
import time

from harness import put, wait_for
from statements import Acts, Content, Edited, statements_of

statement, _ = statements_of("lifecycle", "runtime.md")


def witness(c, kind, name="witness"):
    """A hook of this kind that leaves a file; the file, as the host sees it."""
    if kind == "startContainer":
        c.hook(kind, "/bin/sh", "-c", f"echo > /{name}")
        return c.rootfs / name
    c.hook(kind, "/bin/sh", "-c", f"echo > {c.dir}/{name}")
    return c.dir / name


def failing(c, kind):
    return c.hook(kind, "/bin/false" if os.path.exists("/bin/false") else "/usr/bin/false")


def without_hooks(kind):
    return Edited(f"never calls {kind} hooks", lambda config: config["hooks"].pop(kind))


def hooks_succeed(kind):
    return Edited(f"passes over a {kind} hook that fails", lambda config: config["hooks"].pop(kind))


@statement("Lifecycle, 2", "The environment is the one that config.json describes",
           wrong=Edited("gives a host name of its own", lambda config: put(config, "hostname", "other")))
def environment_as_configured(c):
    c.set("hostname", "as-configured").config["process"]["env"].append("KEY=value")
    c.set("process.user", {"uid": 12, "gid": 34})
    assert c.says("hostname; echo $KEY; id -u; id -g").split() == ["as-configured", "value", "12", "34"]


@statement("Lifecycle, 2", "An environment that can't be made is an error",
           wrong=Edited("takes the host's namespace instead", lambda config: config["linux"]["namespaces"].pop()))
def impossible_environment(c):
    c.namespace("network", path=str(c.dir / "nowhere")).create().failed()


@statement("Lifecycle, 2", "What config.json asks for is there before start",
           wrong=Edited("makes a cgroup of another name",
                        lambda config: put(config, "linux.cgroupsPath", config["linux"]["cgroupsPath"] + "other")))
def resources_before_start(c):
    c.create().ok()
    pids = (c.cgroup() / "cgroup.procs").read_text().split()
    assert str(c.pid()) in pids, f"{c.pid()} is not in {pids}"


@statement("Lifecycle, 2", "The user's program does not run before start",
           wrong=Acts("starts at create", lambda w: (w.real(), w.other("start", w.container))[1], ("create",)))
def program_waits(c):
    c.script("echo > /ran; sleep 100").create().ok()
    time.sleep(0.1)
    assert not (c.rootfs / "ran").exists()
    assert c.status() == "created"


@statement("Lifecycle, 2", "A change of config.json after create does not touch the container",
           wrong=Acts("reads config.json again at start", lambda w: again(w), ("start",)))
def later_changes_are_ignored(c):
    c.script("echo first > /said; sleep 100").create().ok()
    c.script("echo second > /said; sleep 100").write()
    c.start().ok()
    wait_for("the program to run", lambda: (c.rootfs / "said").exists() and (c.rootfs / "said").read_text())
    assert (c.rootfs / "said").read_text() == "first\n"


def again(wrapper):
    """Deletes the container, makes it anew from the bundle as it is now, and starts that."""
    import json

    state = json.loads(wrapper.real([*wrapper.args[:2], "state", wrapper.container], capture=True).stdout)
    wrapper.other("delete", "--force", wrapper.container)
    wrapper.other("create", "--bundle", state["bundle"], wrapper.container)
    return wrapper.real()


def create_hook_statements():
    for step, kind in ((3, "prestart"), (4, "createRuntime"), (5, "createContainer")):

        @statement(f"Lifecycle, {step}", f"{kind} hooks are called at create", wrong=without_hooks(kind))
        def is_called(c, kind=kind):
            seen = witness(c, kind)
            c.create().ok()
            assert seen.exists(), f"no {kind} hook was called"

        @statement(f"Lifecycle, {step}", f"A {kind} hook that fails makes create fail, and the container is destroyed",
                   wrong=hooks_succeed(kind))
        def failure_destroys(c, kind=kind):
            failing(c, kind).script("echo > /ran; sleep 100").create().failed()
            c.assert_gone()
            assert not (c.rootfs / "ran").exists()


create_hook_statements()


@statement("Lifecycle, 7", "startContainer hooks are called at start", wrong=without_hooks("startContainer"))
def start_container_is_called(c):
    seen = witness(c, "startContainer")
    c.script("sleep 100").create().ok()
    assert not seen.exists(), "called before start"
    c.start().ok()
    wait_for("the hook", seen.exists)


@statement("Lifecycle, 7", "A startContainer hook that fails makes start fail, and the container is stopped",
           wrong=hooks_succeed("startContainer"))
def start_container_failure(c):
    c.hook("startContainer", "/bin/false").script("echo > /ran; sleep 100").create().ok()
    c.start().failed()
    wait_for("the processes to end", lambda: not c.processes())
    assert not (c.rootfs / "ran").exists(), "the program ran"
    assert not c.exists() or c.status() == "stopped"


@statement("Lifecycle, 8", "start runs the program that process names",
           wrong=Edited("runs something else", lambda config: put(config, "process.args", ["sleep", "100"])))
def program_runs(c):
    c.script("echo > /ran; sleep 100").up()
    wait_for("the program to run", (c.rootfs / "ran").exists)


@statement("Lifecycle, 9", "poststart hooks are called", wrong=without_hooks("poststart"))
def poststart_is_called(c):
    seen = witness(c, "poststart")
    c.script("sleep 100").create().ok()
    assert not seen.exists(), "called before start"
    c.start().ok()
    assert seen.exists(), "no poststart hook was called"


@statement("Lifecycle, 9", "A poststart hook that fails makes start fail, and the container is stopped",
           wrong=hooks_succeed("poststart"))
def poststart_failure(c):
    failing(c, "poststart").script("sleep 100").create().ok()
    c.start().failed()
    wait_for("the processes to end", lambda: not c.processes())


@statement("Lifecycle, 12", "At delete, what create did is undone",
           wrong=Acts("leaves the cgroup", lambda w: (w.real(), os.makedirs(f"/sys/fs/cgroup/{w.container}"))[0], ("delete",)))
def delete_undoes_create(c):
    before = open("/proc/self/mountinfo", encoding="utf-8").read().count("\n")
    c.up().stopped()
    c.delete().ok()
    c.assert_gone()
    assert open("/proc/self/mountinfo", encoding="utf-8").read().count("\n") == before, "mounts are left"


@statement("Lifecycle, 13", "poststop hooks are called at delete", wrong=without_hooks("poststop"))
def poststop_is_called(c):
    seen = witness(c, "poststop")
    c.up().stopped()
    assert not seen.exists(), "called before delete"
    c.delete().ok()
    assert seen.exists(), "no poststop hook was called"


@statement("Lifecycle, 13", "A poststop hook that fails is warned of, and the rest goes on as if it had not failed",
           wrong=Edited("stops at the first that fails", lambda config: config["hooks"]["poststop"].pop()))
def poststop_failure_is_a_warning(c):
    failing(c, "poststop")
    seen = witness(c, "poststop")
    c.up().stopped()
    deleted = c.delete().ok()
    assert seen.exists(), "the hook after the failing one was not called"
    assert deleted.err.strip(), "no warning"
    c.assert_gone()


@statement("Errors", "An operation that fails leaves everything as if it had not been tried",
           wrong=Acts("leaves a cgroup behind a failed create",
                      lambda w: (os.makedirs(f"/sys/fs/cgroup/{w.container}", exist_ok=True), w.real())[1], ("create",)))
def errors_leave_nothing(c):
    before = open("/proc/self/mountinfo", encoding="utf-8").read().count("\n")
    c.set("process.args", ["/no/such/program"]).mount("/mnt", "tmpfs", "tmpfs")
    if c.create().code == 0:
        c.start().failed()
        c.delete("--force")
    c.assert_gone()
    assert not [name for name in os.listdir(c.root) if not name.startswith(".")], "files are left in the root"
    assert open("/proc/self/mountinfo", encoding="utf-8").read().count("\n") == before, "mounts are left"


@statement("Warnings", "A warning changes nothing of what the operation does",
           wrong=Acts("gives up after a warning",
                      lambda w: w.real(["--no-such-flag"]), ("create",)))
def warnings_change_nothing(c):
    c.config["process"]["capabilities"]["bounding"].append("CAP_OF_THE_FUTURE")
    c.script("echo > /ran; sleep 100").up()
    wait_for("the program to run", (c.rootfs / "ran").exists)
