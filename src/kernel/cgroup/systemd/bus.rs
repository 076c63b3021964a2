//! A connection to systemd: its own socket where we may use it, a bus otherwise. One thread, one question at a time.
//!
//! A private socket of systemd (`/run/systemd/private`, `$XDG_RUNTIME_DIR/systemd/private`) speaks D-Bus without a bus
//! between: no name, no subscription, no broker that has to be up. It is what systemctl(1) uses.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::SockType;

use super::message::{self, Call, Kind, Message, PREFIX};
use super::value::{Reader, Value};
use crate::error::{Call as _, Error, Result};
use crate::kernel::signals::Signals;
use crate::sys::socket;

/// How long one answer may take: systemd is busy while it reloads, or on a machine with many units.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest message taken; the longest systemd sends us is a few KiB.
const LONGEST: usize = 16 << 20;

/// As the peer knows by the socket who we are, we needn't say it; said in one go, because the peer accepts it
/// (D-Bus Specification, "Authentication Protocol": an empty initial response, asked for by an empty challenge).
const GREETING: &[u8] = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";

/// Whose units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Realm {
    /// The machine's.
    System,
    /// A user's (`systemd --user`).
    User,
}

/// Whether there is a bus between us and systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Between {
    Nothing,
    Broker,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Bus {
    socket: OwnedFd,
    received: Vec<u8>,
    last_serial: u32,
    signals: Vec<Message>,
    interrupts: Option<Signals>,
}

/// A method that systemd refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What the refusal is called (`org.freedesktop.systemd1.UnitExists`).
    pub name: String,
    /// systemd's own words.
    pub text: String,
}

impl Bus {
    /// Connects to the systemd of the realm, and greets it. `interrupts` are signals that end every wait for it.
    pub fn connect(realm: Realm, interrupts: Option<Signals>) -> Result<Bus> {
        let (socket, between) = match realm {
            Realm::System => open_first(&system_sockets())?,
            Realm::User => open_first(&user_sockets()?)?,
        };
        let (received, signals) = (Vec::new(), Vec::new());
        let mut bus = Bus { socket, received, last_serial: 0, signals, interrupts };
        bus.send(GREETING)?;
        match between {
            Between::Nothing => bus.await_welcome()?,
            Between::Broker => {
                bus.await_welcome()?;
                bus.enter()?;
            }
        }
        Ok(bus)
    }

    /// From now on no wait is given up: what is undone must be done.
    pub fn ignore_interrupts(&mut self) {
        self.interrupts = None;
    }

    /// The lines of the greeting's answer: `DATA`, then `OK` with the peer's id.
    fn await_welcome(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            while let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.received.drain(..end + 2).collect();
                if line.starts_with(b"OK") {
                    return Ok(());
                }
                if !line.starts_with(b"DATA") {
                    let line = String::from_utf8_lossy(&line[..end]).into_owned();
                    return Err(Error::new(format!("systemd does not let us in: {line}")));
                }
            }
            self.receive(deadline)?;
        }
    }

    /// A bus gives us a name, and signals only on demand.
    fn enter(&mut self) -> Result<()> {
        const RULE: &str = "type='signal',sender='org.freedesktop.systemd1',\
                            interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";
        let bus = |method, arguments| Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            method,
            arguments,
        };
        self.must_call(&bus("Hello", &[]))?;
        self.must_call(&bus("AddMatch", &[Value::string(RULE)]))?;
        self.must_call(&super::manager_call("Subscribe", &[])).map(drop)
    }

    fn must_call(&mut self, call: &Call<'_>) -> Result<Vec<u8>> {
        self.call(call)?
            .map_err(|refusal| Error::new(format!("{}(): {}", call.method, refusal.text)))
    }

    /// Calls a method: its answer, or systemd's refusal.
    pub fn call(&mut self, call: &Call<'_>) -> Result<Result<Vec<u8>, Refusal>> {
        self.last_serial += 1;
        let serial = self.last_serial;
        self.send(&call.to_bytes(serial))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self
                .next(deadline)
                .map_err(|error| error.context(format!("systemd's answer to {}", call.method)))?;
            match message.kind {
                Kind::Signal => self.signals.push(message),
                Kind::Return if message.answers == Some(serial) => return Ok(Ok(message.body)),
                Kind::Error if message.answers == Some(serial) => return Ok(Err(refusal(message))),
                _ => {}
            }
        }
    }

    /// The next signal, also one that came before the answer to a call; an error at the deadline.
    pub fn next_signal(&mut self, deadline: Instant) -> Result<Message> {
        if !self.signals.is_empty() {
            return Ok(self.signals.remove(0));
        }
        loop {
            let message = self.next(deadline)?;
            if message.kind == Kind::Signal {
                return Ok(message);
            }
        }
    }

    fn next(&mut self, deadline: Instant) -> Result<Message> {
        let strange = || Error::new("systemd sent something that is not a D-Bus message");
        loop {
            if let Some((prefix, rest)) = self.received.split_first_chunk::<PREFIX>() {
                let length = message::length_after(prefix).ok_or_else(strange)?;
                if length > LONGEST {
                    return Err(strange());
                }
                if let Some(rest) = rest.get(..length) {
                    let message = Message::parse(prefix, rest).ok_or_else(strange)?;
                    self.received.drain(..PREFIX + length);
                    return Ok(message);
                }
            }
            self.receive(deadline)?;
        }
    }

    fn send(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let sent = socket::send(self.socket.as_fd(), bytes, &[]).call(|| "sendmsg(systemd)")?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// Waits for more bytes.
    fn receive(&mut self, deadline: Instant) -> Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let news = self.interrupts.as_ref().map(AsFd::as_fd);
        let awaited = std::iter::once(self.socket.as_fd()).chain(news);
        let mut fds: Vec<_> = awaited.map(|fd| PollFd::new(fd, PollFlags::POLLIN)).collect();
        match poll(&mut fds, timeout) {
            Err(Errno::EINTR) => return Ok(()),
            Ok(0) => {
                return Err(Error::new("systemd did not answer in time")
                    .hint("see what keeps it busy: systemctl list-jobs"));
            }
            polled => polled.call(|| "poll(systemd)")?,
        };
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any() == Some(true)).collect();
        if let (Some(interrupts), Some(true)) = (&self.interrupts, ready.get(1)) {
            interrupts.check_interrupted()?;
        }
        if !ready[0] {
            return Ok(());
        }
        let mut buffer = [0; 8192];
        let received =
            socket::receive(self.socket.as_fd(), &mut buffer).call(|| "recvmsg(systemd)")?;
        if received.bytes == 0 {
            return Err(Error::new("systemd closed the connection"));
        }
        self.received.extend_from_slice(&buffer[..received.bytes]);
        Ok(())
    }
}

