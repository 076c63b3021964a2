# Sourced by the tests of Docker: every feature that its users touch, one check each.
. /job/engines/checks.sh
. /job/engines/docker.sh

# --- processes ---

runs_and_removes() {
    expect hi run --rm --name first bb echo hi
    ! docker inspect first
}
runs_with_a_terminal() {
    printf 'echo size=$(stty size) tty=$(tty); exit 7\n' >/tmp/typed
    expect_status 7 script -qec "stty rows 33 cols 99; docker run --runtime $RUNTIME --rm -it bb sh" /tmp/typescript </tmp/typed
    grep 'size=33 99 tty=/dev/pts/0' /tmp/typescript
}
runs_with_standard_input() { echo "from outside" | expect "from outside" run --rm -i bb cat; }
passes_exit_codes_on() {
    expect_status 42 run --name codes bb sh -c 'exit 42'
    expect 42 inspect '{{.State.ExitCode}}' codes
    docker rm codes
}
reports_a_missing_executable() {
    expect_status 127 run --rm bb /bin/nothere
    expect_status 127 run --rm bb nothere
}
reports_a_file_that_cannot_be_executed() { expect_status 126 run --rm bb /etc/passwd; }
reports_a_missing_working_directory_as_created() { expect /not/there run --rm -w /not/there bb pwd; }
long_running() { run -d --name "$1" "${@:2}" bb sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'; }
# Its traps are set.
is_ready() { eventually 10 sh -c "docker logs $1 | grep -qx ready"; }
executes() {
    long_running exec1
    expect inside docker exec exec1 echo inside
    expect 1000:1000 docker exec -u alice exec1 sh -c 'echo $(id -u):$(id -g)'
    expect 12:34 docker exec -u 12:34 exec1 sh -c 'echo $(id -u):$(id -g)'
    expect "a b" docker exec -e "WORDS=a b" exec1 sh -c 'echo "$WORDS"'
    expect /etc docker exec -w /etc exec1 pwd
    expect piped sh -c 'echo piped | docker exec -i exec1 cat'
    expect_status 5 docker exec exec1 sh -c 'exit 5'
    expect_status 127 docker exec exec1 nothere
    docker exec -d exec1 touch /tmp/detached
    eventually 5 docker exec exec1 test -e /tmp/detached
}
executes_with_a_terminal() {
    expect_status 3 script -qec "stty rows 20 cols 50; docker exec -it exec1 sh" /tmp/typescript <<<'echo size=$(stty size); exit 3'
    grep 'size=20 50' /tmp/typescript
    docker rm -f exec1
}
executes_privileged() {
    long_running exec2
    docker exec --privileged exec2 grep CapEff:.000001ffffffffff /proc/self/status
    docker rm -f exec2
}
keeps_logs() {
    run --name logs bb sh -c 'echo out; echo err >&2'
    expect out docker logs logs 2>/dev/null
    expect err sh -c 'docker logs logs 2>&1 >/dev/null'
    docker rm logs
}
stops() {
    long_running stop1
    is_ready stop1
    docker stop -t 10 stop1
    expect "exited 9" inspect '{{.State.Status}} {{.State.ExitCode}}' stop1
}
starts_again() {
    docker start stop1
    status_is stop1 running
    started=$(inspect '{{.State.StartedAt}}' stop1)
    docker restart -t 5 stop1
    status_is stop1 running
    [ "$(inspect '{{.State.StartedAt}}' stop1)" != "$started" ]
    expect alive docker exec stop1 echo alive
    docker rm -f stop1
}
kills() {
    long_running kill1
    is_ready kill1
    docker kill -s TERM kill1
    expect 9 docker wait kill1
    docker start kill1
    docker kill kill1
    expect 137 docker wait kill1
    docker rm kill1
}
stops_what_ignores_sigterm() {
    run -d --name stubborn bb sh -c 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
    is_ready stubborn
    docker stop -t 1 stubborn
    expect 137 inspect '{{.State.ExitCode}}' stubborn
    docker rm stubborn
}
pauses() {
    run -d --name pause1 bb sh -c 'while :; do echo; sleep 0.05; done'
    docker pause pause1
    status_is pause1 paused
    # What it has said is still on its way to the log.
    sleep 0.5
    lines=$(docker logs pause1 | wc -l)
    sleep 0.5
    expect "$lines" sh -c 'docker logs pause1 | wc -l'
    expect_status 1 docker exec pause1 true
    docker unpause pause1
    status_is pause1 running
    eventually 5 sh -c "[ \$(docker logs pause1 | wc -l) -gt $lines ]"
    docker rm -f pause1
}
stats() {
    run -d --name stats1 -m 64m bb sh -c 'while :; do :; done'
    sleep 1
    docker stats --no-stream --format '{{.CPUPerc}} {{.MemUsage}} {{.PIDs}}' stats1 >/tmp/stats
    cat /tmp/stats
    grep -E '^[0-9.]*[1-9][0-9.]*% [0-9.]*[1-9][0-9.]*[KM]iB / 64MiB 1$' /tmp/stats
}
top() {
    docker top stats1 | tee /tmp/top
    grep 'while :; do :; done' /tmp/top
    docker rm -f stats1
}
updates() {
    long_running update1 -m 64m
    docker update -m 48m --memory-swap 96m --pids-limit 77 --cpus 0.5 update1
    cgroup_of update1
    expect $((48 << 20)) cat "$cgroup/memory.max"
    expect $((48 << 20)) cat "$cgroup/memory.swap.max"
    expect 77 cat "$cgroup/pids.max"
    expect "50000 100000" cat "$cgroup/cpu.max"
    docker rm -f update1
}
cgroup_of() { cgroup=/sys/fs/cgroup$(cut -d: -f3 "/proc/$(inspect '{{.State.Pid}}' "$1")/cgroup"); }
# The engine hears of it from the cgroup, which must live as long as that takes.
tells_of_an_oom_kill() {
    expect_status 137 run --rm -m 24m --memory-swap 24m bb tail /dev/zero
    expect_status 3 run --name oom -m 24m --memory-swap 24m bb sh -c 'tail /dev/zero; sleep 2; exit 3'
    expect true inspect '{{.State.OOMKilled}}' oom
    docker rm oom
}
copies_files() {
    run --name copies bb sh -c 'echo data >/root/file'
    docker cp copies:/root/file /tmp/copied
    expect data cat /tmp/copied
    docker rm copies
}
attaches() {
    run -d --name attach1 bb sh -c 'while :; do echo tick; sleep 0.2; done'
    timeout 20 docker attach attach1 | grep -m1 tick
    docker rm -f attach1
}

# --- flags ---

limits_memory() { expect $((64 << 20)) run --rm -m 64m bb cat /sys/fs/cgroup/memory.max; }
reserves_memory() { expect $((32 << 20)) run --rm -m 64m --memory-reservation 32m bb cat /sys/fs/cgroup/memory.low; }
limits_cpus() {
    run -d --name half --cpus 0.5 bb sh -c 'while :; do :; done'
    cgroup_of half
    expect "50000 100000" cat "$cgroup/cpu.max"
    eventually 10 grep 'nr_throttled [1-9]' "$cgroup/cpu.stat"
    docker rm -f half
}
pins_processors() {
    expect "1 0" run --rm --cpuset-cpus 1 --cpuset-mems 0 bb sh -c 'cd /sys/fs/cgroup && echo $(cat cpuset.cpus.effective cpuset.mems.effective)'
    long_running pinned
    docker update --cpuset-cpus 0 pinned
    expect 0 docker exec pinned sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status
    docker rm -f pinned
}
weighs_cpu() { run --rm --cpu-shares 2048 bb sh -c 'w=$(cat /sys/fs/cgroup/cpu.weight); [ $w -gt 100 ]'; }
limits_pids() {
    expect 20 run --rm --pids-limit 20 bb cat /sys/fs/cgroup/pids.max
    run --rm --pids-limit 20 bb sh -c 'for i in $(seq 40); do sleep 3 & done' 2>&1 | grep -i "can't fork"
}
adds_and_drops_capabilities() {
    expect CapEff:00000000a80425fb capabilities
    expect CapEff:00000000a80435fb capabilities --cap-add NET_ADMIN
    expect CapEff:00000000a80405fb capabilities --cap-drop NET_RAW
    expect CapEff:0000000000000400 capabilities --cap-drop ALL --cap-add NET_BIND_SERVICE
}
capabilities() { run --rm "$@" bb grep CapEff /proc/self/status | tr -d '\t'; }
no_new_privileges() { run --rm --security-opt no-new-privileges bb grep "NoNewPrivs:.1" /proc/self/status; }
default_seccomp_profile() {
    run --rm bb grep 'Seccomp:.2' /proc/self/status
    run --rm bb unshare -U true 2>&1 | grep 'not permitted'
}
seccomp_profile_from_a_file() {
    cat >/tmp/seccomp.json <<'P'
{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}
P
    run --rm --security-opt seccomp=/tmp/seccomp.json bb mkdir /tmp/x 2>&1 | grep 'No space left'
    run --rm --security-opt seccomp=unconfined bb grep 'Seccomp:.0' /proc/self/status
}
read_only_root() {
    run --rm --read-only bb touch /file 2>&1 | grep 'Read-only file system'
    run --rm --read-only --tmpfs /tmp bb touch /tmp/file
}
tmpfs() {
    run --rm --tmpfs /scratch:size=4m,mode=1770,uid=5 bb sh -c 'grep " /scratch tmpfs .*size=4096k" /proc/mounts && stat -c %a:%u /scratch' | grep 1770:5
}
binds() {
    mkdir -p /tmp/bind && echo host >/tmp/bind/file
    expect host run --rm -v /tmp/bind:/data bb cat /data/file
    run --rm -v /tmp/bind:/data:ro bb touch /data/x 2>&1 | grep 'Read-only'
    expect host run --rm -v /tmp/bind/file:/etc/one:ro bb cat /etc/one
    run --rm -v /tmp/bind:/data bb sh -c 'echo inside >/data/new'
    expect inside cat /tmp/bind/new
}
volumes_persist() {
    run --rm -v kept:/data bb sh -c 'echo kept >/data/file'
    expect kept run --rm -v kept:/data bb cat /data/file
    docker volume rm kept
}
propagates_mounts() {
    mkdir -p /tmp/prop/later && mount --bind /tmp/prop /tmp/prop && mount --make-shared /tmp/prop
    long_running prop -v /tmp/prop:/prop:rslave
    mount -t tmpfs later /tmp/prop/later
    touch /tmp/prop/later/seen
    docker exec prop ls /prop/later/seen
    docker rm -f prop
    umount /tmp/prop/later /tmp/prop
}
users() {
    expect 1000:1000: run --rm --user alice bb sh -c 'echo $(id -u):$(id -g):$(id -Gn 2>/dev/null | grep -v alice)'
    expect 1234:567 run --rm --user 1234:567 bb sh -c 'echo $(id -u):$(id -g)'
    run --rm --user 1234 --group-add 99 bb id -G | grep 99
}
# A second daemon, whose containers have a user namespace unless they say otherwise. One without a bridge removes that of
# the first, so it has a network of its own.
remapping() { docker -H unix:///run/d2.sock "$@"; }
maps_ids() {
    id dockremap || useradd -r dockremap
    for file in /etc/subuid /etc/subgid; do grep -q '^dockremap:300000:' $file || echo dockremap:300000:65536 >>$file; done
    mkdir -p /tmp/remap
    mountpoint -q /tmp/remap || mount -t tmpfs remap /tmp/remap
    echo '{"bridge": "none", "iptables": false, "ip6tables": false}' >/tmp/remap.json
    (enter_cgroup engine && exec unshare --net setsid dockerd --config-file /tmp/remap.json --userns-remap dockremap --data-root /tmp/remap \
        --exec-root /run/d2 --pidfile /run/d2.pid -H unix:///run/d2.sock --add-runtime "etui=$ETUI" >>/job/dockerd2.log 2>&1) &
    eventually 30 remapping version
    tar -C /tmp/bb -c . | remapping import - bb
    expect "0 300000 65536" remapping run --runtime "$RUNTIME" --rm --network none bb sh -c 'echo $(cat /proc/self/uid_map)'
    expect "0 0 4294967295" remapping run --runtime "$RUNTIME" --rm --network none --userns=host bb sh -c 'echo $(cat /proc/self/uid_map)'
    remapping run --runtime "$RUNTIME" -d --name mapped --network none bb sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done'
    expect "0 300000 65536" remapping exec mapped sh -c 'echo $(cat /proc/self/uid_map)'
    expect 300000 stat -c %u "/proc/$(remapping inspect --format '{{.State.Pid}}' mapped)"
    eventually 10 sh -c 'docker -H unix:///run/d2.sock logs mapped | grep -qx ready'
    remapping stop -t 10 mapped
    expect 9 remapping inspect --format '{{.State.ExitCode}}' mapped
    remapping rm mapped
    end_daemon /run/d2.pid
}
an_init_process() { run --rm --init bb sh -c 'tr "\0" " " </proc/1/cmdline' | grep docker-init; }
devices() {
    run --rm bb sh -c 'mknod /tmp/loop b 7 0 && echo made; cat /tmp/loop' 2>&1 | tee /tmp/loop
    grep -x made /tmp/loop
    grep "cat: can't open.*not permitted" /tmp/loop
    run --rm --device /dev/net/tun bb sh -c 'test -c /dev/net/tun && : <>/dev/net/tun'
    run --rm --cap-add SYSLOG --device /dev/kmsg:/dev/mine:r bb sh -c ': </dev/mine && echo readable; echo x >/dev/mine' 2>&1 | tee /tmp/mine
    grep readable /tmp/mine
    grep 'not permitted' /tmp/mine
}
default_devices() {
    expect ok run --rm bb sh -c 'for d in null zero full random urandom tty ptmx; do test -c /dev/$d || echo no $d; done
        echo x >/dev/null && head -c1 /dev/urandom >/dev/null && [ -L /dev/fd -a -L /dev/stdout ] && echo ok'
}
sysctls() { expect "0 4096" run --rm --sysctl net.ipv4.ip_forward=0 --sysctl kernel.msgmax=4096 bb sh -c 'echo $(cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax)'; }
ulimits() { expect "99 199" run --rm --ulimit nofile=99:199 bb sh -c 'echo $(ulimit -Sn) $(ulimit -Hn)'; }
hostnames() { expect "named example.org" run --rm --hostname named --domainname example.org bb sh -c 'echo $(hostname) $(cat /proc/sys/kernel/domainname)'; }
environments() { expect "one two" run --rm -e A=one -e B=two bb sh -c 'echo $A $B'; }
network_none() { expect lo run --rm --network none bb ls /sys/class/net; }
network_host() { run --rm --network host bb ls /sys/class/net/docker0; }
network_bridge() {
    run -d --name server bb sh -c 'mkdir /www; echo served >/www/index.html; httpd -f -p 80 -h /www'
    address=$(inspect '{{.NetworkSettings.IPAddress}}' server)
    eventually 5 run --rm bb wget -qO- "http://$address/"
    eventually 5 curl -sf "http://$address/"
}
network_of_a_container() {
    expect served run --rm --network container:server bb wget -qO- http://127.0.0.1/
    docker rm -f server
}
published_ports() {
    run -d --name published -p 127.0.0.1:8080:80 bb sh -c 'mkdir /www; echo published >/www/index.html; httpd -f -p 80 -h /www'
    eventually 10 curl -sf http://127.0.0.1:8080/
    docker rm -f published
}
network_of_ones_own() {
    docker network create mine
    run -d --name peer --network mine bb sleep 60
    address=$(inspect '{{.NetworkSettings.Networks.mine.IPAddress}}' peer)
    eventually 5 run --rm --network mine bb ping -c1 -W2 "$address"
    docker rm -f peer
    docker network rm mine
}
names_on_it() {
    docker network create mine
    run -d --name named --network mine bb sleep 60
    eventually 5 run --rm --network mine bb ping -c1 -W2 named
    docker rm -f named
    docker network rm mine
}
connects_a_network_later() {
    docker network create later
    long_running late
    docker network connect later late
    docker exec late ls /sys/class/net/eth1
    docker rm -f late
    docker network rm later
}
process_namespaces() {
    expect "$(readlink /proc/self/ns/pid)" run --rm --pid=host bb readlink /proc/self/ns/pid
    long_running pids
    run --rm --pid=container:pids bb ps | grep 'trap "exit 9" TERM'
    expect "$(docker exec pids readlink /proc/self/ns/pid)" run --rm --pid=container:pids bb readlink /proc/self/ns/pid
    docker rm -f pids
}
ipc_namespaces() {
    expect "$(readlink /proc/self/ns/ipc)" run --rm --ipc=host bb readlink /proc/self/ns/ipc
    long_running shared --ipc=shareable
    docker exec shared sh -c 'echo memory >/dev/shm/file'
    expect memory run --rm --ipc=container:shared bb cat /dev/shm/file
    expect "$(docker exec shared readlink /proc/self/ns/ipc)" run --rm --ipc=container:shared bb readlink /proc/self/ns/ipc
    docker rm -f shared
}
host_names() { expect "$(readlink /proc/self/ns/uts)" run --rm --uts=host bb readlink /proc/self/ns/uts; }
shared_memory() { run --rm --shm-size 8m bb grep '/dev/shm tmpfs .*size=8192k' /proc/mounts; }
privileged() {
    run --rm --privileged bb sh -c 'grep CapEff:.000001ffffffffff /proc/self/status && mount -t tmpfs x /tmp && mknod /tmp/loop b 7 0 && ls /dev/kmsg && touch /proc/sys/kernel/panic'
}
masked_and_read_only_paths() {
    expect "0 0" run --rm bb sh -c 'echo $(wc -c </proc/kcore) $(wc -c </proc/timer_list)' 2>/dev/null
    run --rm bb sh -c 'echo 1 >/proc/sys/kernel/panic' 2>&1 | grep 'Read-only'
    expect "" run --rm bb ls -A /sys/firmware
}
adjusts_the_oom_score() { expect 500 run --rm --oom-score-adj 500 bb cat /proc/self/oom_score_adj; }
cgroup_namespaces() {
    expect 0::/ run --rm bb cat /proc/self/cgroup
    run --rm --cgroupns=host bb grep -v '^0::/$' /proc/self/cgroup
}
cgroup_parents() {
    [ -d /run/systemd/system ] && parent=parent.slice || parent=/parent
    long_running parented --cgroup-parent $parent
    grep parent "/proc/$(inspect '{{.State.Pid}}' parented)/cgroup"
    docker rm -f parented
}
links_no_descriptor() { expect "0 1 2 3" run --rm bb sh -c 'echo $(ls /proc/self/fd)'; }

# --- the daemon's own doing ---

health_checks() {
    run -d --name healthy --health-cmd 'test -e /tmp/well' --health-interval 1s --health-retries 1 bb sh -c 'touch /tmp/well; sleep 100'
    eventually 20 sh -c "[ \$(docker inspect -f '{{.State.Health.Status}}' healthy) = healthy ]"
    docker exec healthy rm /tmp/well
    eventually 20 sh -c "[ \$(docker inspect -f '{{.State.Health.Status}}' healthy) = unhealthy ]"
    docker rm -f healthy
}
restarts_after_a_crash() {
    run -d --name crashes --restart on-failure:2 bb sh -c 'exit 1'
    eventually 20 sh -c "[ \$(docker inspect -f '{{.RestartCount}}{{.State.Status}}' crashes) = 2exited ]"
    docker rm -f crashes
}
restarts_what_was_killed() {
    run -d --name always --restart always bb sleep 100
    kill -9 "$(inspect '{{.State.Pid}}' always)"
    eventually 20 sh -c "[ \$(docker inspect -f '{{.RestartCount}}{{.State.Status}}' always) = 1running ]"
    docker rm -f always
}
commits() {
    run --name changed bb sh -c 'echo changed >/etc/changed'
    docker commit changed changed-image
    expect changed run --rm changed-image cat /etc/changed
    docker rm changed
    docker rmi changed-image
}
# The builder takes the default runtime; BuildKit what DOCKER_BUILDKIT_RUNC_COMMAND names, fixed at the start.
dockerfile() {
    mkdir -p /tmp/build && echo payload >/tmp/build/payload
    cat >/tmp/build/Dockerfile <<'D'
FROM bb
WORKDIR /app
COPY payload .
RUN mkdir made && cat payload >made/by-run && adduser -D builder 2>/dev/null; true
USER 1000
RUN id -u >/tmp/uid
CMD ["sh", "-c", "cat made/by-run /tmp/uid"]
D
}
builds() {
    dockerfile
    default_runtime "$RUNTIME"
    hide_others
    DOCKER_BUILDKIT=0 docker build --no-cache -t built /tmp/build
    show_others
    expect "$(printf 'payload\n1000')" run --rm built
}
builds_with_buildkit() {
    dockerfile
    hide_others
    DOCKER_BUILDKIT=1 docker build --no-cache -t built-by-kit /tmp/build
    show_others
    expect "$(printf 'payload\n1000')" run --rm built-by-kit
}
is_the_default_runtime() {
    default_runtime "$RUNTIME"
    docker run -d --name default bb sleep 100
    expect "$RUNTIME" inspect '{{.HostConfig.Runtime}}' default
    # The runtime's own record of it.
    expect running sh -c "$RUNTIME --root /var/run/docker/runtime-runc/moby state $(inspect '{{.Id}}' default) | jq -r .status"
    docker rm -f default
}
survives_the_daemon() {
    run -d --name survivor bb sh -c 'while :; do echo; sleep 0.1; done'
    run -d --name meanwhile bb sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    is_ready meanwhile
    before=$(inspect '{{.State.Pid}}' survivor)
    ends=$(inspect '{{.State.Pid}}' meanwhile)
    end_daemon /var/run/docker.pid
    kill "$ends"
    eventually 10 test ! -d "/proc/$ends"
    start_dockerd
    eventually 10 status_is meanwhile exited
    expect 5 inspect '{{.State.ExitCode}}' meanwhile
    docker rm meanwhile
    expect "running $before" inspect '{{.State.Status}} {{.State.Pid}}' survivor
    expect alive docker exec survivor echo alive
    docker stop -t 1 survivor
    docker rm survivor
}
tells_its_features() { docker info --format '{{json .Runtimes.etui}}' | grep 'ociVersionMax'; }
runs_many_at_once() {
    for i in $(seq 8); do run --rm --name "many$i" bb sh -c "exit $i" & pids[i]=$!; done
    for i in $(seq 8); do expect_status "$i" wait "${pids[i]}"; done
}
leaves_nothing() {
    docker ps -aq | xargs -r docker rm -f
    expect "" ls /var/run/docker/runtime-runc/moby
    expect "" find /sys/fs/cgroup -maxdepth 3 -name '*docker-*.scope' -o -path '*/docker/*' -type d ! -name buildkit
}

start_docker
engine "Docker $(docker version --format '{{.Server.Version}}') ($(docker info --format '{{.CgroupDriver}}') driver)"
check "run, --rm" runs_and_removes
check "run -it through a terminal, its size" runs_with_a_terminal
check "run -i, standard input" runs_with_standard_input
check "exit codes" passes_exit_codes_on
check "exit code 127: no such executable" reports_a_missing_executable
check "exit code 126: not executable" reports_a_file_that_cannot_be_executed
check "run -w of a new directory" reports_a_missing_working_directory_as_created
check "exec, -u, -e, -w, -i, -d" executes
check "exec -it through a terminal, its size" executes_with_a_terminal
check "exec --privileged" executes_privileged
check "logs" keeps_logs
check "stop" stops
check "start again, restart" starts_again
check "kill, kill -s" kills
check "stop -t of a process that ignores SIGTERM" stops_what_ignores_sigterm
check "pause, unpause" pauses
check "stats" stats
check "top" top
check "update" updates
check "OOMKilled" tells_of_an_oom_kill
check "cp" copies_files
check "attach" attaches
check "--memory" limits_memory
check "--memory-reservation" reserves_memory
check "--cpus" limits_cpus
check "--cpu-shares" weighs_cpu
with cpuset "--cpuset-cpus, --cpuset-mems, update" pins_processors
check "--pids-limit" limits_pids
check "--cap-add, --cap-drop" adds_and_drops_capabilities
check "--security-opt no-new-privileges" no_new_privileges
check "the default seccomp profile" default_seccomp_profile
check "--security-opt seccomp=FILE, unconfined" seccomp_profile_from_a_file
check "--read-only" read_only_root
check "--tmpfs" tmpfs
check "-v of a directory, of a file, :ro" binds
check "-v :rslave" propagates_mounts
check "named volumes persist" volumes_persist
check "--user, --group-add" users
check "--userns-remap, --userns=host" maps_ids
check "--init" an_init_process
check "--device" devices
check "the default devices" default_devices
check "--sysctl" sysctls
check "--ulimit" ulimits
check "--hostname, --domainname" hostnames
check "--env" environments
check "--network none" network_none
check "--network host" network_host
check "--network bridge" network_bridge
check "--network container:" network_of_a_container
check "--publish" published_ports
check "a network of one's own" network_of_ones_own
check "names on a network of one's own" names_on_it "Docker's resolver wants NAT tables, which the lab's kernel lacks"
check "network connect" connects_a_network_later
check "--pid=host, --pid=container:" process_namespaces
check "--ipc=host, shareable, container:" ipc_namespaces
check "--uts=host" host_names
check "--shm-size" shared_memory
check "--privileged" privileged
check "masked and read-only paths" masked_and_read_only_paths
check "--oom-score-adj" adjusts_the_oom_score
check "--cgroupns" cgroup_namespaces
check "--cgroup-parent" cgroup_parents
check "no descriptor leaks in" links_no_descriptor
check "health checks" health_checks
check "restart policy after a crash" restarts_after_a_crash
check "restart policy after a kill" restarts_what_was_killed
check "commit" commits
check "eight at once" runs_many_at_once
check "docker build: every RUN" builds
check "docker build with BuildKit" builds_with_buildkit
check "the default runtime" is_the_default_runtime
check "live-restore over a daemon restart" survives_the_daemon
check "features in docker info" tells_its_features
check "nothing is left behind" leaves_nothing
