# Docker 28 on etui where systemd is process 1: there Docker has systemd make the cgroups, by itself.
# lab: systemd
# seconds: 400

asked=${ONLY:-}
ONLY=${asked:-'^(run|exit codes|exec|stop|start|kill|pause|stats|top|update|OOM|logs|--memory|--cpu|--network|-v|--cap-add|--read-only|--tmpfs|--security-opt seccomp|--pids|--device|--privileged|--cgroup|--user$|--init|restart|live|health|docker build|the default|eight|nothing)'}
export ONLY
. /job/engines/docker_checks.sh
ONLY=$asked

uses_systemd() { expect systemd docker info --format '{{.CgroupDriver}}'; }
is_gone() { [ -z "$(systemctl list-units --all --plain --no-legend "$1")" ]; }
runs_in_a_scope() {
    run -d --name scope bb sleep 1000
    local id pid
    id=$(inspect '{{.Id}}' scope)
    pid=$(inspect '{{.State.Pid}}' scope)
    expect "0::/system.slice/docker-$id.scope" cat "/proc/$pid/cgroup"
    expect active systemctl is-active "docker-$id.scope"
    expect 0::/ docker exec scope cat /proc/self/cgroup
    docker rm -f scope
    eventually 5 is_gone "docker-$id.scope"
}
runs_in_a_slice_of_ones_own() {
    run -d --name slice --cgroup-parent web-front.slice bb sleep 1000
    local path
    path=$(cat "/proc/$(inspect '{{.State.Pid}}' slice)/cgroup")
    [[ $path == 0::/web.slice/web-front.slice/docker-*.scope ]]
    docker rm -f slice
}
shown() { for name in "${@:2}"; do systemctl show --value --property "$name" "$1"; done | paste -sd' '; }
limits_are_systemds() {
    run -d --name limits --memory 64m --memory-swap 64m --cpus 0.5 --pids-limit 33 --cpu-shares 512 bb sleep 1000
    local unit
    unit=docker-$(inspect '{{.Id}}' limits).scope
    expect "67108864 500ms 33 59" shown "$unit" MemoryMax CPUQuotaPerSecUSec TasksMax CPUWeight
    systemctl daemon-reload
    expect "67108864 50000 100000 33 59" docker exec limits sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max cpu.max pids.max cpu.weight)'
    docker update --memory 128m --memory-swap 128m --cpus 0.25 --pids-limit 44 limits
    expect "134217728 250ms 44 59" shown "$unit" MemoryMax CPUQuotaPerSecUSec TasksMax CPUWeight
    systemctl daemon-reload
    expect "134217728 25000 100000 44 59" docker exec limits sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max cpu.max pids.max cpu.weight)'
    docker rm -f limits
}
devices_outlive_a_reload() {
    run -d --name devices --device /dev/kmsg:/dev/mine --cap-add SYSLOG bb sleep 1000
    docker exec devices dd if=/dev/mine of=/dev/null bs=8192 count=1
    systemctl daemon-reload
    docker exec devices dd if=/dev/mine of=/dev/null bs=8192 count=1
    docker exec devices mknod /dev/mem c 1 1
    docker exec devices dd if=/dev/mem of=/dev/null count=1 2>&1 | grep 'not permitted'
    docker rm -f devices
}
leaves_no_failed_unit() {
    expect_status 137 run --rm --memory 16m --memory-swap 16m bb tail /dev/zero
    # One of its unit's events may still be on its way.
    sleep 1
    expect "" systemctl list-units --failed --plain --no-legend 'docker-*'
}
leaves_no_unit() {
    docker ps -aq | xargs -r docker rm -f
    eventually 10 is_gone 'docker-*.scope'
}

check "Docker has systemd make cgroups" uses_systemd
check "run, in a scope" runs_in_a_scope
check "--cgroup-parent: a slice of slices" runs_in_a_slice_of_ones_own
check "limits, update, over a daemon-reload" limits_are_systemds
check "--device over a daemon-reload" devices_outlive_a_reload
check "a container out of memory leaves no failed unit" leaves_no_failed_unit
check "no unit is left behind" leaves_no_unit
