//! Prints a plan so that a person can read it: Rust's own debug text, nothing left out, laid out to be short, with names
//! in place of the kernel's bits.

use std::fmt::Debug;

use etui::kernel::capabilities::CapSet;

const WIDTH: usize = 118;

/// The printed form of a plan.
pub fn print(plan: &impl Debug) -> String {
    let text = name_bits(&format!("{plan:#?}"));
    let lines: Vec<&str> = text.lines().collect();
    let (block, rest) = Block::read(&lines);
    assert!(rest.is_empty(), "one value");
    let mut printed = String::new();
    block.write(0, &mut printed);
    printed.replace("MountAttr { set: 0, clear: 0, propagation: 0 }", "nothing")
}

/// One value: what opens it, what is inside, what closes it; or one line alone.
struct Block<'a> {
    head: &'a str,
    inside: Vec<Block<'a>>,
    tail: &'a str,
}

impl<'a> Block<'a> {
    fn read<'l>(lines: &'l [&'a str]) -> (Self, &'l [&'a str]) {
        let (head, mut rest) = (lines[0].trim_start(), &lines[1..]);
        let mut block = Block { head, inside: Vec::new(), tail: "" };
        if !head.ends_with(['{', '[', '(']) {
            return (block, rest);
        }
        let depth = |line: &str| line.len() - line.trim_start().len();
        while depth(rest[0]) > depth(lines[0]) {
            let (inner, after) = Block::read(rest);
            block.inside.push(inner);
            rest = after;
        }
        block.tail = rest[0].trim_start();
        (block, &rest[1..])
    }

    fn one_line(&self) -> String {
        let inside: Vec<String> = self.inside.iter().map(Block::one_line).collect();
        let inside = inside.join(" ");
        let inside = inside.strip_suffix(',').unwrap_or(&inside);
        let space = if self.head.ends_with('{') && !inside.is_empty() { " " } else { "" };
        format!("{}{space}{inside}{space}{}", self.head, self.tail)
    }

    fn write(&self, depth: usize, printed: &mut String) {
        let indent = " ".repeat(depth * 4);
        let line = self.one_line();
        if self.inside.is_empty() || (depth > 0 && indent.len() + line.len() <= WIDTH) {
            printed.push_str(&format!("{indent}{line}\n"));
            return;
        }
        printed.push_str(&format!("{indent}{}\n", self.head));
        if self.inside.iter().all(|inner| inner.inside.is_empty() && !inner.head.contains(": ")) {
            self.write_filled(depth + 1, printed);
        } else {
            self.inside.iter().for_each(|inner| inner.write(depth + 1, printed));
        }
        printed.push_str(&format!("{indent}{}\n", self.tail));
    }

    /// Short items side by side.
    fn write_filled(&self, depth: usize, printed: &mut String) {
        let indent = " ".repeat(depth * 4);
        let mut line = indent.clone();
        for item in self.inside.iter().map(|inner| inner.head) {
            if line.len() > indent.len() && line.len() + 1 + item.len() > WIDTH {
                printed.push_str(&format!("{line}\n"));
                line.clone_from(&indent);
            }
            if line.len() > indent.len() {
                line.push(' ');
            }
            line.push_str(item);
        }
        printed.push_str(&format!("{line}\n"));
    }
}

const MOUNT_ATTRIBUTES: &[(u64, &str)] = &[
    (libc::MOUNT_ATTR_RDONLY, "rdonly"),
    (libc::MOUNT_ATTR_NOSUID, "nosuid"),
    (libc::MOUNT_ATTR_NODEV, "nodev"),
    (libc::MOUNT_ATTR_NOEXEC, "noexec"),
    (libc::MOUNT_ATTR_NOATIME, "noatime"),
    (libc::MOUNT_ATTR_STRICTATIME, "strictatime"),
    (libc::MOUNT_ATTR_NODIRATIME, "nodiratime"),
    (libc::MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"),
];

const MOUNT_FLAGS: &[(u64, &str)] = &[
    (libc::MS_SYNCHRONOUS, "sync"),
    (libc::MS_MANDLOCK, "mand"),
    (libc::MS_DIRSYNC, "dirsync"),
    (libc::MS_SILENT, "silent"),
    (libc::MS_UNBINDABLE, "unbindable"),
    (libc::MS_PRIVATE, "private"),
    (libc::MS_SLAVE, "slave"),
    (libc::MS_SHARED, "shared"),
    (libc::MS_I_VERSION, "iversion"),
    (libc::MS_LAZYTIME, "lazytime"),
];

/// `set: 14,` becomes `set: nosuid|nodev|noexec,`.
fn name_bits(text: &str) -> String {
    let mut named = String::with_capacity(text.len());
    let mut in_capabilities = false;
    for line in text.lines() {
        in_capabilities |= line.ends_with(": CapSet(");
        named.push_str(&name_bits_of(line, in_capabilities).unwrap_or_else(|| line.to_owned()));
        named.push('\n');
        in_capabilities &= line.ends_with('(');
    }
    named
}

fn name_bits_of(line: &str, is_capabilities: bool) -> Option<String> {
    let text = line.trim_start();
    let indent = &line[..line.len() - text.len()];
    let (key, value) = text.split_once(": ").unwrap_or(("", text));
    let bits: u64 = value.strip_suffix(',')?.parse().ok()?;
    let names = match key {
        "set" | "clear" | "cleared_by_name" => names(MOUNT_ATTRIBUTES, bits),
        "flag" | "super_block" | "propagation" => names(MOUNT_FLAGS, bits),
        "mode" if bits > 0o7777 => format!("{bits:#x}"),
        "mode" if bits > 0 => format!("{bits:#o}"),
        "umask" => format!("{bits:#o}"),
        "" if is_capabilities => CapSet(bits).names().join("|").replace("CAP_", "").to_lowercase(),
        _ => return None,
    };
    let separator = if key.is_empty() { "" } else { ": " };
    Some(format!("{indent}{key}{separator}{names},"))
}

fn names(table: &[(u64, &str)], bits: u64) -> String {
    let mut left = bits;
    let mut names: Vec<String> = Vec::new();
    for (bit, name) in table.iter().filter(|(bit, _)| bits & bit != 0) {
        names.push((*name).to_owned());
        left &= !bit;
    }
    // All bits of the access time field together are its mask.
    let atime = libc::MOUNT_ATTR__ATIME;
    if bits & atime == atime && table[0].1 == "rdonly" {
        names.retain(|name| name != "noatime" && name != "strictatime");
        names.push("atime-field".to_owned());
        left &= !atime;
    }
    if left != 0 || bits == 0 {
        names.push(format!("{left:#x}").replace("0x0", "0"));
    }
    names.join("|")
}
