# Podman 5 and Buildah on etui, as root and as a normal user with subordinate ids.
# lab: plain
# seconds: 500

. /job/engines/checks.sh
. /job/engines/docker.sh
. /job/engines/podman.sh

auto_user_namespace() {
    map=$(pod run --rm --userns=auto:size=4096 bb sh -c 'echo $(cat /proc/self/uid_map)')
    [[ $map =~ ^0\ [1-9][0-9]*\ 4096$ ]]
    expect 0:0 pod run --rm --userns=auto:size=4096 bb stat -c %u:%g /bin/busybox
    expect 1 pod run --rm --userns=auto:size=4096 -v /tmp/bind.0:/data:U bb sh -c 'touch /data/x && echo 1'
}
ipc_and_pid() {
    expect "$(readlink /proc/self/ns/pid)" pod run --rm --pid host bb readlink /proc/self/ns/pid
    pod run -d --name other --network none bb sleep 3000
    pod run --rm --pid container:other bb ps | grep 'sleep 3000'
    pod rm -f -t 0 other
}
no_cgroups() {
    expect 0 pod run --rm --cgroups=disabled bb id -u
    pod run -d --name nowhere --network none --cgroups=disabled bb sleep 3000
    # Nothing is above it but what Podman is in itself.
    expect "$(grep ^0:: /proc/self/cgroup)" grep ^0:: "/proc/$(pod inspect --format '{{.State.Pid}}' nowhere)/cgroup"
    pod exec nowhere true
    pod rm -f -t 0 nowhere
}
network() {
    pod run -d --name served --network podman bb sh -c 'mkdir /www; echo page >/www/index.html; httpd -f -p 80 -h /www'
    address=$(pod inspect --format '{{.NetworkSettings.IPAddress}}' served)
    eventually 5 curl -sf "http://$address/"
    pod rm -f -t 0 served
}
# What root has checked, once more for a normal user: a shell of hers, in a cgroup handed to her.
as_a_user() {
    (
        mkdir -p /sys/fs/cgroup/alice/shell
        chown -R alice /sys/fs/cgroup/alice
        echo $BASHPID >/sys/fs/cgroup/alice/shell/cgroup.procs
        chmod 666 /tmp/check.* 2>/dev/null
        rm -f /tmp/check.* /tmp/errors /tmp/typescript*
        exec setpriv --reuid alice --regid alice --init-groups env -i HOME=/home/alice USER=alice LOGNAME=alice \
            TERM=xterm LANG=C.UTF-8 PATH="$PATH" XDG_RUNTIME_DIR=/run/user/1001 ONLY="${ONLY:-}" \
            bash -c 'cd; . /job/lib.sh; . /job/engines/rootless.sh'
    )
}

modprobe -a bridge veth overlay tun fuse 2>/dev/null
storage /var/lib/containers
useradd --create-home --uid 1001 --shell /bin/bash alice
# --userns=auto takes its ids from those of this name.
useradd --no-create-home containers
# There is no udev here to do it.
chmod 666 /dev/net/tun /dev/fuse
mount -t tmpfs -o mode=755,uid=1001,gid=1001 home /home/alice
install -d -m 700 -o alice -g alice /run/user/1001
mkdir -p /etc/containers
printf '[engine]\nevents_logger = "file"\nruntime_supports_nocgroups = ["etui"]\n[containers]\nlog_driver = "k8s-file"\n[network]\nfirewall_driver = "none"\n[engine.runtimes]\netui = ["%s"]\n' "$ETUI" >/etc/containers/containers.conf
printf '{"default": [{"type": "insecureAcceptAnything"}]}\n' >/etc/containers/policy.json
busybox_root /tmp/bb
tar -C /tmp/bb -cf /tmp/bb.tar .
enter_cgroup engine
podman import /tmp/bb.tar localhost/bb >/dev/null 2>&1

engine "Podman $(podman --version | cut -d' ' -f3)"
check "run, exit codes, standard input" runs
check "run -it through a terminal, its size" runs_with_a_terminal
check "exit codes 127 and 126" reports_what_is_missing
check "exec, top, stop, start, kill" executes
check "logs" keeps_logs
check "pause, unpause" pauses
check "limits, OOMKilled, update, stats" limits
check "capabilities, seccomp, --read-only, --user, --tmpfs, --hostname" confines
check "volumes" mounts
check "--userns=auto" auto_user_namespace
check "--pid host, container:" ipc_and_pid
check "pods" "pods none"
check "a network of its own" network
check "--cgroups=disabled" no_cgroups
check "health checks" health
check "build: every RUN" "podman_build host"
check "nothing is left behind" nothing_left_behind
engine "Buildah $(buildah --version | cut -d' ' -f3)"
check "bud" "buildah_bud host"
check "from, run" "buildah_run host"
as_a_user
