"""runtime.md: scope, state and the operations (the lifecycle's steps are in lifecycle.py)."""

import json
import os
import time

from harness import Container, put, wait_for
from statements import Acts, Answers, Content, Edited, statements_of

statement, _ = statements_of("runtime", "runtime.md")


def with_state(change):
    """A change of the state JSON, for a runtime that reports a wrong state."""

    def changed(text):
        state = json.loads(text) if text else {}
        change(state)
        return json.dumps(state)

    return changed


def nothing(wrapper):
    """Exits with 0 and does nothing."""
    return wrapper.real(["--version"], capture=True)


@statement("Scope of a Container", "Whoever created a container can use every operation on it",
           wrong=Acts("forgets the container at create", lambda w: w.real([*w.args[:-1], w.container + "x"]), ("create",)))
def creator_can_operate(c):
    c.script("sleep 100").up()
    assert c.status() == "running"
    c.kill().ok()
    c.stopped().delete().ok()


@statement("State", "An id is unique among the containers of the host",
           wrong=Acts("replaces the container that has the id",
                      lambda w: (w.other("delete", "--force", w.container), w.real())[1], ("create",)))
def id_is_unique(c):
    c.script("sleep 100").up()
    pid = c.pid()
    c.create().failed()
    assert c.pid() == pid, "the id now belongs to another container"


@statement("State", "A status that is none of the four of the specification stands for a state that none of them names",
           wrong=Answers("says 'active' of a running container", with_state(lambda s: put(s, "status", "active"))))
def other_status_is_another_state(c):
    c.script("sleep 100").create().ok()
    assert c.status() == "created"
    c.start().ok()
    assert c.status() == "running"
    if c.verb("pause", c.id).code == 0:
        assert c.status() not in ("creating", "created", "stopped")
        c.verb("resume", c.id).ok()
    c.kill().ok()
    c.stopped()


@statement("State", "The state's JSON fits the schema: ociVersion, id, status, bundle; pid while there is a process",
           wrong=Answers("leaves out the bundle", with_state(lambda s: s.pop("bundle", None))))
def state_fits_the_schema(c):
    c.script("sleep 100").set("annotations", {"org.example.key": "value"}).up()
    state = c.state()
    for key in ("ociVersion", "id", "status", "bundle"):
        assert isinstance(state[key], str), f"{key}: {state[key]}"
    assert state["id"] == c.id and state["bundle"] == str(c.bundle), state
    assert isinstance(state["pid"], int) and state["pid"] > 0
    assert state["annotations"]["org.example.key"] == "value"


@statement("Operations", "The five operations are there: state, create, start, kill, delete",
           wrong=Acts("knows no kill", lambda w: w.real(["--no-such-flag"]), ("kill",)))
def operations_are_there(c):
    c.script("sleep 100").create().ok()
    c.state()
    c.start().ok()
    c.kill().ok()
    c.stopped().delete().ok()
    c.assert_gone()


@statement("Query State", "state without an id is an error", wrong=Content("takes state without an id", ("state",)))
def state_without_id(c):
    c.verb("state").failed()


@statement("Query State", "state of a container that does not exist is an error",
           wrong=Content("takes any id for a container's", ("state",)))
def state_of_nothing(c):
    c.verb("state", c.id).failed()


@statement("Query State", "state answers with the state of the container",
           wrong=Answers("says every container is running", with_state(lambda s: put(s, "status", "running"))))
def state_tells_the_state(c):
    c.script("sleep 100").create().ok()
    created = c.state()
    assert created["status"] == "created" and os.path.exists(f"/proc/{created['pid']}")
    c.start().ok()
    running = c.state()
    assert running["status"] == "running" and running["pid"] == created["pid"]
    c.kill().ok()
    c.stopped()


@statement("Create", "create without an id, or without a bundle, is an error",
           wrong=Content("takes create without an id", ("create",)))
def create_without_id_or_bundle(c):
    c.write()
    c.verb("create", "--bundle", c.bundle).failed()
    c.verb("create", "--bundle", c.dir / "nowhere", c.id).failed()
    assert not c.exists()


