"""A stand-in for resctrl where the processor has none: its directories and files, served through /dev/fuse.

It keeps what Documentation/filesystems/resctrl.rst says of groups: a new directory has `tasks` and `schemata`, a task
is in one group at a time, `schemata` takes lines of the resources there are, and there is an end to the groups. The
kernel names it `fuse` in mountinfo: `with-resctrl` shows the runtime another one.
"""

import ctypes
import errno
import os
import struct
import tempfile
import threading
from pathlib import Path

GROUPS_AT_MOST = 16
WHOLE = {"MB": "0=100", "L3": "0=ff"}
DIRECTORY, FILE = 0o040755, 0o100644
ROOT_ID = 1


class Refused(Exception):
    """What the caller of the file system gets for an errno."""


class Directory:
    """A directory with its files, each a pair of functions to read and to write it."""

    def __init__(self, parent=None):
        self.parent, self.entries, self.mode = parent, {}, DIRECTORY

    def make(self, _name):
        raise Refused(errno.EPERM)

    def remove(self, _name):
        raise Refused(errno.EPERM)


class File:
    mode = FILE

    def __init__(self, read, write=None):
        self.read, self.write = read, write


class Group(Directory):
    """A class of service, or below `mon_groups` what only counts."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.pids = set()
        self.entries["tasks"] = File(self.read_tasks, self.write_tasks)

    def read_tasks(self):
        return "".join(f"{pid}\n" for pid in sorted(self.tasks()))

    def tasks(self):
        return {pid for pid in self.pids if os.path.exists(f"/proc/{pid}")}

    def write_tasks(self, text):
        pid = int(text)
        if not os.path.exists(f"/proc/{pid}"):
            raise Refused(errno.ESRCH)
        self.take(pid)


class Monitor(Group):
    """A group that counts: its tasks are of the class above."""

    def take(self, pid):
        if pid not in self.parent.parent.tasks():
            raise Refused(errno.EINVAL)
        self.pids.add(pid)


class Children(Directory):
    """`mon_groups`, or the root: where groups of one kind are made."""

    def make(self, name):
        if sum(isinstance(entry, Group) for entry in self.entries.values()) + 1 >= GROUPS_AT_MOST:
            raise Refused(errno.ENOSPC)
        self.entries[name] = self.child()
        return self.entries[name]

    def remove(self, name):
        if not isinstance(self.entries.get(name), Group):
            raise Refused(errno.EPERM)
        del self.entries[name]


class Monitors(Children):
    def child(self):
        return Monitor(self)


class Class(Group):
    """A class of service."""

    def __init__(self, root):
        super().__init__(root)
        self.root, self.shares = root, dict(WHOLE)
        self.entries["schemata"] = File(self.read_schemata, self.write_schemata)
        self.entries["mon_groups"] = Monitors(self)

    def take(self, pid):
        for group in self.root.classes():
            group.pids.discard(pid)
        self.pids.add(pid)

    def read_schemata(self):
        return "".join(f"    {kind}:{share}\n" for kind, share in self.shares.items())

    def write_schemata(self, text):
        wanted = dict(line.strip().split(":", 1) for line in text.splitlines() if ":" in line)
        if not wanted or len(wanted) != len(text.splitlines()) or not all(map(valid, wanted.items())):
            raise Refused(errno.EINVAL)
        self.shares.update(wanted)


def valid(line):
    kind, share = line
    domain, _, value = share.partition("=")
    if kind not in WHOLE or domain != "0":
        return False
    try:
        return 10 <= int(value) <= 100 if kind == "MB" else 0 < int(value, 16) <= 0xFF
    except ValueError:
        return False


class Root(Children, Class):
    """The default class, which holds whoever is in no other."""

    def __init__(self):
        Class.__init__(self, self)
        info = Directory(self)
        info.entries["last_cmd_status"] = File(lambda: "ok\n")
        self.entries["info"] = info

    def child(self):
        return Class(self)

    def classes(self):
        return [entry for entry in self.entries.values() if isinstance(entry, Class)]

    def tasks(self):
        everyone = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        return everyone.difference(*(group.pids for group in self.classes()))


class Server:
    """The kernel's requests (linux/fuse.h), one after the other."""

    def __init__(self, fd, root):
        self.fd, self.nodes, self.ids = fd, {ROOT_ID: root}, {root: ROOT_ID}

    def serve(self):
        while True:
            try:
                request = os.read(self.fd, 1 << 18)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    continue
                return
            _, opcode, unique, node, *_ = struct.unpack_from("<IIQQIIII", request)
            answer = getattr(self, OPERATIONS.get(opcode, ""), None)
            if opcode in FORGETS:
                continue
            try:
                body, code = (answer(self.nodes.get(node), request[40:]), 0) if answer else (b"", -errno.ENOSYS)
            except Refused as refused:
                body, code = b"", -refused.args[0]
            except (AttributeError, ValueError):
                body, code = b"", -errno.EINVAL
            os.write(self.fd, struct.pack("<IiQ", 16 + len(body), code, unique) + body)

    def attributes(self, node):
        number = self.ids.setdefault(node, len(self.ids) + 1)
        self.nodes[number] = node
        size = len(node.read()) if isinstance(node, File) else 0
        return number, struct.pack("<6Q10I", number, size, 0, 0, 0, 0, 0, 0, 0, node.mode, 1, 0, 0, 0, 4096, 0)

    def entry(self, node):
        number, attributes = self.attributes(node)
        return struct.pack("<4Q2I", number, 0, 0, 0, 0, 0) + attributes

    def init(self, _node, _body):
        return struct.pack("<4I2H2I2HI7I", 7, 31, 0, 0, 16, 12, 1 << 16, 1, 16, 0, 0, *[0] * 7)

    def lookup(self, node, body):
        found = node.entries.get(text(body))
        if found is None:
            raise Refused(errno.ENOENT)
        return self.entry(found)

    def getattr(self, node, _body):
        return struct.pack("<QII", 0, 0, 0) + self.attributes(node)[1]

    def mkdir(self, node, body):
        name = text(body[8:])
        if name in node.entries:
            raise Refused(errno.EEXIST)
        return self.entry(node.make(name))

    def rmdir(self, node, body):
        if text(body) not in node.entries:
            raise Refused(errno.ENOENT)
        node.remove(text(body))
        return b""

    def open(self, _node, _body):
        return struct.pack("<QII", 0, 1, 0)  # FOPEN_DIRECT_IO: a file is as long as what it says

    def read(self, node, body):
        _, offset, size = struct.unpack_from("<QQI", body)
        return node.read().encode()[offset:offset + size]

    def write(self, node, body):
        _, _, size = struct.unpack_from("<QQI", body)
        if node.write is None:
            raise Refused(errno.EACCES)
        node.write(body[40:40 + size].decode())
        return struct.pack("<II", size, 0)

    def readdir(self, node, body):
        _, offset, size = struct.unpack_from("<QQI", body)
        listing = b""
        for index, (name, entry) in enumerate(list(node.entries.items())[offset:], offset + 1):
            name = name.encode()
            number, _ = self.attributes(entry)
            record = struct.pack("<QQII", number, index, len(name), entry.mode >> 12) + name
            record += b"\0" * (-len(record) % 8)
            if len(listing) + len(record) > size:
                break
            listing += record
        return listing

    def statfs(self, _node, _body):
        return struct.pack("<5Q4I6I", 0, 0, 0, 0, 0, 4096, 255, 4096, 0, *[0] * 6)

    def nothing(self, _node, _body):
        return b""


OPERATIONS = {1: "lookup", 3: "getattr", 4: "getattr", 9: "mkdir", 11: "rmdir", 14: "open", 15: "read", 16: "write",
              17: "statfs", 18: "nothing", 25: "nothing", 26: "init", 27: "open", 28: "readdir", 29: "nothing"}
FORGETS = (2, 42)


def text(body):
    return body.split(b"\0", 1)[0].decode()


def mount():
    """Mounts one in the mount namespace of the caller; its directory."""
    place = Path(tempfile.mkdtemp(prefix="resctrl-"))
    fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other"
    if ctypes.CDLL(None, use_errno=True).mount(b"resctrl", bytes(place), b"fuse", 0, options.encode()):
        raise OSError(ctypes.get_errno(), "mount(fuse)")
    threading.Thread(target=Server(fd, Root()).serve, daemon=True).start()
    return place
