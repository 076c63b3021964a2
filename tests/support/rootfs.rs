//! A root file system of busybox and its applets.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

const APPLETS: &str = "[ awk cat chmod chown chrt cp cut date dd df dmesg echo env expr false find free grep head \
    hostname httpd id ionice ip ipcs kill ln ls mkdir mkfifo mknod mktemp mount mountpoint mv nc nice nproc od \
    pgrep pidof ping printf ps pwd readlink realpath renice rm rmdir sed seq setsid sh sleep sort stat stty \
    sync tail tee test time timeout top touch tr true truncate tty umount uname uniq unshare uptime usleep wc \
    wget which whoami xargs yes";

/// Makes the directory `path`: busybox in `/bin`, the usual empty directories, `passwd` and `group`.
pub fn make(path: &Path) {
    for dir in ["bin", "dev", "etc", "home/someone", "proc", "root", "run", "sys", "tmp", "var"] {
        fs::create_dir_all(path.join(dir)).expect("a directory of the root file system");
    }
    let busybox =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    let busybox = busybox.expect("busybox: apt-get install busybox-static");
    fs::copy(busybox, path.join("bin/busybox")).expect("a copy of busybox");
    for applet in APPLETS.split_whitespace() {
        symlink("busybox", path.join("bin").join(applet)).expect("an applet");
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nsomeone:x:1000:1000::/home/someone:/bin/sh\n";
    fs::write(path.join("etc/passwd"), passwd).expect("passwd");
    fs::write(path.join("etc/group"), "root:x:0:\nsomeone:x:1000:\n").expect("group");
}
