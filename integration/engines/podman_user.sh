# Podman and Buildah as a normal user. Started by podman_root.sh, in a cgroup of hers.
. /job/lib.sh
. /job/engines/checks.sh
. /job/engines/podman.sh

keeps_ids() { expect "$UID" pod run --rm --userns keep-id bb id -u; }
maps_ids() {
    IFS=: read -r _ first count < <(grep '^alice:' /etc/subuid)
    expect "0 $UID 1 1 $first $count" pod run --rm bb sh -c 'echo $(cat /proc/self/uid_map)'
}

cd
pod import /tmp/bb.tar localhost/bb >/dev/null 2>&1
engine "Podman $(podman --version | cut -d' ' -f3) (rootless, $MANAGER)"
check "subordinate ids" maps_ids
check "--userns=keep-id" keeps_ids
check_containers
check_buildah "rootless, "
