"""config.md: the six hooks, where they resolve and run, when and with what."""

import json
import os

from harness import put, wait_for
from statements import Edited, statements_of

statement, elsewhere = statements_of("config_hooks", "config.md")

KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
# Namespaces of the hook, its pid's root directory if it has to do with a pivot, and what it was told.
RECORD = """#!/bin/sh
state=$(cat)
pid=$(printf '%s' "$state" | sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p')
{
    printf 'name\\t%s\\n' "$1"
    for kind in mnt net uts; do printf '%s\\t%s\\n' "$kind" "$(readlink /proc/self/ns/$kind)"; done
    printf 'sees_host\\t%s\\n' "$(test -e "$2/host" && echo yes || echo no)"
    printf 'unpivoted\\t%s\\n' "$(test -e "/proc/$pid/root$2/host" && echo yes || echo no)"
    printf 'process_net\\t%s\\n' "$(readlink "/proc/$pid/ns/net")"
    printf 'ran\\t%s\\n' "$(test -e "$2/bundle/rootfs/ran" -o -e /ran && echo yes || echo no)"
    printf 'cgroup\\t%s\\n' "$(test -e "/sys/fs/cgroup/$3" && echo yes || echo no)"
    printf 'state\\t%s\\n' "$(printf '%s' "$state" | tr -d '\\n\\t')"
} >>"$4"
"""


class Record(dict):
    def state(self):
        return json.loads(self["state"])


def recorder(c, *kinds, name=None):
    """Hooks of these kinds that write down what they see; a call returns what has been written so far."""
    (c.dir / "host").touch()
    for place in (c.dir / "record", c.rootfs / "record"):
        place.write_text(RECORD)
        place.chmod(0o755)
    for kind in kinds:
        inside = kind == "startContainer"
        path, log = ("/record", "/log") if inside else (c.dir / "record", c.dir / "log")
        c.hook(kind, path, name or kind, c.dir, c.id, log)

    def records():
        found = []
        for log in (c.dir / "log", c.rootfs / "log"):
            for line in log.read_text().splitlines() if log.exists() else ():
                key, value = line.split("\t", 1)
                if key == "name":
                    found.append(Record())
                found[-1][key] = value
        return found

    return records


def lived(c):
    """A whole life: created, started, ended, deleted."""
    c.script("echo > /ran; sleep 0.1").up()
    c.stopped().delete().ok()


def only(records):
    found = records()
    assert len(found) == 1, f"called {len(found)} times"
    return found[0]


def moved(kind, to):
    """The hooks of one kind are called as if they were of another."""

    def edit(config):
        config["hooks"][to] = config["hooks"].pop(kind) + config["hooks"].get(to, [])

    return edit


def of_the_host(kind):
    return os.readlink(f"/proc/self/ns/{kind}")


for first in ("prestart", "createRuntime"):

    @statement("POSIX-platform Hooks", f"{first}: a path that is not absolute is refused",
               wrong=Edited("looks it up from the root",
                            lambda config, first=first: put(config["hooks"][first][0], "path", "/bin/true")))
    def path_is_absolute(c, first=first):
        c.hook(first, "bin/true").assert_refused()

    @statement("POSIX-platform Hooks", f"{first}: a timeout of zero or less is refused, and one that runs out fails the hook",
               wrong=Edited("waits for ever", lambda config, first=first: put(config["hooks"][first][0], "timeout", ...)))
    def timeout_is_positive(c, first=first):
        c.hook(first, "/bin/sleep", "2", timeout=1).assert_refused()
        c.config["hooks"] = {}
        c.hook(first, "/bin/true", timeout=-1).assert_refused()


PLACES = {
    "prestart": ("runtime", "startContainer"),
    "createRuntime": ("runtime", "startContainer"),
    "createContainer": ("runtime", "startContainer"),
    "startContainer": ("container", "createContainer"),
    "poststart": ("runtime", "startContainer"),
    "poststop": ("runtime", "startContainer"),
}
RUNS_IN = {
    "prestart": ("runtime", "createContainer"),
    "createRuntime": ("runtime", "createContainer"),
    "createContainer": ("container", "createRuntime"),
    "startContainer": ("container", "createRuntime"),
    "poststart": ("runtime", "createContainer"),
    "poststop": ("runtime", "createContainer"),
}


def place_statements(kind):
    where, other = PLACES[kind]

    @statement("Hooks", f"The path of {kind} hooks is looked up in the {where} namespace", words=2,
               joins=f"the list of properties; {kind}'s own section",
               wrong=Edited(f"looks it up in the {'container' if where == 'runtime' else 'runtime'} namespace", moved(kind, other)))
    def resolves(c):
        records = recorder(c, kind)
        # The same path leads to a program of the same work on one side only.
        only_there = c.dir / "record" if where == "container" else c.rootfs / "record"
        only_there.unlink()
        lived(c)
        assert only(records)["name"] == kind

    in_where, in_other = RUNS_IN[kind]

    @statement("Hooks", f"{kind} hooks run in the {in_where} namespace", words=2,
               joins=f"the list of properties; {kind}'s own section",
               wrong=Edited(f"runs them in the {'container' if in_where == 'runtime' else 'runtime'} namespace", moved(kind, in_other)))
    def runs_in(c):
        records = recorder(c, kind)
        lived(c)
        record = only(records)
        for namespace in ("mnt", "net", "uts"):
            same = record[namespace] == of_the_host(namespace)
            assert same == (in_where == "runtime"), f"{namespace}: {record[namespace]}"


for each in KINDS:
    place_statements(each)


