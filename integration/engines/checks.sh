# Sourced by the test scripts of engines, after lib.sh whose checks it takes over: here a check is a
# function of several steps, and shows whose fault a failure is.
#
#   check "a feature" function      runs the function in a shell of its own that stops at the first
#                                   failing command; prints `ok - a feature` or `not ok - a feature`
#   check "a feature" function "why not here"   the same, where engine or lab are known to fail
#   skip "a feature" "a reason"     prints `skip - a feature: a reason`
#   engine "a name, a version"      names the engine that the checks from here on are about
#
# $RUNTIME names the runtime under test, $ONLY (a pattern) the checks to make. A check that fails on
# etui is made again with $PEER (runc; none where it is empty), to show whose fault it is. Only a failure
# that was foreseen, and that the peer shares at the same step, is a skip: else a mistake in a check would
# pass for one.
# A script whose checks leave something behind when they fail defines `clean_up`.

set +u
export ETUI=${ETUI:-/job/bin/etui}
export RUNTIME=${RUNTIME:-etui}
export PEER=${PEER:-runc}
CHECK_SECONDS=${CHECK_SECONDS:-60}
# How much slower this machine is than user-mode Linux.
export PATIENCE=1
if grep -q 'lab=full' /proc/cmdline; then PATIENCE=10; fi

engine() { echo "# engine $1"; }

clean_up() { :; }

# One feature on one runtime, its trace to a file. Functions are handed over as text, so that
# `timeout` can end a hung one together with what it started.
attempt() {
    RUNTIME=$1 timeout -k 5 $((CHECK_SECONDS * PATIENCE)) bash -c "$(declare -f); set -ex; $2" \
        >"/tmp/check.$1" 2>&1 </dev/null
}

# The command at which an attempt stopped, in the same words for every runtime.
failed_step() {
    grep '^+ ' "/tmp/check.$1" | grep -v 'SECONDS\|sleep\|return\|echo\|local\|shift' | tail -1 |
        sed "s#/job/bin/etui#R#g; s#/usr/sbin/runc#R#g; s/$1/R/g; s/[0-9]*//g"
}
last_words() { grep -v '^+\|^$\|--help' "/tmp/check.$1" | tail -1 | tr -d '\r' | cut -c1-160; }

check() {
    [[ $1 =~ ${ONLY:-} ]] || return 0
    if attempt "$RUNTIME" "$2"; then
        echo "ok - $1"
        return
    fi
    tail -40 "/tmp/check.$RUNTIME" | sed "s/^/# $RUNTIME: /"
    clean_up >/dev/null 2>&1
    if [ "$RUNTIME" = etui ] && [ -n "$PEER" ] && ! attempt "$PEER" "$2"; then
        tail -8 "/tmp/check.$PEER" | sed "s/^/# $PEER: /"
        clean_up >/dev/null 2>&1
        if [ "$(failed_step etui)" != "$(failed_step "$PEER")" ]; then
            echo "not ok - $1: fails on $PEER too, elsewhere"
        elif [ -n "${3:-}" ]; then
            echo "skip - $1: fails on $PEER too: $3"
        else
            echo "not ok - $1: fails on $PEER too: $(last_words "$PEER")"
        fi
        return 1
    fi
    echo "not ok - $1"
    return 1
}

skip() {
    [[ $1 =~ ${ONLY:-} ]] || return 0
    echo "skip - $1: $2"
}

# has THING: what only some machines have.
has() {
    case $1 in
    processors) [ "$(nproc)" -gt 1 ] ;;
    nodes) [ -e /sys/devices/system/node/node1 ] ;;
    disk) [ -b /dev/vda ] ;;
    *) grep -qw "$1" /sys/fs/cgroup/cgroup.controllers ;;
    esac
}
# with THING NAME FUNCTION: a check where the machine has the thing, a named skip elsewhere.
with() { if has "$1"; then check "$2" "$3"; else skip "$2" "this kernel has no $1 (make lab-full)"; fi; }

# expect WANTED COMMAND...: the command's output is exactly that.
expect() {
    local wanted=$1 got
    shift
    got=$("$@")
    [[ $got == "$wanted" ]] || { echo "wanted: $wanted"; echo "got: $got"; return 1; }
}

# expect_status N COMMAND...: the command ends with that status.
expect_status() {
    local wanted=$1 got=0
    shift
    "$@" || got=$?
    [[ $got == "$wanted" ]] || { echo "wanted status $wanted, got $got"; return 1; }
}

# eventually SECONDS COMMAND...: the command succeeds before that many seconds are over.
eventually() {
    local end=$((SECONDS + $1 * PATIENCE))
    shift
    until "$@"; do
        ((SECONDS < end)) || { echo "not within the time: $*"; return 1; }
        sleep 0.2
    done
}

# A root file system of one static busybox, at the directory given.
busybox_root() {
    make_root "$1"
    printf 'root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:alice:/tmp:/bin/sh\n' >"$1/etc/passwd"
    printf 'root:x:0:\nalice:x:1000:\n' >"$1/etc/group"
    chmod 1777 "$1/tmp"
}
