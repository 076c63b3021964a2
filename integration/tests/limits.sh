# The limits of a container, each proved by what it does and not by what a file says.
# lab: plain
# seconds: 300

. /job/engines/checks.sh
. /job/engines/containers.sh
set -a

counting='while :; do echo >>/count; sleep 0.02; done'
eats='tail /dev/zero'

# --- memory ---

memory() {
    start neighbour '{memory: {limit: 33554432}}' 'while :; do sleep 0.1; done'
    start eater '{memory: {limit: 16777216, swap: 16777216}}' "$eats; echo \$? >/code; sleep 100"
    eventually 20 test -s "$bundle/rootfs/code"
    expect 137 cat "$bundle/rootfs/code"
    expect 1 value memory.events oom_kill
    expect running sh -c "$RUNTIME state eater | jq -r .status"
    expect running sh -c "$RUNTIME state neighbour | jq -r .status"
    [ "$(cat "$cgroup/memory.peak")" -le 16777216 ]
    remove eater neighbour
}
memory_of_init() { expect_status 137 foreground alone '{memory: {limit: 16777216, swap: 16777216}}' "exec $eats"; }
small_memory() { expect_status 5 foreground small '{memory: {limit: 1048576, swap: 1048576}}' 'exit 5'; }
# 24 MB in a tmpfs, which can't be dropped, only swapped out.
fill='dd if=/dev/zero of=/tmp/fill bs=1M count=24 2>/dev/null; echo $? >/code; sleep 100'
tmpfs_at_tmp='.mounts += [{destination: "/tmp", type: "tmpfs", source: "tmpfs"}]'
swap() {
    start swaps '{memory: {limit: 16777216, swap: 50331648}}' "$fill" "$tmpfs_at_tmp"
    eventually 20 test -s "$bundle/rootfs/code"
    expect 0 cat "$bundle/rootfs/code"
    [ "$(cat "$cgroup/memory.swap.current")" -gt 4194304 ]
    remove swaps
}
swap_too_small() {
    start swaps '{memory: {limit: 16777216, swap: 18874368}}' "$fill" "$tmpfs_at_tmp"
    eventually 20 sh -c "[ \$(sed -n 's/^oom_kill //p' $cgroup/memory.events) -ge 1 ]"
    remove swaps
}
swap_on_the_fly() {
    start swaps '{memory: {limit: 16777216, swap: 16777216}}' "while [ ! -e /go ]; do sleep 0.1; done; $fill" "$tmpfs_at_tmp"
    expect 0 cat "$cgroup/memory.swap.max"
    update swaps '{"memory": {"limit": 16777216, "swap": 50331648}}'
    touch "$bundle/rootfs/go"
    eventually 20 test -s "$bundle/rootfs/code"
    expect 0 cat "$bundle/rootfs/code"
    [ "$(cat "$cgroup/memory.swap.current")" -gt 4194304 ]
    remove swaps
}
swap_lowered_on_the_fly() {
    start swaps '{memory: {limit: 16777216, swap: 50331648}}' "while [ ! -e /go ]; do sleep 0.1; done; $fill" "$tmpfs_at_tmp"
    update swaps '{"memory": {"limit": 16777216, "swap": 18874368}}'
    expect 2097152 cat "$cgroup/memory.swap.max"
    touch "$bundle/rootfs/go"
    eventually 20 more_than memory.events oom_kill 0
    remove swaps
}
memory_low_and_high() {
    start gentle '{memory: {limit: 67108864, reservation: 8388608}, unified: {"memory.high": "16777216"}}' "$fill" "$tmpfs_at_tmp"
    expect 8388608 cat "$cgroup/memory.low"
    eventually 30 more_than memory.events high 0
    update gentle '{"memory": {"reservation": 4194304}}'
    expect 4194304 cat "$cgroup/memory.low"
    remove gentle
}
memory_on_the_fly() {
    start shrinks '{memory: {limit: 67108864, swap: 67108864}}' 'while [ ! -e /go ]; do sleep 0.1; done; tail /dev/zero; echo $? >/code; sleep 100'
    update shrinks '{"memory": {"limit": 12582912, "swap": 12582912}}'
    expect 12582912 cat "$cgroup/memory.max"
    touch "$bundle/rootfs/go"
    eventually 20 test -s "$bundle/rootfs/code"
    more_than memory.events oom_kill 0
    [ "$(cat "$cgroup/memory.peak")" -le 13000000 ]
    remove shrinks
}

