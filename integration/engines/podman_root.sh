# Sourced by the tests of Podman and Buildah: as root, then as a normal user with subordinate ids.
. /job/engines/checks.sh
. /job/engines/docker.sh
. /job/engines/podman.sh
. /job/engines/users.sh

auto_user_namespace() {
    map=$(pod run --rm --userns=auto:size=4096 bb sh -c 'echo $(cat /proc/self/uid_map)')
    [[ $map =~ ^0\ [1-9][0-9]*\ 4096$ ]]
    expect 0:0 pod run --rm --userns=auto:size=4096 bb stat -c %u:%g /bin/busybox
    mkdir -p /tmp/bind.0
    expect 1 pod run --rm --userns=auto:size=4096 -v /tmp/bind.0:/data:U bb sh -c 'touch /data/x && echo 1'
    # Two that live together share no id.
    for name in one two; do pod run -d --name auto-$name --network none --userns=auto:size=4096 bb sleep 1000; done
    [ "$(first_id auto-one)" != "$(first_id auto-two)" ]
    pod rm -f -t 0 auto-one auto-two
}
first_id() { awk '{ print $2 }' "/proc/$(pod inspect --format '{{.State.Pid}}' "$1")/uid_map"; }
ipc_and_pid() {
    expect "$(readlink /proc/self/ns/pid)" pod run --rm --pid host bb readlink /proc/self/ns/pid
    pod run -d --name other --network none bb sleep 3000
    pod run --rm --pid container:other bb ps | grep 'sleep 3000'
    pod rm -f -t 0 other
}
# By its name: only what is listed in runtime_supports_nocgroup is taken for fit.
no_cgroups() {
    named() { podman --cgroup-manager cgroupfs --runtime "$RUNTIME" "$@"; }
    expect 0 named run --rm --cgroups=disabled bb id -u
    named run -d --name nowhere --network none --cgroups=disabled bb sleep 3000
    # Nothing is above it but what Podman is in itself.
    expect "$(grep ^0:: /proc/self/cgroup)" grep ^0:: "/proc/$(named inspect --format '{{.State.Pid}}' nowhere)/cgroup"
    named exec nowhere true
    named rm -f -t 0 nowhere
}
network() {
    pod run -d --name served --network podman bb sh -c 'mkdir /www; echo page >/www/index.html; httpd -f -p 80 -h /www'
    address=$(pod inspect --format '{{.NetworkSettings.IPAddress}}' served)
    eventually 5 curl -sf "http://$address/"
    pod rm -f -t 0 served
}

modprobe -a bridge veth overlay tun fuse 2>/dev/null
storage /var/lib/containers
make_alice
# --userns=auto takes its ids from those of this name.
useradd --no-create-home containers
# There is no udev here to do it.
chmod 666 /dev/net/tun /dev/fuse
# What Podman takes where it is not told otherwise.
mount --bind /bin/false "$(command -v crun)"
mkdir -p /etc/containers
printf '[engine]\nevents_logger = "file"\nruntime_supports_nocgroup = ["etui"]\n[containers]\nlog_driver = "k8s-file"\n[network]\nfirewall_driver = "none"\n[engine.runtimes]\netui = ["%s"]\n' "$ETUI" >/etc/containers/containers.conf
printf '{"default": [{"type": "insecureAcceptAnything"}]}\n' >/etc/containers/policy.json
busybox_root /tmp/bb
tar -C /tmp/bb -cf /tmp/bb.tar .
enter_cgroup engine
pod import /tmp/bb.tar localhost/bb >/dev/null 2>&1

engine "Podman $(podman --version | cut -d' ' -f3) ($MANAGER)"
check_containers
check "--userns=auto" auto_user_namespace
check "--pid host, container:" ipc_and_pid
check "a network of its own" network
check "--cgroups=disabled" no_cgroups
check "health checks" health
check "nothing is left behind" nothing_left_behind
check_buildah ""
# Files of root's checks that hers have the same names for.
rm -f /tmp/check.* /tmp/errors
session=()
if [ "$MANAGER" = systemd ]; then session=(systemd-run --user --scope --quiet); fi
as_alice "${session[@]}" bash /job/engines/podman_user.sh
