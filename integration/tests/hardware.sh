# What a machine with several processors has: cpuset, huge pages, nodes of memory, disks.
# lab: plain
# full: cpuset, hugetlb, processors, nodes, disk
# seconds: 60

. /job/engines/checks.sh
. /job/engines/containers.sh
set -a

inside() { "$RUNTIME" exec "$@"; }
allowed() { inside "$1" sed -n "s/^$2_allowed_list:.//p" /proc/self/status; }

# --- processors ---

one_processor() {
    start pinned '{cpu: {cpus: "1"}}' "$loop"
    expect 1 cat "$cgroup/cpuset.cpus.effective"
    expect 1 allowed pinned Cpus
    expect 1 inside pinned nproc
    # It runs there and nowhere else: field 39 of stat(5).
    for _ in 1 2 3 4 5; do
        expect 1 cut -d' ' -f39 "/proc/$("$RUNTIME" state pinned | jq .pid)/stat"
        sleep 0.2
    done
}
another_processor() {
    cgroup=/sys/fs/cgroup/limits/pinned
    "$RUNTIME" update --cpuset-cpus 0 pinned
    expect 0 cat "$cgroup/cpuset.cpus.effective"
    expect 0 allowed pinned Cpus
    update pinned '{"cpu": {"cpus": "0-1"}}'
    expect 0-1 allowed pinned Cpus
    remove pinned
}
no_such_processor() { foreground many '{cpu: {cpus: "7"}}' true 2>&1 | tee /tmp/told; grep 'linux.resources.cpu.cpus.*cpuset.cpus' /tmp/told; }
# Two that compete share one processor; two that don't have one each.
weights_meet_on_one_processor() {
    start heavy '{cpu: {cpus: "1", shares: 4096}}' "$loop"
    start light '{cpu: {cpus: "1", shares: 256}}' "$loop"
    sleep 5
    usage() { cgroup=/sys/fs/cgroup/limits/$1 value cpu.stat usage_usec; }
    echo "heavy $(usage heavy), light $(usage light)"
    [ "$(usage heavy)" -gt $((2 * $(usage light))) ]
    remove heavy light
}
free_affinity() {
    configure free '{}' 'sed -n "s/^Cpus_allowed_list:.//p" /proc/self/status'
    expect 0-1 taskset -c 1 "$RUNTIME" run --bundle "$bundle" free
}
exec_affinity() {
    start main '{}' 'sleep 100' '.process.execCPUAffinity = {initial: "0", final: "1"}'
    expect 0-1 sed -n 's/^Cpus_allowed_list:.//p' "/proc/$("$RUNTIME" state main | jq .pid)/status"
    expect 1 allowed main Cpus
    remove main
}

# --- memory ---

