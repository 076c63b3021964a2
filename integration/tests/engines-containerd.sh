# containerd 2.1 on etui, through its own client ctr and through the interface of Kubernetes.
# lab: plain
# seconds: 400

. /job/engines/checks.sh
. /job/engines/docker.sh
. /job/engines/containerd.sh

runs() { expect hi run --rm 'echo hi'; }
passes_exit_codes_on() { expect_status 7 run --rm 'exit 7'; }
runs_with_a_terminal() {
    expect_status 3 script -qec "ctr run --runc-binary $(binary) --rm -t localhost/bb:latest c sh" /tmp/typescript <<<'tty; exit 3'
    grep /dev/pts/0 /tmp/typescript
}
handles_a_task() {
    rm -f /tmp/ready
    run -d --mount type=bind,src=/tmp,dst=/host,options=rbind:rw 'trap "exit 9" TERM; touch /host/ready; while :; do sleep 0.1; done'
    ctr task ls | grep 'c .*RUNNING'
    expect inside ctr task exec --exec-id e1 c echo inside
    expect_status 5 ctr task exec --exec-id e2 c sh -c 'exit 5'
    expect 1000 ctr task exec --exec-id e3 --user 1000 c id -u
    ctr task ps c | grep '[0-9]'
    ctr task pause c
    ctr task ls | grep 'c .*PAUSED'
    grep 'frozen 1' /sys/fs/cgroup/default/c/cgroup.events
    ctr task resume c
    ctr task ls | grep 'c .*RUNNING'
    grep 'frozen 0' /sys/fs/cgroup/default/c/cgroup.events
    ctr task metrics c | grep pids.current
    eventually 10 test -e /tmp/ready
    ctr task kill -s TERM c
    eventually 5 sh -c 'ctr task ls | grep STOPPED'
    ctr task rm c 2>&1 | grep 'exit code 9'
    ctr container rm c
}
limits_it() {
    run -d --memory-limit $((32 << 20)) --cpu-quota 50000 --cpu-period 100000 'sleep 100'
    expect "$((32 << 20)) 50000 100000" sh -c 'cd /sys/fs/cgroup/default/c && echo $(cat memory.max cpu.max)'
    clean_up
}
mounts_it() {
    mkdir -p /tmp/bind && echo host >/tmp/bind/file
    expect host run --rm --mount type=bind,src=/tmp/bind,dst=/data,options=rbind:ro 'cat /data/file'
    run --rm --read-only 'touch /x' 2>&1 | grep Read-only
}
confines_it() {
    expect 2 run --rm --seccomp "grep Seccomp: /proc/self/status | tr -dc 0-9"
    run --rm --privileged 'grep CapEff:.000001ffffffffff /proc/self/status'
    run --rm --cap-drop CAP_CHOWN 'chown 1 /tmp' 2>&1 | grep 'not permitted'
    run --rm --hostname named 'hostname' | grep named
}
maps_ids() { expect "0 100000 65536" run --rm --uidmap 0:100000:65536 --gidmap 0:100000:65536 --remap-labels 'echo $(cat /proc/self/uid_map)'; }
joins_a_namespace() { expect "$(readlink /proc/self/ns/net)" run --rm --with-ns "network:/proc/self/ns/net" 'readlink /proc/self/ns/net'; }
tells_of_errors() { ctr run --runc-binary "$(binary)" --rm localhost/bb:latest c /bin/nothere 2>&1 | grep -i 'no such file or directory'; }

start_containerd
engine "containerd $(containerd --version | cut -d' ' -f3) (ctr)"
check "run --rm" runs
check "exit codes" passes_exit_codes_on
check "run -t through a terminal" runs_with_a_terminal
check "task ls, exec, ps, pause, resume, metrics, kill, rm" handles_a_task
check "memory and cpu limits" limits_it
check "mounts, --read-only" mounts_it
check "--seccomp, --privileged, --cap-drop, --hostname" confines_it
check "--uidmap, --gidmap: a user namespace" maps_ids
check "--with-ns" joins_a_namespace
check "a missing executable is told" tells_of_errors
engine "containerd $(containerd --version | cut -d' ' -f3) (CRI, cgroupfs)"
python3 /job/engines/cri_checks.py
