# Docker where systemd is process 1: it has systemd make the cgroups, without being told.
# lab: systemd
# seconds: 420

. /job/engines/checks.sh
. /job/engines/docker.sh

uses_systemd() { expect systemd docker info --format '{{.CgroupDriver}}'; }
runs_in_a_scope() {
    run -d --name scope bb sleep 1000
    local id pid
    id=$(inspect '{{.Id}}' scope)
    pid=$(inspect '{{.State.Pid}}' scope)
    expect "0::/system.slice/docker-$id.scope" cat "/proc/$pid/cgroup"
    expect active systemctl is-active "docker-$id.scope"
    expect 0::/ docker exec scope cat /proc/self/cgroup
    docker rm -f scope
    ! systemctl list-units --all --plain --no-legend "docker-$id.scope" | grep .
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
    docker exec devices sh -c 'mknod /dev/mem c 1 1; ! dd if=/dev/mem of=/dev/null count=1'
    docker rm -f devices
}
exits_as_the_program() {
    expect hello run --rm bb echo hello
    expect_status 7 run --rm bb sh -c 'exit 7'
    expect_status 127 run --rm bb /bin/nothere
    expect_status 126 run --rm bb /etc/passwd
}
executes() {
    run -d --name exec bb sleep 1000
    expect inside docker exec exec echo inside
    expect_status 5 docker exec exec sh -c 'exit 5'
    expect /dev/pts/0 sh -c 'docker exec -t exec tty | tr -d "\r"'
    docker rm -f exec
}
stops() {
    run -d --name stop bb sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done'
    docker pause stop
    expect paused inspect '{{.State.Status}}' stop
    docker unpause stop
    docker restart -t 10 stop
    docker stop -t 10 stop
    expect 9 inspect '{{.State.ExitCode}}' stop
    docker start stop
    docker kill stop
    expect 137 inspect '{{.State.ExitCode}}' stop
    docker rm stop
}
tells_of_an_oom_kill() {
    expect_status 137 run --name oom --memory 16m --memory-swap 16m bb tail /dev/zero
    expect true inspect '{{.State.OOMKilled}}' oom
    docker rm oom
    expect "" systemctl list-units --failed --plain --no-legend 'docker-*'
}
runs_eight_at_once() {
    local number
    for number in 1 2 3 4 5 6 7 8; do run -d --name "many$number" bb sleep 1000 & done
    wait
    expect 8 sh -c 'docker ps --quiet --filter name=many | wc -l'
    docker ps --quiet --filter name=many | xargs docker rm -f
}
is_the_default_runtime() {
    default_runtime etui
    expect etui sh -c 'docker create --name default bb true >/dev/null; docker inspect --format "{{.HostConfig.Runtime}}" default'
    docker start -a default
    docker rm default
}
leaves_nothing() {
    expect "" sh -c 'docker ps -aq'
    eventually 10 sh -c '! systemctl list-units --all --plain --no-legend "docker-*.scope" | grep .'
    expect "" find /sys/fs/cgroup -name 'docker-*.scope'
}

start_docker
engine "Docker with systemd, $(docker version --format '{{.Server.Version}}')"
check "Docker has systemd make cgroups" uses_systemd
check "run, in a scope" runs_in_a_scope
check "--cgroup-parent" runs_in_a_slice_of_ones_own
check "limits, update, daemon-reload" limits_are_systemds
check "--device over a daemon-reload" devices_outlive_a_reload
check "exit codes" exits_as_the_program
check "exec" executes
check "pause, restart, stop, kill" stops
check "OOMKilled, and no failed unit" tells_of_an_oom_kill
check "eight at once" runs_eight_at_once
check "the default runtime" is_the_default_runtime
check "nothing is left behind" leaves_nothing
clean_up >/dev/null 2>&1