# --- cpu ---

quota() {
    start throttled '{cpu: {quota: 10000, period: 50000}}' "$loop"
    sleep 3
    # By its own periods: how many there were is the machine's doing.
    cat "$cgroup/cpu.stat"
    periods=$(value cpu.stat nr_periods)
    [ "$periods" -gt 5 ]
    [ "$(value cpu.stat nr_throttled)" -gt $((periods / 2)) ]
    [ "$(value cpu.stat usage_usec)" -lt $(((periods + 1) * 15000)) ]
    remove throttled
}
quota_on_the_fly() {
    start later '{}' "$loop"
    sleep 1
    expect 0 value cpu.stat nr_throttled
    update later '{"cpu": {"quota": 5000, "period": 50000}}'
    sleep 2
    more_than cpu.stat nr_throttled 10
    remove later
}
share_of() { cgroup=/sys/fs/cgroup/limits/$1 value cpu.stat usage_usec; }
weight() {
    start heavy '{cpu: {shares: 4096}}' "$loop"
    start light '{cpu: {shares: 256}}' "$loop"
    sleep 4
    echo "heavy $(share_of heavy), light $(share_of light)"
    [ "$(share_of heavy)" -gt $((2 * $(share_of light))) ]
}
weight_on_the_fly() {
    update heavy '{"cpu": {"shares": 256}}'
    update light '{"cpu": {"shares": 4096}}'
    heavy=$(share_of heavy) light=$(share_of light)
    sleep 4
    echo "since then: heavy $(($(share_of heavy) - heavy)), light $(($(share_of light) - light))"
    [ $(($(share_of light) - light)) -gt $((2 * ($(share_of heavy) - heavy))) ]
    remove heavy light
}
idle() {
    start idle '{cpu: {idle: 1}}' "$loop"
    start busy '{}' "$loop"
    idle=$(share_of idle) busy=$(share_of busy)
    sleep 2
    echo "idle $(($(share_of idle) - idle)), busy $(($(share_of busy) - busy))"
    [ $(($(share_of busy) - busy)) -gt $((5 * ($(share_of idle) - idle))) ]
    remove idle busy
}

idle_on_the_fly() {
    start idle '{}' "$loop"
    start busy '{}' "$loop"
    update idle '{"cpu": {"idle": 1}}'
    expect 1 cat /sys/fs/cgroup/limits/idle/cpu.idle
    idle=$(share_of idle) busy=$(share_of busy)
    sleep 2
    echo "since then: idle $(($(share_of idle) - idle)), busy $(($(share_of busy) - busy))"
    [ $(($(share_of busy) - busy)) -gt $((5 * ($(share_of idle) - idle))) ]
    remove idle busy
}

# --- processes ---

# The inner shell ends at the first fork that fails.
many="sh -c 'for i in \$(seq 20); do sleep 50 & done'; exec sleep 100"
pids() {
    start few '{pids: {limit: 6}}' "$many"
    eventually 10 more_than pids.events max 0
    expect 6 cat "$cgroup/pids.peak"
    remove few
}
pids_on_the_fly() {
    start grows '{pids: {limit: 100}}' 'while [ ! -e /go ]; do sleep 0.1; done; '"$many"
    update grows '{"pids": {"limit": 5}}'
    touch "$bundle/rootfs/go"
    eventually 10 more_than pids.events max 0
    [ "$(cat "$cgroup/pids.current")" -le 5 ]
    remove grows
}

# --- block devices ---

