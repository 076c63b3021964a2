"""config.md: version, root, process, annotations, extensibility, valid values (mounts and hooks have files of their own)."""

import os

from harness import put
from statements import Answers, Edited, statements_of

statement, elsewhere = statements_of("config", "config.md")


def without(*paths):
    """An edit that takes these fields away."""
    return lambda config: [put(config, path, ...) for path in paths]


def with_value(path, value):
    return lambda config: put(config, path, value)


@statement("Specification version", "ociVersion is a SemVer 2.0.0 version; what is none is refused",
           wrong=Edited("takes any string for a version", with_value("ociVersion", "1.0.2")))
def version_is_semver(c):
    c.set("ociVersion", "1.0.2-rc.1+build.5").run().ok()
    c.set("ociVersion", "one point two").assert_refused()


elsewhere("windows", "Root", "root is not set for Hyper-V containers")
elsewhere("windows", "Root", "root.path is a volume GUID path")


@statement("Root", "root.path names a directory; where there is none, it is refused",
           wrong=Edited("makes the root up", with_value("root.path", "rootfs")))
def root_is_a_directory(c):
    c.set("root.path", str(c.rootfs))
    assert c.says("echo absolute") == "absolute\n"
    c.set("root.path", "rootfs/bin/busybox").assert_refused()
    c.set("root.path", "nowhere").assert_refused()


@statement("Root", "root.readonly makes the root read-only inside",
           wrong=Edited("leaves the root writable", without("root.readonly")))
def root_is_readonly(c):
    assert c.says("touch /new && rm /new && echo writable") == "writable\n"
    c.set("root.readonly", True)
    assert c.says("touch /new 2>/dev/null || echo refused") == "refused\n"


elsewhere("windows", "Root", "root.readonly is left out or false")
elsewhere("windows", "Platform-specific configuration", "windows is set where the platform is windows")


@statement("Process", "consoleSize is ignored without a terminal",
           wrong=Edited("allocates a terminal for a console size", with_value("process.terminal", True)))
def console_size_without_terminal(c):
    c.set("process.consoleSize", {"height": 33, "width": 44})
    assert c.says("tty; echo $?") == "not a tty\n1\n"
    c.set("process.terminal", False)
    assert c.says("tty; echo $?") == "not a tty\n1\n"


@statement("Process", "process.cwd is an absolute path; another one is refused",
           wrong=Edited("takes a relative path from the root", with_value("process.cwd", "/tmp")))
def cwd_is_absolute(c):
    c.set("process.cwd", "/tmp")
    assert c.says("pwd") == "/tmp\n"
    c.set("process.cwd", "tmp").assert_refused()


RLIMITS = {"RLIMIT_CORE": "core file size", "RLIMIT_NOFILE": "open files", "RLIMIT_FSIZE": "file size"}


def limits_of(text):
    """From /proc/PID/limits: soft and hard by name."""
    lines = [line for line in text.splitlines() if line.startswith("Max ")]
    return {line[4:26].strip(): line[26:].split()[:2] for line in lines}


def limited(c):
    c.set("process.rlimits", [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 4096, "hard": 8192},
        {"type": "RLIMIT_FSIZE", "soft": 1 << 20, "hard": 1 << 21},
    ])
    return limits_of(c.says("cat /proc/self/limits"))


@statement("POSIX process", "An rlimit that maps to nothing in the kernel is refused",
           wrong=Edited("passes over an unknown rlimit", lambda config: config["process"]["rlimits"].pop()))
def unknown_rlimit(c):
    c.set("process.rlimits", [{"type": "RLIMIT_PATIENCE", "soft": 1, "hard": 1}]).assert_refused()


@statement("POSIX process", "getrlimit succeeds for every rlimit that is set: the kernel knows each resource",
           wrong=Edited("takes only the limits it likes", with_value("process.rlimits", [])))