fn refusal(message: Message) -> Refusal {
    let text = Reader::new(&message.body).string().unwrap_or_default().to_owned();
    let text = if text.is_empty() { message.error.clone() } else { text };
    Refusal { name: message.error, text }
}

type Address = (PathBuf, Between);

/// The private socket is root's alone; who may not use it asks by the bus.
fn system_sockets() -> [Address; 2] {
    [
        (PathBuf::from("/run/systemd/private"), Between::Nothing),
        (PathBuf::from("/run/dbus/system_bus_socket"), Between::Broker),
    ]
}

/// Whether the machine's systemd, as far as it is to be seen from here, runs as the root that we are: in a user namespace
/// made for a user's containers it is another's.
pub fn is_ours_to_ask() -> bool {
    answers_as_root(&system_sockets())
}

fn answers_as_root(addresses: &[Address]) -> bool {
    addresses.iter().any(|(path, _)| {
        connect(path).is_ok_and(|socket| socket::peer_uid(socket.as_fd()) == Ok(0))
    })
}

/// Where a user's systemd is heard: `$XDG_RUNTIME_DIR` holds its private socket and the bus, which
/// `$DBUS_SESSION_BUS_ADDRESS` may put elsewhere.
fn user_sockets() -> Result<Vec<Address>> {
    let mut addresses = Vec::new();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|directory| directory.is_absolute());
    if let Some(directory) = &runtime {
        addresses.push((directory.join("systemd/private"), Between::Nothing));
    }
    let bus = std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default();
    addresses.extend(socket_of(&bus).map(|path| (path, Between::Broker)));
    if let Some(directory) = runtime {
        addresses.push((directory.join("bus"), Between::Broker));
    }
    if addresses.is_empty() {
        return Err(Error::new("no systemd user manager found").hint(
            "neither XDG_RUNTIME_DIR nor DBUS_SESSION_BUS_ADDRESS is set: log in as the user, or leave out --systemd-cgroup",
        ));
    }
    Ok(addresses)
}

/// The first address of the list that is a path (D-Bus Specification, "Server Addresses": `unix:path=/run/user/0/bus,guid=...`).
fn socket_of(addresses: &str) -> Option<PathBuf> {
    addresses.split(';').find_map(|address| {
        let pairs = address.strip_prefix("unix:")?;
        let path = pairs.split(',').find_map(|pair| pair.strip_prefix("path="))?;
        // Where a byte is escaped it is none of those that paths of buses are made of.
        (!path.contains('%')).then(|| PathBuf::from(path))
    })
}