@statement("Create", "create with an id in use, or invalid, is an error",
           wrong=Content("takes an id that is in use", ("create",)))
def create_with_bad_id(c):
    c.create().ok()
    c.create().failed()
    for bad in ("a/b", "..", "", "a b"):
        c.verb("create", "--bundle", c.bundle, bad).failed()


@statement("Create", "create with a bad id makes no container",
           wrong=Acts("makes a container of another name",
                      lambda w: w.real([*w.args[:-1], w.container.replace("/", "-")]), ("create",)))
def bad_id_makes_nothing(c):
    c.write()
    before = sorted(os.listdir(c.root))
    c.verb("create", "--bundle", c.bundle, f"{c.id}/x")
    c.verb("create", "--bundle", c.bundle, "..")
    assert sorted(os.listdir(c.root)) == before, "something was made for a bad id"
    assert not c.processes()


@statement("Create", "create makes a new container", wrong=Acts("makes nothing", nothing, ("create",)))
def create_makes_a_container(c):
    c.create().ok()
    assert os.path.exists(f"/proc/{c.pid()}")


@statement("Create", "Everything configured is applied at create, process aside",
           wrong=Edited("leaves out the mounts", lambda config: put(config, "mounts", config["mounts"][:4])))
def create_applies_the_configuration(c):
    source = c.dir / "source"
    source.mkdir()
    c.mount("/mnt", "bind", source, "bind").set("root.readonly", True).create().ok()
    mounts = open(f"/proc/{c.pid()}/mountinfo", encoding="utf-8").read().splitlines()
    places = {line.split()[4]: line.split()[5] for line in mounts}
    assert "/mnt" in places, "the mount is not there"
    assert "ro" in places["/"].split(","), "the root is writable"
    for kind in ("net", "ipc", "uts", "mnt", "pid"):
        assert os.readlink(f"/proc/{c.pid()}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind


@statement("Create", "process.args waits for start",
           wrong=Acts("starts at create", lambda w: (w.real(), w.other("start", w.container))[1], ("create",)))
def args_wait_for_start(c):
    c.script("echo > /ran; sleep 100").create().ok()
    time.sleep(0.1)
    assert not (c.rootfs / "ran").exists(), "the program ran before start"
    c.start().ok()
    wait_for("the program to run", (c.rootfs / "ran").exists)


@statement("Create", "A configured property that can't be applied is an error",
           wrong=Edited("passes over what it can't mount", lambda config: config["mounts"].pop()))
def unapplicable_is_an_error(c):
    c.mount("/mnt", "no-such-filesystem", "none").create().failed()


@statement("Create", "Where a property can't be applied there is no container",
           wrong=Edited("makes the container without it", lambda config: config["mounts"].pop()))
def unapplicable_makes_nothing(c):
    c.mount("/mnt", "no-such-filesystem", "none").create()
    c.assert_gone()


@statement("Start", "start without an id is an error", wrong=Content("takes start without an id", ("start",)))
def start_without_id(c):
    c.verb("start").failed()


@statement("Start", "start of a container that is not in the state created leaves it as it is",
           wrong=Acts("kills what was to be started twice",
                      lambda w: (w.real(), w.other("kill", w.container, "KILL"))[0], ("start",)))
def start_twice_changes_nothing(c):
    c.script("echo ran >> /ran; sleep 100").up()
    pid = c.pid()
    wait_for("the program to run", (c.rootfs / "ran").exists)
    c.start()
    time.sleep(0.05)
    assert c.status() == "running" and c.pid() == pid
    assert (c.rootfs / "ran").read_text() == "ran\n", "the program ran again"


@statement("Start", "start of a container that is not in the state created is an error",
           wrong=Content("starts twice without a word", ("start",)))
def start_twice_is_an_error(c):
    c.script("sleep 100").up().start().failed()
    c.kill().ok()
    c.stopped().start().failed()
    c.verb("start", c.id + "other").failed()


@statement("Start", "start runs the program as process says",
           wrong=Edited("drops the arguments", lambda config: put(config, "process.args", ["true"])))
def start_runs_the_program(c):
    c.set("process.args", ["sh", "-c", 'echo "$0 $1 $KEY"; pwd; id -u > /ran; sleep 100', "zero", "one"])
    c.config["process"]["env"].append("KEY=value")
    c.set("process.cwd", "/tmp").set("process.user", {"uid": 0, "gid": 0}).up()
    wait_for("the program to run", (c.rootfs / "ran").exists)
    assert c.output() == "zero one value\n/tmp\n", c.output()


@statement("Start", "start is an error when there is no process",
           wrong=Edited("makes up a process",
                        lambda config: put(config, "process", {"args": ["/bin/true"], "cwd": "/", "user": {"uid": 0, "gid": 0}})))
def start_without_process(c):
    c.set("process", ...)
    if c.create().code == 0:
        c.start().failed()


@statement("Kill", "kill without an id is an error", wrong=Content("takes kill without an id", ("kill",)))
def kill_without_id(c):
    c.verb("kill").failed()


@statement("Kill", "kill of a container that is neither created nor running leaves it as it is",
           wrong=Acts("deletes what is stopped", lambda w: w.real([*w.args[:2], "delete", "--force", w.args[-2]]), ("kill",)))
def kill_of_stopped_changes_nothing(c):
    c.up().stopped()
    before = c.state()
    c.kill()
    assert c.state() == before


@statement("Kill", "kill of a container that is neither created nor running is an error",
           wrong=Content("kills what is stopped without a word", ("kill",)))
def kill_of_stopped_is_an_error(c):
    c.up().stopped().kill().failed()


@statement("Kill", "kill sends the signal asked for to the container's process",
           wrong=Acts("sends KILL, whatever was asked", lambda w: w.real([*w.args[:-1], "KILL"]), ("kill",)))
def kill_sends_the_signal(c):
    c.script("trap 'echo usr1 > /got' USR1; echo > /ready; while :; do sleep 0.02; done").up()
    wait_for("the trap", (c.rootfs / "ready").exists)
    c.kill("USR1").ok()
    wait_for("the signal", (c.rootfs / "got").exists)
    assert c.status() == "running"


@statement("Delete", "delete without an id is an error", wrong=Content("takes delete without an id", ("delete",)))
def delete_without_id(c):
    c.verb("delete").failed()


@statement("Delete", "delete of a container that is not stopped leaves it as it is",
           wrong=Acts("deletes what runs", lambda w: w.other("delete", "--force", w.container), ("delete",)))
def delete_of_running_changes_nothing(c):
    c.script("sleep 100").up()
    pid = c.pid()
    c.delete()
    assert c.status() == "running" and c.pid() == pid


@statement("Delete", "delete of a container that is not stopped is an error",
           wrong=Content("refuses without a word", ("delete",)))
def delete_of_running_is_an_error(c):
    c.script("sleep 100").up().delete().failed()


@statement("Delete", "delete takes away what create made",
           wrong=Acts("keeps the cgroup", lambda w: (w.real(), os.makedirs(f"/sys/fs/cgroup/{w.container}"))[0], ("delete",)))
def delete_takes_away(c):
    c.up().stopped()
    c.delete().ok()
    c.assert_gone()
    assert not [name for name in os.listdir(c.root) if not name.startswith(".")], "files are left in the root"


@statement("Delete", "delete keeps what create did not make",
           wrong=Acts("deletes the bundle", lambda w: (remove_bundle(w), w.real())[1], ("delete",)))
def delete_keeps_the_rest(c):
    other = Container(c.machine)
    try:
        other.script("sleep 100").up()
        source = c.dir / "source"
        source.mkdir()
        (source / "kept").write_text("kept")
        c.mount("/mnt", "bind", source, "bind").namespace("network", path=f"/proc/{other.pid()}/ns/net").up().stopped()
        c.delete().ok()
        assert (source / "kept").read_text() == "kept"
        assert (c.bundle / "config.json").exists() and (c.rootfs / "bin/busybox").exists()
        assert other.status() == "running"
    finally:
        other.close()


def remove_bundle(wrapper):
    state = json.loads(wrapper.real([*wrapper.args[:2], "state", wrapper.container], capture=True).stdout)
    os.remove(os.path.join(state["bundle"], "config.json"))
