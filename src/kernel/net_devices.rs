//! Network interfaces: the loopback one of the calling thread's network namespace, and those that move to another.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::error::{Call, Context, Error, Result};
use crate::kernel::procfs::Procfs;
use crate::sys::ioctl;
use crate::sys::netlink::{Message, Socket};

/// An interface that moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetDevice {
    /// What it is called now.
    pub name: String,
    /// What it is called where it moves to.
    pub new_name: String,
}

/// Brings the loopback interface up; the kernel gives it its addresses (netdevice(7), `SIOCSIFFLAGS`).
///
/// A new namespace's `lo` has no other flag that could be set, so they need not be read first.
pub fn bring_up_loopback() -> Result<()> {
    let flags = i16::try_from(libc::IFF_UP).unwrap_or(1);
    let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
        .call(|| "socket(AF_UNIX, SOCK_DGRAM)")
        .context("bring lo up")?;
    ioctl::set_interface_flags(&socket, "lo", flags)
        .call(|| "ioctl(SIOCSIFFLAGS, \"lo\", IFF_UP)")
        .context("bring lo up")
}

/// Moves `devices` into the network namespace `target`, and brings them up there with the addresses they had. This thread
/// must be alone: it visits that namespace.
pub fn move_all(procfs: &Procfs, devices: &[NetDevice], target: BorrowedFd<'_>) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let here = Socket::open().call(|| "socket(NETLINK_ROUTE)")?;
    let there = socket_in(procfs, target)?;
    let each = |act: &dyn Fn(&NetDevice) -> Result<()>| {
        devices.iter().try_for_each(|device| {
            act(device).with_context(|| format!("move network device {}", device.name))
        })
    };
    each(&|device| check(&here, &there, device))?;
    each(&|device| move_one(&here, &there, device, target))
}

