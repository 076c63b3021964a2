//! What init and its parent apply to a process, each noun by itself, as root, judged by what the kernel says afterwards.

mod nouns_support;
mod support;

use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use etui::kernel::capabilities::{self, CapSet, Sets};
use etui::kernel::credentials::{self, OldGroups, User};
use etui::kernel::id_maps::{self, IdMap, Way};
use etui::kernel::limits::{self, Resource, Rlimit};
use etui::kernel::namespaces::{self, Namespace};
use etui::kernel::procfs::Procfs;
use etui::kernel::scheduling::{self, IoPriority, Personality, Scheduler};
use etui::kernel::sysctl::{self, Sysctl};
use etui::kernel::{fds, keyring, net_devices, no_new_privs, streams};
use etui::sys::clone::{Birth, CloneArgs, clone3};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use nix::unistd::Pid;
use nouns_support::{alone, root};

/// A field of /proc/thread-self/status.
fn status(field: &str) -> String {
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let prefix = format!("{field}:");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("no {field}")).trim().to_owned()
}

const KILL: u64 = 1 << 5;
const CHOWN: u64 = 1;

fn someone() -> User {
    User { uid: 1234, gid: 2345, additional_gids: vec![7, 9], umask: 0o027 }
}

#[test]
fn a_process_has_exactly_the_capabilities_it_was_given() {
    if !root() {
        return;
    }
    alone("a_process_has_exactly_the_capabilities_it_was_given", || {
        let procfs = Procfs::open().unwrap();
        let sets = Sets {
            bounding: CapSet(KILL | CHOWN),
            effective: CapSet(KILL),
            permitted: CapSet(KILL | CHOWN),
            inheritable: CapSet(KILL),
            // CHOWN is not inheritable: it is warned of and left out.
            ambient: CapSet(KILL | CHOWN),
        };
        capabilities::drop_bounding(sets.bounding).unwrap();
        credentials::keep_capabilities().unwrap();
        credentials::become_user(&procfs, &someone(), OldGroups::Replace).unwrap();
        capabilities::set(&sets).unwrap();
        capabilities::set_ambient(sets.ambient).unwrap();
        let shown = |field: &str| u64::from_str_radix(&status(field), 16).unwrap();
        assert_eq!(shown("CapBnd"), KILL | CHOWN);
        assert_eq!(shown("CapEff"), KILL);
        assert_eq!(shown("CapPrm"), KILL | CHOWN);
        assert_eq!(shown("CapInh"), KILL);
        assert_eq!(shown("CapAmb"), KILL);
    });
}

#[test]
fn a_capability_that_etui_lacks_is_told_by_name() {
    if !root() {
        return;
    }
    alone("a_capability_that_etui_lacks_is_told_by_name", || {
        let kill = CapSet(KILL);
        capabilities::set(&Sets { permitted: kill, effective: kill, ..Sets::default() }).unwrap();
        let both = Sets { permitted: CapSet(KILL | CHOWN), ..Sets::default() };
        let error = capabilities::set(&both).unwrap_err().to_string();
        assert!(error.ends_with("etui itself does not have CAP_CHOWN"), "{error}");
    });
}

#[test]
fn a_process_is_the_user_it_was_made() {
    if !root() {
        return;
    }
    alone("a_process_is_the_user_it_was_made", || {
        let procfs = Procfs::open().unwrap();
        credentials::set_umask(&someone());
        credentials::become_user(&procfs, &someone(), OldGroups::Replace).unwrap();
        assert_eq!(status("Uid"), "1234\t1234\t1234\t1234");
        assert_eq!(status("Gid"), "2345\t2345\t2345\t2345");
        assert_eq!(status("Groups"), "7 9");
        assert_eq!(status("Umask"), "0027");
    });
}

#[test]
fn groups_that_the_namespace_forbids_are_passed_over() {
    if !root() {
        return;
    }
    alone("groups_that_the_namespace_forbids_are_passed_over", || {
        let procfs = Procfs::open().unwrap();
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let flags = u64::try_from(libc::CLONE_NEWUSER).unwrap();
        match clone3(CloneArgs { flags, cgroup: None }).unwrap() {
            Birth::Child => {
                drop(writer);
                let _ = nix::unistd::read(&reader, &mut [0]);
                let user = User { additional_gids: vec![0], ..User::default() };
                let passed = credentials::become_user(&procfs, &user, OldGroups::Replace);
                let unmapped = User { uid: 5, ..User::default() };
                let refused = credentials::become_user(&procfs, &unmapped, OldGroups::Keep);
                let told = refused
                    .is_err_and(|error| error.to_string().contains("user id 5 is not mapped"));
                etui::sys::exec::exit_at_once(i32::from(passed.is_err() || !told));
            }
            Birth::Parent { pid, pidfd } => {
                let own = [IdMap { inside: 0, outside: 0, size: 1 }];
                id_maps::write(&procfs, pid, &own, &own, Way::OwnIds).unwrap();
                drop(writer);
                let ended = etui::sys::pidfd::wait(pidfd.as_fd()).unwrap();
                assert_eq!(ended, etui::sys::pidfd::Ended::Exited(0));
            }
        }
    });
}

