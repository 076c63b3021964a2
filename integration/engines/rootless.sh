# Podman and Buildah as a normal user. Started by tests/engines-podman.sh, in a cgroup of hers.
. /job/engines/checks.sh
. /job/engines/podman.sh

single_id() {
    mkdir -p /tmp/single && cd /tmp/single && make_root rootfs
    etui spec --rootless
    jq '.process.terminal = false | .process.args = ["id", "-u"]' config.json >new && mv new config.json
    expect 0 "$RUNTIME" run single
}
keeps_ids() { expect "$UID" pod run --rm --userns keep-id bb id -u; }
maps_ids() {
    IFS=: read -r _ first count < <(grep '^alice:' /etc/subuid)
    expect "0 $UID 1 1 $first $count" pod run --rm bb sh -c 'echo $(cat /proc/self/uid_map)'
}

podman --cgroup-manager cgroupfs import /tmp/bb.tar localhost/bb >/dev/null 2>&1
engine "Podman $(podman --version | cut -d' ' -f3) (rootless)"
check "run, exit codes, standard input" runs
check "run -it through a terminal, its size" runs_with_a_terminal
check "exit codes 127 and 126" reports_what_is_missing
check "subordinate ids" maps_ids
check "--userns=keep-id" keeps_ids
check "exec, top, stop, start, kill" executes
check "logs" keeps_logs
check "pause, unpause" pauses
check "limits, OOMKilled, update, stats" limits
check "capabilities, seccomp, --read-only, --user, --tmpfs, --hostname" confines
check "volumes" mounts
check "pods" "pods none"
check "build: every RUN" "podman_build host"
engine "Buildah $(buildah --version | cut -d' ' -f3) (rootless)"
check "bud" "buildah_bud host"
check "from, run" "buildah_run host"
engine "no engine, rootless: etui $(etui --version | head -1 | cut -d' ' -f3)"
check "a bundle with a single id" single_id
