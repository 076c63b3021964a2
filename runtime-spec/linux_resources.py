"""config-linux.md: control groups, resources, unified."""

import os
import subprocess

from harness import CGROUPS, put, wait_for
from statements import Acts, Content, Edited, Elsewhere, statements_of

statement, _ = statements_of("linux_resources", "config-linux.md")
BLOCK = (7, 1)  # a loop device's number, which needs no loop device


def needs(c, controller):
    if controller not in c.machine.controllers:
        raise Elsewhere(f"needs the {controller} controller on the cgroup v2 tree")


def any_controller(c):
    """A controller of this machine's v2 tree with a limit that may be set, as file, value, and what is read back."""
    limits = {"pids": ("pids.max", "123", "123"), "memory": ("memory.high", "67108864", "67108864"),
              "hugetlb": ("hugetlb.2MB.max", "4194304", "4194304"), "cpu": ("cpu.weight", "123", "123")}
    for controller in c.machine.controllers:
        if controller in limits:
            return (controller, *limits[controller])
    raise Elsewhere("needs a controller on the cgroup v2 tree")


def no_resources(config):
    put(config, "linux.resources", ...)


def own_cgroup(c, name):
    path = CGROUPS / f"{c.id}{name}"
    path.mkdir()
    return path


@statement("Control groups", "A cgroup that is found unfit (frozen, or at create not empty) is an error, where the runtime looks",
           wrong=Edited("takes a cgroup of another name, and so the one that is fit by luck",
                        lambda config: put(config, "linux.cgroupsPath", config["linux"]["cgroupsPath"] + "other")))
def unfit_cgroup(c):
    cgroup = own_cgroup(c, "unfit")
    c.set("linux.cgroupsPath", f"/{cgroup.name}")
    (cgroup / "cgroup.freeze").write_text("1")
    wait_for("the freezer", lambda: "frozen 1" in (cgroup / "cgroup.events").read_text())
    c.script("echo > /ran; sleep 100").create().failed()
    (cgroup / "cgroup.freeze").write_text("0")
    assert not c.exists()


@statement("Cgroups Path", "cgroupsPath is an absolute or a relative path: either is taken",
           wrong=Acts("takes no relative path", lambda w: w.real(["--no-such-flag"])
                      if not w.config()["linux"]["cgroupsPath"].startswith("/") else w.real(), ("create", "run")))
def cgroups_path_of_either_kind(c):
    c.run().ok()
    c.set("linux.cgroupsPath", f"{c.id}/relative").create().ok()
    assert c.id in open(f"/proc/{c.pid()}/cgroup", encoding="utf-8").read()


@statement("Cgroups Path", "An absolute cgroupsPath starts at the mount point of cgroups",
           wrong=Edited("starts somewhere below",
                        lambda config: put(config, "linux.cgroupsPath", config["linux"]["cgroupsPath"].replace("/deep", "/shallow"))))
def absolute_cgroups_path(c):
    c.set("linux.cgroupsPath", f"/{c.id}/deep/er").create().ok()
    pids = (CGROUPS / c.id / "deep/er/cgroup.procs").read_text().split()
    assert str(c.pid()) in pids, pids


@statement("Cgroups Path", "One value of cgroupsPath always leads to one place",
           wrong=Acts("adds its pid to the path", lambda w: w.with_config(
               {**w.config(), "linux": {**w.config()["linux"], "cgroupsPath": f"/{w.container}{os.getpid()}"}}), ("create",)))
def cgroups_path_is_stable(c):
    places = []
    for _ in range(2):
        c.set("linux.cgroupsPath", f"{c.id}/stable").create().ok()
        lines = open(f"/proc/{c.pid()}/cgroup", encoding="utf-8").read().splitlines()
        places.append(next(line for line in lines if c.id in line))
        c.delete("--force").ok()
    assert places[0] == places[1], places


