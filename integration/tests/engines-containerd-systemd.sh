# containerd 2.1 on etui where systemd is process 1, and makes the cgroups: SystemdCgroup = true.
# lab: systemd
# seconds: 300

. /job/engines/checks.sh
. /job/engines/docker.sh
. /job/engines/containerd.sh

runs_in_a_scope() {
    run -d --runc-systemd-cgroup --cgroup tasks-mine.slice:ctr:c --memory-limit $((32 << 20)) 'sleep 100'
    expect "0::/tasks.slice/tasks-mine.slice/ctr-c.scope" cat "/proc/$(ctr task ls | awk '$1 == "c" { print $2 }')/cgroup"
    expect $((32 << 20)) systemctl show --value -p MemoryMax ctr-c.scope
    expect inside ctr task exec --exec-id e1 c echo inside
    clean_up
    eventually 5 is_gone ctr-c.scope
}
is_gone() { [ -z "$(systemctl list-units --all --plain --no-legend "$1")" ]; }

start_containerd
engine "containerd $(containerd --version | cut -d' ' -f3) (ctr, systemd)"
check "--runc-systemd-cgroup" runs_in_a_scope
engine "containerd $(containerd --version | cut -d' ' -f3) (CRI, systemd)"
python3 /job/engines/cri_checks.py
