# A machine whose process 1 is systemd.
# lab: systemd
# full: cpuset, hugetlb
# seconds: 90

echo "# engine no engine, systemd's driver: etui $(etui --version | head -1 | cut -d" " -f3)"
expect "process 1 is systemd" systemd cat /proc/1/comm
make_bundle /tmp/bundle '.process.args = ["sh", "-c", "cat /proc/self/cgroup; sleep 100"]'
# A detached container keeps the standard streams that it was given.
detached() { etui "$@" >/tmp/output 2>&1 || { cat /tmp/output; return 1; }; }
check "a container is created beside systemd's cgroups" detached run --detach --bundle /tmp/bundle beside
expect "it is in a cgroup of its own, beside the caller's" /system.slice/beside sh -c 'sed -n "s/^0:://p" "/proc/$(etui state beside | jq .pid)/cgroup"'
check "it is deleted" etui delete --force beside
check "it leaves nothing" nothing_left beside
works() { detached --systemd-cgroup run --detach --bundle /tmp/bundle driver && systemctl is-active --quiet '*driver*.scope'; }
configure() { jq "$1" /tmp/bundle/config.json >/tmp/config && mv /tmp/config /tmp/bundle/config.json; }
configure '.linux.cgroupsPath = "system.slice:etui:driver"'
check "the systemd driver works" works
check "and removes what it made" etui delete --force driver
check "no trace of it is left" nothing_left driver

# Processors, nodes of memory and huge pages, through systemd and over a reload.
where() { (cd /sys/fs/cgroup/system.slice/etui-driver.scope && echo $(cat cpuset.cpus cpuset.mems hugetlb.2MB.max)); }
known() { echo $(systemctl show --value -p AllowedCPUs etui-driver.scope) $(systemctl show --value -p AllowedMemoryNodes etui-driver.scope); }
if grep -qw cpuset /sys/fs/cgroup/cgroup.controllers; then
    configure '.linux.resources += {cpu: {cpus: "1", mems: "0"}, hugepageLimits: [{pageSize: "2MB", limit: 4194304}]}'
    check "cpuset: a container" works
    expect "cpuset: systemd knows it" "1 0" known
    systemctl daemon-reload
    expect "cpuset, hugetlb: in the kernel after a reload" "1 0 4194304" where
    check "cpuset: update" etui update --cpuset-cpus 0 --cpuset-mems 0-1 driver
    expect "cpuset: systemd knows of the update" "0 0-1" known
    systemctl daemon-reload
    expect "cpuset: the update outlives a reload" "0 0-1 4194304" where
    check "cpuset: delete" etui delete --force driver
else
    skip "cpuset, hugetlb: through systemd, over a reload" "this kernel has no cpuset (make lab-full)"
fi
