# A container runs in the lab, and the demo with every limit.
# lab: plain
# seconds: 90

echo "# engine no engine: etui $(etui --version | head -1 | cut -d" " -f3)"
expect "the cgroup tree is version 2" cgroup2fs stat -fc %T /sys/fs/cgroup
expect "and there is no other" "" grep ' cgroup ' /proc/mounts
controllers() { grep -oE '\b(cpu|io|memory|pids)\b' /sys/fs/cgroup/cgroup.controllers | sort | paste -sd' '; }
expect "it has the controllers" "cpu io memory pids" controllers
check "etui tells its version" etui --version
make_bundle /tmp/hello '.process.args = ["echo", "hello from inside"]'
expect "run" "hello from inside" etui run --bundle /tmp/hello smoke
check "run leaves nothing" nothing_left smoke

ETUI=/job/bin/etui bash /job/examples/hello-python/demo >/tmp/demo.log 2>&1 || echo "the demo failed: $?" >>/tmp/demo.log
shown() { grep -F -- "$1" /tmp/demo.log || { cat /tmp/demo.log; return 1; }; }
check "the demo greets" shown 'Hello, World!'
check "its process is not root" shown '"uid": 1000'
check "its process has no capability" shown '"bounding": "0000000000000000"'
check "its process has no new privileges" shown '"no_new_privs": true'
check "its process has a filter" shown '"seccomp": "filter"'
check "its memory is limited" shown '"memory.max": "134217728"'
check "its time is limited" shown '"cpu.max": "50000 100000"'
check "its processes are limited" shown '"pids.max": "32"'
networks() { tr -d '\r\n ' </tmp/demo.log | grep -oE '"network_interfaces":\[[^]]*\]'; }
expect "its network is loopback" '"network_interfaces":["lo"]' networks
check "the demo leaves nothing" nothing_left hello-python
