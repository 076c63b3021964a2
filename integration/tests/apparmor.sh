# AppArmor: the profile of a container and of an exec, and Docker's own.
# lab: plain
# kernel: security=apparmor
# seconds: 120

. /job/engines/checks.sh
. /job/engines/containers.sh
. /job/engines/docker.sh
set -a

profile() { printf '%s flags=(attach_disconnected,mediate_deleted) { file, capability, network, signal, unix, umount, mount, %s }\n' "profile $1" "$2"; }
confined_by() { echo ".process.apparmorProfile = \"$1\""; }
label='cat /proc/self/attr/apparmor/current'

confines() {
    expect "no-secrets (enforce)" foreground one '{}' "$label" "$(confined_by no-secrets)"
    echo secret >/tmp/root/secret
    foreground two '{}' 'cat /secret' "$(confined_by no-secrets)" 2>&1 | grep 'Permission denied'
    expect secret foreground three '{}' 'cat /secret' "$(confined_by unconfined)"
}
without_new_privileges() {
    expect "no-secrets (enforce)" foreground four '{}' "$label" "$(confined_by no-secrets) | .process.noNewPrivileges = false"
}
in_a_user_namespace() {
    expect "no-secrets (enforce)" foreground five '{}' "$label" "$(confined_by no-secrets) | .linux.namespaces += [{type: \"user\"}]
        | .linux.uidMappings = [{containerID: 0, hostID: 0, size: 65536}] | .linux.gidMappings = [{containerID: 0, hostID: 0, size: 65536}]"
}
executes() {
    start six '{}' 'sleep 100' "$(confined_by no-secrets)"
    expect "no-secrets (enforce)" "$RUNTIME" exec six $label
    expect "no-writes (enforce)" "$RUNTIME" exec --apparmor no-writes six $label
    "$RUNTIME" exec --apparmor no-writes six touch /tmp/file 2>&1 | grep 'Permission denied'
    expect unconfined "$RUNTIME" exec --apparmor unconfined six $label
    remove six
}
tells_what_is_not_loaded() {
    foreground seven '{}' true "$(confined_by nothere)" 2>&1 | tee /tmp/told
    grep 'unable to apply apparmor profile: .*no such file or directory' /tmp/told
}
dockers_own() {
    expect "docker-default (enforce)" run --rm bb $label
    run --rm --cap-add SYS_ADMIN --security-opt seccomp=unconfined bb mount -t tmpfs none /tmp 2>&1 | grep 'permission denied\|Permission denied'
    run --rm --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined bb mount -t tmpfs none /tmp
}
dockers_option() {
    expect "no-secrets (enforce)" run --rm --security-opt apparmor=no-secrets bb $label
    expect unconfined run --rm --security-opt apparmor=unconfined bb $label
    expect unconfined run --rm --privileged bb $label
    expect "docker-default (enforce)" run --rm --security-opt no-new-privileges bb $label
}
dockers_exec() {
    run -d --name shielded bb sleep 1000
    expect "docker-default (enforce)" docker exec shielded $label
    docker rm -f shielded
}

set +a
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
if ! grep -qx Y /sys/module/apparmor/parameters/enabled; then
    skip "AppArmor" "this kernel has it not"
    exit
fi
profile no-secrets 'deny /{,**/}secret rwx,' >/tmp/profiles
profile no-writes 'deny /tmp/** w,' >>/tmp/profiles
apparmor_parser -r /tmp/profiles
prepare_containers
engine "no engine: etui $(etui --version | head -1 | cut -d' ' -f3)"
check "AppArmor: process.apparmorProfile" confines
check "AppArmor: without no_new_privs" without_new_privileges
check "AppArmor: in a user namespace" in_a_user_namespace
check "AppArmor: exec, exec --apparmor" executes
check "AppArmor: a profile that is not loaded is told" tells_what_is_not_loaded
start_docker
engine "Docker $(docker version --format '{{.Server.Version}}') ($(docker info --format '{{.CgroupDriver}}') driver)"
check "AppArmor: docker-default" dockers_own
check "AppArmor: --security-opt apparmor=, --privileged" dockers_option
check "AppArmor: exec" dockers_exec