#[test]
fn standard_streams_that_are_pipes_belong_to_the_user_afterwards() {
    if !root() {
        return;
    }
    alone("standard_streams_that_are_pipes_belong_to_the_user_afterwards", || {
        assert!(streams::hand_out(streams::Source::Caller, 1234).unwrap().is_empty());
        assert_eq!(std::fs::metadata("/proc/self/fd/1").unwrap().uid(), 1234);
        assert_eq!(std::fs::metadata("/dev/null").unwrap().uid(), 0);
    });
}

#[test]
fn no_new_privileges_is_set_for_good() {
    alone("no_new_privileges_is_set_for_good", || {
        assert_eq!(status("NoNewPrivs"), "0");
        no_new_privs::set().unwrap();
        assert_eq!(status("NoNewPrivs"), "1");
    });
}

#[test]
fn only_the_excepted_descriptors_stay_open() {
    alone("only_the_excepted_descriptors_stay_open", || {
        let open = || std::fs::File::open("/dev/null").unwrap().into_raw_fd();
        let all: Vec<i32> = (0..6).map(|_| open()).collect();
        let (kept, closed) = (all[3], [all[0], all[1], all[2], all[4], all[5]]);
        fds::close_all_from(fds::FIRST_AFTER_STDIO, &[kept]).unwrap();
        let is_open = |fd: i32| std::fs::exists(format!("/proc/self/fd/{fd}")).unwrap();
        assert!(is_open(kept));
        assert!(!closed.iter().any(|fd| is_open(*fd)));
        assert!((0..3).all(is_open));
    });
}

#[test]
fn descriptors_marked_close_on_exec_do_not_reach_a_program() {
    alone("descriptors_marked_close_on_exec_do_not_reach_a_program", || {
        let file = std::fs::File::open("/dev/null").unwrap();
        let inherited = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_DUPFD(50)).unwrap();
        let path = format!("/proc/self/fd/{inherited}");
        let sees = || Command::new("test").args(["-e", &path]).status().unwrap().success();
        assert!(sees());
        fds::close_on_exec_from(fds::FIRST_AFTER_STDIO, &[inherited]).unwrap();
        assert!(sees());
        fds::close_on_exec_from(fds::FIRST_AFTER_STDIO, &[]).unwrap();
        assert!(!sees());
    });
}

#[test]
fn limits_and_the_oom_score_of_another_process_are_set() {
    let mut child = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let resource = Resource::from_name("RLIMIT_NOFILE").unwrap();
    let result = limits::set(pid, &[Rlimit { resource, soft: 11, hard: 22 }]);
    let score = limits::set_oom_score_adj(&Procfs::open().unwrap(), pid, 321);
    let shown = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let shown_score = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    result.and(score).unwrap();
    let line = shown.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().collect::<Vec<_>>()[3..5], ["11", "22"]);
    assert_eq!(shown_score, "321\n");
}

#[test]
fn a_user_namespace_with_maps_is_made_and_nobody_is_in_it() {
    if !root() {
        return;
    }
    alone("a_user_namespace_with_maps_is_made_and_nobody_is_in_it", || {
        let procfs = Procfs::open().unwrap();
        let uids = [IdMap { inside: 0, outside: 100_000, size: 10 }];
        let gids = [IdMap { inside: 0, outside: 200_000, size: 20 }];
        let namespace = id_maps::namespace_with(&procfs, &uids, &gids).unwrap();
        let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
        let output = Command::new("nsenter")
            .args([&format!("--user={path}"), "cat", "/proc/self/uid_map", "/proc/self/gid_map"])
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = shown.split_whitespace().collect();
        assert_eq!(words, ["0", "100000", "10", "0", "200000", "20"]);
        assert!(nix::sys::wait::waitpid(None, None).is_err(), "a child is left");
    });
}