/// The kernel moves first and renames then: a name that is taken would be found out too late, with the device lost together
/// with the namespace.
fn check(here: &Socket, there: &Socket, device: &NetDevice) -> Result<()> {
    index_of(here, &device.name)?;
    match index_of(there, &device.new_name) {
        Ok(_) => Err(Error::new(format!(
            "the container's network namespace has one called {:?}",
            device.new_name
        ))),
        Err(error) if error.errno() == Some(Errno::ENODEV) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A socket stays with the namespace it was opened in.
fn socket_in(procfs: &Procfs, target: BorrowedFd<'_>) -> Result<Socket> {
    let home = procfs.open_namespace("thread-self/ns", "net")?;
    setns(target, CloneFlags::CLONE_NEWNET).call(|| "setns(network, CLONE_NEWNET)")?;
    let socket = Socket::open();
    setns(&home, CloneFlags::CLONE_NEWNET).call(|| "setns(own network, CLONE_NEWNET)")?;
    socket.call(|| "socket(NETLINK_ROUTE)")
}

fn move_one(
    here: &Socket,
    there: &Socket,
    device: &NetDevice,
    target: BorrowedFd<'_>,
) -> Result<()> {
    let index = index_of(here, &device.name)?;
    let new_name = chosen_name(there, &device.new_name)?;
    // Read before it goes down, which takes its IPv6 addresses away.
    let addresses = addresses_of(here, index)?;
    set_up(here, index, State::Down)?;
    // Both at once: the new name need not be free here, nor the old one there.
    let moved = link(libc::RTM_NEWLINK, index, State::AsItIs)
        .with(libc::IFLA_NET_NS_FD, &target.as_raw_fd().to_ne_bytes())
        .with(libc::IFLA_IFNAME, &zero_terminated(&new_name));
    here.change(&moved, 0)
        .call(|| format!("RTM_NEWLINK(index {index}, IFLA_NET_NS_FD, {new_name:?})"))
        .map_err(|error| match error.errno() {
            Some(Errno::EINVAL) => {
                error.hint("the kernel ties some devices to their namespace (lo, bridges' ports)")
            }
            _ => error,
        })?;
    // Where its number is taken, the kernel gives it another.
    let index = index_of(there, &new_name)?;
    for address in addresses {
        add_address(there, index, &address)?;
    }
    set_up(there, index, State::Up)
}

/// The first name of a pattern such as `eth%d` that is free, as the kernel would choose it (`dev_alloc_name`); chosen here,
/// for the kernel does not tell.
fn chosen_name(there: &Socket, name: &str) -> Result<String> {
    let Some((head, tail)) = name.split_once("%d") else { return Ok(name.to_owned()) };
    for number in 0..u16::MAX {
        let chosen = format!("{head}{number}{tail}");
        match index_of(there, &chosen) {
            Ok(_) => {}
            Err(error) if error.errno() == Some(Errno::ENODEV) => return Ok(chosen),
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(format!("no name of the pattern {name:?} is free")))
}

/// Whether an interface is to be up (`IFF_UP`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    AsItIs,
    Down,
    Up,
}

/// The length of `struct ifinfomsg`: family, a gap, type, index, flags, and which flags are meant.
const LINK: usize = 16;

fn link(kind: u16, index: i32, state: State) -> Message {
    let up = libc::IFF_UP.cast_unsigned();
    let (flags, change) = match state {
        State::AsItIs => (0, 0),
        State::Down => (0, up),
        State::Up => (up, up),
    };
    let mut fixed = [0; LINK];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..].copy_from_slice(&change.to_ne_bytes());
    Message::new(kind, &fixed)
}

fn index_of(socket: &Socket, name: &str) -> Result<i32> {
    let asked =
        link(libc::RTM_GETLINK, 0, State::AsItIs).with(libc::IFLA_IFNAME, &zero_terminated(name));
    let answer = socket.get(&asked).call(|| format!("RTM_GETLINK({name:?})"))?;
    let [_, _, _, _, index @ ..] = answer.fixed::<8>();
    Ok(i32::from_ne_bytes(index))
}

fn set_up(socket: &Socket, index: i32, state: State) -> Result<()> {
    socket
        .change(&link(libc::RTM_NEWLINK, index, state), 0)
        .call(|| format!("RTM_NEWLINK(index {index}, {state:?})"))
}

/// The length of `struct ifaddrmsg`: family, prefix length, flags, scope, index.
const ADDRESS: usize = 8;

/// Flags of an address that somebody set and the kernel does not find out by itself (if_addr.h).
const KEPT_FLAGS: u32 = libc::IFA_F_NODAD | libc::IFA_F_NOPREFIXROUTE;

/// The lasting addresses of global scope (config-linux.md, "Network Devices"): others are about where it is now.
fn addresses_of(socket: &Socket, index: i32) -> Result<Vec<Message>> {
    let all = socket
        .list(&Message::new(libc::RTM_GETADDR, &[0; ADDRESS]))
        .call(|| "RTM_GETADDR(NLM_F_DUMP)")?;
    let lasting = |address: &Message| {
        let [_, _, _, scope, of @ ..] = address.fixed::<ADDRESS>();
        i32::from_ne_bytes(of) == index
            && scope == libc::RT_SCOPE_UNIVERSE
            && flags_of(address) & libc::IFA_F_PERMANENT != 0
    };
    Ok(all.into_iter().filter(lasting).collect())
}

fn flags_of(address: &Message) -> u32 {
    let [_, _, short, ..] = address.fixed::<ADDRESS>();
    let long = address.attribute(ADDRESS, libc::IFA_FLAGS).and_then(|value| value.try_into().ok());
    long.map_or(u32::from(short), u32::from_ne_bytes)
}

fn add_address(socket: &Socket, index: i32, old: &Message) -> Result<()> {
    let [family, prefix, _, scope, ..] = old.fixed::<ADDRESS>();
    let [a, b, c, d] = index.to_ne_bytes();
    let mut new = Message::new(libc::RTM_NEWADDR, &[family, prefix, 0, scope, a, b, c, d])
        .with(libc::IFA_FLAGS, &(flags_of(old) & KEPT_FLAGS).to_ne_bytes());
    for kind in [libc::IFA_LOCAL, libc::IFA_ADDRESS, libc::IFA_BROADCAST] {
        if let Some(value) = old.attribute(ADDRESS, kind) {
            new = new.with(kind, value);
        }
    }
    socket
        .change(&new, libc::NLM_F_CREATE | libc::NLM_F_EXCL)
        .call(|| format!("RTM_NEWADDR(index {index}, family {family}, /{prefix})"))
}

fn zero_terminated(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    bytes
}
