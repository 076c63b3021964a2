"""A small web service: greets, and tells what its process sees of the machine."""

import json
import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ADDRESS = ("0.0.0.0", 8080)

# include/uapi/linux/seccomp.h
SECCOMP_MODES = {"0": "off", "1": "strict", "2": "filter"}


def status() -> dict[str, str]:
    """The fields of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def cgroup_limits() -> dict[str, str]:
    """The limits that the kernel has for this cgroup, by the name of their file."""
    files = ["memory.max", "memory.swap.max", "cpu.max", "cpu.weight", "pids.max"]
    paths = [Path("/sys/fs/cgroup", name) for name in files]
    return {path.name: path.read_text().strip() for path in paths if path.exists()}


def mounts() -> list[str]:
    """One line for each mount: where, what kind, how."""
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [f"{place} ({kind}, {options})" for _, place, kind, options, *_ in lines]


def whoami() -> dict:
    """What this process sees."""
    fields = status()
    return {
        "pid": os.getpid(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "hostname": socket.gethostname(),
        "capabilities": {
            name: fields[key]
            for name, key in [
                ("effective", "CapEff"),
                ("permitted", "CapPrm"),
                ("inheritable", "CapInh"),
                ("bounding", "CapBnd"),
                ("ambient", "CapAmb"),
            ]
        },
        "no_new_privs": fields["NoNewPrivs"] == "1",
        "seccomp": SECCOMP_MODES.get(fields["Seccomp"], fields["Seccomp"]),
        "cgroup_limits": cgroup_limits(),
        "mounts": mounts(),
        "network_interfaces": [name for _, name in socket.if_nameindex()],
    }


class Handler(BaseHTTPRequestHandler):
    """GET / greets; GET /whoami tells."""

    def do_GET(self) -> None:
        if self.path == "/":
            self.answer(200, "text/plain", "Hello, World!\n")
        elif self.path == "/whoami":
            self.answer(200, "application/json", json.dumps(whoami(), indent=2) + "\n")
        else:
            self.answer(404, "text/plain", "not here\n")

    def answer(self, code: int, kind: str, body: str) -> None:
        """Sends one whole answer."""
        data = body.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    server = ThreadingHTTPServer(ADDRESS, Handler)
    print(f"listening on port {ADDRESS[1]}", flush=True)
    server.serve_forever()