disk() { losetup -j /tmp/disk | grep . || losetup -f --direct-io=off /tmp/disk; }
device() { stat -c '{"major": %Hr, "minor": %Lr}' "$(losetup -j /tmp/disk | cut -d: -f1)"; }
disk_access() { jq -nc --argjson device "$(device)" '{devices: [{allow: false, access: "rwm"}, $device + {allow: true, type: "b", access: "rwm"}]}'; }
with_disk() { echo ".linux.devices = [$(device) + {path: \"/dev/disk\", type: \"b\"}]"; }
reads='dd if=/dev/disk of=/dev/null bs=64k count=48 iflag=direct 2>/dev/null; echo $? >/code; sleep 100'
# slow FIELD RATE KEY SCRIPT: with that limit the script takes more than two seconds, of three that it should.
slow() {
    start slow "$(disk_access) + {blockIO: {$1: [$(device) + {rate: $2}]}}" "$4" "$(with_disk)"
    grep "$3=$2" "$cgroup/io.max"
    tenths_to_write
    [ "$tenths" -ge 20 ]
    remove slow
}
io() { slow throttleWriteBpsDevice 1048576 wbps "$writes"; }
io_of_reads() { slow throttleReadBpsDevice 1048576 rbps "$reads"; }
operations() {
    slow throttleReadIOPSDevice 16 riops "$reads"
    slow throttleWriteIOPSDevice 16 wiops "$writes"
}
io_on_the_fly() {
    start slows "$(disk_access)" 'while [ ! -e /go ]; do sleep 0.1; done; '"$writes" "$(with_disk)"
    update slows "{\"blockIO\": {\"throttleWriteBpsDevice\": [$(device | sed 's/}/, "rate": 1048576}/')]}}"
    touch "$bundle/rootfs/go"
    tenths_to_write
    [ "$tenths" -ge 20 ]
    remove slows
}
io_unlimited() {
    start fast "$(disk_access)" "$writes" "$(with_disk)"
    tenths_to_write
    [ "$tenths" -lt 20 ]
    remove fast
}

# --- devices ---

