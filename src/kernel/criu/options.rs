//! What criu is told of its work: `criu_opts` of its rpc.proto, and the messages inside. Each method sets the field of its
//! own name.

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::message::Message;

/// The options, as far as they are set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Options(pub(super) Message);

/// What criu may or shall do, by the number of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// `leave_running`
    LeaveRunning = 3,
    /// `ext_unix_sk`
    ExternalUnixSockets = 4,
    /// `tcp_established`
    TcpEstablished = 5,
    /// `shell_job`
    ShellJob = 7,
    /// `file_locks`
    FileLocks = 8,
    /// `auto_dedup`
    AutoDedup = 16,
    /// `link_remap`
    LinkRemap = 18,
    /// `tcp_skip_in_flight`
    TcpSkipInFlight = 46,
    /// `lazy_pages`
    LazyPages = 48,
}

/// What criu does with cgroups (`criu_cg_mode`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CgroupMode {
    /// Nothing.
    Ignore = 0,
    /// Their properties are restored where criu made them.
    #[default]
    Soft = 3,
    /// Always.
    Full = 4,
    /// And they must not be there before.
    Strict = 5,
}

impl Options {
    /// A field of no value but true.
    pub fn switch(self, switch: Switch) -> Self {
        self.on(switch as u32)
    }

    /// Where the images are.
    pub fn images_dir_fd(self, directory: BorrowedFd<'_>) -> Self {
        self.number(1, descriptor(directory))
    }

    /// The process that is written down with all its descendants.
    pub fn pid(self, pid: i32) -> Self {
        self.number(2, pid.unsigned_abs())
    }

    /// Devices are found by other names where those they were opened by are gone.
    pub fn evasive_devices(self) -> Self {
        self.on(6)
    }

    /// How much is logged: 1 is errors, 4 everything.
    pub fn log_level(self, level: u32) -> Self {
        self.number(9, level)
    }

    /// The log, in the work directory.
    pub fn log_file(self, name: &str) -> Self {
        self.text(10, name)
    }

    /// Whom the memory is sent to (`criu_page_server_info`).
    pub fn ps(self, address: &str, port: u16) -> Self {
        self.message(11, &Message::default().text(1, address).number(2, port))
    }

    /// Notices are sent on the way.
    pub fn notify_scripts(self) -> Self {
        self.on(12)
    }

    /// The root of the file system.
    pub fn root(self, path: impl AsRef<OsStr>) -> Self {
        self.text(13, path)
    }

    /// Where earlier images are, relative to these.
    pub fn parent_img(self, path: impl AsRef<OsStr>) -> Self {
        self.text(14, path)
    }

    /// Memory that changes from now on is written down by the next one.
    pub fn track_mem(self) -> Self {
        self.on(15)
    }

    /// Where logs are written.
    pub fn work_dir_fd(self, directory: BorrowedFd<'_>) -> Self {
        self.number(17, descriptor(directory))
    }

    /// A mount of something outside, and what it is called in the images (`ext_mount_map`).
    pub fn ext_mnt(self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.pair(23, key, value)
    }

    /// Cgroups are managed at all.
    pub fn manage_cgroups(self) -> Self {
        self.on(24)
    }

    /// The cgroup that is the root of those in the images, of the hierarchy without controllers' names, version 2's
    /// (`cgroup_root`).
    pub fn cg_root(self, path: impl AsRef<OsStr>) -> Self {
        self.pair(25, "", path)
    }

    /// The restored process becomes our child, and not criu's.
    pub fn rst_sibling(self) -> Self {
        self.on(26)
    }

    /// What is called `key` in the images is the descriptor of this number (`inherit_fd`).
    pub fn inherit_fd(self, key: &str, number: u32) -> Self {
        self.message(27, &Message::default().text(1, key).number(2, number))
    }

    /// How cgroups are managed.
    pub fn manage_cgroups_mode(self, mode: CgroupMode) -> Self {
        self.number(34, mode as u32)
    }

    /// Something that criu shall neither write down nor make.
    pub fn external(self, what: &str) -> Self {
        self.text(37, what)
    }

    /// Namespaces whose content is left out, as flags of clone(2).
    pub fn empty_ns(self, flags: u32) -> Self {
        self.number(38, flags)
    }

    /// A namespace to restore into (`join_namespace`).
    pub fn join_ns(self, name: &str, file: impl AsRef<OsStr>) -> Self {
        self.pair(39, name, file)
    }

    /// The cgroup that is frozen meanwhile.
    pub fn freeze_cgroup(self, path: impl AsRef<OsStr>) -> Self {
        self.text(44, path)
    }

    /// The master of a terminal that nobody outside holds is sent to us.
    pub fn orphan_pts_master(self) -> Self {
        self.on(50)
    }

    /// A file with more options.
    pub fn config_file(self, path: &str) -> Self {
        self.text(51, path)
    }

    /// Another LSM profile than the written one, as `TYPE:NAME`.
    pub fn lsm_profile(self, profile: &str) -> Self {
        self.text(53, profile)
    }

    /// Another SELinux context of the mounts than the written one.
    pub fn lsm_mount_context(self, context: &str) -> Self {
        self.text(63, context)
    }

    fn on(self, field: u32) -> Self {
        self.number(field, true)
    }

    fn number(self, field: u32, value: impl Into<u64>) -> Self {
        Options(self.0.number(field, value))
    }

    fn text(self, field: u32, text: impl AsRef<OsStr>) -> Self {
        Options(self.0.text(field, text.as_ref().as_encoded_bytes()))
    }

    fn message(self, field: u32, message: &Message) -> Self {
        Options(self.0.message(field, message))
    }

    fn pair(self, field: u32, one: impl AsRef<OsStr>, two: impl AsRef<OsStr>) -> Self {
        let (one, two) = (one.as_ref().as_encoded_bytes(), two.as_ref().as_encoded_bytes());
        self.message(field, &Message::default().text(1, one).text(2, two))
    }
}

/// criu finds a descriptor of ours by its number, below /proc.
pub fn descriptor(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::super::message::Received;
    use super::*;

    #[test]
    fn a_field_is_where_its_number_says() {
        let options = Options::default()
            .log_level(4)
            .switch(Switch::LazyPages)
            .ext_mnt("/a", "/b")
            .lsm_mount_context("system_u:object_r:x");
        let sent = Received(options.0.bytes());
        assert_eq!((sent.number(9), sent.number(48), sent.number(46)), (Some(4), Some(1), None));
        let mount = sent.message(23).unwrap();
        assert_eq!((mount.text(1).unwrap(), mount.text(2).unwrap()), ("/a".into(), "/b".into()));
        // 54 is `tls_cacert`.
        assert_eq!((sent.text(63).unwrap(), sent.text(54)), ("system_u:object_r:x".into(), None));
    }
}