def every_rlimit_is_there(c):
    names = "AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK".split()
    before = limits_of(open("/proc/self/limits", encoding="utf-8").read())
    assert len(names) == len(before)
    lowered = {"CORE": "core file size", "NOFILE": "open files", "SIGPENDING": "pending signals", "NPROC": "processes",
               "MSGQUEUE": "msgqueue size", "STACK": "stack size", "MEMLOCK": "locked memory", "LOCKS": "file locks",
               "RTPRIO": "realtime priority", "NICE": "nice priority"}
    values = {name: 0 if name in ("RTPRIO", "NICE") else 1 << 20 for name in lowered} | {"NPROC": 500, "NOFILE": 64, "SIGPENDING": 99, "MSGQUEUE": 819}
    c.set("process.rlimits", [{"type": f"RLIMIT_{name}", "soft": value, "hard": value} for name, value in values.items()])
    found = limits_of(c.says("cat /proc/self/limits"))
    for name, told in lowered.items():
        assert found[told] == [str(values[name])] * 2, f"RLIMIT_{name}: {found[told]}"


@statement("POSIX process", "rlim_cur is the soft value",
           wrong=Edited("takes the hard value for both",
                        lambda config: [put(entry, "soft", entry["hard"]) for entry in config["process"]["rlimits"]]))
def soft_limits(c):
    found = limited(c)
    assert [found[name][0] for name in RLIMITS.values()] == ["4096", "100", "1048576"], found


@statement("POSIX process", "rlim_max is the hard value",
           wrong=Edited("takes the soft value for both",
                        lambda config: [put(entry, "hard", entry["soft"]) for entry in config["process"]["rlimits"]]))
def hard_limits(c):
    found = limited(c)
    assert [found[name][1] for name in RLIMITS.values()] == ["8192", "200", "2097152"], found


@statement("POSIX process", "Two rlimits of one type are refused",
           wrong=Edited("takes the last of two", lambda config: config["process"]["rlimits"].pop(0)))
def rlimit_twice(c):
    twice = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_NOFILE", "soft": 101, "hard": 201}]
    c.set("process.rlimits", twice).assert_refused()


@statement("Linux Process", "A capability that is unknown, or can't be granted, is warned of",
           wrong=Edited("passes over it in silence", lambda config: config["process"]["capabilities"]["bounding"].pop()))
def unknown_capability_is_warned_of(c):
    c.config["process"]["capabilities"]["bounding"].append("CAP_OF_THE_FUTURE")
    log = c.dir / "log"
    c.write()
    outcome = c.verb("--log", log, "run", "--bundle", c.bundle, c.id).ok()
    told = outcome.err + (log.read_text() if log.exists() else "")
    assert "CAP_OF_THE_FUTURE" in told, f"no warning names it: {told!r}"


@statement("Linux Process", "oomScoreAdj, when set, is the process's oom_score_adj",
           wrong=Edited("adjusts nothing", without("process.oomScoreAdj")))
def oom_score_is_set(c):
    c.set("process.oomScoreAdj", 321)
    assert c.says("cat /proc/self/oom_score_adj") == "321\n"


@statement("Linux Process", "oomScoreAdj, when not set, leaves oom_score_adj as the caller has it",
           wrong=Edited("always sets it", with_value("process.oomScoreAdj", 500)))
def oom_score_is_kept(c):
    def read():
        return open("/proc/self/oom_score_adj", encoding="utf-8").read()

    def write(value):
        with open("/proc/self/oom_score_adj", "w", encoding="utf-8") as file:
            file.write(value)

    before = read()
    try:
        write("77")
        assert c.says("cat /proc/self/oom_score_adj") == "77\n"
    finally:
        write(before)


@statement("Annotations", "annotations are a map of keys to values",
           wrong=Edited("takes a list", with_value("annotations", {})))
def annotations_are_a_map(c):
    c.set("annotations", {"org.example.one": "1", "org.example.two": "2"}).create().ok()
    found = c.state()["annotations"]
    assert (found["org.example.one"], found["org.example.two"]) == ("1", "2"), found
    c.delete("--force").ok()
    c.set("annotations", ["org.example.one"]).assert_refused()


@statement("Annotations", "An annotation's key is a string, and comes back as it was written",
           wrong=Answers("folds keys to lower case", lambda text: text.lower()))
def annotation_keys_are_strings(c):
    c.set("annotations", {"org.example.Mixed-Case/1": "value"}).create().ok()
    assert c.state()["annotations"]["org.example.Mixed-Case/1"] == "value"


