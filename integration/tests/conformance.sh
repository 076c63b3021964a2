# The statements of runtime-spec/ that want controllers on cgroup v2, and each on a runtime that is wrong in that thing.
# lab: plain
# seconds: 300
# wants: runtime-spec

wanted=(linux_resources)
for mode in right wrong; do
    options=()
    [ $mode = right ] || options=(--wrong)
    # Its last line counts; the others are TAP.
    RUNTIME=/job/bin/etui /job/runtime-spec/run "${options[@]}" --save "/job/conformance-$mode.json" "${wanted[@]}" >/tmp/log 2>&1
    sed -n "s/^\(not \)\?ok [0-9]* - \(.*\)/\1ok $mode \2/p" /tmp/log | while read -r line; do
        case $line in
            *" # SKIP "*) echo "skip - ${line#ok }" ;;
            "not ok "*) echo "not ok - ${line#not ok }" ;;
            *) echo "ok - ${line#ok }" ;;
        esac
    done
    tail -1 /tmp/log | grep -q passed || { echo "not ok - runtime-spec/run $mode did not get to its end"; sed 's/^/#   /' /tmp/log | tail; }
done
