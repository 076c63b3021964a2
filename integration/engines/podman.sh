# Sourced by the checks of Podman and Buildah, which root makes and then a normal user.

# Podman with the runtime under test. Without systemd there is nobody to ask for a cgroup but the kernel.
export MANAGER=cgroupfs
if [ -d /run/systemd/system ]; then MANAGER=systemd; fi
pod_command() { echo "podman --cgroup-manager $MANAGER --runtime $(command -v "$RUNTIME")"; }
pod() { $(pod_command) "$@"; }
build() { BUILDAH_ISOLATION=oci buildah --cgroup-manager "$MANAGER" "$@"; }
clean_up() {
    pod rm -fa -t 0
    pod pod rm -fa -t 0
}

runs() {
    expect hi pod run --rm bb echo hi
    expect_status 7 pod run --rm bb sh -c 'exit 7'
    expect from-outside piped
}
piped() { echo from-outside | pod run --rm -i bb cat; }
runs_with_a_terminal() {
    expect_status 3 script -qec "stty rows 21 cols 77; $(pod_command) run --rm -it bb sh" /tmp/typescript.$UID <<<'echo size=$(stty size); exit 3'
    grep 'size=21 77' /tmp/typescript.$UID
}
reports_what_is_missing() {
    expect_status 127 pod run --rm bb /bin/nothere
    expect_status 126 pod run --rm bb /etc/passwd
}
executes() {
    pod run -d --name e bb sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done'
    expect inside pod exec e echo inside
    expect "1000 a b /etc" pod exec -u alice -e "W=a b" -w /etc e sh -c 'echo $(id -u) $W $(pwd)'
    expect_status 5 pod exec e sh -c 'exit 5'
    expect_status 127 pod exec e nothere
    pod top e pid args | grep trap
    pod stop -t 10 e
    expect 9 pod inspect --format '{{.State.ExitCode}}' e
    pod start e
    pod kill e
    expect 137 pod wait e
    pod rm e
}
keeps_logs() {
    pod run --name l bb sh -c 'echo out; echo err >&2'
    expect out sh -c 'podman logs l 2>/dev/null'
    # For a normal user the runtime has warned there of device rules before.
    podman logs l 2>&1 >/dev/null | grep -x err
    pod rm l
}
pauses() {
    pod run -d --name p bb sleep 100
    frozen=/sys/fs/cgroup$(cut -d: -f3 "/proc/$(pod inspect --format '{{.State.Pid}}' p)/cgroup")/cgroup.events
    pod pause p
    expect paused pod inspect --format '{{.State.Status}}' p
    grep 'frozen 1' "$frozen"
    pod unpause p
    grep 'frozen 0' "$frozen"
    expect alive pod exec p echo alive
    pod rm -f -t 0 p
}
limits() {
    expect "33554432 20" pod run --rm -m 32m --pids-limit 20 bb sh -c 'cd /sys/fs/cgroup && echo $(cat memory.max pids.max)'
    expect_status 137 pod run --rm -m 16m --memory-swap 16m bb tail /dev/zero
    # conmon stops watching at the first event that is no oom (memory.max met), and looks once more when the container
    # has ended (conmon#426): its cgroup has to outlive that, and systemd's scope does only while somebody is in it.
    expect_status 3 pod run --name oom --pid host -m 16m --memory-swap 16m bb sh -c 'tail /dev/zero; sleep 1000 >/dev/null 2>&1 </dev/null & exit 3'
    expect true pod inspect --format '{{.State.OOMKilled}}' oom
    pod rm oom
    pod run -d --name u -m 64m bb sleep 100
    pod update -m 48m u
    expect 50331648 pod exec u cat /sys/fs/cgroup/memory.max
    pod stats --no-stream --format '{{.MemUsage}}' u | grep -E '^[0-9.]*[1-9][0-9.]*[kM]B / 50.33MB'
    pod rm -f -t 0 u
}
# The manager that has made the scope: the system's, or the user's own.
units() { if [ "$UID" = 0 ]; then systemctl "$@"; else systemctl --user "$@"; fi; }
in_a_scope() {
    pod run -d --name scope -m 64m --pids-limit 33 --cgroup-parent "$1-own.slice" bb sleep 1000
    scope=libpod-$(pod inspect --format '{{.Id}}' scope).scope
    grep "/$1.slice/$1-own.slice/$scope" "/proc/$(pod inspect --format '{{.State.Pid}}' scope)/cgroup"
    expect "67108864 33" shown "$scope"
    units daemon-reload
    expect "67108864 33" pod exec scope sh -c 'cd /sys/fs/cgroup && echo $(cat memory.max pids.max)'
    pod update -m 96m scope
    expect "100663296 33" shown "$scope"
    pod rm -f -t 0 scope
    eventually 5 is_gone "$scope"
}
is_gone() { [ -z "$(units list-units --all --plain --no-legend "$1")" ]; }
shown() { echo $(units show --value -p MemoryMax "$1") $(units show --value -p TasksMax "$1"); }
confines() {
    expect 0000000000000400 pod run --rm --cap-drop all --cap-add net_bind_service bb sh -c 'grep CapEff /proc/self/status | cut -f2'
    expect 2 pod run --rm bb sh -c 'grep Seccomp: /proc/self/status | cut -f2'
    pod run --rm --read-only bb touch /x 2>&1 | grep Read-only
    expect "5:6 4096k" pod run --rm --user 5:6 --tmpfs /t:size=4m bb sh -c 'echo $(id -u):$(id -g) $(grep -o "size=4096k" /proc/mounts | cut -d= -f2)'
    expect named pod run --rm --hostname named bb hostname
}
mounts() {
    mkdir -p "/tmp/bind.$UID" && echo host >"/tmp/bind.$UID/file"
    expect host pod run --rm -v "/tmp/bind.$UID:/data:ro" bb cat /data/file
    pod run --rm -v kept:/data bb sh -c 'echo kept >/data/f'
    expect kept pod run --rm -v kept:/data bb cat /data/f
    pod volume rm kept
}
serves_its_pod() { expect page pod run --rm --pod together bb wget -qO- http://127.0.0.1/; }
pods() {
    pod pod create --name together --infra-image localhost/bb --infra-command 'sleep 1000' --network "$1"
    pod run -d --pod together --name first bb sh -c 'mkdir -p /www; echo page >/www/index.html; httpd -f -p 80 -h /www'
    eventually 10 serves_its_pod
    for namespace in ipc uts net; do
        expect "$(pod exec first readlink /proc/self/ns/$namespace)" pod run --rm --pod together bb readlink /proc/self/ns/$namespace
    done
    pod pod stop -t 0 together
    pod pod rm -f -t 0 together
}
health() {
    pod run -d --name h --health-cmd 'test -e /bin/sh' --health-interval disable bb sleep 100
    pod healthcheck run h
    pod rm -f -t 0 h
}
dockerfile() {
    mkdir -p "/tmp/ctx.$UID"
    printf 'FROM localhost/bb\nWORKDIR /app\nRUN echo payload >made && id -u >>made\nUSER 1000\nRUN id -u >/tmp/u\nCMD cat made /tmp/u\n' >"/tmp/ctx.$UID/Dockerfile"
}
tells_what_was_built() { echo $(pod run --rm "$1"); }
podman_build() {
    dockerfile
    pod build --isolation oci --network "$1" --no-cache -t built "/tmp/ctx.$UID"
    expect "payload 0 1000" tells_what_was_built built
    pod rmi built
}
buildah_bud() {
    dockerfile
    build bud --runtime "$(command -v "$RUNTIME")" --network "$1" --no-cache -t built-by-buildah "/tmp/ctx.$UID"
    expect "payload 0 1000" tells_what_was_built built-by-buildah
    pod rmi built-by-buildah
}
buildah_run() {
    container=$(buildah from localhost/bb)
    expect "ran 1000" build run --isolation oci --runtime "$(command -v "$RUNTIME")" --network "$1" --user 1000 "$container" sh -c 'echo ran $(id -u)'
    buildah rm "$container"
}
nothing_left_behind() {
    clean_up
    expect "" sh -c "etui list -q"
    expect "" find /sys/fs/cgroup -name 'libpod-*' -type d
}

# What root and a normal user check alike. $1: the network of pods and builds that works for them.
check_containers() {
    check "run, exit codes, standard input" runs
    check "run -it through a terminal, its size" runs_with_a_terminal
    check "exit codes 127 and 126" reports_what_is_missing
    check "exec, top, stop, start, kill" executes
    check "logs" keeps_logs
    check "pause, unpause" pauses
    check "limits, OOMKilled, update, stats" limits
    if [ "$MANAGER" = systemd ]; then check "a scope in a slice of slices, limits over a daemon-reload" "in_a_scope mine"; fi
    check "capabilities, seccomp, --read-only, --user, --tmpfs, --hostname" confines
    check "volumes" mounts
    check "pods" "pods none"
    check "build: every RUN" "podman_build host"
}
check_buildah() {
    engine "Buildah $(buildah --version | cut -d' ' -f3) ($1$MANAGER)"
    check "bud" "buildah_bud host"
    check "from, run" "buildah_run host"
}
