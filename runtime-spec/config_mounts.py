"""config.md: mounts, their options, mapped ids."""

import os
import subprocess

from harness import put
from statements import Edited, statements_of

statement, elsewhere = statements_of("config_mounts", "config.md")


def last_mount(path, value):
    return lambda config: put(config["mounts"][-1], path, value)


def mountinfo(c, place="/mnt"):
    """The last mount at `place`, as the container sees it: its options, propagation, kind, super block's options."""
    for line in reversed(c.says("cat /proc/self/mountinfo").splitlines()):
        fields = line.split()
        if fields[4] == place:
            dash = fields.index("-")
            return {"options": fields[5].split(","), "propagation": fields[6:dash], "kind": fields[dash + 1],
                    "super": fields[dash + 3].split(",")}
    raise AssertionError(f"nothing is mounted on {place}")


def tree(c):
    """A directory of the host with a mount below it, `sub`, both shared."""
    top = c.dir / "top"
    top.mkdir()
    run = lambda *args: subprocess.run(["mount", *args], check=True)  # noqa: E731
    run("-t", "tmpfs", "top", str(top))
    (top / "sub").mkdir()
    run("-t", "tmpfs", "sub", str(top / "sub"))
    (top / "sub/inner").touch()
    run("--make-rshared", str(top))
    c.undo.append(lambda: subprocess.run(["umount", "-R", "-l", str(top)], check=True))
    return top


@statement("Mounts", "Mounts are made in the order of the list",
           wrong=Edited("mounts from the last to the first",
                        lambda config: put(config, "mounts", config["mounts"][:4] + config["mounts"][:3:-1])))
def order_of_mounts(c):
    one, two = c.dir / "one", c.dir / "two"
    for directory in (one, two):
        directory.mkdir()
        (directory / "name").write_text(directory.name + "\n")
    c.mount("/mnt", "bind", one, "bind").mount("/mnt", "bind", two, "bind")
    assert c.says("cat /mnt/name") == "two\n"


@statement("Mounts", "A relative destination is taken from the root",
           wrong=Edited("takes it from somewhere else", last_mount("destination", "/tmp/mnt/below")))
def relative_destination(c):
    c.set("process.cwd", "/tmp").mount("mnt/below", "tmpfs", "tmpfs")
    assert mountinfo(c, "/mnt/below")["kind"] == "tmpfs"


elsewhere("windows", "Mounts", "A destination is absolute, and not within another mount's", words=2,
          joins="an absolute path; not nested")
elsewhere("solaris", "Mounts", "A destination is absolute")
elsewhere("other platforms", "Mounts", "A destination is absolute")
elsewhere("windows", "Mounts", "The option ro is supported")


def option(name, demand, check, *options, bind=False, instead=None):
    """The statement of one option of the table: `options` go before it, `check(c, mount)` sees what came of it.

    The wrong runtime takes `instead` for it; else it drops it, or, where that would not show, does not know it."""

    def dropped(config):
        config["mounts"][-1]["options"][-1:] = [instead] if instead else []

    if demand.startswith("is known"):
        broken = Edited(f"hands {name} on to the file system", last_mount("options", ["unheard-of"]))
    else:
        broken = Edited(f"takes {instead} for {name}" if instead else f"does not heed {name}", dropped)

    @statement("Linux mount options", f"{name} {demand}", wrong=broken)
    def holds(c):
        c.mount("/mnt", "none" if bind else "tmpfs", tree(c) if bind else "tmpfs", *options, name)
        check(c, mountinfo(c))


def has(*wanted, where="options"):
    def check(_c, mount):
        for word in wanted:
            assert word in mount[where], f"no {word} in {mount[where]}"

    return check


def lacks(*unwanted, where="options"):
    def check(_c, mount):
        for word in unwanted:
            assert word not in mount[where], f"{word} in {mount[where]}"

    return check


def propagates(top, below):
    """What the mount, and the mount below it, say of propagation; None where nothing is said."""

    def check(c, mount):
        sub = mountinfo(c, "/mnt/sub")["propagation"] if below != "none" else None
        for found, wanted in ((mount["propagation"], top), (sub, below)):
            if wanted == "none":
                continue
            kinds = {word.split(":")[0] for word in found}
            # A shared mount may be a slave of the host's besides.
            assert (kinds - {"master"} if wanted == "shared" else kinds) == ({wanted} if wanted else set()), f"{found} for {wanted}"

    return check


