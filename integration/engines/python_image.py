"""Prints the files of an image like Docker's python:3, made of the lab's own tree: those of the packages
named as arguments and of everything that they depend on."""

import re
import subprocess
import sys

LEFT_OUT = re.compile(r"/usr/share/(doc|man|info|locale|lintian)/|/EXTERNALLY-MANAGED$")
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"


def dpkg_query(*arguments):
    return subprocess.run(["dpkg-query", *arguments], check=True, capture_output=True, text=True).stdout


def names(field):
    """The first name of each alternative: `a (>= 1) | b, c:any` holds a and c."""
    return [re.split(r"[ :|(]", part.strip())[0] for part in field.split(",") if part.strip()]


def closure(wanted):
    depends, real = {}, {}
    for line in dpkg_query("-W", "-f", "${Package}\t${Pre-Depends},${Depends}\t${Provides}\n").splitlines():
        package, needs, provides = line.split("\t")
        depends[package] = names(needs)
        real.update({virtual: package for virtual in names(provides)})
    found = set()
    while wanted:
        package = wanted.pop()
        package = package if package in depends else real.get(package)
        if package and package not in found:
            found.add(package)
            wanted += depends[package]
    return sorted(found)


listed = dpkg_query("-L", *closure(sys.argv[1:])).splitlines()
files = {file.removeprefix("/") for file in listed if file.startswith("/") and file != "/." and not LEFT_OUT.search(file)}
# Each once: tar makes a hard link of the second. The rest belongs to no package here.
print("\n".join(sorted(files | {"bin", "sbin", "lib", "lib64", "etc", "etc/passwd", "etc/group", CERTIFICATES})))
