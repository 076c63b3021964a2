# A user's own systemd makes the cgroups of what the user runs.
# lab: systemd
# seconds: 120

. /job/engines/users.sh
make_alice
echo "# engine no engine, a user's systemd: etui $(etui --version | head -1 | cut -d" " -f3)"
bundle=/home/alice/bundle
as_alice mkdir $bundle
make_root $bundle/rootfs
chown -R alice: $bundle
as_alice sh -c "cd $bundle && etui spec --rootless && jq '.process.terminal = false | .process.args = [\"sleep\", \"1000\"]
    | .linux.resources = { memory: { limit: 67108864 }, pids: { limit: 44 } }' config.json >new && mv new config.json"
up() { as_alice etui --systemd-cgroup run -d --bundle $bundle "$1" </dev/null >/tmp/up 2>&1 || { cat /tmp/up; return 1; }; }
units() { as_alice systemctl --user list-units --all --plain --no-legend "$1"; }
user=/user.slice/user-$alice.slice/user@$alice.service

check "a container" up mine
expect "is in the user's slice" "0::$user/user.slice/etui-mine.scope" eval 'cat /proc/$(as_alice etui state mine | jq .pid)/cgroup'
known() { for name in MemoryMax TasksMax; do as_alice systemctl --user show --property $name --value etui-mine.scope; done | paste -sd' '; }
expect "the user's systemd knows its limits" "67108864 44" known
expect "the kernel has them" "67108864 44" eval "cd /sys/fs/cgroup$user/user.slice/etui-mine.scope && cat memory.max pids.max | paste -sd' '"
check "update" as_alice etui update --pids-limit 55 mine
expect "the user's systemd knows of it" "67108864 55" known
enter() { as_alice etui exec -d --pid-file /home/alice/pid mine sleep 1000 >/tmp/entered 2>&1; }
check "exec" enter
expect "is in the same cgroup" "0::$user/user.slice/etui-mine.scope" eval 'cat /proc/$(cat /home/alice/pid)/cgroup'
check "delete" as_alice etui delete --force mine
expect "no unit is left" "" units 'etui-*'
check "nothing is left" nothing_left mine
without() { as_alice env -u XDG_RUNTIME_DIR -u DBUS_SESSION_BUS_ADDRESS etui --root /tmp/alice --systemd-cgroup run --bundle $bundle nobus; }
exits "no user's systemd" 1 without
without >/tmp/told 2>&1
check "is told" grep -qF "neither XDG_RUNTIME_DIR nor DBUS_SESSION_BUS_ADDRESS is set" /tmp/told
by_bus() { as_alice env -u XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/$alice/bus etui --root /tmp/alice --systemd-cgroup "$@"; }
check "the user's bus serves" eval "by_bus run -d --bundle $bundle bybus </dev/null >/dev/null 2>&1 && by_bus delete --force bybus"