@statement("Cgroups Path", "A cgroupsPath that the runtime holds for invalid is an error",
           wrong=Edited("leaves out what is invalid",
                        lambda config: put(config, "linux.cgroupsPath", config["linux"]["cgroupsPath"].replace("\n", ""))))
def invalid_cgroups_path(c):
    # No cgroup's name can hold a line feed (mkdir(2) in a cgroup's directory: EINVAL).
    c.set("linux.cgroupsPath", f"/{c.id}a\nb").assert_refused()


def delegated(c, user=1000):
    """A container whose user may have its cgroup: of its own namespace, mounted read-write."""
    c.namespace("cgroup").set("process.user", {"uid": user, "gid": user})
    return c.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "rw")


@statement("Cgroup ownership", "A file of /sys/kernel/cgroup/delegate that a cgroup has not is no failure",
           wrong=Acts("fails for a file that is not there", lambda w: w.real(["--no-such-flag"]), ("create",)))
def delegate_names_a_missing_file(c):
    names = open("/sys/kernel/cgroup/delegate", encoding="utf-8").read().split()
    names = names if set(names) - set(os.listdir(CGROUPS)) else [*names, "conformance.not_there"]
    listed = c.dir / "delegate"
    listed.write_text("\n".join(names) + "\n")
    bind_over(c, listed, "/sys/kernel/cgroup/delegate")
    delegated(c).script("sleep 100").up()
    assert c.status() == "running"


def one_more(wrapper):
    done = wrapper.real()
    cgroup = CGROUPS / wrapper.container
    os.chown(cgroup / "cgroup.max.depth", os.stat(cgroup).st_uid, 0)
    return done


@statement("Cgroup ownership", "Without /sys/kernel/cgroup/delegate: cgroup.procs, cgroup.subtree_control and cgroup.threads",
           wrong=Acts("changes the owner of one file more", one_more, ("create",)))
def no_delegate_file(c):
    empty = c.dir / "nothing"
    empty.mkdir()
    bind_over(c, empty, "/sys/kernel/cgroup")
    # In a user namespace runtimes do what they may do elsewhere; a sysfs is not to be had there below a mount.
    c.set("mounts", [entry for entry in c.config["mounts"] if entry["type"] != "sysfs"])
    (c.rootfs / "sys/fs/cgroup").mkdir(parents=True)
    delegated(c).user_namespace().script("sleep 100").up()
    cgroup = c.cgroup()
    owner = os.stat(cgroup).st_uid
    if owner == 0:
        raise Elsewhere("this runtime changes no owner of a cgroup, which it may")
    owned = [name for name in os.listdir(cgroup) if os.stat(cgroup / name).st_uid == owner]
    assert sorted(owned) == ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"], owned


def bind_over(c, source, target):
    subprocess.run(["mount", "--bind", str(source), target], check=True)
    c.undo.append(lambda: subprocess.run(["umount", target], check=True))


@statement("Allowed Device list", "Device rules count in the order of the list",
           wrong=Edited("heeds them from last to first", lambda config: config["linux"]["resources"]["devices"].reverse()))
def order_of_device_rules(c):
    number = {"type": "c", "major": 10, "minor": 229}  # fuse: whoever may open the node may open the device
    c.set("linux.devices", [{"path": "/dev/fuse", **number, "fileMode": 0o666}])
    rule = {**number, "access": "rwm"}
    c.set("linux.resources.devices", [{"allow": False, "access": "rwm"}, {"allow": True, **rule}, {"allow": False, **rule}])
    assert c.says("true 2>/dev/null < /dev/fuse || echo refused") == "refused\n", "a later denial does not count"
    c.set("linux.resources.devices", [{"allow": False, "access": "rwm"}, {"allow": False, **rule}, {"allow": True, **rule}])
    assert c.says("true < /dev/fuse && echo opened") == "opened\n", "a later permission does not count"


@statement("Memory", "With checkBeforeUpdate a limit below what is used is refused",
           wrong=Content("passes over the refusal", ("update",)))
