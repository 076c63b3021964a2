# What the systemd driver costs, beside crun's: what is said to systemd, and how often the process changes its cgroup.
# lab: systemd
# seconds: 240

echo "# engine no engine, systemd's driver: etui $(etui --version | head -1 | cut -d" " -f3)"
bundle=/tmp/bundle
make_bundle $bundle '.process.args = ["sleep", "3"]
    | .linux.resources.memory = {limit: 67108864} | .linux.resources.pids = {limit: 55} | .linux.resources.cpu = {shares: 512}'
cp $bundle/config.json /tmp/plain.json

# traced RUNTIME VERB...: the system calls that matter, of all its processes.
traced() {
    local runtime=$1
    shift
    strace -f -qq -y -s 200 -e trace=write,sendmsg,sendto,recvmsg,poll,ppoll,clone3,connect -o "/tmp/trace.$runtime" \
        "$runtime" --systemd-cgroup --root "/run/cost-$runtime" "$@" </dev/null >/tmp/out 2>&1
}
# (strace stays until the container's process ends, which is soon.)
# How often something is sent over the bus: a message may carry several calls.
said() { grep -E '(sendmsg|sendto|write)\([0-9]+<(socket|UNIX)' "/tmp/trace.$1" | grep -cE 'freedesktop|StartTransientUnit|StopUnit|AUTH|AddMatch|Subscribe|\\0'; }
# Processes that are moved: by us, and by systemd where they are born elsewhere.
moved() {
    local own by_systemd=0
    own=$(grep -cE 'write\([0-9]+<[^>]*cgroup\.procs>' "/tmp/trace.$1")
    if grep -q StartTransientUnit "/tmp/trace.$1"; then by_systemd=1; fi
    echo $((own + by_systemd))
}

for runtime in etui crun; do
    jq ".linux.cgroupsPath = \"system.slice:cost:$runtime\"" /tmp/plain.json >$bundle/config.json
    check "$runtime starts a container" traced $runtime run --detach --bundle $bundle "$runtime"
    eval "said_$runtime=$(said $runtime) moved_$runtime=$(moved $runtime)"
    check "$runtime deletes it" traced $runtime delete --force "$runtime"
    eval "stop_$runtime=$(said $runtime)"
done
echo "# run: messages etui $said_etui, crun $said_crun; moves etui $moved_etui, crun $moved_crun"
echo "# delete: messages etui $stop_etui, crun $stop_crun"
check "no more is said to systemd for run than by crun" test "$said_etui" -le "$said_crun"
check "no more is said to systemd for delete than by crun" test "$stop_etui" -le "$stop_crun"
check "the process changes its cgroup no more often than with crun" test "$moved_etui" -le "$moved_crun"
check "and once is enough" test "$moved_etui" = 1
