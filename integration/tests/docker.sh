# Docker with etui as its runtime: what a person types, and what they get.
# lab: plain
# seconds: 240

mkdir -p /etc/docker
cat >/etc/docker/daemon.json <<JSON
{ "runtimes": { "etui": { "path": "/job/bin/etui" } }, "default-runtime": "etui",
  "iptables": false, "ip6tables": false }
JSON
modprobe -a bridge veth br_netfilter overlay 2>/dev/null
# An overlay can't lie on another.
for dir in /var/lib/docker /var/lib/containerd; do mkdir -p $dir && mount -t tmpfs tmpfs $dir; done
containerd >/tmp/containerd.log 2>&1 &
waits_for 20 test -S /run/containerd/containerd.sock
dockerd >/tmp/dockerd.log 2>&1 &
if ! waits_for 40 docker version; then
    echo "not ok - docker starts"
    tail -20 /tmp/dockerd.log | sed 's/^/#   /'
    exit
fi
make_root /tmp/image
tar -C /tmp/image -c . | docker import - box >/dev/null

expect "docker info names the runtime" "etui" docker info --format '{{.DefaultRuntime}}'
expect "run" "hello" docker run --rm box echo hello
exits "run exits as the program" 7 docker run --rm box sh -c 'exit 7'
exits "a program that is not there" 127 docker run --rm box /bin/nothere
exits "a command that is not found" 127 docker run --rm box nothere
exits "a file that is not executable" 126 docker run --rm box /etc/passwd
exits "a directory" 126 docker run --rm box /etc
expect "a terminal" "/dev/pts/0" docker run --rm -t box tty
typed() { echo 'echo got $((6 * 7)); exit' | script -qec 'docker run --rm -it box sh' /dev/null | grep -ao 'got 42' | tail -1; }
expect "an interactive shell" "got 42" typed
expect "a user" "1000 1000" docker run --rm --user 1000:1000 box sh -c 'echo $(id -u) $(id -g)'
expect "a name of a user" "1000" docker run --rm --user someone box id -u
expect "groups" "1000 44" docker run --rm --user 1000:1000 --group-add 44 box id -G
expect "a working directory" "/tmp" docker run --rm --workdir /tmp box pwd
expect "an environment" "b" docker run --rm --env A=b box sh -c 'echo $A'
expect "a host name" "named" docker run --rm --hostname named box hostname
expect "a read-only root" "refused" docker run --rm --read-only box sh -c '(: >/x) 2>/dev/null || echo refused'
mkdir -p /tmp/volume && echo "of the host" >/tmp/volume/file
expect "a volume" "of the host" docker run --rm -v /tmp/volume:/in:ro box cat /in/file
exits "a read-only volume" 1 docker run --rm -v /tmp/volume:/in:ro box sh -c ': >/in/new'
expect "a tmpfs" "tmpfs" docker run --rm --tmpfs /scratch:size=1m box stat -f -c %T /scratch
expect "no capabilities" "CapEff: 0000000000000000" docker run --rm --cap-drop ALL box sh -c 'echo $(grep CapEff /proc/self/status)'
expect "one capability" "CapEff: 0000000000000001" docker run --rm --cap-drop ALL --cap-add CHOWN box sh -c 'echo $(grep CapEff /proc/self/status)'
expect "the default system call filter" "Seccomp: 2" docker run --rm box sh -c 'echo $(grep ^Seccomp: /proc/self/status)'
exits "the default filter stops unshare" 1 docker run --rm box unshare -U true
expect "no filter" "Seccomp: 0" docker run --rm --security-opt seccomp=unconfined box sh -c 'echo $(grep ^Seccomp: /proc/self/status)'
expect "no new privileges" "NoNewPrivs: 1" docker run --rm --security-opt no-new-privileges box sh -c 'echo $(grep NoNewPrivs /proc/self/status)'
expect "privileged" "NoNewPrivs: 0" docker run --rm --privileged box sh -c 'echo $(grep NoNewPrivs /proc/self/status)'
expect "limits of memory, processes and time" "33554432 20 50000 100000" docker run --rm --memory 32m --pids-limit 20 --cpus 0.5 box \
    sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max pids.max cpu.max)'
expect "resource limits" "123" docker run --rm --ulimit nofile=123:456 box sh -c 'ulimit -n'
expect "a sysctl" "1" docker run --rm --sysctl net.ipv4.ip_forward=1 box cat /proc/sys/net/ipv4/ip_forward
expect "a device" "1:7" docker run --rm --device /dev/full:/dev/mine box stat -c %t:%T /dev/mine
expect "an init" "docker-init" docker run --rm --init box cat /proc/1/comm
expect "the host's network" "lab" docker run --rm --network host box hostname
expect "a bridge" "eth0" docker run --rm box sh -c 'ls /sys/class/net | grep eth'
exits "too much memory" 137 docker run --name oom --memory 16m --memory-swap 16m box sh -c 'tail /dev/zero'
expect "docker knows that memory ran out" "true" docker inspect --format '{{.State.OOMKilled}}' oom
docker rm -f oom >/dev/null

check "run detached" docker run -d --name one box sh -c 'trap "exit 3" TERM; echo started; while :; do sleep 0.1; done'
expect "logs" "started" docker logs one
expect "exec" "inside" docker exec one echo inside
exits "exec exits as the program" 9 docker exec one sh -c 'exit 9'
exits "exec of a program that is not there" 127 docker exec one /bin/nothere
expect "exec as another user" "1000" docker exec --user 1000 one id -u
expect "exec with a terminal" "/dev/pts/0" docker exec -t one tty
expect "exec with an environment and a directory" "/tmp b" docker exec -e A=b -w /tmp one sh -c 'echo $(pwd) $A'
check "top" docker top one
expect "stats" "one" docker stats --no-stream --format '{{.Name}}' one
check "pause" docker pause one
expect "paused" "paused" docker inspect --format '{{.State.Status}}' one
exits "exec while paused" 1 docker exec one true
check "unpause" docker unpause one
check "update" docker update --memory 64m --memory-swap 64m --pids-limit 33 --cpus 0.25 one
expect "updated" "67108864 33 25000 100000" docker exec one sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max pids.max cpu.max)'
check "copy into it" docker cp /tmp/volume/file one:/tmp/file
expect "copied" "of the host" docker exec one cat /tmp/file
check "restart" docker restart -t 5 one
check "stop" docker stop -t 5 one
expect "stopped by its own hand" "3" docker inspect --format '{{.State.ExitCode}}' one
check "start again" docker start one
check "kill" docker kill one
expect "killed" "137" docker inspect --format '{{.State.ExitCode}}' one
check "remove" docker rm one
left() { find /sys/fs/cgroup/docker -mindepth 1 -type d 2>/dev/null; ls /run/docker/runtime-runc/moby 2>/dev/null; ls /var/run/docker/runtime-etui/moby 2>/dev/null; }
expect "nothing is left" "" left
