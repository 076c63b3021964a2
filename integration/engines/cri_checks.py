"""Kubernetes' way to containers, on containerd's socket: pods and what a kubelet asks of them.

Each check runs on the runtime class `etui`; one that fails is run again on `runc`, to show whose
fault it is. Started by engines-containerd.sh, inside the lab."""

import json
import os
import re
import signal
import subprocess
import time
import traceback

from cri import Client

client = Client("/run/containerd/containerd.sock")
POD, CONTAINER, NODE, TARGET = range(4)
READY, RUNNING, EXITED = 0, 1, 2
LOGS = "/tmp/pods"
# With systemd's driver a pod is in a slice, and a kubelet's slices are nested.
WITH_SYSTEMD = os.path.isdir("/run/systemd/system")
PARENT = "/pods.slice/pods-burstable.slice" if WITH_SYSTEMD else "/pods"
# The records of the runtime, in the directory that the shim gives it.
ROOT = "/run/containerd/runc/k8s.io"
SERVICE = "mkdir -p /www; hostname >/www/index.html; echo serving; exec httpd -f -p 80 -h /www"


class Pod:
    """A sandbox and its containers, gone at the end of the `with`."""

    counter = 0

    def __init__(self, handler, network=NODE, pid=CONTAINER, ipc=POD, userns=None, sysctls=None, privileged=False):
        Pod.counter += 1
        name = f"pod{Pod.counter}"
        options = {"network": network, "pid": pid, "ipc": ipc}
        if userns:
            options["userns_options"] = userns
        self.options = options
        self.config = {
            "metadata": {"name": name, "uid": name, "namespace": "default", "attempt": 0},
            "log_directory": f"{LOGS}/{name}",
            "linux": {
                "cgroup_parent": PARENT,
                "security_context": {"namespace_options": options, "privileged": privileged},
                "sysctls": sysctls or {},
            },
        }
        if network == POD:
            self.config["hostname"] = name
        os.makedirs(f"{LOGS}/{name}", exist_ok=True)
        self.name = name
        self.containers = 0
        self.id = client.RunPodSandbox(config=self.config, runtime_handler=handler)["pod_sandbox_id"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            client.StopPodSandbox(pod_sandbox_id=self.id)
        except Exception as error:
            # The shim may end between two of its containers; a kubelet asks again.
            if "ttrpc: closed" not in error.details():
                raise
            print(f"# StopPodSandbox: {error.details()}", flush=True)
            client.StopPodSandbox(pod_sandbox_id=self.id)
        client.RemovePodSandbox(pod_sandbox_id=self.id)

    def status(self):
        return client.PodSandboxStatus(pod_sandbox_id=self.id)["status"]

    def start(self, script="trap 'exit 9' TERM; echo ready; while :; do sleep 0.1; done", *, resources=None, security=None, mounts=(), command=None):
        """A started container's id."""
        self.containers += 1
        name = f"c{self.containers}"
        config = {
            "metadata": {"name": name, "attempt": 0},
            "image": {"image": "localhost/bb:latest"},
            "command": command or ["sh", "-c", script],
            "mounts": list(mounts),
            "log_path": name,
            "linux": {
                "resources": resources or {},
                "security_context": {"namespace_options": self.options} | (security or {}),
            },
        }
        container = client.CreateContainer(pod_sandbox_id=self.id, config=config, sandbox_config=self.config)["container_id"]
        client.StartContainer(container_id=container)
        return container

    def log(self, number=1):
        with open(f"{LOGS}/{self.name}/c{number}") as file:
            return file.read()


def execute(container, *command, timeout=20):
    answer = client.ExecSync(container_id=container, cmd=command, timeout=timeout)
    return (answer["exit_code"] or 0, (answer["stdout"] or b"").decode().strip())


def status(container):
    return client.ContainerStatus(container_id=container)["status"]


def state(handler, container):
    """What the runtime that ran it says of it."""
    runtime = os.environ["ETUI"] if handler == "etui" else handler
    return json.loads(subprocess.check_output([runtime, "--root", ROOT, "state", container], text=True))


def eventually(seconds, condition):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.2)