def is_known(_c, mount):
    assert mount["kind"] == "tmpfs"


@statement("Linux mount options", "Every option that the table marks MUST is taken in one list, and means what mount(8) says",
           words=2, joins="the sentence before the table; the one after it",
           wrong=Edited("passes nosuid over", lambda config: config["mounts"][-1]["options"].remove("nosuid")))
def all_options_are_known(c):
    options = ("defaults async atime dev diratime exec loud suid rw relatime noiversion nolazytime nosuid nodev noexec "
               "noatime nodiratime sync dirsync silent norelatime nostrictatime ro").split()
    c.mount("/mnt", "tmpfs", "tmpfs", *options)
    found = mountinfo(c)
    for word in ("nosuid", "nodev", "noexec", "ro", "nodiratime"):
        assert word in found["options"], f"no {word} in {found['options']}"


option("async", "takes sync back", lacks("sync", where="super"), "sync")
option("atime", "takes noatime back", lacks("noatime"), "noatime")
option("bind", "mounts a directory, and not what is mounted below it",
       lambda c, _: bound(c, below=False), bind=True)
option("defaults", "is known, and no option of the file system", is_known)
option("dev", "takes nodev back", lacks("nodev"), "nodev")
option("diratime", "takes nodiratime back", lacks("nodiratime"), "nodiratime")
option("dirsync", "makes changes of directories synchronous", has("dirsync", where="super"))
option("exec", "takes noexec back", lacks("noexec"), "noexec")
option("iversion", "is known, and no option of the file system", is_known)
option("lazytime", "keeps times in memory", has("lazytime", where="super"))
option("loud", "is known, and no option of the file system", is_known)
option("noatime", "updates no access times", has("noatime"))
option("nodev", "opens no devices", has("nodev"))
option("nodiratime", "updates no access times of directories", has("nodiratime"))
option("noexec", "executes no programs", has("noexec"))
option("noiversion", "is known, and no option of the file system", is_known)
option("nolazytime", "takes lazytime back", lacks("lazytime", where="super"), "lazytime")
option("norelatime", "is known; the kernel's default is relatime all the same", is_known)
option("nostrictatime", "takes strictatime back", has("relatime"), "strictatime")
option("nosuid", "gives no set-user-id", has("nosuid"))
option("private", "makes the mount private", propagates(None, "none"), "rbind", bind=True, instead="shared")
option("rbind", "mounts a directory and what is mounted below it", lambda c, _: bound(c, below=True), bind=True)
option("relatime", "is known: access times follow changes, which is the kernel's default besides", has("relatime"))
option("ro", "makes the mount read-only", has("ro"))
option("rprivate", "makes the mounts private, recursively", propagates(None, None), "rbind", bind=True, instead="private")
option("rshared", "makes the mounts shared, recursively", propagates("shared", "shared"), "rbind", bind=True, instead="rprivate")
option("rslave", "makes the mounts slaves, recursively", propagates("master", "master"), "rbind", bind=True, instead="rprivate")
option("runbindable", "makes the mounts unbindable, recursively", propagates("unbindable", "unbindable"), "rbind", bind=True, instead="unbindable")
option("rw", "takes ro back", lacks("ro"), "ro")
option("shared", "makes the mount shared", propagates("shared", "none"), "rbind", bind=True, instead="private")
option("silent", "is known, and no option of the file system", is_known)
option("slave", "makes the mount a slave", propagates("master", "none"), "rbind", bind=True, instead="private")
option("strictatime", "always updates access times", lacks("relatime", "noatime"))
option("suid", "takes nosuid back", lacks("nosuid"), "nosuid")
option("sync", "makes the file system synchronous", has("sync", where="super"))
option("unbindable", "makes the mount unbindable", propagates("unbindable", "none"), "rbind", bind=True, instead="private")


@statement("Linux mount options", "remount changes the options of what is mounted",
           wrong=Edited("does not remount", lambda config: config["mounts"].pop()))
