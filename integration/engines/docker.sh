# Sourced by the scripts that need Docker: a daemon in the lab, etui beside runc, an image of a busybox.

# The daemons live in a cgroup of their own, as they would under an init system.
enter_cgroup() {
    [ -d /run/systemd/system ] && return
    mkdir -p "/sys/fs/cgroup/$1"
    echo $BASHPID >"/sys/fs/cgroup/$1/cgroup.procs"
}

# A file system that can carry another overlay: the lab's root can't.
storage() {
    for directory in "$@"; do
        mkdir -p "$directory"
        mountpoint -q "$directory" || mount -t tmpfs storage "$directory"
    done
}

docker_config() {
    mkdir -p /etc/docker
    jq -n --arg default "$1" '{
        iptables: false, ip6tables: false, "live-restore": true, "default-runtime": $default
    }' >/etc/docker/daemon.json
}

# The daemon's default runtime is one of the few settings that it reads again at a signal.
default_runtime() {
    docker_config "$1"
    kill -HUP "$(cat /var/run/docker.pid)"
    eventually 10 sh -c "docker info --format '{{.DefaultRuntime}}' | grep -qx $1"
}

start_dockerd() {
    (enter_cgroup engine && DOCKER_BUILDKIT_RUNC_COMMAND=$ETUI exec setsid dockerd --add-runtime "etui=$ETUI" >>"/job/dockerd.log" 2>&1) &
    eventually 30 docker version >/dev/null 2>&1
}

# end_daemon PID-FILE: and wait until it is gone.
end_daemon() {
    local pid
    pid=$(cat "$1")
    kill "$pid"
    eventually 20 test ! -d "/proc/$pid"
}

# What a silent fall back to another runtime would find, while the runtime under test is etui.
hide_others() {
    [ "$RUNTIME" = etui ] || return 0
    for name in runc crun; do mount --bind /bin/false "$(command -v $name)"; done
}
show_others() {
    for name in runc crun; do umount "$(command -v $name)" 2>/dev/null || true; done
}

start_docker() {
    modprobe -a bridge veth br_netfilter overlay tun 2>/dev/null
    storage /var/lib/docker /var/lib/containerd
    docker_config runc
    (enter_cgroup engine && exec setsid containerd >>"/job/containerd.log" 2>&1) &
    eventually 30 ctr version >/dev/null 2>&1
    start_dockerd
    busybox_root /tmp/bb
    tar -C /tmp/bb -c . | docker import - bb >/dev/null
}

# docker run with the runtime under test, under a name that no other check uses.
run() { docker run --runtime "$RUNTIME" "$@"; }
inspect() { docker inspect --format "$1" "$2"; }
status_is() { [ "$(inspect '{{.State.Status}}' "$1")" = "$2" ]; }

clean_up() {
    show_others
    docker ps -aq | xargs -r docker rm -f
    docker network prune -f
    docker volume prune -af
}
