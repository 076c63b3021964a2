# What etui itself takes of the container's memory limit, beside crun: both start their container inside its cgroup.
# lab: plain
# seconds: 300

echo "# engine no engine: etui $(etui --version | head -1 | cut -d" " -f3)"
# Installed, as crun is: a file of the host's is forgotten as soon as nobody has it open, and each container would be charged
# for what its init is the first to read of it.
install -m 0755 "$(command -v etui)" /usr/local/bin/etui
PATH=/usr/local/bin:$PATH
make_bundle /tmp/m '.process.args = ["true"]'

# run_within RUNTIME KIB
run_within() {
    jq ".linux.resources.memory = {limit: ($2 * 1024), swap: ($2 * 1024)} | .linux.cgroupsPath = \"/memory-$1\"" \
        /tmp/m/config.json >/tmp/m/limited
    mkdir -p "/tmp/m-$1"
    jq ".root.path = \"/tmp/m/rootfs\"" /tmp/m/limited >"/tmp/m-$1/config.json"
    "$1" --root "/run/memory-$1" run --bundle "/tmp/m-$1" "memory-$1" >/dev/null 2>&1 </dev/null
}

steps=(128 192 256 320 384 448 512 640 768 1024 2048 4096)
# least RUNTIME: the least limit, in KiB, that its container starts under five times.
least() {
    local kib try
    for kib in "${steps[@]}"; do
        for try in 1 2 3 4 5; do
            run_within "$1" $kib || continue 2
        done
        echo $kib
        return
    done
    echo 99999
}

# peak RUNTIME: the most that was charged to the container's cgroup, in KiB, least of ten runs.
peak() {
    local try least=99999 kib
    jq '.linux.cgroupsPath = "/memory-peak" | .root.path = "/tmp/m/rootfs"
        | .process.args = ["cat", "/sys/fs/cgroup/memory.peak"]' /tmp/m/config.json >/tmp/m-peak.json
    for try in 1 2 3 4 5 6 7 8 9 10; do
        mkdir -p /tmp/m-peak
        cp /tmp/m-peak.json /tmp/m-peak/config.json
        kib=$("$1" --root "/run/memory-$1" run --bundle /tmp/m-peak "memory-peak" </dev/null) || return 1
        kib=$((kib / 1024))
        if [ "$kib" -lt "$least" ]; then least=$kib; fi
    done
    echo "$least"
}

etui_least=$(least etui) crun_least=$(least crun)
etui_peak=$(peak etui) crun_peak=$(peak crun)
echo "# least memory.max, KiB: etui $etui_least, crun $crun_least"
echo "# memory.peak of cat, KiB: etui $etui_peak, crun $crun_peak"
echo "# Linux $(uname -r)"
# Of the least that works a step more is chance; the peak, in steps of 64 pages, is the least of several runs already.
a_step_above() { for step in "${steps[@]}"; do if [ "$step" -gt "$1" ]; then echo "$step"; return; fi; done; echo "$1"; }
check "a container starts under a limit that crun's starts under" test "$etui_least" -le "$(a_step_above "$crun_least")"
at_most_half_a_mebibyte() { [ "$crun_least" -gt 512 ] || [ "$etui_least" -le 512 ]; }
check "512 KiB are enough where they are for crun" at_most_half_a_mebibyte
check "no more is charged to the container's cgroup than with crun" test "$etui_peak" -le "$crun_peak"
