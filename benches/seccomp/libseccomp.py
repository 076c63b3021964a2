#!/usr/bin/env python3
"""Compiles the seccomp profile of a config.json with the system's libseccomp, as a binary tree: how long it takes, how long
the program is. Usage: libseccomp.py CONFIG"""

import ctypes
import json
import os
import sys
import time

library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
library.seccomp_init.restype = ctypes.c_void_p
library.seccomp_init.argtypes = [ctypes.c_uint32]
for name in ("arch_add", "rule_add_array", "attr_set", "export_bpf", "release"):
    getattr(library, "seccomp_" + name).argtypes = None


class Comparison(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


ALLOW = 0x7FFF0000
OPERATORS = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"]
ARCHITECTURES = {"SCMP_ARCH_X86_64": 0xC000003E, "SCMP_ARCH_X86": 0x40000003, "SCMP_ARCH_X32": 0x4000003E}
OPTIMIZE, BINARY_TREE = 8, 2
ALREADY_THERE = -17


def action(name, errno):
    return ALLOW if name == "SCMP_ACT_ALLOW" else 0x00050000 | (errno or 1)


def compile(profile, architectures):
    context = ctypes.c_void_p(library.seccomp_init(action(profile["defaultAction"], profile.get("defaultErrnoRet"))))
    for architecture in profile["architectures"][:architectures]:
        code = library.seccomp_arch_add(context, ctypes.c_uint32(ARCHITECTURES[architecture]))
        assert code in (0, ALREADY_THERE), code
    assert library.seccomp_attr_set(context, OPTIMIZE, ctypes.c_uint32(BINARY_TREE)) == 0
    for rule in profile["syscalls"]:
        wanted = action(rule["action"], rule.get("errnoRet"))
        if wanted == action(profile["defaultAction"], profile.get("defaultErrnoRet")):
            continue
        checks = [
            Comparison(check["index"], OPERATORS.index(check["op"].removeprefix("SCMP_CMP_")) + 1,
                       check["value"], check.get("valueTwo", 0))
            for check in rule.get("args") or []
        ]
        array = (Comparison * len(checks))(*checks)
        for name in rule["names"]:
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number == -1:
                continue
            code = library.seccomp_rule_add_array(context, ctypes.c_uint32(wanted), number, len(checks), array)
            assert code in (0, ALREADY_THERE), (name, code)
    file = os.memfd_create("filter")
    assert library.seccomp_export_bpf(context, file) == 0
    library.seccomp_release(context)
    length = os.fstat(file).st_size // 8
    os.close(file)
    return length


with open(sys.argv[1], encoding="utf-8") as config:
    docker = json.load(config)["linux"]["seccomp"]
for count in (1, 3):
    times = []
    for _ in range(5):
        began = time.perf_counter()
        instructions = compile(docker, count)
        times.append(time.perf_counter() - began)
    print(f"libseccomp, {count} architectures: {instructions} instructions, {min(times) * 1e3:.1f} ms (a little of it Python's)")