def wanted(expected, got):
    assert got == expected, f"wanted {expected!r}, got {got!r}"


def selects_by_handler(handler):
    with Pod(handler) as pod:
        wanted(handler, pod.status()["runtime_handler"])
        wanted(READY, pod.status()["state"] or 0)
        pod.start()
        wanted("running", state(handler, pod.id)["status"])


def lists_its_features(handler):
    handlers = {h["name"]: h["features"] for h in client.Status()["runtime_handlers"]}
    assert handlers[handler]["recursive_read_only_mounts"], handlers
    assert handlers[handler]["user_namespaces"], handlers


def lives_and_exits(handler):
    with Pod(handler) as pod:
        container = pod.start("echo said; echo wrong >&2; exit 7")
        eventually(10, lambda: status(container)["state"] == EXITED)
        wanted(7, status(container)["exit_code"])
        assert "stdout F said" in pod.log() and "stderr F wrong" in pod.log(), pod.log()
        other = pod.start()
        eventually(10, lambda: "ready" in pod.log(2))
        client.StopContainer(container_id=other, timeout=10)
        wanted(9, status(other)["exit_code"])
        client.RemoveContainer(container_id=other)


def answers(container):
    try:
        return execute(container, "wget", "-qO/dev/null", "http://127.0.0.1/") == (0, "")
    except Exception as error:
        # That of a container that has ended; another one is a mistake.
        assert "not found" in error.details() or "EXITED" in error.details(), error
        return False


def replicas_with_probes(handler):
    pods = [Pod(handler, network=POD) for _ in range(3)]
    replaced = []
    try:
        containers = [pod.start(SERVICE) for pod in pods]
        for container in containers:
            eventually(10, lambda: answers(container))
        for tour in range(5):
            if tour == 2:
                os.kill(state(handler, containers[0])["pid"], signal.SIGKILL)
                eventually(10, lambda: status(containers[0])["state"] == EXITED)
            for number, container in enumerate(containers):
                if answers(container):
                    continue
                # A replica has died; its successor answers in the same pod.
                wanted((EXITED, 137), (status(container)["state"], status(container)["exit_code"]))
                client.RemoveContainer(container_id=container)
                containers[number] = pods[number].start(SERVICE)
                eventually(10, lambda: answers(containers[number]))
                replaced.append((tour, number))
            time.sleep(1)
        wanted([(2, 0)], replaced)
        for pod in pods:
            page = subprocess.check_output(["curl", "-sf", f"http://{pod.status()['network']['ip']}/"], text=True)
            wanted(pod.name, page.strip())
            assert "serving" in pod.log()
    finally:
        for pod in pods:
            pod.__exit__()


def exec_tells_codes_and_times_out(handler):
    with Pod(handler) as pod:
        container = pod.start()
        wanted((3, "out"), execute(container, "sh", "-c", "echo out; exit 3"))
        try:
            execute(container, "sleep", "30", timeout=1)
        except Exception as error:
            assert "DEADLINE" in str(error) or "timeout" in str(error), error
        else:
            raise AssertionError("the probe did not time out")
        wanted((0, "alive"), execute(container, "echo", "alive"))


def tells_stats(handler):
    with Pod(handler) as pod:
        container = pod.start("while :; do :; done", resources={"memory_limit_in_bytes": 64 << 20})
        time.sleep(1)
        stats = client.ContainerStats(container_id=container)["stats"]
        assert stats["cpu"]["usage_core_nano_seconds"]["value"] > 1e8, stats
        assert stats["memory"]["working_set_bytes"]["value"] > 0, stats


def updates_resources(handler):
    with Pod(handler) as pod:
        container = pod.start(resources={"memory_limit_in_bytes": 64 << 20, "cpu_quota": 50000, "cpu_period": 100000})
        show = ("cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/cpu.max")
        wanted((0, f"{64 << 20}\n50000 100000"), execute(container, *show))
        client.UpdateContainerResources(
            container_id=container,
            linux={"memory_limit_in_bytes": 48 << 20, "cpu_quota": 20000, "cpu_period": 100000},
        )
        wanted((0, f"{48 << 20}\n20000 100000"), execute(container, *show))


