# systemd makes the cgroups: names, limits, device rules, what is left afterwards.
# lab: systemd
# seconds: 240

echo "# engine no engine, systemd's driver: etui $(etui --version | head -1 | cut -d" " -f3)"
bundle=/tmp/bundle
make_bundle $bundle '.process.args = ["sleep", "1000"]'
cp $bundle/config.json /tmp/plain.json
configure() { jq "$1" /tmp/plain.json >$bundle/config.json; }
up() { etui --systemd-cgroup run -d --bundle $bundle "$1" </dev/null >/tmp/up 2>&1; }
down() { etui --systemd-cgroup delete --force "$1"; }
property() { systemctl show --property "$2" --value "$1"; }
in_cgroup() { (cd "/sys/fs/cgroup/$1" && shift && cat "$@" | paste -sd' '); }
says() { grep -qF -- "$1" <<<"$("${@:2}" 2>&1 </dev/null)"; }
gone() { ! systemctl list-units --all --plain --no-legend "$1" | grep -q .; }

# Where a unit is and what it is called.
placed() {
    configure ".linux.cgroupsPath = \"$1\""
    up placed || { cat /tmp/up; return 1; }
    sed 's/^0:://' "/proc/$(etui state placed | jq .pid)/cgroup"
    down placed
}
expect "slice, prefix and name" "/system.slice/docker-one.scope" placed system.slice:docker:one
expect "a slice of slices" "/a.slice/a-b.slice/a-b-c.slice/p-n.scope" placed a-b-c.slice:p:n
expect "no prefix" "/system.slice/alone.scope" placed system.slice::alone
expect "no slice" "/system.slice/p-n.scope" placed :p:n
expect "no path" "/system.slice/etui-placed.scope" placed ""
expect "the root slice" "/p-n.scope" placed -.slice:p:n
expect "a name of a slice" "/mine.slice/mine-own.slice" placed system.slice:p:mine-own.slice
configure '.linux.cgroupsPath = "/docker/one"'
exits "another path is refused" 1 up malformed
check "in runc's words" grep -qF 'expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"/docker/one\" instead' /tmp/up
check "and leaves nothing" nothing_left malformed

# Limits, as systemd has them and as the kernel has them, before and after a reload.
unit=etui-limits.scope
cgroup=system.slice/$unit
configure '.linux.resources += { "memory": { "limit": 67108864, "reservation": 33554432, "swap": 100663296 }, "pids": { "limit": 55 },
    "cpu": { "shares": 512, "quota": 12345, "period": 50000 },
    "unified": { "memory.high": "60000000", "memory.min": "8388608", "memory.oom.group": "1" } }'
check "a container with limits" up limits
known() { property $unit MemoryMax; property $unit MemoryLow; property $unit MemoryHigh; property $unit TasksMax; property $unit CPUWeight; property $unit CPUQuotaPerSecUSec; property $unit CPUQuotaPeriodUSec; }
written() { in_cgroup $cgroup memory.max memory.low memory.high pids.max cpu.weight cpu.max; }
also() { in_cgroup $cgroup memory.swap.max memory.min memory.oom.group; }
properties() { known | paste -sd' '; }
wanted="67108864 33554432 60000000 55 59 250ms 50ms"
expect "systemd knows the limits" "$wanted" properties
expect "the kernel has them" "67108864 33554432 59998208 55 59 12345 50000" written
expect "swap, memory.min, memory.oom.group too" "33554432 8388608 1" also
expect "which systemd calls a policy" "kill" property $unit OOMPolicy
expect "the cgroup is delegated" "yes" property $unit Delegate
expect "it has no default dependencies" "no" property $unit DefaultDependencies
expect "it says whose it is" "etui container limits" property $unit Description
systemctl daemon-reload
expect "systemd knows the limits after a reload" "$wanted" properties
# systemd keeps whole percents of a second: a quota between two becomes the higher one.
expect "the kernel has them after a reload" "67108864 33554432 59998208 55 59 12500 50000" written
expect "swap, memory.min, memory.oom.group too after a reload" "33554432 8388608 1" also
check "update" etui update --memory 134217728 --memory-swap 201326592 --pids-limit 66 --cpu-quota 20000 --cpu-period 40000 limits
wanted="134217728 33554432 60000000 66 59 500ms 40ms"
expect "systemd knows of the update" "$wanted" properties
expect "the kernel has the update" "134217728 33554432 59998208 66 59 20000 40000" written
expect "and that of swap" "67108864 8388608 1" also
systemctl daemon-reload
expect "the update outlives a reload" "134217728 33554432 59998208 66 59 20000 40000" written
expect "and so does that of swap" "67108864 8388608 1" also
expect "and systemd knows it still" "$wanted" properties
check "pause" etui pause limits
expect "paused" "paused" eval "etui state limits | jq -r .status"
check "resume" etui resume limits
enter() { etui exec -d --pid-file /tmp/pid limits sleep 1000 >/dev/null 2>&1; }
check "exec" enter
expect "is in the same cgroup" "0::/$cgroup" eval 'cat /proc/$(cat /tmp/pid)/cgroup'
check "kill" etui kill limits KILL
waits_for 5 test ! -d "/proc/$(etui state limits | jq .pid)/root" || true
check "delete" etui delete --force limits
check "no unit is left" gone $unit
check "nothing is left" nothing_left limits

