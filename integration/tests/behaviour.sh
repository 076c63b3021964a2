# The behaviour tests of tests/, on a machine with every controller on cgroup v2 and every capability.
# lab: plain
# seconds: 600
# wants: test-programs

export RUNTIME=/job/bin/etui RUST_BACKTRACE=0 ETUI_SKIPPED=/tmp/skipped
for program in /job/tests/*; do
    name=$(basename "$program")
    name=${name%-*}
    # These want the project's sources, the release beside them, strace at full speed, or another kernel than this; words
    # would take a quarter of an hour, and runs outside.
    case $name in
        architecture | kill9 | cli_records | words | seccomp_example | fuzz_smoke | plan | plan_native | spec | syscalls) continue ;;
    esac
    unable=()
    if [ "$name" = steps ]; then
        unable=(--skip process::has_its_personality)
        echo "skip - steps process::has_its_personality: user-mode Linux calls every machine x86_64"
    fi
    : >"$ETUI_SKIPPED"
    timeout --foreground 300 "$program" --test-threads 2 "${unable[@]}" >/tmp/log 2>&1 </dev/null
    code=$?
    skipped=$(sed -n 's/^skipped \([^:]*\(::[^:]*\)*\): .*/\1/p' "$ETUI_SKIPPED")
    sed -n 's/^test \(.*\) \.\.\. \(ok\|FAILED\)$/\2 \1/p' /tmp/log | while read -r result test; do
        if grep -qxF -- "$test" <<<"$skipped"; then
            echo "skip - $name $test: $(grep -F "skipped $test:" "$ETUI_SKIPPED" | head -1 | sed "s/^skipped $test: //")"
        elif [ "$result" = ok ]; then
            echo "ok - $name $test"
        else
            echo "not ok - $name $test"
        fi
    done
    if [ $code != 0 ]; then sed -n '/^failures:/,$p' /tmp/log | head -200 | sed 's/^/#   /'; fi
    grep -q '^test result' /tmp/log || { echo "not ok - $name ended with $code"; tail -20 /tmp/log | sed 's/^/#   /'; }
done
