"""features.md and features-linux.md: what the runtime says of itself, and whether it keeps it."""

import json

from harness import put
from statements import Answers, statements_of

statement, _ = statements_of("features", "features.md")
linux_statement, _ = statements_of("features_linux", "features-linux.md")

# The properties that runtime-spec 1.3.0 defines; {} stands for a value that is no object, or one of any keys.
DEFINED = {
    "ociVersionMin": {}, "ociVersionMax": {}, "hooks": {}, "mountOptions": {}, "annotations": {},
    "potentiallyUnsafeConfigAnnotations": {},
    "linux": {
        "namespaces": {}, "capabilities": {},
        "cgroup": {"v1": {}, "v2": {}, "systemd": {}, "systemdUser": {}, "rdma": {}},
        "seccomp": {"enabled": {}, "actions": {}, "operators": {}, "archs": {}, "knownFlags": {}, "supportedFlags": {}},
        "apparmor": {"enabled": {}}, "selinux": {"enabled": {}}, "memoryPolicy": {"modes": {}, "flags": {}},
        "intelRdt": {"enabled": {}, "schemata": {}, "monitoring": {}}, "mountExtensions": {"idmap": {"enabled": {}}},
        "netDevices": {"enabled": {}},
    },
}
LATE_OPTIONS = {"idmap", "ridmap"}  # they want mappings, and are shown with the mounts


def features(c):
    return json.loads(c.verb("features").ok().out)


def says(change):
    """A runtime whose features are changed."""

    def changed(text):
        document = json.loads(text)
        change(document)
        return json.dumps(document)

    return changed


def wrongly(what, path, value):
    return Answers(what, says(lambda document: put(document, path, value)), ("features",))


def more(what, *path):
    """A runtime that lists one thing more than it knows."""

    def change(document):
        for key in path:
            document = document[key]
        document.append("unheard-of")

    return Answers(what, says(change), ("features",))


@statement("Features Structure", "null means that nothing is said; it is not the same as an empty value, and not written for one",
           wrong=wrongly("says an empty string where it knows nothing", "linux.apparmor.enabled", ""))
def null_is_not_empty(c):
    def check(value, path):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key != "annotations":
                    check(inner, f"{path}.{key}")
        elif path.rsplit(".", 1)[-1] in ("enabled", "v1", "v2", "systemd", "systemdUser", "rdma", "schemata", "monitoring"):
            assert value is None or isinstance(value, bool), f"{path}: {value!r}"
        elif isinstance(value, list):
            assert all(isinstance(entry, str) for entry in value), f"{path}: {value!r}"
        else:
            assert value is None or isinstance(value, str), f"{path}: {value!r}"

    document = features(c)
    assert document["ociVersionMin"] and document["ociVersionMax"], "the versions may not be null"
    check(document, "")


@statement("Specification version", "ociVersionMin is accepted in config.json", wrong=wrongly("says 0.1.0", "ociVersionMin", "0.1.0"))
def least_version(c):
    c.set("ociVersion", features(c)["ociVersionMin"]).run().ok()


@statement("Specification version", "ociVersionMax is accepted in config.json",
           wrong=wrongly("says what is no version", "ociVersionMax", "newest"))
def greatest_version(c):
    c.set("ociVersion", features(c)["ociVersionMax"]).run().ok()


@statement("Specification version", "ociVersionMax is not less than ociVersionMin", wrong=wrongly("says 0.9.0", "ociVersionMax", "0.9.0"))
def versions_are_in_order(c):
    def numbers(version):
        return [int(part) for part in version.split("-")[0].split("+")[0].split(".")]

    document = features(c)
    assert numbers(document["ociVersionMin"]) <= numbers(document["ociVersionMax"]), document


@statement("Specification version", "There are no properties that the specification does not define",
           wrong=wrongly("has one of its own", "linux.unheardOf", True))
def only_defined_properties(c):
    def check(value, defined, path):
        for key, inner in value.items() if defined and isinstance(value, dict) else ():
            assert key in defined, f"{path}{key} is not defined"
            check(inner, defined[key], f"{path}{key}.")

    check(features(c), DEFINED, "")


@statement("Hooks", "Every kind of hook that is listed is called", wrong=more("lists one more", "hooks"))
def hooks_are_supported(c):
    kinds = features(c)["hooks"]
    for kind in kinds:
        if kind == "startContainer":
            c.hook(kind, "/bin/sh", "-c", f"echo > /{kind}")
        else:
            c.hook(kind, "/bin/sh", "-c", f"cat > /dev/null; echo > {c.dir}/{kind}")
    c.up().stopped().delete().ok()
    for kind in kinds:
        assert (c.dir / kind).exists() or (c.rootfs / kind).exists(), f"{kind} was not called"


@statement("Mount Options", "Every mount option that is listed is known", wrong=more("lists one more", "mountOptions"))
def mount_options_are_known(c):
    binds = {"bind", "rbind", "private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable"}
    for option in features(c)["mountOptions"]:
        if option in LATE_OPTIONS:
            continue
        c.config["mounts"] = c.config["mounts"][:4]
        if option in binds:
            c.mount("/mnt", "none", "/bin", *dict.fromkeys(("bind", option)))
        elif option == "remount":
            c.mount("/mnt", "tmpfs", "tmpfs").mount("/mnt", "tmpfs", "tmpfs", "remount")
        else:
            c.mount("/mnt", "tmpfs", "tmpfs", option)
        outcome = c.run()
        assert outcome.code == 0, f"{option}: {outcome.err}"


@statement("Annotations", "annotations are a map of strings, as those of config.json",
           wrong=wrongly("says a number", "annotations", {"org.example.number": 5}))