@statement("POSIX-platform Hooks", "Hooks of one kind are called in the order of the list",
           wrong=Edited("calls them from last to first",
                        lambda config: [hooks.reverse() for hooks in config["hooks"].values()]))
def order_of_hooks(c):
    for name in ("one", "two", "three"):
        records = recorder(c, *KINDS, name=name)
    lived(c)
    found = [record["name"] for record in records()]
    assert found == ["one", "two", "three"] * len(KINDS), found


@statement("POSIX-platform Hooks", "Hooks get the state on standard input",
           wrong=Edited("gives them nothing to read", lambda config: mute(config)))
def state_on_stdin(c):
    records = recorder(c, *KINDS)
    c.script("echo > /ran; sleep 0.3").create().ok()
    pid = c.pid()
    c.start().ok()
    c.stopped().delete().ok()
    found = {record["name"]: record.state() for record in records()}
    statuses = {"prestart": ("creating", "created"), "createRuntime": ("creating", "created"),
                "createContainer": ("creating", "created"), "startContainer": ("created",), "poststart": ("running",),
                "poststop": ("stopped",)}
    assert set(found) == set(KINDS), set(found)
    for kind, state in found.items():
        assert state["id"] == c.id and state["bundle"] == str(c.bundle) and state["ociVersion"], state
        assert state["status"] in statuses[kind], f"{kind}: {state['status']}"
    for kind in ("prestart", "createRuntime", "poststart"):
        assert found[kind]["pid"] == pid, f"{kind}: {found[kind]['pid']} is not {pid}"
    assert found["startContainer"]["pid"] == 1, f"pid {found['startContainer']['pid']} in the container's namespace"


def mute(config):
    for hooks in config["hooks"].values():
        for hook in hooks:
            quoted = " ".join(f"'{word}'" for word in [hook["path"], *hook["args"][1:]])
            hook["path"], hook["args"] = "/bin/sh", ["sh", "-c", f"cat >/dev/null; echo '{{}}' | {quoted}"]


def create_section(kind):
    @statement(kind, f"{kind} hooks are called at create, when the namespaces are there and before pivot_root",
               wrong=Edited("calls them at start", moved(kind, "startContainer" if kind == "createContainer" else "poststart")))
    def at_create(c):
        records = recorder(c, kind)
        if kind == "createContainer":
            # The same record is there at the same path inside, so that being called too late is all that is wrong.
            (c.rootfs / str(c.dir)[1:]).mkdir(parents=True)
            (c.rootfs / str(c.dir / "record")[1:]).write_text(RECORD)
            (c.rootfs / str(c.dir / "record")[1:]).chmod(0o755)
        c.script("echo > /ran; sleep 100").create().ok()
        record = only(records)
        assert record["ran"] == "no"
        if kind == "createContainer":
            assert record["sees_host"] == "yes", "the root has been changed already"
            assert record["net"] != of_the_host("net")
        else:
            assert record["unpivoted"] == "yes", "the process's root has been changed already"
            assert record["process_net"] not in ("", of_the_host("net")), "the namespaces are not there"


@statement("Prestart", "prestart hooks are called before createRuntime hooks",
           wrong=Edited("calls createRuntime hooks first", lambda config: (
               moved("prestart", "createContainer")(config))))
def prestart_first(c):
    records = recorder(c, "createRuntime", "prestart")
    c.create().ok()
    assert [record["name"] for record in records()] == ["prestart", "createRuntime"]


create_section("prestart")
create_section("createRuntime")
create_section("createContainer")


@statement("CreateContainer Hooks", "createContainer hooks are called after createRuntime hooks",
           wrong=Edited("calls createContainer hooks first", moved("createContainer", "prestart")))
def create_container_last(c):
    records = recorder(c, "createContainer", "createRuntime")
    c.create().ok()
    assert [record["name"] for record in records()] == ["createRuntime", "createContainer"]


@statement("StartContainer Hooks", "startContainer hooks are called at start, before the user's program",
           wrong=Edited("calls them when the program runs",
                        lambda config: (moved("startContainer", "poststart")(config),
                                        put(config["hooks"]["poststart"][0], "path", "/bin/true"))))
def start_container_before_the_program(c):
    records = recorder(c, "startContainer")
    c.script("test -e /log && echo > /after; echo > /ran; sleep 100").create().ok()
    assert not records(), "called before start"
    c.start().ok()
    wait_for("the program to run", (c.rootfs / "ran").exists)
    assert only(records)["ran"] == "no"
    assert (c.rootfs / "after").exists(), "the program ran first"


@statement("Poststart", "poststart hooks are called when the user's program has been executed, before start returns",
           wrong=Edited("calls them at create", moved("poststart", "createRuntime")))
def poststart_after_the_program(c):
    # The hook waits for the program: called before it, it would wait in vain.
    seen = c.dir / "seen"
    script = f"for _ in $(seq 100); do test -e {c.rootfs}/ran && echo > {seen} && exit; sleep 0.02; done; exit 1"
    c.hook("poststart", "/bin/sh", "-c", script).script("echo > /ran; sleep 100").create().ok()
    assert not seen.exists()
    c.start().ok()
    assert seen.exists(), "start returned before the hook had ended"


@statement("Poststop", "poststop hooks are called when the container is deleted, before delete returns",
           wrong=Edited("calls them at start", moved("poststop", "poststart")))
def poststop_after_delete(c):
    records = recorder(c, "poststop")
    c.up().stopped()
    assert not records(), "called before delete"
    c.delete().ok()
    assert only(records)["cgroup"] == "no", "called before the container was gone"
