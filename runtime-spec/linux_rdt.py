"""config-linux.md: Intel Resource Director Technology. What has to do with a real resctrl runs where there is one, or on a
stand-in (resctrl.py)."""

import contextlib
import functools
import os
from pathlib import Path

import resctrl
from harness import Container, Machine, put
from statements import Acts, Edited, Elsewhere, statements_of

statement, _ = statements_of("linux_rdt", "config-linux.md")

RESCTRL = Path(os.environ.get("RESCTRL", "/sys/fs/resctrl"))


def needs_resctrl(c):
    """The processor's own resctrl, or where it has none, a stand-in that the runtime takes for one."""
    global RESCTRL
    if (RESCTRL / "schemata").exists() and "RESCTRL" not in os.environ:
        return
    if "RESCTRL" not in os.environ:
        try:
            RESCTRL = resctrl.mount()
        except OSError as error:
            raise Elsewhere(f"needs a processor with RDT, or /dev/fuse for a stand-in: {error}") from None
        os.environ["RESCTRL"] = str(RESCTRL)
    c.before = [Path(__file__).with_name("with-resctrl"), RESCTRL]
    if not takes_the_stand_in(c.machine.cleaner):
        raise Elsewhere("needs a processor with RDT: this runtime does not take a stand-in for it")


@functools.cache
def takes_the_stand_in(runtime):
    """Whether the runtime finds resctrl in /proc/self/mountinfo, and not by its number or at one place."""
    trial = Container(Machine(runtime, runtime, reaps=False))
    trial.before = [Path(__file__).with_name("with-resctrl"), RESCTRL]
    try:
        trial.set("linux.intelRdt", {"l3CacheSchema": lines_of("L3")}).create()
        return clos(trial).is_dir()
    finally:
        trial.close()


def without_rdt(config):
    put(config, "linux.intelRdt", ...)


def in_rdt(key, value):
    return lambda config: put(config, f"linux.intelRdt.{key}", value)


def clos(c, name=None):
    """The directory of a class; it is gone when the test ends."""
    path = RESCTRL / (name or c.id)
    c.undo.append(lambda: path.rmdir() if path.exists() else None)
    return path


def ready_clos(c):
    path = clos(c, f"{c.id}clos")
    path.mkdir()
    return path


def lines_of(kind, directory=None):
    """The line of the default schemata for a resource, without blanks: it is valid everywhere."""
    lines = [line.strip() for line in ((directory or RESCTRL) / "schemata").read_text().splitlines()]
    found = [line for line in lines if line.startswith(kind)]
    if not found:
        raise Elsewhere(f"needs RDT's {kind}")
    return found[0]


def narrowed(line):
    """The same line with a smaller share, so that a write shows."""
    kind, shares = line.split(":", 1)
    cut = "10" if kind == "MB" else "1"
    return f"{kind}:" + ";".join(f"{share.split('=')[0]}={cut}" for share in shares.split(";"))


def tasks(path):
    return (path / "tasks").read_text().split()


@statement("IntelRdt", "The process is in the tasks of the class that closID names", wrong=Edited("leaves it where it is", without_rdt))
def pid_is_in_tasks(c):
    needs_resctrl(c)
    path = ready_clos(c)
    c.set("linux.intelRdt", {"closID": path.name}).create().ok()
    assert str(c.pid()) in tasks(path)


@statement("IntelRdt", "intelRdt without a mounted resctrl is an error", wrong=Edited("passes over it", without_rdt))
def no_resctrl(c):
    if Path("/sys/fs/resctrl/schemata").exists():
        raise Elsewhere("resctrl is mounted here")
    c.set("linux.intelRdt", {"closID": "guaranteed"}).assert_refused()


@statement("IntelRdt", "Without intelRdt no resctrl is touched",
           wrong=Edited("always makes a class", lambda config: put(config, "linux.intelRdt", {"schemata": ["L3:0=1"]})))