one_node() {
    start near '{cpu: {mems: "1"}}' 'a=$(seq 20000); sleep 100'
    expect 1 cat "$cgroup/cpuset.mems.effective"
    expect 1 allowed near Mems
    local maps
    maps=/proc/$("$RUNTIME" state near | jq .pid)/numa_maps
    eventually 20 grep 'heap.*N1=' "$maps"
    expect_status 1 grep 'heap.*N0=' "$maps"
    "$RUNTIME" update --cpuset-mems 0-1 near
    expect 0-1 allowed near Mems
    remove near
}
memory_policy() {
    foreground bound '{}' 'grep -c "bind=static:1\|bind:1" /proc/self/numa_maps' '.linux.memoryPolicy = {mode: "MPOL_BIND", nodes: "1"}' | grep '[1-9]'
    start woven '{}' 'sleep 100' '.linux.memoryPolicy = {mode: "MPOL_INTERLEAVE", nodes: "0-1"}'
    inside woven grep interleave:0-1 /proc/self/numa_maps
    remove woven
}
# Each page is of 2 MB; fallocate(1) on hugetlbfs takes them, a mapping reserves them.
huge='.mounts += [{destination: "/huge", type: "hugetlbfs", source: "none"}, {destination: "/usr", type: "bind", source: "/usr", options: ["rbind", "ro"]}]'
reserves='import mmap, sys
try: mmap.mmap(-1, int(sys.argv[1]) << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000)
except OSError as error: sys.exit(error.errno)'
huge_pages() {
    start huge '{hugepageLimits: [{pageSize: "2MB", limit: 4194304}]}' 'sleep 100' "$huge"
    expect "4194304 4194304" sh -c "cd $cgroup && echo \$(cat hugetlb.2MB.max hugetlb.2MB.rsvd.max)"
    inside huge fallocate -l 4M /huge/fits
    expect 4194304 cat "$cgroup/hugetlb.2MB.current"
    expect_status 1 inside huge fallocate -l 2M /huge/too-much
    more_than hugetlb.2MB.events max 0
    expect 4194304 sh -c "$RUNTIME events --stats huge | jq '.data.hugetlb[\"2MB\"].usage'"
    inside huge rm /huge/fits
    echo 8388608 >"$cgroup/hugetlb.2MB.max"
    expect_status 12 inside huge /usr/bin/python3 -c "$reserves" 6
    more_than hugetlb.2MB.events max 1
    "$RUNTIME" events --stats huge | jq -e '.data.hugetlb["2MB"].failcnt > 1'
    inside huge /usr/bin/python3 -c "$reserves" 4
    remove huge
}

# --- a disk ---

disk='{major: 254, minor: 0}'
on_disk() { echo "{devices: [{allow: false, access: \"rwm\"}, $disk + {allow: true, type: \"b\", access: \"rwm\"}], blockIO: $1}"; }
with_disk=".linux.devices = [$disk + {path: \"/dev/disk\", type: \"b\"}]"
slow_disk() {
    start slow "$(on_disk "{throttleWriteBpsDevice: [$disk + {rate: 524288}], throttleReadIOPSDevice: [$disk + {rate: 99}]}")" "$writes" "$with_disk"
    grep 'rbps=max wbps=524288 riops=99 wiops=max' "$cgroup/io.max"
    tenths_to_write
    [ "$tenths" -ge 50 ]
    grep '^254:0 .*wbytes=3145728' "$cgroup/io.stat"
    "$RUNTIME" events --stats slow | jq -e '.data.blkio.ioServiceBytesRecursive[] | select(.op == "Write" and .value == 3145728)'
    remove slow
}
weighed_disk() {
    start weighed "$(on_disk "{weight: 500}")" 'sleep 100' "$with_disk"
    # 10 to 1000 there, 1 to 10000 here.
    expect "default 4950" cat "$cgroup/io.weight"
    remove weighed
}

# --- checks ---

set +a
modprobe -a virtio_blk loop 2>/dev/null
prepare_containers
ln -sf usr/lib64 /tmp/root/lib64
ln -sf usr/lib /tmp/root/lib
mkdir -p /tmp/root/{huge,usr}
{ echo 16 >/proc/sys/vm/nr_hugepages; } 2>/dev/null
engine "no engine: etui $(etui --version | head -1 | cut -d' ' -f3)"
with cpuset "cpuset: one processor" one_processor
with cpuset "cpuset: update on the fly" another_processor
with cpuset "cpuset: a processor that is not there is refused" no_such_processor
with cpuset "cpuset: weights meet on one processor" weights_meet_on_one_processor
with cpuset "cpuset: one node of memory, update" one_node
with processors "the caller's affinity is not inherited" free_affinity
with processors "execCPUAffinity" exec_affinity
with nodes "memoryPolicy" memory_policy
with hugetlb "hugepageLimits: pages, reservations, events" huge_pages
with disk "io.max of a disk, its counters" slow_disk
with disk "io.weight of a disk" weighed_disk
check "nothing is left behind" nothing_left_behind