@statement("Annotations", "An annotation's key is not empty; an empty one is refused",
           wrong=Edited("drops an empty key", with_value("annotations", {})))
def annotation_key_is_not_empty(c):
    c.set("annotations", {"": "value"}).assert_refused()


IMAGE_KEYS = {
    "os": "linux", "os.version": "1.2", "os.features": "a,b", "architecture": "amd64", "variant": "v3",
    "author": "someone", "created": "2026-01-02T03:04:05Z", "stopSignal": "SIGQUIT",
}


@statement("Annotations", "The org.opencontainers keys bind who writes them: the eight of images, with the image's values, and "
           "no further ones. A runtime hands them on as they are, to state and to hooks", words=10,
           joins="keys of that namespace are as described; the eight org.opencontainers.image keys have valid values; "
           "the other keys of the namespace are not used",
           wrong=Answers("changes a value", lambda text: text.replace("SIGQUIT", "SIGTERM")))
def image_annotations_are_handed_on(c):
    wanted = {f"org.opencontainers.image.{key}": value for key, value in IMAGE_KEYS.items()}
    seen = c.dir / "seen"
    c.set("annotations", wanted).hook("createRuntime", "/bin/sh", "-c", f"cat > {seen}").create().ok()
    found = c.state()["annotations"]
    assert {key: found.get(key) for key in wanted} == wanted, found
    assert all(f'"{value}"' in seen.read_text() for value in wanted.values()), "the hook saw others"


@statement("Annotations", "An unknown annotation is ignored, as any unknown property is",
           wrong=Edited("refuses what it does not know", with_value("process.cwd", "not absolute")))
def unknown_annotation_is_ignored(c):
    c.set("annotations", {"org.example.unheard-of": "value"}).run().ok()


@statement("Annotations", "An annotation's value is a string; another one is refused",
           wrong=Edited("makes a string of a number", with_value("annotations", {"org.example.number": "5"})))
def annotation_values_are_strings(c):
    c.set("annotations", {"org.example.empty": ""}).run().ok()
    c.set("annotations", {"org.example.number": 5}).assert_refused()


@statement("Extensibility", "Unknown properties are ignored, wherever they are",
           wrong=Edited("refuses what it does not know", with_value("process.cwd", "not absolute")))
def unknown_properties_are_ignored(c):
    for place in ("", "process.", "process.user.", "root.", "linux.", "linux.resources.", "linux.namespaces.0.", "mounts.0."):
        c.set(f"{place}unheardOf", {"deep": [1, 2]})
    assert c.says("echo ran") == "ran\n"


@statement("Valid values", "Invalid values are refused",
           wrong=Edited("puts right what is wrong", lambda config: repair(config)))
def invalid_values_are_refused(c):
    good = dict(c.config)
    wrongs = {
        "process.user.uid": -5,
        "process.args": [],
        "process.cwd": 5,
        "process.scheduler": {"policy": "SCHED_WHENEVER"},
        "process.ioPriority": {"class": "IOPRIO_CLASS_SOON", "priority": 0},
        "linux.rootfsPropagation": "sideways",
        "linux.namespaces": [{"type": "dream"}],
        "linux.personality": {"domain": "LINUX128"},
        "linux.devices": [{"path": "/dev/x", "type": "z", "major": 1, "minor": 3}],
        "linux.seccomp": {"defaultAction": "SCMP_ACT_SHRUG"},
    }
    import copy

    for path, value in wrongs.items():
        c.config = copy.deepcopy(good)
        c.set(path, value)
        ran = c.rootfs / "ran"
        if path != "process.args":
            c.script("echo > /ran; sleep 100")
        taken = c.create().code == 0 and c.start().code == 0
        c.delete("--force")
        assert not taken and not ran.exists(), f"{path}: {value} was accepted"


def repair(config):
    for path in ("process.scheduler", "process.ioPriority", "linux.rootfsPropagation", "linux.personality", "linux.seccomp"):
        put(config, path, ...)
    config["process"]["user"]["uid"] = 0
    config["process"]["cwd"] = "/"
    config["process"]["args"] = config["process"]["args"] or ["true"]
    config["linux"]["devices"] = []
    config["linux"]["namespaces"] = [{"type": kind} for kind in ("mount", "pid", "uts")]


os.umask(0o022)
