# Sourced by the scripts that need containerd alone: the daemon in the lab, etui as a runtime class
# beside runc, an image of a busybox, a bridge for pods.

containerd_config() {
    local systemd=false
    if [ -d /run/systemd/system ]; then systemd=true; fi
    mkdir -p /etc/containerd /etc/cni/net.d
    cat >/etc/containerd/config.toml <<C
version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'localhost/bb:latest'
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['/usr/lib/cni']
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    SystemdCgroup = $systemd
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.etui]
  runtime_type = 'io.containerd.runc.v2'
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.etui.options]
    BinaryName = '$ETUI'
    SystemdCgroup = $systemd
C
    cat >/etc/cni/net.d/10-pods.conf <<'C'
{"cniVersion": "1.0.0", "name": "pods", "type": "bridge", "bridge": "pods0", "isGateway": true,
 "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.77.0.0/24"}]]}}
C
}

# An image archive as `docker save` writes them: one layer, one configuration. $1 its name, $2 a directory.
image_archive() {
    local work
    work=$(mktemp -d)
    tar -C "$2" -cf "$work/layer.tar" .
    jq -n --arg layer "sha256:$(sha256sum <"$work/layer.tar" | cut -d' ' -f1)" '{
        architecture: "amd64", os: "linux", rootfs: {type: "layers", diff_ids: [$layer]},
        config: {Env: ["PATH=/bin"], Cmd: ["/bin/sh", "-c", "trap exit TERM; while :; do sleep 0.2; done"]}
    }' >"$work/config.json"
    jq -n --arg name "$1" '[{Config: "config.json", RepoTags: [$name], Layers: ["layer.tar"]}]' >"$work/manifest.json"
    tar -C "$work" -c manifest.json config.json layer.tar
    rm -r "$work"
}

# ctr run with the runtime under test: options, and the shell command last.
binary() { [ "$RUNTIME" = etui ] && echo "$ETUI" || command -v "$RUNTIME"; }
run() { ctr run --runc-binary "$(binary)" "${@:1:$#-1}" localhost/bb:latest c sh -c "${@: -1}"; }
clean_up() {
    ctr task kill -s KILL c && eventually 10 sh -c 'ctr task ls | grep "^c .*STOPPED"'
    ctr task rm -f c
    ctr container rm c
}

start_containerd() {
    modprobe -a bridge veth overlay tun 2>/dev/null
    storage /var/lib/containerd
    containerd_config
    (enter_cgroup engine && exec setsid containerd >>"/job/containerd.log" 2>&1) &
    eventually 30 ctr version >/dev/null 2>&1
    busybox_root /tmp/bb
    image_archive localhost/bb:latest /tmp/bb >/tmp/bb.tar
    ctr -n default images import /tmp/bb.tar >/dev/null
    ctr -n k8s.io images import /tmp/bb.tar >/dev/null
}