def rdt_is_left_alone(c):
    with contextlib.suppress(Elsewhere):  # where there is none, none is to be made
        needs_resctrl(c)
    before = sorted(os.listdir(RESCTRL)) if RESCTRL.exists() else None
    c.create().ok()
    assert before == (sorted(os.listdir(RESCTRL)) if RESCTRL.exists() else None)


@statement("IntelRdt", "closID / stands for the default class", wrong=Edited("makes a class for it", in_rdt("closID", ...)))
def default_clos(c):
    needs_resctrl(c)
    c.set("linux.intelRdt", {"closID": "/"}).create().ok()
    assert str(c.pid()) in tasks(RESCTRL)


@statement("IntelRdt", "memBwSchema starts with MB:; another one is refused", wrong=Edited("passes over it", without_rdt))
def memory_bandwidth_starts_with_mb(c):
    c.set("linux.intelRdt", {"memBwSchema": "L3:0=f"}).assert_refused()


@statement("IntelRdt", "memBwSchema has no line feed; one that has is refused", wrong=Edited("passes over it", without_rdt))
def memory_bandwidth_is_one_line(c):
    c.set("linux.intelRdt", {"memBwSchema": "MB:0=50\nL3:0=f"}).assert_refused()


@statement("IntelRdt", "An element of schemata has no line feed; one that has is refused", wrong=Edited("passes over it", without_rdt))
def schemata_are_lines(c):
    c.set("linux.intelRdt", {"schemata": ["L3:0=f\nMB:0=50"]}).assert_refused()


@statement("IntelRdt", "Cache and bandwidth schema are both written, the cache's first, by the rules for the parameters", words=3,
           joins="the rules are applied; both are written; in that order",
           wrong=Edited("writes the cache's alone", in_rdt("memBwSchema", ...)))
def both_schemas(c):
    needs_resctrl(c)
    cache, bandwidth = narrowed(lines_of("L3")), narrowed(lines_of("MB"))
    c.set("linux.intelRdt", {"l3CacheSchema": cache, "memBwSchema": bandwidth}).create().ok()
    path = clos(c)
    assert (lines_of("L3", path), lines_of("MB", path)) == (cache, bandwidth)


@statement("IntelRdt", "Either schema alone is written", wrong=Edited("writes neither", lambda c: put(c, "linux.intelRdt", {})))
def one_schema(c):
    needs_resctrl(c)
    cache = narrowed(lines_of("L3"))
    c.set("linux.intelRdt", {"l3CacheSchema": cache}).create().ok()
    assert lines_of("L3", clos(c)) == cache


@statement("IntelRdt", "schemata are written, after the other two", wrong=Edited("writes none", in_rdt("schemata", ...)))
def schemata_are_written(c):
    needs_resctrl(c)
    whole = lines_of("L3")
    c.set("linux.intelRdt", {"l3CacheSchema": whole, "schemata": [narrowed(whole)]}).create().ok()
    assert lines_of("L3", clos(c)) == narrowed(whole)


@statement("IntelRdt", "Without a schema no schemata file is written", wrong=Edited("writes one", in_rdt("schemata", ["L3:0=1"])))
def no_schema_no_write(c):
    needs_resctrl(c)
    path = ready_clos(c)
    before = (path / "schemata").read_text(), (RESCTRL / "schemata").read_text()
    c.set("linux.intelRdt", {"closID": path.name}).create().ok()
    assert before == ((path / "schemata").read_text(), (RESCTRL / "schemata").read_text())


@statement("IntelRdt", "Without closID the class has the container's id", wrong=Edited("takes the default class", in_rdt("closID", "/")))
def clos_of_the_id(c):
    needs_resctrl(c)
    c.set("linux.intelRdt", {"schemata": [lines_of("L3")]}).create().ok()
    assert str(c.pid()) in tasks(clos(c))