def check_before_update(c):
    needs(c, "memory")
    c.set("linux.resources.memory", {"limit": 64 << 20, "checkBeforeUpdate": True})
    c.script("dd if=/dev/zero of=/dev/shm/filled bs=1M count=16; echo > /ran; sleep 100")
    c.mount("/dev/shm", "tmpfs", "tmpfs").up()
    wait_for("the memory to be used", (c.rootfs / "ran").exists)
    before = (c.cgroup() / "memory.max").read_text()
    resources = c.dir / "resources.json"
    resources.write_text('{"memory": {"limit": 4194304, "checkBeforeUpdate": true}}')
    c.verb("update", "--resources", resources, c.id).failed()
    assert (c.cgroup() / "memory.max").read_text() == before


@statement("CPU", "A positive quota is not smaller than burst; where it is, the runtime or the kernel refuses it",
           wrong=Edited("drops the burst", lambda config: put(config, "linux.resources.cpu.burst", ...)))
def quota_below_burst(c):
    needs(c, "cpu")
    c.set("linux.resources.cpu", {"quota": 10000, "period": 100000, "burst": 20000}).assert_refused()


@statement("CPU", "burst is not larger than a positive quota: as large is taken",
           wrong=Edited("passes over the burst", lambda config: put(config, "linux.resources.cpu.burst", 0)))
def burst_up_to_quota(c):
    needs(c, "cpu")
    c.set("linux.resources.cpu", {"quota": 20000, "period": 100000, "burst": 20000}).create().ok()
    assert (c.cgroup() / "cpu.max.burst").read_text() == "20000\n"


@statement("Block IO", "An entry of weightDevice has a weight, a leafWeight or both; one with neither is refused",
           wrong=Edited("passes over it", no_resources))
def weight_device_without_weight(c):
    c.set("linux.resources.blockIO.weightDevice", [{"major": BLOCK[0], "minor": BLOCK[1]}]).assert_refused()


@statement("RDMA", "An entry of rdma limits handles, objects or both; one with neither is refused",
           wrong=Edited("passes over it", no_resources))
def rdma_without_limit(c):
    c.set("linux.resources.rdma", {"mlx5_1": {}}).assert_refused()


def disable(wrapper):
    """What the runtime enabled above the container's cgroup is disabled again."""
    done = wrapper.real()
    above = (CGROUPS / wrapper.config()["linux"]["cgroupsPath"][1:]).parent / "cgroup.subtree_control"
    above.write_text(" ".join(f"-{name}" for name in above.read_text().split()))
    return done


@statement("Unified", "The controllers that unified needs are enabled for the cgroup",
           wrong=Acts("leaves them disabled", disable, ("create",)))
def unified_enables_controllers(c):
    controller, file, value, _ = any_controller(c)
    c.set("linux.cgroupsPath", f"/{c.id}/below").set("linux.resources.unified", {file: value}).create().ok()
    assert controller in (CGROUPS / c.id / "below/cgroup.controllers").read_text().split()


@statement("Unified", "What the runtime does not know is written all the same",
           wrong=Edited("writes only what it knows", no_resources))
def unified_is_written(c):
    _, file, value, shown = any_controller(c)
    # No runtime has a field for cgroup.max.depth: it is of the core and needs no controller.
    c.set("linux.resources.unified", {file: value, "cgroup.max.depth": "7"}).create().ok()
    assert (c.cgroup() / file).read_text().strip() == shown
    assert (c.cgroup() / "cgroup.max.depth").read_text().strip() == "7"


@statement("Unified", "A controller that is not there is an error", wrong=Edited("passes over it", no_resources))
def unified_of_missing_controller(c):
    c.set("linux.resources.unified", {"imaginary.max": "5"}).assert_refused()


@statement("Unified", "What was meant for cgroup v1 and can't be converted is an error", wrong=Edited("passes over it", no_resources))
def no_conversion(c):
    c.set("linux.resources.cpu", {"realtimeRuntime": 5000, "realtimePeriod": 10000}).assert_refused()
