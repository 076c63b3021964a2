# Sourced by the tests of normal users: one who has subordinate ids, with a systemd of her own where process 1 is one.

export alice=1001
# as_alice COMMAND...: in a cgroup handed to her; with her environment and no other.
as_alice() {
    local there=(env)
    if [ -d /run/systemd/system ]; then there=(systemd-run --user --scope --quiet); fi
    (
        if [ -d /sys/fs/cgroup/alice ]; then echo $BASHPID >/sys/fs/cgroup/alice/shell/cgroup.procs; fi
        exec setpriv --reuid alice --regid alice --init-groups env -i HOME=/home/alice USER=alice LOGNAME=alice \
            TERM=xterm LANG=C.UTF-8 PATH="$PATH" XDG_RUNTIME_DIR=/run/user/$alice ONLY="${ONLY:-}" "${there[@]}" "$@"
    )
}

# What logging in would do: her home, her runtime directory, her cgroup.
make_alice() {
    useradd --create-home --uid $alice --shell /bin/bash alice
    mount -t tmpfs -o mode=755,uid=$alice,gid=$alice home /home/alice
    install -d -m 700 -o alice -g alice /run/user/$alice
    if [ -d /run/systemd/system ]; then
        # As user@1001.service would, which wants PAM.
        systemd-run --quiet --unit users.service --uid alice --gid alice --property Delegate=yes \
            --setenv XDG_RUNTIME_DIR=/run/user/$alice --setenv HOME=/home/alice /lib/systemd/systemd --user
        waits_for 20 test -S /run/user/$alice/systemd/private -a -S /run/user/$alice/bus
    else
        mkdir -p /sys/fs/cgroup/alice/shell
        chown -R alice /sys/fs/cgroup/alice
    fi
}
