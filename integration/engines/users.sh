# Sourced by the tests of normal users: one who has subordinate ids, with a systemd of her own where process 1 is one.

export alice=1001
# as_alice COMMAND...: with her environment and no other; in a cgroup handed to her where process 1 does not care.
as_alice() {
    (
        if [ -d /sys/fs/cgroup/alice ]; then echo $BASHPID >/sys/fs/cgroup/alice/shell/cgroup.procs; fi
        exec setpriv --reuid alice --regid alice --init-groups env -i HOME=/home/alice USER=alice LOGNAME=alice \
            TERM=xterm LANG=C.UTF-8 PATH="$PATH" XDG_RUNTIME_DIR=/run/user/$alice ONLY="${ONLY:-}" "$@"
    )
}

# What logging in would do: her home, her runtime directory, her cgroup.
make_alice() {
    useradd --create-home --uid $alice --shell /bin/bash alice
    mount -t tmpfs -o mode=755,uid=$alice,gid=$alice home /home/alice
    install -d -m 700 -o alice -g alice /run/user/$alice
    if [ -d /run/systemd/system ]; then
        # Where Podman looks for it; systemd's own unit of this name wants PAM.
        printf '%s\n' '[Service]' User=%i Slice=user-%i.slice Delegate=yes Environment=XDG_RUNTIME_DIR=/run/user/%i \
            'ExecStart=/lib/systemd/systemd --user' >/etc/systemd/system/user@.service
        systemctl daemon-reload
        systemctl start user@$alice.service
        waits_for 20 test -S /run/user/$alice/systemd/private -a -S /run/user/$alice/bus
    else
        mkdir -p /sys/fs/cgroup/alice/shell
        chown -R alice /sys/fs/cgroup/alice
    fi
}
