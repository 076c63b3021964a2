"""Why a statement is red on a runtime, where the failure does not say it."""

ORDER = "of two options that contradict each other the later one counts, as with mount(8); crun sets the flags of both"
PROPAGATION = "the bind is there without the propagation asked for"
UNKNOWN_OPTION = "the option is not in its table, and goes to the file system"
NETWORK_1_3 = "network devices came with runtime-spec 1.3.0, which this release does not implement"
MEMORY_POLICY = "memoryPolicy came with runtime-spec 1.3.0, and its features say nothing of it"

REDS = {
    "etui": {},
    "runc": {
        "lifecycle-13": "`start` has returned by then; the container is stopped",
        "lifecycle-15": "poststart hooks are called in `create`",
        "lifecycle-16": "poststart hooks are called in `create`",
        "lifecycle-19": "`delete` fails",
        "config-1": "the version is not looked at",
        "config-20": "keys are not looked at",
        **{name: "`defaults` is refused on tmpfs" for name in ("config_mounts-7", "config_mounts-11", "features-7")},
        "config_hooks-18": "the poststart hook is called in `create`, and told so",
        "config_hooks-25": "poststart hooks are called in `create`",
        "config_linux-8": "a file that is there is left as it is",
        **{f"config_linux-{number}": NETWORK_1_3 for number in range(10, 18)},
        "config_linux-18": "taken from the root",
        "config_linux-19": "taken from the root",
        "linux_resources-12": "passed over",
        "linux_resources-17": "real-time budgets are passed over on cgroup v2",
        "linux_rdt-2": "passed over where there is no resctrl",
        "linux_rdt-7": "passed over where there is no resctrl",
        "linux_seccomp-1": "passed over",
        "linux_seccomp-7": "passed over",
        "linux_seccomp-8": "passed over",
        "linux_seccomp-9": "passed over",
        "features_linux-5": "an architecture that is listed is refused beside those of this machine",
        "features_linux-8": MEMORY_POLICY,
        "features_linux-9": MEMORY_POLICY,
    },
    "crun": {
        "runtime-21": "without process it starts the default program",
        "lifecycle-13": "`start` has returned by then",
        "lifecycle-19": "the hooks after it are called, nothing is said",
        "config-1": "the version is not looked at",
        "config-9": "taken from the root",
        "config-15": "passed over in silence",
        "config-18": "an annotation that is no text is passed over",
        "config-20": "keys are not looked at",
        "config-25": "some values are passed over",
        "features-7": "`rdiratime` is listed, and the kernel's refusal of it is not foreseen",
        **{f"config_mounts-{number}": ORDER for number in (8, 9, 12, 13, 15, 26, 36, 41)},
        **{f"config_mounts-{number}": UNKNOWN_OPTION for number in (7, 16, 18, 23, 38)},
        **{f"config_mounts-{number}": PROPAGATION for number in (33, 34, 35, 37, 39, 43)},
        "config_hooks-18": "the state of one kind of hook is told with a bundle of `/` and no pid",
        "config_linux-1": "opened relative to where it stands",
        "config_linux-8": "a file that is there is left as it is",
        "config_linux-13": "the pattern is taken for a name",
        "config_linux-18": "taken from the root",
        "config_linux-19": "taken from the root",
        "linux_resources-1": "it waits in the frozen cgroup for ever",
        "linux_resources-13": "passed over",
        "linux_seccomp-7": "passed over",
        "linux_seccomp-8": "passed over",
        **{f"features_linux-{number}": "its features say nothing of it" for number in (5, 6, 7)},
    },
}
