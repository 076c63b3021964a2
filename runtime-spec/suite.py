"""All statements, in the order of the specification, checked to be all there are."""

import importlib

import statements as registry

GROUPS = ("runtime", "lifecycle", "config", "config_mounts", "config_hooks", "config_linux", "linux_resources",
          "linux_rdt", "linux_seccomp", "features")


def statements():
    """Every statement; fails when the words don't add up to what the specification has."""
    if not registry.ALL:
        for group in GROUPS:
            importlib.import_module(group)
    for file, words in registry.WORDS.items():
        held = sum(s.words for s in registry.ALL if s.file == file)
        assert held == words, f"{file}: the statements answer {held} of {words} words"
    return registry.ALL