#[test]
fn a_mount_over_a_file_of_procfs_is_not_written_through() {
    if !root() {
        return;
    }
    alone("a_mount_over_a_file_of_procfs_is_not_written_through", || {
        private_mounts();
        let procfs = Procfs::open().unwrap();
        mount(Some("/dev/null"), "/proc/self/comm", None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .unwrap();
        let error = procfs.write("self/comm", "mine").unwrap_err();
        assert_eq!(error.errno(), Some(Errno::EXDEV));
        assert!(error.to_string().contains("something is mounted over it"), "{error}");
    });
}

#[test]
fn where_proc_is_no_procfs_a_private_one_serves() {
    if !root() {
        return;
    }
    alone("where_proc_is_no_procfs_a_private_one_serves", || {
        private_mounts();
        mount(None::<&str>, "/proc", Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
        let procfs = Procfs::open().unwrap();
        let shown = procfs.read_to_string("self/status").unwrap();
        assert!(shown.contains(&format!("\nPid:\t{}\n", std::process::id())));
    });
}

#[test]
fn procfs_serves_a_child_in_a_pid_namespace_of_its_own() {
    if !root() {
        return;
    }
    alone("procfs_serves_a_child_in_a_pid_namespace_of_its_own", || {
        let procfs = Procfs::open().unwrap();
        let flags = u64::try_from(libc::CLONE_NEWPID).unwrap();
        match clone3(CloneArgs { flags, cgroup: None }).unwrap() {
            Birth::Child => {
                let written = procfs.write("thread-self/comm", "inside");
                let read = procfs.read_to_string("thread-self/comm");
                let right = written.is_ok() && read.is_ok_and(|name| name == "inside\n");
                etui::sys::exec::exit_at_once(i32::from(!right));
            }
            Birth::Parent { pidfd, .. } => {
                let ended = etui::sys::pidfd::wait(pidfd.as_fd()).unwrap();
                assert_eq!(ended, etui::sys::pidfd::Ended::Exited(0));
            }
        }
    });
}

#[test]
fn loopback_is_up_and_sysctls_are_the_namespaces_own() {
    if !root() {
        return;
    }
    alone("loopback_is_up_and_sysctls_are_the_namespaces_own", || {
        let procfs = Procfs::open().unwrap();
        let path = "sys/net/ipv4/ip_unprivileged_port_start";
        let home = procfs.open_namespace("thread-self/ns", "net").unwrap();
        let before = procfs.read_to_string(path).unwrap();
        namespaces::create(CloneFlags::CLONE_NEWNET).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0");
        assert!(listener.is_err() || connect(&listener.unwrap()).is_err(), "lo was up before");
        net_devices::bring_up_loopback().unwrap();
        connect(&std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();

        let set = |value: &str| Sysctl {
            name: "net.ipv4.ip_unprivileged_port_start".to_owned(),
            path: path.to_owned(),
            value: value.to_owned(),
        };
        sysctl::write(&procfs, &[set("77")]).unwrap();
        assert_eq!(procfs.read_to_string(path).unwrap(), "77\n");
        let error = sysctl::write(&procfs, &[set("none")]).unwrap_err().to_string();
        assert!(
            error.starts_with("linux.sysctl: net.ipv4.ip_unprivileged_port_start: "),
            "{error}"
        );
        namespaces::join(Namespace::Network, home.as_fd()).unwrap();
        assert_eq!(procfs.read_to_string(path).unwrap(), before);
    });
}

fn connect(listener: &std::net::TcpListener) -> std::io::Result<std::net::TcpStream> {
    let wait = std::time::Duration::from_millis(300);
    std::net::TcpStream::connect_timeout(&listener.local_addr()?, wait)
}

#[test]
fn a_session_keyring_is_joined_by_its_name() {
    alone("a_session_keyring_is_joined_by_its_name", || {
        if let Err(error) = keyring::join_session("nouns-test", keyring::Searchers::User) {
            assert!(matches!(error.errno(), Some(Errno::EPERM | Errno::EDQUOT)), "{error}");
            return;
        }
        let Ok(keys) = std::fs::read_to_string("/proc/keys") else { return };
        let line = keys.lines().find(|line| line.contains("_ses.nouns-test")).unwrap();
        let permissions = line.split_whitespace().nth(4).unwrap();
        let permissions = u32::from_str_radix(permissions, 16).unwrap();
        assert_eq!(permissions & 0x0008_0000, 0x0008_0000, "{line}");
        assert_eq!(permissions & 0xff, 0, "{line}");
    });
}

#[test]
fn scheduler_priorities_and_domain_are_those_asked_for() {
    alone("scheduler_priorities_and_domain_are_those_asked_for", || {
        const SCHED_BATCH: u32 = 3;
        let batch = Scheduler { policy: SCHED_BATCH, nice: 3, ..Scheduler::default() };
        scheduling::set_scheduler(&batch).unwrap();
        scheduling::set_io_priority(IoPriority { class: 3, level: 0 }).unwrap();
        scheduling::set_personality(Personality::Linux32).unwrap();
        let shown = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields: Vec<&str> = shown.rsplit(") ").next().unwrap().split(' ').collect();
        // proc_pid_stat(5): nice is field 19, policy field 41; the third is the first here.
        assert_eq!((fields[16], fields[38]), ("3", "3"));
        let personality = std::fs::read_to_string("/proc/thread-self/personality").unwrap();
        assert_eq!(personality, "00000008\n");
        let ionice = Command::new("ionice").stderr(Stdio::inherit()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ionice.stdout), "idle\n");
    });
}

#[test]
fn a_missing_procfs_file_is_told_like_strace() {
    let error = Procfs::open().unwrap().open_file("nothing", OFlag::O_RDONLY).unwrap_err();
    assert_eq!(error.to_string(), "openat2(\"/proc/nothing\"): no such file or directory");
}

fn private_mounts() {
    namespaces::create(CloneFlags::CLONE_NEWNS).unwrap();
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
}

#[test]
fn a_program_starts_with_no_signal_ignored() {
    alone("a_program_starts_with_no_signal_ignored", || {
        // Rust ignores SIGPIPE; whoever spawned us by posix_spawn(3) of glibc left 32 and 33 ignored.
        assert_ne!(status("SigIgn"), "0000000000000000");
        etui::sys::signals::reset_dispositions();
        assert_eq!(status("SigIgn"), "0000000000000000");
    });
}