# What is rarer: an idle one, a disk's speed and its node, a paused one.
modprobe -q loop
truncate -s 1M /tmp/disk
number=$(stat -c %Hr:%Lr "$(losetup -f --show --direct-io=off /tmp/disk)")
configure "(\"$number\" | split(\":\") | {major: (.[0] | tonumber), minor: (.[1] | tonumber)}) as \$disk
    | .linux.devices = [\$disk + {path: \"/dev/disk\", type: \"b\"}]
    | .linux.resources += { cpu: { idle: 1 }, blockIO: { throttleWriteBpsDevice: [\$disk + {rate: 1048576}] },
        devices: [{allow: false, access: \"rwm\"}, \$disk + {allow: true, type: \"b\", access: \"r\"}] }"
check "a container that is idle, on a slow disk" up limits
rare() { in_cgroup $cgroup cpu.idle io.max; }
reads_the_disk() { etui exec limits sh -c 'cat /dev/disk | wc -c; (: >/dev/disk) 2>&1' | sed 's/.*: //' | paste -sd' '; }
for when in "at first" "after a reload"; do
    expect "idle, slow $when" "1 $number rbps=max wbps=1048576 riops=max wiops=max" rare
    expect "the disk is read, not written $when" "1048576 Operation not permitted" reads_the_disk
    systemctl daemon-reload
done
slower() { jq -n --arg number "$number" '{blockIO: {throttleWriteBpsDevice: [($number | split(":")) as $n
    | {major: ($n[0] | tonumber), minor: ($n[1] | tonumber), rate: 524288}]}}' | etui update --resources - limits; }
check "update of io.max" slower
for when in "at first" "after a reload"; do
    expect "slower $when" "1 $number rbps=max wbps=524288 riops=max wiops=max" rare
    systemctl daemon-reload
done
check "pause before a reload" etui pause limits
systemctl daemon-reload
expect "paused after a reload" "paused" eval "etui state limits | jq -r .status"
expect "frozen in the kernel too" "frozen 1" grep frozen /sys/fs/cgroup/$cgroup/cgroup.events
check "resume after a reload" etui resume limits
down limits

# Cgroups below the unit's own, by crun's annotations.
configure '.annotations = { "run.oci.systemd.subgroup": "inner", "run.oci.delegate-cgroup": "payload" }
    | .linux.resources += { "pids": { "limit": 44 }, "memory": { "limit": 67108864 } }'
check "a container with a subgroup" up limits
expect "is below the unit and the subgroup" "0::/$cgroup/inner/payload" eval 'cat /proc/$(etui state limits | jq .pid)/cgroup'
below() { in_cgroup $cgroup/inner pids.max memory.max; }
expect "which has the limits" "44 67108864" below
expect "and so has the unit" "44" property $unit TasksMax
check "it can be entered" enter
expect "where its process is" "0::/$cgroup/inner/payload" eval 'cat /proc/$(cat /tmp/pid)/cgroup'
check "it can be deleted" etui delete --force limits
check "no unit with a subgroup is left" gone $unit
check "nothing with a subgroup is left" nothing_left limits

# Device rules: what may be opened stays so.
configure '.linux.resources.devices = [ { "allow": false, "access": "rwm" }, { "allow": true, "type": "c", "major": 240, "minor": 77, "access": "rw" },
    { "allow": true, "type": "c", "major": 4, "access": "rw" }, { "allow": false, "type": "c", "major": 4, "minor": 1, "access": "r" } ]
    | .process.capabilities |= map_values(. + ["CAP_MKNOD"])'
check "a container with device rules" up devices
unit=etui-devices.scope
expect "systemd has a strict policy" "strict" property $unit DevicePolicy
allowed() { property $unit DeviceAllow | sort | grep -E '/dev/char/240:77|char-4' | paste -sd' '; }
expect "systemd knows the rules" "/dev/char/240:77 rw char-4 rw" allowed
# A node can be made; whether it opens is the filter's word: EPERM is "not permitted", no driver is ENXIO.
opens() {
    etui exec devices sh -c "rm -f /dev/node; mknod /dev/node c $1 $2 || exit; (: </dev/node) 2>&1 | sed 's/.*: //'"
}
refused="Operation not permitted"
for when in "at first" "after a reload"; do
    expect "the null device works $when" "" opens 1 3
    expect "an allowed device is allowed $when" "No such device or address" opens 240 77
    expect "a forbidden device is forbidden $when" "$refused" opens 1 1
    expect "an exception is one $when" "$refused" opens 4 1
    systemctl daemon-reload
done
down devices

# Properties of the operator's own.
configure '.annotations = { "org.systemd.property.TimeoutStopSec": "5", "org.systemd.property.Description": "'"'a service'"'",
    "org.systemd.property.IPAccounting": "true" }'
check "annotations" up annotated
expect "seconds become microseconds" "5s" property etui-annotated.scope TimeoutStopUSec
expect "text" "a service" property etui-annotated.scope Description
expect "a truth" "yes" property etui-annotated.scope IPAccounting
down annotated
configure '.annotations = { "org.systemd.property.Nonsense": "5" }'
exits "a property that systemd does not know" 1 up annotated
check "is told in its words" grep -q 'etui-annotated.scope: StartTransientUnit(): .*Nonsense' /tmp/up
check "and leaves nothing" nothing_left annotated
configure '.annotations = { "org.systemd.property.Wants": "nothing" }'
exits "an annotation that is no value" 1 up annotated
check "is named" grep -qF 'org.systemd.property.Wants' /tmp/up

# Ends of all kinds.
configure '.process.args = ["true"]'
check "a container that ends at once" etui --systemd-cgroup run --bundle $bundle ends
check "its unit is gone" gone 'etui-ends*'
for try in 1 2 3; do check "the same name again, $try" etui --systemd-cgroup run --bundle $bundle ends; done
configure '.process.args = ["tail", "/dev/zero"] | .linux.resources.memory = { "limit": 16777216, "swap": 16777216 }'
exits "a container out of memory" 137 etui --systemd-cgroup run --bundle $bundle oom
check "no failed unit is left of it" gone 'etui-oom*'
configure '.process.args = ["/nothere"]'
exits "a program that is not there" 1 up nothere
check "leaves no unit" gone 'etui-nothere*'
check "leaves nothing" nothing_left nothere
systemd-run --quiet --unit etui-failed.scope --scope --property CollectMode=inactive sleep 100 &
waits_for 5 systemctl is-active etui-failed.scope
configure .
exits "the name of a unit that runs" 1 up failed
check "is told" grep -q 'container.s cgroup is not empty' /tmp/up
check "which runs on" systemctl is-active etui-failed.scope
systemctl kill --signal KILL etui-failed.scope
check "until it is killed" waits_for 5 gone etui-failed.scope
systemd-run --quiet --unit etui-failed.scope --scope -p CollectMode=inactive -p MemoryMax=8M -p MemorySwapMax=0 -p OOMPolicy=stop \
    tail /dev/zero
waits_for 5 systemctl is-failed etui-failed.scope
expect "it has failed" failed systemctl is-active etui-failed.scope
check "the name of a unit that has failed" up failed
down failed
check "is free again" gone etui-failed.scope

# Killed on the way: delete --force leaves nothing. strace kills at the Nth call of one kind.
configure .
killed() {
    strace -qq -o /dev/null -e trace="$1" -e inject="$1":signal=KILL:when="$2" \
        etui --systemd-cgroup create --bundle $bundle victim </dev/null >/dev/null 2>&1
}
sweep() {
    local nth code
    for ((nth = 1; nth < 100; nth++)); do
        killed "$1" $nth 2>/dev/null
        code=$?
        etui delete --force victim || return 1
        waits_for 10 gone 'etui-victim*' && nothing_left victim || { echo "call $nth"; return 1; }
        if [ $code = 0 ]; then break; fi
    done
    [ $nth -gt 1 ]
}
for call in sendmsg recvmsg poll clone3 write; do
    check "killed at any $call, delete --force leaves nothing" sweep $call
done

# No systemd.
configure .
without() { unshare --mount sh -c 'mount -t tmpfs none /run/systemd; mount -t tmpfs none /run/dbus; exec "$@"' sh "$@"; }
check "no systemd is told" says '--systemd-cgroup: reach systemd: connect(\"/run/dbus/system_bus_socket\"): no such file or directory; no systemd answers' \
    without etui --systemd-cgroup run --bundle $bundle nobus
check "and leaves nothing" nothing_left nobus
check "a container" up orphan
check "is deleted without systemd" without etui delete --force orphan
check "and nothing is left of it" waits_for 5 gone 'etui-orphan*'
check "the bus serves where the socket does not" unshare --mount sh -c \
    "mount --bind /dev/null /run/systemd/private; etui --systemd-cgroup run -d --bundle $bundle bybus </dev/null && etui delete --force bybus"
check "and nothing is left by it" gone 'etui-bybus*'
