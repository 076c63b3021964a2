# What every test script in the lab starts with: checks that print one line each, and bundles to run.
# shellcheck shell=bash
set -uo pipefail

# check NAME COMMAND...: the command succeeds.
check() {
    local name=$1 output
    shift
    if output=$("$@" 2>&1 </dev/null); then
        echo "ok - $name"
    else
        echo "not ok - $name: exit code $?"
        sed 's/^/#   /' <<<"$output" | tail -15
    fi
}

# expect NAME WANTED COMMAND...: the command prints exactly this (white space at the ends of lines aside).
expect() {
    local name=$1 wanted=$2 output code=0
    shift 2
    output=$("$@" 2>/tmp/errors </dev/null) || code=$?
    output=$(tr -d '\r' <<<"$output" | sed -e 's/[[:space:]]*$//')
    if [ "$output" = "$wanted" ]; then
        echo "ok - $name"
    else
        echo "not ok - $name: wanted '$wanted', exit code $code"
        cat - /tmp/errors <<<"$output" | sed 's/^/#   /' | tail -15
    fi
}

# exits NAME CODE COMMAND...: the command ends with this exit code.
exits() {
    local name=$1 wanted=$2 output code=0
    shift 2
    output=$("$@" 2>&1 </dev/null) || code=$?
    if [ "$code" = "$wanted" ]; then
        echo "ok - $name"
    else
        echo "not ok - $name: wanted exit code $wanted, got $code"
        sed 's/^/#   /' <<<"$output" | tail -15
    fi
}

# skip NAME REASON
skip() { echo "skip - $1: $2"; }

# waits_for SECONDS COMMAND...: until the command succeeds.
waits_for() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

# make_root DIR: a root file system of busybox.
make_root() {
    mkdir -p "$1"/{bin,dev,etc,proc,root,sys,tmp}
    cp "$(command -v busybox)" "$1/bin/busybox"
    busybox --list | grep -vx busybox | while read -r applet; do ln -sf busybox "$1/bin/$applet"; done
    printf 'root:x:0:0::/root:/bin/sh\nsomeone:x:1000:1000::/tmp:/bin/sh\n' >"$1/etc/passwd"
}

# make_bundle DIR JQ-FILTER: what `etui spec` writes, changed by the filter, over a busybox root.
make_bundle() {
    mkdir -p "$1"
    make_root "$1/rootfs"
    etui spec --bundle "$1"
    jq ".process.terminal = false | ${2:-.}" "$1/config.json" >"$1/config.new"
    mv "$1/config.new" "$1/config.json"
}

# nothing_left ID: no cgroup, process or file of the container is there any more.
nothing_left() {
    local left
    left=$(find /sys/fs/cgroup -type d -name "*$1*"; ls /run/etui 2>/dev/null | grep -F "$1"; grep -F "$1" /proc/mounts
        # By the cgroup that it is in, or was in when that was removed, and by its words.
        grep -lF -- "$1" /proc/[0-9]*/cgroup 2>/dev/null; pgrep -af -- "$1")
    [ -z "$left" ] || { echo "$left"; return 1; }
}

trap 'echo "# the script has ended"' EXIT