def remounts(c):
    c.mount("/mnt", "tmpfs", "tmpfs", "nosuid").mount("/mnt", "tmpfs", "tmpfs", "remount", "nosuid", "ro")
    assert c.says("touch /mnt/new 2>/dev/null || echo refused; grep -c ' /mnt ' /proc/self/mountinfo") == "refused\n1\n"


def bound(c, below):
    found = c.says("ls /mnt; ls /mnt/sub").split()
    assert found == (["sub", "inner"] if below else ["sub"]), found


def mapped(c, *options, recursive=False):
    """Owner of a file of uid 5 inside, mapped by the mount's own mapping 5 -> 1005; and of one below."""
    top = tree(c)
    for path in (top / "file", top / "sub/inner"):
        path.touch()
        os.chown(path, 5, 5)
    c.mount("/mnt", "none", top, "rbind", *options)
    mapping = [{"containerID": 0, "hostID": 1000, "size": 100}]
    c.config["mounts"][-1] |= {"uidMappings": mapping, "gidMappings": mapping}
    found = c.says("stat -c %u:%g /mnt/file /mnt/sub/inner").split()
    assert found == ["1005:1005", "1005:1005" if recursive else "5:5"], found


def both_maps(value):
    return lambda config: [put(config["mounts"][-1], kind, value) for kind in ("uidMappings", "gidMappings")]


def id_map_statements():
    for name, recursive in (("idmap", False), ("ridmap", True)):

        @statement("Linux mount options", f"{name} maps ids of the mount{', and of those below' if recursive else ''}",
                   wrong=Edited("maps nothing", lambda config, name=name: (
                       both_maps(...)(config), config["mounts"][-1]["options"].remove(name))))
        def maps(c, name=name, recursive=recursive):
            mapped(c, name, recursive=recursive)

        @statement("Linux mount options", f"{name} goes by the mount's own mappings where it has them",
                   wrong=Edited("goes by another mapping", both_maps([{"containerID": 0, "hostID": 2000, "size": 100}])))
        def own_mapping(c, name=name, recursive=recursive):
            c.user_namespace()
            os.chown(c.rootfs, 100000, 100000)
            top = tree(c)
            path = top / "file"
            path.touch()
            os.chown(path, 5, 5)
            c.mount("/mnt", "none", top, "rbind", name)
            mapping = [{"containerID": 0, "hostID": 100010, "size": 100}]
            c.config["mounts"][-1] |= {"uidMappings": mapping, "gidMappings": mapping}
            found = c.says("stat -c %u:%g /mnt/file").split()
            assert found == ["15:15"], found

        @statement("Linux mount options", f"{name} without mappings goes by the user namespace's, or is an error",
                   wrong=Edited("leaves the ids as they are", lambda config, name=name: config["mounts"][-1]["options"].remove(name)))
        def namespace_mapping(c, name=name):
            c.user_namespace()
            top = tree(c)
            (top / "file").touch()
            os.chown(top / "file", 5, 5)
            c.mount("/mnt", "none", top, "rbind", name).script("stat -c %u /mnt/file")
            outcome = c.run()
            assert outcome.code != 0 or outcome.out == "5\n", outcome.out

        @statement("Linux mount options", f"{name} without mappings and without a user namespace is an error",
                   wrong=Edited("leaves the ids as they are", lambda config, name=name: config["mounts"][-1]["options"].remove(name)))
        def no_mapping(c, name=name):
            c.mount("/mnt", "none", tree(c), "rbind", name).assert_refused()


id_map_statements()


def half_mapped(c, given):
    c.mount("/mnt", "none", tree(c), "bind", "idmap")
    c.config["mounts"][-1][given] = [{"containerID": 0, "hostID": 1000, "size": 100}]
    c.assert_refused()


def completed(given, other):
    return Edited(f"makes {other} up", lambda config: put(config["mounts"][-1], other, config["mounts"][-1][given]))


@statement("POSIX-platform Mounts", "uidMappings without gidMappings are refused", wrong=completed("uidMappings", "gidMappings"))
def uid_map_alone(c):
    half_mapped(c, "uidMappings")


@statement("POSIX-platform Mounts", "gidMappings without uidMappings are refused", wrong=completed("gidMappings", "uidMappings"))
def gid_map_alone(c):
    half_mapped(c, "gidMappings")
