# A machine whose process 1 is systemd.
# lab: systemd
# seconds: 90

expect "process 1 is systemd" systemd cat /proc/1/comm
make_bundle /tmp/bundle '.process.args = ["sh", "-c", "cat /proc/self/cgroup; sleep 100"]'
# A detached container keeps the standard streams that it was given.
detached() { etui "$@" >/tmp/output 2>&1 || { cat /tmp/output; return 1; }; }
check "a container is created beside systemd's cgroups" detached run --detach --bundle /tmp/bundle beside
expect "it is in a cgroup of its own, beside the caller's" /system.slice/beside sh -c 'sed -n "s/^0:://p" "/proc/$(etui state beside | jq .pid)/cgroup"'
check "it is deleted" etui delete --force beside
check "it leaves nothing" nothing_left beside
refuses() {
    local output
    output=$(etui --systemd-cgroup run --bundle /tmp/bundle driver 2>&1 </dev/null) && return 1
    [ "$(wc -l <<<"$output")" = 1 ] && grep -i systemd <<<"$output"
}
works() { detached --systemd-cgroup run --detach --bundle /tmp/bundle driver && systemctl is-active --quiet '*driver*.scope'; }
jq '.linux.cgroupsPath = "system.slice:etui:driver"' /tmp/bundle/config.json >/tmp/config && mv /tmp/config /tmp/bundle/config.json
if etui features | jq -e '.linux.cgroup.systemd' >/dev/null; then
    check "the systemd driver makes a scope" works
    check "and removes it" etui delete --force driver
else
    check "the systemd driver is refused in words" refuses
fi
check "no trace of it is left" nothing_left driver
