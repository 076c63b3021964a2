# Sourced by the tests of etui without an engine, after engines/checks.sh: containers of a few words, and what the
# kernel counts of them.
# The scripts below are handed on to the shells of the checks.
set -a

# bundle FILTER: a fresh bundle, its config.json changed by the jq filter; its directory in $bundle.
bundle() {
    bundle=$(mktemp -d /tmp/bundle.XXXXXX)
    chmod 711 "$bundle"
    mkdir "$bundle/rootfs"
    # What scripts of former checks have left.
    rm -f /tmp/root/{code,go,count,n,err}
    mount --bind /tmp/root "$bundle/rootfs"
    etui spec --bundle "$bundle"
    jq ".process.terminal = false | .root.readonly = false | .process.noNewPrivileges = true
        | .process.env += [\"PATH=/bin\"] | $1" "$bundle/config.json" >"$bundle/new"
    mv "$bundle/new" "$bundle/config.json"
}
shell() { jq -n --arg script "$1" '{process: {args: ["sh", "-c", $script]}}'; }
# configure ID RESOURCES SCRIPT [FILTER]: the bundle of a container in a cgroup of its name.
configure() { bundle ". * $(shell "$3") | .linux.resources += $2 | .linux.cgroupsPath = \"/limits/$1\" | ${4:-.}"; }

# start ID RESOURCES SCRIPT [FILTER]: a container in the background.
start() {
    configure "$@"
    "$RUNTIME" run --detach --bundle "$bundle" "$1" >"/tmp/out.$1" 2>&1 </dev/null || { cat "/tmp/out.$1"; return 1; }
    cgroup=/sys/fs/cgroup/limits/$1
}
# foreground ID RESOURCES SCRIPT [FILTER]: a container whose end is waited for.
foreground() {
    configure "$@"
    "$RUNTIME" run --bundle "$bundle" "$1"
}
remove() { for id in "$@"; do "$RUNTIME" delete --force "$id"; done; }
update() { "$RUNTIME" update --resources - "$1" <<<"$2"; }
clean_up() { for name in etui runc; do "$name" list -q | xargs -rn1 "$name" delete --force; done; }
value() { sed -n "s/^$2 //p" "$cgroup/$1"; }
more_than() { local got; got=$(value "$1" "$2"); [ "$got" -gt "$3" ] || { echo "$1 $2: $got, not more than $3"; return 1; }; }
loop='while :; do :; done'
# 3 MB to the container's disk; $tenths is how long that took.
writes='dd if=/dev/zero of=/dev/disk bs=64k count=48 oflag=direct 2>/dev/null; echo $? >/code; sleep 100'
tenths_to_write() {
    local from=${EPOCHREALTIME/./}
    eventually 60 test -s "$bundle/rootfs/code"
    expect 0 cat "$bundle/rootfs/code"
    tenths=$(((${EPOCHREALTIME/./} - from) / 100000))
    echo "written in $tenths tenths of a second"
}
set +a

# The root file system of those bundles, and where their cgroups are.
prepare_containers() {
    busybox_root /tmp/root
    mkdir -p /sys/fs/cgroup/limits
}
nothing_left_behind() { expect "" find /sys/fs/cgroup/limits -mindepth 1 -type d; }