def is_a_scope_of_systemd(handler):
    def known():
        answer = subprocess.check_output(["systemctl", "show", "-p", "MemoryMax,CPUQuotaPerSecUSec,CPUWeight", unit], text=True)
        return dict(line.split("=") for line in answer.split())

    def written():
        return execute(container, "cat", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu.weight")[1].split("\n")

    with Pod(handler) as pod:
        resources = {"memory_limit_in_bytes": 64 << 20, "cpu_quota": 50000, "cpu_period": 100000, "cpu_shares": 512}
        container = pod.start(resources=resources)
        unit = f"cri-containerd-{container}.scope"
        with open(f"/proc/{state(handler, container)['pid']}/cgroup") as file:
            wanted(f"0::{PARENT}/{unit}\n", file.read())
        wanted({"MemoryMax": str(64 << 20), "CPUQuotaPerSecUSec": "500ms", "CPUWeight": "59"}, known())
        client.UpdateContainerResources(container_id=container, linux=resources | {"memory_limit_in_bytes": 48 << 20})
        wanted(str(48 << 20), known()["MemoryMax"])
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        wanted([str(48 << 20), "50000 100000", "59"], written())
    eventually(5, lambda: not subprocess.check_output(["systemctl", "list-units", "--all", "--plain", "--no-legend", unit]))


def tells_of_an_oom_kill(handler):
    with Pod(handler) as pod:
        # containerd hears of it from the cgroup, which must live as long as that takes.
        container = pod.start("tail /dev/zero; sleep 2; exit 3", resources={"memory_limit_in_bytes": 16 << 20})
        eventually(20, lambda: status(container)["state"] == EXITED)
        wanted((3, "OOMKilled"), (status(container)["exit_code"], status(container)["reason"]))


def shares_namespaces(handler):
    with Pod(handler, network=POD, pid=POD, ipc=POD) as pod:
        first, second = pod.start("echo shared >/dev/shm/file; exec sleep 1000"), pod.start()
        for namespace in ("net", "ipc", "pid", "uts"):
            link = ("readlink", f"/proc/self/ns/{namespace}")
            wanted(execute(first, *link), execute(second, *link))
        assert execute(first, "readlink", "/proc/self/ns/mnt") != execute(second, "readlink", "/proc/self/ns/mnt")
        wanted((0, "shared"), execute(second, "cat", "/dev/shm/file"))
        assert "sleep 1000" in execute(second, "ps")[1]


def shares_a_targets_processes(handler):
    with Pod(handler) as pod:
        target = pod.start("exec sleep 2000")
        guest = pod.start(security={"namespace_options": pod.options | {"pid": TARGET, "target_id": target}})
        assert "sleep 2000" in execute(guest, "ps")[1]


def the_hosts_namespaces(handler):
    with Pod(handler, network=NODE, pid=NODE, ipc=NODE) as pod:
        container = pod.start()
        for namespace in ("net", "pid", "ipc"):
            wanted((0, os.readlink(f"/proc/self/ns/{namespace}")), execute(container, "readlink", f"/proc/self/ns/{namespace}"))


def user_namespace(handler):
    mapping = [{"host_id": 200000, "container_id": 0, "length": 65536}]
    with Pod(handler, network=POD, userns={"mode": POD, "uids": mapping, "gids": mapping}) as pod:
        os.makedirs("/tmp/mapped", exist_ok=True)
        mount = {"container_path": "/data", "host_path": "/tmp/mapped", "uidMappings": mapping, "gidMappings": mapping}
        container = pod.start(mounts=[mount])
        wanted((0, "0 200000 65536"), execute(container, "sh", "-c", "echo $(cat /proc/self/uid_map)"))
        wanted((0, "0:0"), execute(container, "stat", "-c", "%u:%g", "/bin/busybox"))
        assert execute(container, "touch", "/root/mine")[0] == 0
        # Through an idmapped mount its root is the host's there.
        wanted((0, "0:0"), execute(container, "sh", "-c", "touch /data/x && stat -c %u:%g /data/x"))
        wanted((0, 0), (os.stat("/tmp/mapped/x").st_uid, os.stat("/tmp/mapped/x").st_gid))


def confines(handler):
    with Pod(handler, sysctls={"kernel.msgmax": "5000"}, ipc=POD) as pod:
        container = pod.start(security={
            "run_as_user": {"value": 1000}, "readonly_rootfs": True, "no_new_privs": True,
            "capabilities": {"drop_capabilities": ["ALL"]}, "seccomp": {"profile_type": 0},
        })
        wanted((0, "1000"), execute(container, "id", "-u"))
        wanted((0, "5000"), execute(container, "cat", "/proc/sys/kernel/msgmax"))
        facts = execute(container, "sh", "-c", "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status | tr -d '\\t' | tr '\\n' ' '")
        wanted((0, "CapEff:0000000000000000 NoNewPrivs:1 Seccomp:2"), facts)
        assert execute(container, "touch", "/tmp/x")[0] != 0


def recursive_read_only_mounts(handler):
    subprocess.run("mkdir -p /tmp/rro/sub; mountpoint -q /tmp/rro/sub || mount -t tmpfs sub /tmp/rro/sub", shell=True, check=True)
    with Pod(handler) as pod:
        mount = {"container_path": "/data", "host_path": "/tmp/rro", "readonly": True, "recursive_read_only": True}
        container = pod.start(mounts=[mount])
        assert execute(container, "touch", "/data/sub/x")[0] != 0


def privileged(handler):
    with Pod(handler, privileged=True) as pod:
        container = pod.start(security={"privileged": True})
        wanted((0, ""), execute(container, "sh", "-c", "mount -t tmpfs x /tmp && test -c /dev/kmsg"))


def tells_what_is_missing(handler):
    with Pod(handler) as pod:
        try:
            pod.start(command=["/bin/nothere"])
        except Exception as error:
            assert "no such file or directory" in str(error), error
        else:
            raise AssertionError("started what is not there")


CHECKS = {
    "RuntimeClass selects by handler name": selects_by_handler,
    "its features, as containerd reads them": lists_its_features,
    "a container's life: log, exit code, stop with SIGTERM": lives_and_exits,
    "three replicas, ExecSync probes every second, a successor": replicas_with_probes,
    "ExecSync: exit codes, a probe that times out": exec_tells_codes_and_times_out,
    "ContainerStats": tells_stats,
    "UpdateContainerResources": updates_resources,
    **({"a scope in the pod's slice, limits over a daemon-reload": is_a_scope_of_systemd} if WITH_SYSTEMD else {}),
    "OOMKilled": tells_of_an_oom_kill,
    "pods that share network, pid, ipc": shares_namespaces,
    "a container in another's pid namespace": shares_a_targets_processes,
    "pods in the host's namespaces": the_hosts_namespaces,
    "a user-namespaced pod": user_namespace,
    "user, capabilities, seccomp, read-only root, sysctls": confines,
    "recursively read-only mounts": recursive_read_only_mounts,
    "a privileged pod": privileged,
    "a missing executable is told": tells_what_is_missing,
}


def attempt(feature, handler):
    """Nothing where it works; else where and why it failed."""
    try:
        CHECKS[feature](handler)
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[1].line
        details = getattr(error, "details", None)
        words = " ".join((details() if details else str(error)).split())
        return line, words
    return None


def main():
    only = os.environ.get("ONLY", "")
    for feature in CHECKS:
        if not re.search(only, feature):
            continue
        failure = attempt(feature, "etui")
        if failure is None:
            print(f"ok - {feature}", flush=True)
            continue
        print(f"# etui: {failure[0]}: {failure[1]}")
        peer = attempt(feature, "runc")
        print(f"not ok - {feature}" + (f": fails on runc too: {peer[0]}: {peer[1][:160]}" if peer else ""), flush=True)


main()