def annotations_are_a_map(c):
    for key, value in (features(c).get("annotations") or {}).items():
        assert key and isinstance(value, str), f"{key}: {value!r}"


@linux_statement("Namespaces", "Every kind of namespace that is listed is known", wrong=more("lists one more", "linux", "namespaces"))
def namespaces_are_known(c):
    import os

    c.user_namespace()
    os.chown(c.rootfs, 100000, 100000)
    for kind in features(c)["linux"]["namespaces"]:
        if kind != "user":
            c.namespace(kind)
    c.run().ok()


@linux_statement("Capabilities", "Every capability that is listed is known: none is warned of as unknown",
                 wrong=more("lists one more", "linux", "capabilities"))
def capabilities_are_known(c):
    c.set("process.capabilities", {"bounding": features(c)["linux"]["capabilities"]}).write()
    log = c.dir / "log"
    outcome = c.verb("--log", log, "run", "--bundle", c.bundle, c.id).ok()
    told = outcome.err + (log.read_text() if log.exists() else "")
    assert "unknown" not in told.lower() and "unheard-of" not in told.lower(), told


def seccomp_of(c, **profile):
    c.set("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", **profile})
    return c.run()


def rule(action, **more_of_it):
    return {"names": ["getpriority"], "action": action, **more_of_it}


@linux_statement("Seccomp", "Every action that is listed is known", wrong=more("lists one more", "linux", "seccomp", "actions"))
def actions_are_known(c):
    from linux_seccomp import Listener

    listener = Listener(c)
    for action in features(c)["linux"]["seccomp"]["actions"]:
        outcome = seccomp_of(c, syscalls=[rule(action)], listenerPath=listener.path)
        assert outcome.code == 0, f"{action}: {outcome.err}"


@linux_statement("Seccomp", "Every operator that is listed is known", wrong=more("lists one more", "linux", "seccomp", "operators"))
def operators_are_known(c):
    for op in features(c)["linux"]["seccomp"]["operators"]:
        args = [{"index": 0, "value": 1, "valueTwo": 1, "op": op}]
        outcome = seccomp_of(c, syscalls=[rule("SCMP_ACT_ERRNO", args=args)])
        assert outcome.code == 0, f"{op}: {outcome.err}"


@linux_statement("Seccomp", "Every architecture that is listed is known", wrong=more("lists one more", "linux", "seccomp", "archs"))
def architectures_are_known(c):
    for arch in features(c)["linux"]["seccomp"]["archs"]:
        outcome = seccomp_of(c, architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", arch], syscalls=[rule("SCMP_ACT_ERRNO")])
        assert outcome.code == 0, f"{arch}: {outcome.err}"


@linux_statement("Seccomp", "Every flag that is listed as known is known", wrong=more("lists one more", "linux", "seccomp", "knownFlags"))
def known_flags_are_known(c):
    known = features(c)["linux"]["seccomp"]
    for flag in known["knownFlags"]:
        outcome = seccomp_of(c, flags=[flag], syscalls=[rule("SCMP_ACT_ERRNO")])
        unsupported = flag not in known["supportedFlags"] and flag in outcome.err and "unknown" not in outcome.err
        assert outcome.code == 0 or unsupported, f"{flag}: {outcome.err}"


@linux_statement("Seccomp", "Every flag that is listed as supported works", wrong=more("lists one more", "linux", "seccomp", "supportedFlags"))
def supported_flags_work(c):
    for flag in features(c)["linux"]["seccomp"]["supportedFlags"]:
        outcome = seccomp_of(c, flags=[flag], syscalls=[rule("SCMP_ACT_ERRNO")])
        assert outcome.code == 0, f"{flag}: {outcome.err}"


@linux_statement("MemoryPolicy", "Every mode that is listed is known", wrong=more("lists one more", "linux", "memoryPolicy", "modes"))
def memory_modes_are_known(c):
    for mode in features(c)["linux"]["memoryPolicy"]["modes"]:
        nodes = {} if mode in ("MPOL_DEFAULT", "MPOL_LOCAL") else {"nodes": "0"}
        outcome = c.set("linux.memoryPolicy", {"mode": mode, **nodes}).run()
        # A kernel without NUMA, or before a mode came, refuses it; the runtime, that it knows it not.
        assert outcome.code == 0 or ("set_mempolicy" in outcome.err and "unknown" not in outcome.err), f"{mode}: {outcome.err}"


@linux_statement("MemoryPolicy", "Every flag that is listed is known", wrong=more("lists one more", "linux", "memoryPolicy", "flags"))
def memory_flags_are_known(c):
    for flag in features(c)["linux"]["memoryPolicy"]["flags"]:
        outcome = c.set("linux.memoryPolicy", {"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]}).run()
        assert outcome.code == 0 or ("set_mempolicy" in outcome.err and "unknown" not in outcome.err), f"{flag}: {outcome.err}"


@linux_statement("MountExtensions", "idmap is said to be enabled where uidMappings and gidMappings of mounts are heeded at all",
                 wrong=wrongly("says no where it does", "linux.mountExtensions.idmap.enabled", False))
def idmap_is_told(c):
    import os

    source = c.dir / "source"
    source.mkdir()
    (source / "file").touch()
    os.chown(source / "file", 5, 5)
    c.mount("/mnt", "none", source, "bind", "idmap")
    mapping = [{"containerID": 0, "hostID": 1000, "size": 100}]
    c.config["mounts"][-1] |= {"uidMappings": mapping, "gidMappings": mapping}
    outcome = c.script("stat -c %u /mnt/file").run()
    heeded = outcome.out == "1005\n"
    told = (((features(c)["linux"].get("mountExtensions") or {}).get("idmap")) or {}).get("enabled")
    assert bool(told) == heeded, f"it says {told}, and mappings are {'' if heeded else 'not '}heeded"
