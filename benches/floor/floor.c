/* The floor: what the kernel alone takes for the container that `etui spec` describes.
 *
 * Usage: floor ROOTFS CGROUP PROGRAM
 *
 * One process makes the cgroup, clones a child into it and loads the device filter meanwhile; the child makes the
 * mounts, the nodes of /dev and its links, the read-only and masked paths, changes the root, gives up its rights and
 * executes PROGRAM; the first waits for it and removes the cgroup. The same calls as etui makes where there is a
 * choice (the mount API on descriptors, one clone), but no configuration is read, nothing is checked, nothing is
 * recorded, no failure is explained. So a runtime can come near it and not below. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

/* Every call here must succeed: a floor that skips work measures nothing. */
#define MUST(call) must((long)(call), #call)

static long must(long result, const char *call)
{
    if (result < 0) {
        fprintf(stderr, "floor: %s: %s\n", call, strerror(errno));
        _exit(1);
    }
    return result;
}

struct option {
    const char *key, *value;
};

/* One file system: its options end with a null key. */
struct filesystem {
    const char *kind, *target;
    unsigned attributes;
    int made; /* its directory lies on the tmpfs of /dev and has to be made */
    struct option options[6];
};

static const struct filesystem FILESYSTEMS[] = {
    {"proc", "proc", 0, 0, {{"source", "proc"}}},
    {"tmpfs", "dev", MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME, 0,
     {{"source", "tmpfs"}, {"mode", "755"}, {"size", "65536k"}}},
    {"devpts", "dev/pts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, 1,
     {{"source", "devpts"}, {"newinstance", 0}, {"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}}},
    {"tmpfs", "dev/shm", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV, 1,
     {{"source", "shm"}, {"mode", "1777"}, {"size", "65536k"}}},
    {"mqueue", "dev/mqueue", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV, 1,
     {{"source", "mqueue"}}},
    {"sysfs", "sys", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY, 0,
     {{"source", "sysfs"}, {"ro", 0}}},
    {"cgroup2", "sys/fs/cgroup",
     MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY, 0,
     {{"source", "cgroup"}}},
};

static const struct {
    const char *name;
    unsigned major, minor;
} NODES[] = {
    {"dev/null", 1, 3}, {"dev/random", 1, 8}, {"dev/full", 1, 7},
    {"dev/tty", 5, 0},  {"dev/zero", 1, 5},   {"dev/urandom", 1, 9},
};

static const char *const LINKS[][2] = {
    {"/proc/self/fd", "dev/fd"},       {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
    {"/proc/self/fd/2", "dev/stderr"}, {"pts/ptmx", "dev/ptmx"},
};

static const char *const READONLY[] = {
    "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger",
};

static const char *const MASKED[] = {
    "proc/acpi",        "proc/asound",      "proc/kcore",   "proc/keys", "proc/latency_stats",        "proc/timer_list",
    "proc/timer_stats", "proc/sched_debug", "sys/firmware", "proc/scsi", "sys/devices/virtual/tpm",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int new_mount(const struct filesystem *filesystem)
{
    int context = MUST(fsopen(filesystem->kind, FSOPEN_CLOEXEC));
    for (const struct option *option = filesystem->options; option->key; option++)
        MUST(fsconfig(context, option->value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, option->key, option->value, 0));
    MUST(fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    int mount = MUST(fsmount(context, FSMOUNT_CLOEXEC, filesystem->attributes));
    close(context);
    return mount;
}

static void attach(int mount, int directory, const char *path)
{
    MUST(move_mount(mount, "", directory, path, MOVE_MOUNT_F_EMPTY_PATH | (*path ? 0 : MOVE_MOUNT_T_EMPTY_PATH)));
}

static void fill_dev(int root)
{
    for (size_t i = 0; i < COUNT(NODES); i++)
        MUST(mknodat(root, NODES[i].name, S_IFCHR | 0666, makedev(NODES[i].major, NODES[i].minor)));
    for (size_t i = 0; i < COUNT(LINKS); i++)
        MUST(symlinkat(LINKS[i][0], root, LINKS[i][1]));
}

static void make_readonly(int root)
{
    struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
    for (size_t i = 0; i < COUNT(READONLY); i++) {
        int copy = open_tree(root, READONLY[i], OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
        if (copy < 0 && errno == ENOENT)
            continue;
        MUST(copy);
        MUST(mount_setattr(copy, "", AT_EMPTY_PATH, &readonly, sizeof readonly));
        attach(copy, root, READONLY[i]);
        close(copy);
    }
}

static void mask(int root)
{
    static const struct filesystem nothing = {
        "tmpfs", "", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, 0,
        {{"nr_inodes", "1"}, {"nr_blocks", "1"}, {"ro", 0}}};
    int empty = -1;
    for (size_t i = 0; i < COUNT(MASKED); i++) {
        struct stat status;
        if (fstatat(root, MASKED[i], &status, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        int cover;
        if (!S_ISDIR(status.st_mode))
            cover = MUST(open_tree(AT_FDCWD, "/dev/null", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
        else if (empty < 0)
            cover = empty = new_mount(&nothing);
        else
            cover = MUST(open_tree(empty, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
        attach(cover, root, MASKED[i]);
        if (cover != empty)
            close(cover);
    }
    close(empty);
}

static void change_root(int root)
{
    int old = MUST(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
    MUST(fchdir(root));
    MUST(syscall(SYS_pivot_root, ".", "."));
    MUST(fchdir(old));
    MUST(mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL));
    MUST(umount2(".", MNT_DETACH));
    MUST(chdir("/"));
    close(old);
}

/* CAP_KILL, CAP_NET_BIND_SERVICE, CAP_AUDIT_WRITE. */
#define KEPT (1u << 5 | 1u << 10 | 1u << 29)

static void give_up_rights(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {{KEPT, KEPT, 0}};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    for (int capability = 0; capability <= CAP_LAST_CAP; capability++)
        if (capability >= 32 || !(KEPT >> capability & 1))
            MUST(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0));
    MUST(setgroups(0, NULL));
    MUST(setresgid(0, 0, 0));
    MUST(setresuid(0, 0, 0));
    MUST(syscall(SYS_capset, &header, sets));
}

static void raise_loopback(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int device = MUST(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    MUST(ioctl(device, SIOCSIFFLAGS, &request));
    close(device);
}

static void child(const char *rootfs, const char *program)
{
    struct rlimit files = {1024, 1024};
    struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
    setsid();
    umask(0);
    MUST(unshare(CLONE_NEWNS | CLONE_NEWCGROUP));
    raise_loopback();
    MUST(mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL));
    MUST(mount(NULL, "/", NULL, MS_PRIVATE, NULL));
    int root = MUST(open_tree(AT_FDCWD, rootfs, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
    attach(root, AT_FDCWD, "/");
    for (size_t i = 0; i < COUNT(FILESYSTEMS); i++) {
        int mount = new_mount(&FILESYSTEMS[i]);
        if (FILESYSTEMS[i].made)
            MUST(mkdirat(root, FILESYSTEMS[i].target, 0755));
        attach(mount, root, FILESYSTEMS[i].target);
        close(mount);
    }
    fill_dev(root);
    make_readonly(root);
    mask(root);
    change_root(root);
    MUST(sethostname("etui", 4));
    MUST(mount_setattr(root, "", AT_EMPTY_PATH, &readonly, sizeof readonly));
    umask(022);
    MUST(setrlimit(RLIMIT_NOFILE, &files));
    give_up_rights();
    MUST(execve(program, (char *[]){(char *)program, NULL},
                (char *[]){"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm", NULL}));
}

/* Device filter: six nodes, pseudo-terminals, and mknod of anything; else refused. */
static void filter_devices(int cgroup)
{
    struct bpf_insn program[64];
    static const struct {
        int major, minor;
    } allowed[] = {{1, 3}, {1, 8}, {1, 7}, {5, 0}, {1, 5}, {1, 9}, {5, 2}, {136, -1}};
    int length = 0;
#define INSTRUCTION(operation, destination, source, offset, number)                                                    \
    program[length++] = (struct bpf_insn){operation, destination, source, offset, number}
    INSTRUCTION(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, 0, 0);
    INSTRUCTION(BPF_ALU | BPF_RSH | BPF_K, BPF_REG_2, 0, 0, 16);
    INSTRUCTION(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, 4, 0);
    INSTRUCTION(BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, 8, 0);
    for (size_t i = 0; i < COUNT(allowed); i++) {
        int blocks = allowed[i].minor < 0 ? 1 : 2;
        INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, blocks + 1, allowed[i].major);
        if (blocks == 2)
            INSTRUCTION(BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, 2, allowed[i].minor);
        INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1);
        INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    }
    INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 1);
    INSTRUCTION(BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_2, 0, 1, BPF_DEVCG_ACC_MKNOD);
    INSTRUCTION(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0);
    INSTRUCTION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
    union bpf_attr load = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insn_cnt = length,
                           .insns = (unsigned long)program, .license = (unsigned long)"Apache-2.0"};
    int filter = MUST(syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load));
    union bpf_attr attachment = {.target_fd = cgroup, .attach_bpf_fd = filter, .attach_type = BPF_CGROUP_DEVICE,
                                 .attach_flags = BPF_F_ALLOW_MULTI};
    MUST(syscall(SYS_bpf, BPF_PROG_ATTACH, &attachment, sizeof attachment));
    close(filter);
}

int main(int count, char **arguments)
{
    if (count != 4) {
        fprintf(stderr, "usage: floor ROOTFS CGROUP PROGRAM\n");
        return 2;
    }
    MUST(mkdir(arguments[2], 0755));
    int cgroup = MUST(open(arguments[2], O_PATH | O_DIRECTORY | O_CLOEXEC)), pidfd = -1, status;
    struct clone_args clone = {
        .flags = CLONE_PIDFD | CLONE_INTO_CGROUP | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS,
        .pidfd = (unsigned long)&pidfd, .exit_signal = SIGCHLD, .cgroup = cgroup};
    pid_t pid = MUST(syscall(SYS_clone3, &clone, sizeof clone));
    if (pid == 0)
        child(arguments[1], arguments[3]);
    filter_devices(cgroup);
    MUST(waitpid(pid, &status, 0));
    MUST(rmdir(arguments[2]));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
