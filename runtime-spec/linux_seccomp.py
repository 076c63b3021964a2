"""config-linux.md: seccomp and the state that goes to its listener."""

import array
import json
import os
import socket
import threading

from harness import put
from statements import Acts, Edited, statements_of

statement, _ = statements_of("linux_seccomp", "config-linux.md")


class Listener:
    """A listener: what came over each connection, with how many descriptors, call by call."""

    def __init__(self, c):
        self.path = str(c.dir / "seccomp.sock")
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(self.path)
        self.server.listen(5)
        self.server.settimeout(5)
        self.connections, self.descriptors = [], []
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        c.undo.append(self.close)

    def serve(self):
        try:
            while True:
                connection, _ = self.server.accept()
                connection.settimeout(5)
                self.connections.append(self.read(connection))
        except OSError:
            return

    def read(self, connection):
        """Until the end: (bytes, count of descriptors, kinds of control message) of every recvmsg."""
        calls = []
        while True:
            try:
                data, control, _, _ = connection.recvmsg(1 << 16, 1 << 10)
            except TimeoutError:
                return [*calls, ("still open", 0, [])]
            if not data:
                return calls
            found = array.array("i")
            for _, _, payload in control:
                found.frombytes(payload[: len(payload) - len(payload) % found.itemsize])
            self.descriptors += found
            calls.append((data, len(found), [(level, kind) for level, kind, _ in control]))

    def close(self):
        self.server.close()
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []

    def states(self):
        """What each connection brought, parsed: exactly one JSON value, or it raises."""
        self.thread.join(1)
        return [json.loads(b"".join(data for data, _, _ in calls)) for calls in self.connections]


def listening(c, **more):
    """A container that asks the listener about getpriority, which nothing here calls."""
    listener = Listener(c)
    c.set("linux.seccomp", {
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": listener.path,
        "syscalls": [{"names": ["getpriority"], "action": "SCMP_ACT_NOTIFY"}], **more,
    })
    c.script("sleep 100").up()
    return listener


def drop(path):
    return lambda config: put(config, f"linux.seccomp.{path}", ...)


@statement("Seccomp", "defaultErrnoRet with an action that returns no errno is an error",
           wrong=Edited("passes over the errno", drop("defaultErrnoRet")))
def default_errno_without_errno(c):
    c.set("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 5}).assert_refused()


@statement("Seccomp", "The listener's socket is a stream socket of AF_UNIX; another one is an error",
           wrong=Edited("goes without the listener", lambda config: put(config, "linux.seccomp", ...)))
def listener_is_a_stream_socket(c):
    path = str(c.dir / "datagram.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        c.set("linux.seccomp", {
            "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path,
            "syscalls": [{"names": ["getpriority"], "action": "SCMP_ACT_NOTIFY"}],
        }).assert_refused()


def connect(path, payload):
    """A connection to the listener that brings this."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        connection.sendall(payload)


@statement("Seccomp", "Exactly one state is sent over a connection",
           wrong=Acts("sends another line with it", lambda w: (
               connect(w.config()["linux"]["seccomp"]["listenerPath"], b"{}{}"), w.real())[1], ("create",)))
def one_state_a_connection(c):
    states = listening(c).states()
    assert len(states) == 1, f"{len(states)} connections"
    assert states[0]["state"]["id"] == c.id, states


@statement("Seccomp", "A connection is not used again: every state has one of its own",
           wrong=Edited("sends nothing", lambda config: put(config, "linux.seccomp", ...)))
def connection_is_not_reused(c):
    listener = listening(c)
    c.exec("true").ok()
    states = listener.states()
    assert len(states) == 2, f"{len(states)} connections for a container and an exec"
    assert states[0]["pid"] != states[1]["pid"], "one process twice"


@statement("Seccomp", "The connection is closed when the state has been sent",
           wrong=Acts("keeps it open", lambda w: keep_open(w), ("create",)))
def connection_is_closed(c):
    listener = listening(c)
    listener.thread.join(0.5)
    assert listener.connections, "no connection, or one that is still open"
    assert listener.connections[0][-1][0] != "still open"


def keep_open(wrapper):
    """A process of ours keeps a connection to the listener, where the right runtime would close it."""
    config = wrapper.config()
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    held.connect(config["linux"]["seccomp"]["listenerPath"])
    if os.fork() == 0:
        import time

        null = os.open("/dev/null", os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        time.sleep(8)
        os._exit(0)
    put(config, "linux.seccomp", ...)
    return wrapper.with_config(config)


@statement("Seccomp", "A state that can't be sent is an error",
           wrong=Edited("goes without the listener", lambda config: put(config, "linux.seccomp", ...)))
def unsent_state(c):
    c.set("linux.seccomp", {
        "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(c.dir / "nobody.sock"),
        "syscalls": [{"names": ["getpriority"], "action": "SCMP_ACT_NOTIFY"}],
    }).assert_refused()


@statement("Seccomp", "listenerMetadata without listenerPath is refused",
           wrong=Edited("passes over it", drop("listenerMetadata")))
def metadata_without_listener(c):
    c.set("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "data"}).assert_refused()


@statement("Seccomp", "A rule names at least one system call; one that names none is refused",
           wrong=Edited("passes over it", drop("syscalls")))
def rule_without_names(c):
    c.set("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW",
                            "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]}).assert_refused()


@statement("Seccomp", "errnoRet with an action that returns no errno is an error",
           wrong=Edited("passes over the errno", lambda config: put(config["linux"]["seccomp"]["syscalls"][0], "errnoRet", ...)))
def errno_without_errno(c):
    c.set("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getpriority"], "action": "SCMP_ACT_KILL", "errnoRet": 5}]}).assert_refused()


@statement("The Container Process State", "The state goes over the socket as JSON: ociVersion, fds, pid, metadata, state",
           wrong=Edited("forgets the metadata", drop("listenerMetadata")))
def state_is_json(c):
    state = listening(c, listenerMetadata="opaque data").states()[0]
    assert state["ociVersion"] and state["fds"] == ["seccompFd"], state
    assert state["metadata"] == "opaque data" and state["pid"] == c.pid(), state
    assert state["state"]["id"] == c.id and state["state"]["bundle"] == str(c.bundle), state


@statement("The Container Process State", "Descriptors go by SCM_RIGHTS",
           wrong=Acts("sends none", lambda w: (connect_only(w), silent(w))[1], ("create",)))
def descriptors_by_scm_rights(c):
    listener = listening(c)
    listener.thread.join(1)
    calls = listener.connections[0]
    assert calls[0][2] == [(socket.SOL_SOCKET, socket.SCM_RIGHTS)] and calls[0][1] == 1, calls
    assert "seccomp" in os.readlink(f"/proc/self/fd/{listener.descriptors[0]}")


def connect_only(wrapper):
    connect(wrapper.config()["linux"]["seccomp"]["listenerPath"], b'{"fds": ["seccompFd"]}')


def silent(wrapper):
    config = wrapper.config()
    put(config, "linux.seccomp", ...)
    return wrapper.with_config(config)


@statement("The Container Process State", "Descriptors come with the first call only",
           wrong=Acts("sends them last", lambda w: (connect_only(w), silent(w))[1], ("create",)))
def descriptors_with_the_first_call(c):
    listener = listening(c)
    listener.thread.join(1)
    first, *rest = listener.connections[0]
    assert first[1] == 1 and all(count == 0 for _, count, _ in rest), listener.connections[0]