capable='.process.capabilities |= with_entries(.value += ["CAP_MKNOD"])'
# Nodes may be made where CAP_MKNOD is given (engines count on it), yet only those of the list open.
device_filter() {
    foreground filter '{devices: [{allow: false, access: "rwm"},
        {allow: true, type: "c", major: 1, minor: 11, access: "r"}, {allow: true, type: "c", major: 10, minor: 200, access: "rw"}]}' '
        mknod /tmp/kmsg c 1 11 && : </tmp/kmsg && echo "kmsg read"
        (: >/tmp/kmsg) || echo "kmsg not written"
        mknod /tmp/tun c 10 200 && : <>/tmp/tun && echo "tun open"
        mknod /tmp/mem c 1 1 && { (: </tmp/mem) || echo "mem not read"; }
        mknod /tmp/disk b 7 0 && { (: </tmp/disk) || echo "disk not read"; }
        (: </kmsg-of-the-host) && echo "bound kmsg read"
        (: </disk-of-the-host) || echo "bound disk not read"
        : </dev/zero && echo "zero read"' "$capable | $tmpfs_at_tmp | .mounts += [
            {destination: \"/kmsg-of-the-host\", type: \"bind\", source: \"/dev/kmsg\", options: [\"bind\"]},
            {destination: \"/disk-of-the-host\", type: \"bind\", source: \"/dev/loop0\", options: [\"bind\"]}]" \
        >/tmp/devices 2>/tmp/devices.errors
    cat /tmp/devices.errors
    expect "kmsg read
kmsg not written
tun open
mem not read
disk not read
bound kmsg read
bound disk not read
zero read" cat /tmp/devices
    expect 4 grep -c 'Operation not permitted' /tmp/devices.errors
}
mknod_refused() {
    foreground plain '{}' 'mknod /tmp/null c 1 3' "$tmpfs_at_tmp" 2>&1 | grep 'Operation not permitted'
}

# --- the cgroup itself ---

unified() {
    start any '{unified: {"pids.max": "7", "memory.max": "33554432", "cpu.weight": "33", "memory.oom.group": "1"}}' "$eats & sleep 100"
    expect "7 33554432 33 1" sh -c "cd $cgroup && echo \$(cat pids.max memory.max cpu.weight memory.oom.group)"
    # With oom.group the whole container goes.
    eventually 20 sh -c "$RUNTIME state any | grep -q stopped"
    remove any
}
unified_on_the_fly() {
    start any '{}' 'while [ ! -e /go ]; do sleep 0.1; done; '"$many"
    update any '{"unified": {"pids.max": "5", "cpu.weight": "44"}}'
    expect 44 cat "$cgroup/cpu.weight"
    touch "$bundle/rootfs/go"
    eventually 10 more_than pids.events max 0
    remove any
}
unified_refuses() {
    expect_status 1 foreground wrong '{unified: {"no.such": "1"}}' true >/tmp/told 2>&1
    grep 'linux.resources.unified.*no.such' /tmp/told
    expect_status 1 test -e /sys/fs/cgroup/limits/wrong
}
freeze() {
    start frozen '{}' "$counting"
    eventually 10 test -s "$bundle/rootfs/count"
    "$RUNTIME" pause frozen
    expect "frozen 1" grep 'frozen' "$cgroup/cgroup.events"
    expect paused sh -c "$RUNTIME state frozen | jq -r .status"
    sleep 0.3
    count=$(stat -c %s "$bundle/rootfs/count")
    sleep 1
    expect "$count" stat -c %s "$bundle/rootfs/count"
    "$RUNTIME" resume frozen
    eventually 10 sh -c "[ \$(stat -c %s $bundle/rootfs/count) -gt $count ]"
}
kill_frozen() {
    "$RUNTIME" pause frozen
    "$RUNTIME" kill frozen KILL
    eventually 10 sh -c "$RUNTIME state frozen | grep -q stopped"
    remove frozen
}
cgroup_namespace() {
    expect "0::/" foreground named '{}' 'cat /proc/self/cgroup'
    expect "/" foreground named '{}' "sed -n 's#^[0-9]* [0-9]* [0-9:]* \\([^ ]*\\) /sys/fs/cgroup .*#\\1#p' /proc/self/mountinfo"
}
delegates='
    mkdir /sys/fs/cgroup/payload /sys/fs/cgroup/child &&
    echo $$ >/sys/fs/cgroup/payload/cgroup.procs &&
    echo "+pids +memory" >/sys/fs/cgroup/cgroup.subtree_control &&
    echo 5 >/sys/fs/cgroup/child/pids.max && cat /sys/fs/cgroup/child/pids.max'
writable='.mounts |= map(if .destination == "/sys/fs/cgroup" then .options -= ["ro"] else . end)'
delegation() { expect 5 foreground delegated '{}' "$delegates" "$writable"; }
delegation_to_a_user_namespace() {
    chown 300000:300000 /tmp/root
    expect 5 foreground mapped '{}' "$delegates" "$writable | .linux.namespaces += [{type: \"user\"}]
        | .linux.uidMappings = [{containerID: 0, hostID: 300000, size: 65536}]
        | .linux.gidMappings = [{containerID: 0, hostID: 300000, size: 65536}]"
    chown 0:0 /tmp/root
}
limits_stay_out_of_reach() {
    foreground boxed '{memory: {limit: 33554432}}' 'echo max >/sys/fs/cgroup/memory.max' 2>&1 | grep 'Read-only'
    # A namespace's root keeps its limits its parent's own, also where the tree is writable.
    foreground boxed '{pids: {limit: 5}}' 'mkdir /sys/fs/cgroup/c && echo max >/sys/fs/cgroup/c/pids.max; cat /sys/fs/cgroup/pids.max' "$writable" | grep -x 5
}

set +a
modprobe -a zram loop tun
echo 256M >/sys/block/zram0/disksize && mkswap /dev/zram0 >/dev/null && swapon /dev/zram0
truncate -s 16M /tmp/disk && disk >/dev/null
prepare_containers
engine "no engine: etui $(etui --version | head -1 | cut -d' ' -f3)"
check "memory: over the limit is killed, counted, neighbours live" memory
check "memory: an init process over the limit is killed" memory_of_init
check "memory: a container starts in 1 MB" small_memory
check "memory+swap: what is over the memory goes to swap" swap
check "memory+swap: over both is killed" swap_too_small
check "memory+swap: update on the fly" swap_on_the_fly
check "memory+swap: lowered on the fly" swap_lowered_on_the_fly
check "memory: reservation, high, update" memory_low_and_high
check "memory: update on the fly" memory_on_the_fly
check "cpu quota: throttled periods" quota
check "cpu quota: update on the fly" quota_on_the_fly
check "cpu weight: the order of two shares" weight
check "cpu weight: update on the fly" weight_on_the_fly
check "cpu idle" idle
check "cpu idle: update on the fly" idle_on_the_fly
check "pids: fork fails" pids
check "pids: update on the fly" pids_on_the_fly
check "io.max: without it, quick" io_unlimited
check "io.max: a write takes its time" io
check "io.max: a read takes its time" io_of_reads
check "io.max: so many reads and writes a second" operations
check "io.max: update on the fly" io_on_the_fly
check "device filter: only what the list allows opens" device_filter
check "mknod is refused without its capability" mknod_refused
check "unified: any file" unified
check "unified: update on the fly" unified_on_the_fly
check "unified: refuses what is not there" unified_refuses
check "freeze, thaw" freeze
check "a frozen container can be killed" kill_frozen
check "cgroup namespace" cgroup_namespace
check "delegation of a writable cgroup" delegation
check "delegation to a user namespace" delegation_to_a_user_namespace
check "limits are out of the container's reach" limits_stay_out_of_reach
check "nothing is left behind" nothing_left_behind