fn open_first(addresses: &[Address]) -> Result<(OwnedFd, Between)> {
    let mut last = None;
    for (path, between) in addresses {
        match connect(path) {
            Ok(socket) => return Ok((socket, *between)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.expect("there is an address").hint(
        "no systemd answers: is it this machine's process 1, and are its sockets mounted here? Otherwise leave out --systemd-cgroup",
    ))
}

fn connect(path: &Path) -> Result<OwnedFd> {
    socket::connect_to(path, SockType::Stream).call(|| format!("connect({path:?})"))
}

#[cfg(test)]
mod tests {
    use super::super::value::Writer;
    use super::*;

    #[test]
    fn the_address_of_a_bus_is_a_path() {
        let path = |text| socket_of(text);
        assert_eq!(path("unix:path=/run/user/1000/bus"), Some("/run/user/1000/bus".into()));
        assert_eq!(path("tcp:host=x;unix:guid=1,path=/b"), Some("/b".into()));
        assert_eq!(path("unix:abstract=/tmp/x"), None);
        assert_eq!(path(""), None);
    }

    #[test]
    fn the_owner_of_a_socket_tells_whose_systemd_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let (there, gone) = (directory.path().join("there"), directory.path().join("gone"));
        let _listener = std::os::unix::net::UnixListener::bind(&there).unwrap();
        let we_are_root = nix::unistd::geteuid().is_root();
        let addresses = |paths: &[&PathBuf]| -> Vec<Address> {
            paths.iter().map(|path| ((*path).clone(), Between::Nothing)).collect()
        };
        assert!(!answers_as_root(&addresses(&[&gone])));
        assert_eq!(answers_as_root(&addresses(&[&gone, &there])), we_are_root);
    }

    /// A bus, and the other end of its connection.
    fn bus() -> (Bus, OwnedFd) {
        let (ours, theirs) = socket::pair(SockType::Stream).unwrap();
        let (received, signals) = (Vec::new(), Vec::new());
        (Bus { socket: ours, received, last_serial: 0, signals, interrupts: None }, theirs)
    }

    /// A message without a body: its kind's number, and its header fields by their codes.
    fn message(kind: u8, fields: &[(u8, Value)]) -> Vec<u8> {
        let fields = fields.iter().map(|(code, value)| {
            Value::Struct(vec![Value::Byte(*code), Value::Variant(Box::new(value.clone()))])
        });
        let mut message = Writer::default();
        message.all(&[
            Value::Byte(b'l'),
            Value::Byte(kind),
            Value::Byte(0),
            Value::Byte(1),
            Value::Uint32(0),
            Value::Uint32(1),
            Value::array("(yv)", fields),
        ]);
        message.align(8);
        message.into_bytes()
    }

    fn say(peer: &OwnedFd, bytes: &[u8]) {
        assert_eq!(socket::send(peer.as_fd(), bytes, &[]), Ok(bytes.len()));
    }

    #[test]
    fn news_before_an_answer_are_kept() {
        let (mut bus, systemd) = bus();
        say(&systemd, &message(4, &[(3, Value::string("JobRemoved"))]));
        say(&systemd, &message(2, &[(5, Value::Uint32(99))]));
        let name = Value::string("org.freedesktop.systemd1.NoSuchUnit");
        let answer = message(3, &[(5, Value::Uint32(1)), (4, name)]);
        let (early, late) = answer.split_at(20);
        say(&systemd, early);
        say(&systemd, late);
        let refusal = bus.call(&super::super::manager_call("StopUnit", &[])).unwrap().unwrap_err();
        assert_eq!(refusal.name, "org.freedesktop.systemd1.NoSuchUnit");
        let signal = bus.next_signal(Instant::now() + PATIENCE).unwrap();
        assert_eq!(signal.member, "JobRemoved");
    }

    #[test]
    fn a_peer_that_is_silent_or_gone_or_talks_nonsense_is_told() {
        let (mut bus, systemd) = bus();
        let silent = bus.next(Instant::now() + Duration::from_millis(5)).unwrap_err();
        assert!(silent.to_string().starts_with("systemd did not answer in time"), "{silent}");
        say(&systemd, &[0; PREFIX]);
        let nonsense = bus.next(Instant::now() + PATIENCE).unwrap_err();
        assert_eq!(nonsense.to_string(), "systemd sent something that is not a D-Bus message");
        bus.received.clear();
        drop(systemd);
        let gone = bus.next(Instant::now() + PATIENCE).unwrap_err();
        assert_eq!(gone.to_string(), "systemd closed the connection");
    }

    #[test]
    fn a_wait_is_given_up_when_we_are_told_to_end() {
        let (mut bus, _systemd) = bus();
        bus.interrupts = Some(Signals::that_end_a_program().unwrap());
        // raise(3) signals the calling thread, which has it blocked.
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTERM).unwrap();
        let began = Instant::now();
        let error = bus.next(began + Duration::from_secs(5)).unwrap_err();
        assert!(error.to_string().starts_with("interrupted by SIGTERM"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(4));
    }

    #[test]
    fn who_is_not_let_in_is_told() {
        let (mut bus, systemd) = bus();
        say(&systemd, b"DATA\r\nOK 1234deadbeef\r\n");
        bus.await_welcome().unwrap();
        say(&systemd, b"REJECTED EXTERNAL\r\n");
        let error = bus.await_welcome().unwrap_err();
        assert_eq!(error.to_string(), "systemd does not let us in: REJECTED EXTERNAL");
    }
}
