# Normal users: one with subordinate ids and a cgroup of hers, one with nothing; the demo, and what cannot work.
# lab: plain
# seconds: 120

. /job/engines/checks.sh
. /job/engines/users.sh
# These checks name the runtime themselves.
PEER=
set -a

shown() { grep -F -- "$1" "$demo" || { cat "$demo"; return 1; }; }
runs_the_demo() { "$1" env ETUI=/job/bin/etui bash /job/examples/hello-python/demo >$demo 2>&1 || { cat $demo; return 1; }; }
says() { "${@:2}" 2>&1 | tee /tmp/said; grep -F -- "$1" /tmp/said; }

with_a_range() {
    demo=/tmp/demo.1001
    runs_the_demo as_alice
    shown 'Hello, World!'
    shown '"uid": 1000'
    shown '"bounding": "0000000000000000"'
    shown '"seccomp": "filter"'
}
with_limits() {
    demo=/tmp/demo.1001
    shown '"memory.max": "134217728"'
    shown '"cpu.max": "50000 100000"'
    shown '"pids.max": "32"'
}
with_nothing() {
    demo=/tmp/demo.1002
    runs_the_demo as_bob
    shown 'Hello, World!'
    shown '"uid": 0'
    for told in "No subordinate ids are granted to you" "The memory limit is left out: no cgroup that has it is delegated to you"; do shown "$told"; done
}
# bob has no subordinate ids and no cgroup.
as_bob() { setpriv --reuid bob --regid bob --init-groups env -i HOME=/home/bob USER=bob PATH="$PATH" XDG_RUNTIME_DIR=/run/user/1002 "$@"; }
# of_bob FILTER: what `etui spec --rootless` writes for him, changed by the filter.
of_bob() {
    cd /home/bob
    as_bob rm -f config.json
    as_bob etui spec --rootless
    jq ".process.terminal = false | .process.args = [\"sh\", \"-c\", \"id -u; cat /proc/self/uid_map\"] | $1" config.json >/tmp/new
    cat /tmp/new >config.json
}
one_id() {
    of_bob .
    expect "0 0 1002 1" echo $(as_bob etui run one)
    expect "0 0 1002 1" echo $(as_bob "$(command -v runc)" run one)
}
refused() {
    of_bob "$1"
    expect_status 1 as_bob etui run refused >/tmp/said 2>&1
    grep -F -- "$2" /tmp/said
}
no_range() { refused '.linux.uidMappings += [{containerID: 1, hostID: 100000, size: 65536}]' '/etc/subuid must grant the caller these ids'; }
no_limit() { refused '.linux.resources.memory.limit = 33554432' 'the cgroup above is not delegated to this user: see Delegate= of systemd'; }
no_user() { refused '.process.user.uid = 7' "user id 7 is not mapped in the container's user namespace"; }
no_network() { refused '.linux.namespaces += [{type: "network", path: "/proc/1/ns/net"}]' 'ns/net'; }
no_device_filter() {
    of_bob '.linux.resources.devices = [{allow: false, access: "rwm"}]'
    says "devices are not filtered" as_bob etui run warned
}
no_cgroup() {
    of_bob '.process.args = ["sleep", "100"]'
    as_bob etui run --detach lives >/dev/null 2>&1
    expect 0 as_bob etui exec lives id -u
    for verb in "pause lives" "ps lives" "update --pids-limit 9 lives"; do
        expect_status 1 as_bob etui $verb >/tmp/said 2>&1
        grep -F "the container has no cgroup of its own; it was made with" /tmp/said
    done
    as_bob etui kill lives KILL
    eventually 5 sh -c 'setpriv --reuid bob --regid bob --init-groups env XDG_RUNTIME_DIR=/run/user/1002 etui state lives | grep stopped'
    as_bob etui delete lives
}
no_systemd() {
    of_bob .
    says "neither XDG_RUNTIME_DIR nor DBUS_SESSION_BUS_ADDRESS is set" as_bob env -u XDG_RUNTIME_DIR etui --root /tmp/bobs --systemd-cgroup run nobus
}

set +a
make_alice
useradd --create-home --uid 1002 bob
sed -i '/^bob:/d' /etc/subuid /etc/subgid
install -d -m 700 -o bob -g bob /run/user/1002
make_root /home/bob/rootfs
engine "no engine, rootless: etui $(etui --version | head -1 | cut -d' ' -f3)"
check "subordinate ids: the demo" with_a_range
check "a delegated cgroup: the demo's limits" with_limits
check "no subordinate ids, no cgroup: the demo" with_nothing
check "a bundle with a single id" one_id
check "ids that are not granted are refused in words" no_range
check "a limit without a cgroup is refused in words" no_limit
check "a user that is not mapped is refused in words" no_user
check "a namespace of root's is refused in words" no_network
check "device rules are warned of" no_device_filter
check "without a cgroup: exec, kill, delete; pause, ps, update are refused in words" no_cgroup
check "the user's systemd where there is none" no_systemd