@statement("IntelRdt", "A closID that is not there is made when there is a schema", wrong=Edited("makes none", in_rdt("closID", "/")))
def clos_is_made(c):
    needs_resctrl(c)
    path = clos(c, f"{c.id}new")
    c.set("linux.intelRdt", {"closID": path.name, "schemata": [lines_of("L3")]}).create().ok()
    assert str(c.pid()) in tasks(path)


@statement("IntelRdt", "A closID that is there has the schema asked for, or it is an error",
           wrong=Edited("takes it as it is", in_rdt("l3CacheSchema", ...)))
def clos_is_compared(c):
    needs_resctrl(c)
    path = ready_clos(c)
    c.set("linux.intelRdt", {"closID": path.name, "l3CacheSchema": narrowed(lines_of("L3"))}).assert_refused()


@statement("IntelRdt", "A closID without a schema is looked for; one that is not there is an error",
           wrong=Edited("takes the default class", in_rdt("closID", "/")))
def clos_must_be_there(c):
    needs_resctrl(c)
    c.set("linux.intelRdt", {"closID": f"{c.id}nowhere"}).assert_refused()


@statement("IntelRdt", "A closID that is there is what the container is put into",
           wrong=Edited("takes the default class", in_rdt("closID", "/")))
def clos_that_is_there(c):
    needs_resctrl(c)
    path = ready_clos(c)
    c.set("linux.intelRdt", {"closID": path.name}).create().ok()
    assert str(c.pid()) in tasks(path)


@statement("IntelRdt", "A class that the runtime made without a closID goes at delete",
           wrong=Acts("keeps the class", lambda w: (w.real(), (RESCTRL / w.container).mkdir())[0], ("delete",)))
def own_clos_goes(c):
    needs_resctrl(c)
    c.set("linux.intelRdt", {"schemata": [lines_of("L3")]}).up().stopped()
    c.delete().ok()
    assert not clos(c).exists()


@statement("IntelRdt", "A class that has a closID, or that the runtime did not make, stays at delete",
           wrong=Acts("removes it", lambda w: ([p.rmdir() for p in RESCTRL.glob(f"{w.container}clos")], w.real())[1], ("delete",)))
def other_clos_stays(c):
    needs_resctrl(c)
    path = ready_clos(c)
    c.set("linux.intelRdt", {"closID": path.name}).up().stopped()
    c.delete().ok()
    assert path.exists()


def monitored(c):
    needs_resctrl(c)
    if not (RESCTRL / "mon_groups").exists():
        raise Elsewhere("needs RDT's monitoring")
    path = ready_clos(c)
    c.set("linux.intelRdt", {"closID": path.name, "enableMonitoring": True})
    return path / "mon_groups" / c.id


@statement("IntelRdt", "enableMonitoring makes a monitoring group", wrong=Edited("makes none", in_rdt("enableMonitoring", False)))
def monitoring_group(c):
    group = monitored(c)
    c.create().ok()
    assert str(c.pid()) in tasks(group)


@statement("IntelRdt", "The monitoring group has the container's id, below the class",
           wrong=Edited("takes another class", in_rdt("closID", "/")))
def monitoring_group_of_the_id(c):
    group = monitored(c)
    c.create().ok()
    assert group.is_dir()


@statement("IntelRdt", "The monitoring group goes at delete",
           wrong=Acts("keeps it", lambda w: (w.real(), (RESCTRL / f"{w.container}clos/mon_groups/{w.container}").mkdir())[0], ("delete",)))
def monitoring_group_goes(c):
    group = monitored(c)
    c.up().stopped()
    c.delete().ok()
    assert not group.exists()


@statement("IntelRdt", "A monitoring group that can't be made is an error", wrong=Edited("goes without", in_rdt("enableMonitoring", False)))
def monitoring_group_fails(c):
    group = monitored(c)
    made = []
    try:
        for number in range(4096):
            made.append(group.parent / f"{c.id}{number}")
            made[-1].mkdir()
    except OSError:
        made.pop()
    c.undo.append(lambda: [path.rmdir() for path in made])
    c.assert_refused()
