"""config-linux.md: namespaces, devices, network devices, masked and read-only paths."""

import os
import socket
import subprocess

from harness import put
from statements import Acts, Edited, statements_of

statement, _ = statements_of("config_linux", "config-linux.md")

KINDS = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts", "user": "user", "cgroup": "cgroup",
         "time": "time"}
READ_NAMESPACES = "; ".join(f"echo {kind} $(readlink /proc/self/ns/{file})" for kind, file in KINDS.items())


def namespaces(c):
    return dict(line.split() for line in c.says(READ_NAMESPACES).splitlines())


def of_the_host(kind):
    return os.readlink(f"/proc/self/ns/{KINDS[kind]}")


def holder(c, *flags):
    """The pid of a process in new namespaces of these kinds."""
    process = subprocess.Popen(["unshare", *flags, "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE)
    c.machine.ours.add(process.pid)

    def end():
        process.kill()
        process.wait()
        c.machine.ours.discard(process.pid)

    c.undo.append(end)
    process.stdout.readline()
    return process.pid


def drop_path(kind):
    def edit(config):
        for entry in config["linux"]["namespaces"]:
            if entry["type"] == kind:
                entry.pop("path", None)

    return edit


@statement("Namespaces", "A namespace's path is absolute; a relative one is refused",
           wrong=Edited("makes a new namespace instead", drop_path("network")))
def namespace_path_is_absolute(c):
    pid = holder(c, "--net")
    os.symlink(f"/proc/{pid}/ns/net", c.bundle / "netns")
    c.namespace("network", path="netns").assert_refused()


@statement("Namespaces", "The process is in the namespace at path",
           wrong=Edited("makes a new namespace instead", drop_path("network")))
def namespace_of_path(c):
    pid = holder(c, "--net", "--uts", "--ipc")
    for kind in ("network", "uts", "ipc"):
        c.namespace(kind, path=f"/proc/{pid}/ns/{KINDS[kind]}")
    c.set("hostname", ...)
    found = namespaces(c)
    for kind in ("network", "uts", "ipc"):
        assert found[kind] == os.readlink(f"/proc/{pid}/ns/{KINDS[kind]}"), kind


@statement("Namespaces", "A path that leads to a namespace of another kind is an error",
           wrong=Edited("makes a new namespace instead", drop_path("network")))
def namespace_of_other_kind(c):
    pid = holder(c, "--uts")
    c.namespace("network", path=f"/proc/{pid}/ns/uts").assert_refused()


@statement("Namespaces", "Without a path a new namespace is made, of each kind",
           wrong=Edited("makes no time namespace", lambda config: config["linux"]["namespaces"].pop()))
def new_namespaces(c):
    c.user_namespace()
    os.chown(c.rootfs, 100000, 100000)
    for kind in ("cgroup", "time"):
        c.namespace(kind)
    found = namespaces(c)
    for kind in KINDS:
        assert found[kind] and found[kind] != of_the_host(kind), f"{kind}: {found[kind]}"


@statement("Namespaces", "A namespace that is not in the list is the runtime's",
           wrong=Edited("always makes a network namespace",
                        lambda config: config["linux"]["namespaces"].append({"type": "network"})))
def inherited_namespaces(c):
    for kind in ("network", "ipc", "uts"):
        c.without_namespace(kind)
    c.set("hostname", ...)
    c.config["mounts"] = [m for m in c.config["mounts"] if m["type"] != "sysfs"]
    found = namespaces(c)
    for kind in ("network", "ipc", "uts", "user", "cgroup", "time"):
        assert found[kind] == of_the_host(kind), f"{kind}: {found[kind]}"


@statement("Namespaces", "Two namespaces of one kind are an error",
           wrong=Edited("takes the first of two", lambda config: config["linux"]["namespaces"].pop()))
def namespace_twice(c):
    c.config["linux"]["namespaces"].append({"type": "uts"})
    c.assert_refused()


@statement("Devices", "Every device of the list is there: kind, numbers, mode, owner",
           wrong=Edited("makes no devices", lambda config: put(config, "linux.devices", [])))
def devices_are_there(c):
    c.set("linux.devices", [
        {"path": "/dev/one", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8},
        {"path": "/dev/deep/two", "type": "u", "major": 1, "minor": 5, "fileMode": 0o600, "uid": 0, "gid": 0},
        {"path": "/dev/three", "type": "b", "major": 7, "minor": 1, "fileMode": 0o660},
        {"path": "/dev/four", "type": "p", "fileMode": 0o644},
        {"path": "/elsewhere", "type": "c", "major": 1, "minor": 7, "fileMode": 0o666},
    ])
    shown = c.says("for d in /dev/one /dev/deep/two /dev/three /dev/four /elsewhere; do stat -c '%F %t:%T %a %u:%g' $d; done")
    assert shown.splitlines() == [
        "character special file 1:3 640 7:8", "character special file 1:5 600 0:0", "block special file 7:1 660 0:0",
        "fifo 0:0 644 0:0", "character special file 1:7 666 0:0",
    ], shown


@statement("Devices", "A file that is there already and is not the device asked for is an error",
           wrong=Edited("leaves what is there", lambda config: put(config, "linux.devices", [])))
def device_where_a_file_is(c):
    (c.rootfs / "etc/file").write_text("a file")
    c.set("linux.devices", [{"path": "/etc/file", "type": "c", "major": 1, "minor": 3}]).assert_refused()


@statement("Default Devices", "null, zero, full, random, urandom, tty and ptmx are there, and console with a terminal",
           wrong=Edited("hides /dev/full", lambda config: config["mounts"].append(
               {"destination": "/dev/full", "type": "bind", "source": "/dev/null", "options": ["bind"]})))
def default_devices(c):
    shown = c.says("cd /dev; stat -c '%n %t:%T' null zero full random urandom tty; ls -L ptmx; readlink -f ptmx; "
                   "test -e console && echo console; echo x > null && head -c 1 zero | od -An -tx1; echo x > full || echo full")
    numbers = ["null 1:3", "zero 1:5", "full 1:7", "random 1:8", "urandom 1:9", "tty 5:0"]
    lines = shown.splitlines()
    assert lines[:6] == numbers, shown
    assert lines[6:8] in (["ptmx", "/dev/pts/ptmx"], ["ptmx", "/dev/ptmx"]), shown
    assert [line.strip() for line in lines[8:]] == ["00", "full"], shown
    c.script("stat -L -c %t:%T /dev/console $(tty)")
    shown = through_terminal(c).split()
    assert len(shown) == 2 and shown[0] == shown[1], shown


def through_terminal(c):
    """What the process prints to the terminal that the runtime hands over its console socket."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(c.dir / "console"))
        server.listen(1)
        server.settimeout(5)
        c.set("process.terminal", True).create("--console-socket", c.dir / "console").ok()
        connection, _ = server.accept()
        with connection:
            terminal = socket.recv_fds(connection, 4096, 1)[1][0]
    c.start().ok()
    c.stopped()
    os.set_blocking(terminal, False)
    try:
        return os.read(terminal, 4096).decode()
    finally:
        os.close(terminal)


# Network devices.


def device(c, name, *more):
    def ip(*words):
        subprocess.run(["ip", *words], check=True)

    # The two ends go together, wherever this one is by then.
    peer = f"peer{name[-1]}"
    ip("link", "add", name, "type", "veth", "peer", "name", peer)
    c.undo.append(lambda: subprocess.run(["ip", "link", "del", peer], check=False, stderr=subprocess.DEVNULL))
    for words in more:
        ip(*words.split())


def moved_device(c, name, inside=None, *more):
    device(c, name, *more)
    return c.set("linux.netDevices", {name: {"name": inside} if inside else {}})


def no_devices(config):
    put(config, "linux.netDevices", ...)


@statement("Network Devices", "Every network device of the list is in the container, under the name asked for",
           wrong=Edited("moves none", no_devices))
def network_devices_are_there(c):
    moved_device(c, "conf0", "inside0")
    device(c, "conf1")
    c.config["linux"]["netDevices"]["conf1"] = {}
    links = c.says("ip -o link")
    assert "inside0" in links and "conf1" in links, links
    assert "conf0" not in subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout


@statement("Network Devices", "Whether a device can be moved is checked: one that is not there is an error",
           wrong=Edited("passes over it", no_devices))
def missing_network_device(c):
    c.set("linux.netDevices", {"conf-nowhere": {}}).assert_refused()


@statement("Network Devices", "A name that is taken in the container's namespace is an error",
           wrong=Edited("lets the kernel choose another name",
                        lambda config: put(config, "linux.netDevices.conf0.name", "conf%d")))
def network_name_is_taken(c):
    moved_device(c, "conf0", "lo").assert_refused()


@statement("Network Devices", "A name that ends in %d is a pattern that the kernel completes",
           wrong=Edited("takes the host's name", lambda config: put(config, "linux.netDevices.conf0.name", "conf0")))
def network_name_pattern(c):
    moved_device(c, "conf0", "eth%d")
    links = c.says("ip -o link")
    assert " eth0" in links, links


@statement("Network Devices", "Its attributes are kept: global addresses of either family, MTU, hardware address",
           wrong=Acts("loses the addresses", lambda w: (
               subprocess.run(["ip", "addr", "flush", "dev", "conf0"], check=True), w.real())[1], ("run",)))
def network_attributes(c):
    moved_device(c, "conf0", None, "link set dev conf0 mtu 1400", "link set dev conf0 address 02:00:00:00:00:07", "addr add 192.0.2.7/24 dev conf0",
                 "addr add 2001:db8::7/64 dev conf0 nodad")
    shown = c.says("ip addr show dev conf0")
    for wanted in ("mtu 1400", "02:00:00:00:00:07", "192.0.2.7/24", "2001:db8::7/64"):
        assert wanted in shown, f"no {wanted} in {shown}"


@statement("Network Devices", "It is up in the container",
           wrong=Edited("leaves it down", lambda config: config["process"]["args"].__setitem__(
               2, "ip link set conf0 down; " + config["process"]["args"][2])))
def network_device_is_up(c):
    moved_device(c, "conf0")
    c.config["process"]["capabilities"] = {
        kind: ["CAP_NET_ADMIN"] for kind in ("bounding", "effective", "permitted")}
    shown = c.says("ip -o link show dev conf0")
    assert ",UP" in shown, shown


@statement("Network Devices", "What becomes of it in the container's namespace is not the runtime's business",
           wrong=Acts("sets its MTU at start", lambda w: (w.real(), in_net_of(w, "ip link set conf0 mtu 999"))[0], ("start",)))
def network_device_is_left_alone(c):
    pid = holder(c, "--net")
    moved_device(c, "conf0", None, "link set dev conf0 mtu 1400").namespace("network", path=f"/proc/{pid}/ns/net")
    c.script("sleep 100").create().ok()

    def show():
        return subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-o", "link", "show", "dev", "conf0"],
                              capture_output=True, text=True, check=True).stdout

    before = show()
    c.start().ok()
    assert show() == before, show()


def in_net_of(wrapper, command):
    import json

    state = json.loads(wrapper.real([*wrapper.args[:2], "state", wrapper.container], capture=True).stdout)
    subprocess.run(["nsenter", f"--net=/proc/{state['pid']}/ns/net", *command.split()], check=True)


@statement("Network Devices", "It is not moved out of the namespace at delete",
           wrong=Acts("moves it back", lambda w: (move_back(), w.real())[1], ("delete",)))
def network_device_stays(c):
    pid = holder(c, "--net")
    moved_device(c, "conf0").namespace("network", path=f"/proc/{pid}/ns/net")
    c.up().stopped()
    c.delete().ok()
    shown = subprocess.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "-o", "link"], capture_output=True, text=True, check=True)
    assert "conf0" in shown.stdout, shown.stdout


def move_back():
    for process in os.listdir("/proc"):
        if process.isdigit() and os.path.exists(f"/proc/{process}/ns/net"):
            there = ["nsenter", f"--net=/proc/{process}/ns/net", "ip", "link"]
            if os.readlink(f"/proc/{process}/ns/net") != os.readlink("/proc/self/ns/net") and not subprocess.run(
                    [*there, "show", "dev", "conf0"], check=False, capture_output=True).returncode:
                subprocess.run([*there, "set", "conf0", "netns", str(os.getpid())], check=False)
                return


@statement("Masked Paths", "Masked paths are absolute, and what they name can't be read; a relative one is refused",
           wrong=Edited("masks nothing", lambda config: put(config, "linux.maskedPaths", [])))
def masked_paths(c):
    (c.rootfs / "etc/secret").write_text("secret")
    (c.rootfs / "root/secret").write_text("secret")
    c.set("linux.maskedPaths", ["/etc/secret", "/root", "/nowhere"])
    assert c.says("cat /etc/secret; ls /root; echo end") == "end\n"
    c.set("linux.maskedPaths", ["etc/secret"])
    outcome = c.script("cat /etc/secret").run()
    assert outcome.code != 0, "a relative path was accepted"


@statement("Readonly Paths", "Read-only paths are absolute, and what they name can't be written; a relative one is refused",
           wrong=Edited("leaves them writable", lambda config: put(config, "linux.readonlyPaths", [])))
def readonly_paths(c):
    (c.rootfs / "etc/file").write_text("kept")
    c.set("linux.readonlyPaths", ["/etc", "/nowhere"])
    assert c.says("echo new > /etc/file || cat /etc/file") == "kept"
    c.set("linux.readonlyPaths", ["etc"])
    outcome = c.script("true").run()
    assert outcome.code != 0, "a relative path was accepted"
