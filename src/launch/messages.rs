//! What parent and init say to each other; `launch/mod.rs` draws in which order. Knows no transport.

use std::iter;
use std::mem::discriminant;
use std::os::fd::{AsFd, OwnedFd, RawFd};

use super::channel::{self, Channel, Packet};
use crate::error::{Error, Result};
use crate::kernel::streams::{PipeEnd, Stream};
use crate::sys::socket::MAX_DESCRIPTORS;

/// What init hears.
#[derive(Debug)]
pub enum ToInit {
    /// It is in its cgroup now, where it could not be born.
    Placed,
    /// The id maps of its user namespace are written.
    IdsMapped,
    /// Its mounts could not be made by whoever has the right to.
    Failed(Error),
    /// The system call filter it is to load, as `kernel::seccomp` writes one down; empty for none.
    Filter(Vec<u8>),
    /// The hooks it asked for have run.
    HooksRan,
    /// Its resource limits are set.
    LimitsSet,
    /// The container is on record: from here on it outlives its parent, and waits for another one to start it.
    Committed,
    /// Execute the program once all is ready. Where nothing is left to do then, it is said beforehand.
    Start,
}

/// What init says.
#[derive(Debug)]
pub enum ToParent {
    /// The namespaces are there and the root is not entered yet: run prestart and createRuntime hooks.
    RunHooks,
    /// It may not set its own resource limits: in a user namespace nobody may raise one.
    SetLimits,
    /// The master of its terminal.
    Terminal(OwnedFd),
    /// A pipe that took the place of a standard stream.
    Pipe(PipeEnd),
    /// The listener of its system call filter, by its number in init.
    Listener(RawFd),
    /// The operator should know this; it has no log of its own any more.
    Warning(String),
    /// All that can fail has been done.
    Ready,
    /// It has passed the gate of a created container; what follows on this descriptor is its end, when the program
    /// executes, or a failure.
    Passed,
    /// It can't go on.
    Failed(Error),
}

impl ToInit {
    /// Says it.
    pub fn send(&self, channel: &Channel) -> Result<()> {
        match self {
            ToInit::Placed => channel.send(b"p", &[]),
            ToInit::IdsMapped => channel.send(b"i", &[]),
            ToInit::Failed(error) => channel.send(&failure(error), &[]),
            ToInit::HooksRan => channel.send(b"h", &[]),
            ToInit::LimitsSet => channel.send(b"l", &[]),
            ToInit::Committed => channel.send(b"c", &[]),
            ToInit::Start => channel.send(b"s", &[]),
            ToInit::Filter(program) => {
                let mut message = Vec::with_capacity(program.len() + 1);
                message.push(b'f');
                message.extend_from_slice(program);
                channel.send(&message, &[])
            }
        }
    }

    /// Waits to hear one of those without a payload. `Start` may be heard long before it is waited for.
    pub fn wait(self, channel: &Channel) -> Result<()> {
        let is = |heard: &ToInit| discriminant(heard) == discriminant(&self);
        if is(&ToInit::Start) && channel.take_early().is_some() {
            return Ok(());
        }
        loop {
            let Some(bytes) = channel.read()? else { return Err(parent_is_gone()) };
            match ToInit::parse(&bytes) {
                Some(heard) if is(&heard) => return Ok(()),
                Some(ToInit::Start) => channel.keep_early(bytes),
                heard => return Err(out_of_order(&format!("{heard:?} instead of {self:?}"))),
            }
        }
    }

    /// Sends detached mounts in their order, as many messages as they take; none for one that init makes itself.
    pub fn send_detached(
        mounts: impl Iterator<Item = Option<OwnedFd>>,
        channel: &Channel,
    ) -> Result<()> {
        let mounts: Vec<_> = mounts.collect();
        mounts.chunks(MAX_DESCRIPTORS).try_for_each(|mounts| {
            let made = mounts.iter().map(|mount| u8::from(mount.is_some()));
            let bytes: Vec<_> = iter::once(b'm').chain(made).collect();
            let descriptors: Vec<_> = mounts.iter().flatten().map(AsFd::as_fd).collect();
            channel.send(&bytes, &descriptors)
        })
    }

    /// Waits for `count` detached mounts.
    pub fn wait_detached(count: usize, channel: &Channel) -> Result<Vec<Option<OwnedFd>>> {
        let mut mounts = Vec::with_capacity(count);
        while mounts.len() < count {
            let Packet { bytes, descriptors } = channel.receive()?.ok_or_else(parent_is_gone)?;
            let mut descriptors = descriptors.into_iter();
            match &*bytes {
                [b'm', made @ ..] => mounts.extend(
                    made.iter().map(|made| if *made == 1 { descriptors.next() } else { None }),
                ),
                [b'e', error @ ..] => return Err(failed(error)),
                _ => return Err(out_of_order("something else instead of mounts")),
            }
        }
        Ok(mounts)
    }

    /// Waits for the filter.
    pub fn wait_filter(channel: &Channel) -> Result<Vec<u8>> {
        match channel.receive()? {
            Some(Packet { bytes, .. }) => match ToInit::parse(&bytes) {
                Some(ToInit::Filter(program)) => Ok(program),
                heard => Err(out_of_order(&format!("{heard:?} instead of a filter"))),
            },
            None => Err(parent_is_gone()),
        }
    }

    fn parse(bytes: &[u8]) -> Option<ToInit> {
        match bytes {
            b"p" => Some(ToInit::Placed),
            b"i" => Some(ToInit::IdsMapped),
            b"h" => Some(ToInit::HooksRan),
            b"l" => Some(ToInit::LimitsSet),
            b"c" => Some(ToInit::Committed),
            b"s" => Some(ToInit::Start),
            [b'f', program @ ..] => Some(ToInit::Filter(program.to_vec())),
            _ => None,
        }
    }
}

impl ToParent {
    /// Says it.
    pub fn send(&self, channel: &Channel) -> Result<()> {
        match self {
            ToParent::Terminal(master) => channel.send(&self.bytes(), &[master.as_fd()]),
            ToParent::Pipe(pipe) => channel.send(&self.bytes(), &[pipe.end.as_fd()]),
            _ => channel.send(&self.bytes(), &[]),
        }
    }

    /// As it crosses a channel or a pipe, descriptors aside.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            ToParent::RunHooks => b"h".to_vec(),
            ToParent::SetLimits => b"s".to_vec(),
            ToParent::Terminal(_) => b"t".to_vec(),
            ToParent::Pipe(pipe) => vec![b'd', pipe.stream as u8],
            ToParent::Listener(number) => format!("l{number}").into_bytes(),
            ToParent::Warning(text) => {
                let text = &text.as_bytes()[..text.len().min(channel::LONGEST - 1)];
                [b"w", text].concat()
            }
            ToParent::Ready => b"r".to_vec(),
            ToParent::Passed => b"p".to_vec(),
            ToParent::Failed(error) => failure(error),
        }
    }

    /// Waits to hear something; none when init is gone, or has executed its program.
    pub fn receive(channel: &Channel) -> Result<Option<ToParent>> {
        let Some(Packet { bytes, mut descriptors }) = channel.receive()? else { return Ok(None) };
        ToParent::parse(&bytes, descriptors.pop()).map(Some)
    }

    /// Reads one message.
    pub fn parse(bytes: &[u8], descriptor: Option<OwnedFd>) -> Result<ToParent> {
        match (bytes, descriptor) {
            (b"h", None) => Ok(ToParent::RunHooks),
            (b"s", None) => Ok(ToParent::SetLimits),
            (b"r", None) => Ok(ToParent::Ready),
            (b"p", None) => Ok(ToParent::Passed),
            (b"t", Some(master)) => Ok(ToParent::Terminal(master)),
            ([b'd', number], Some(end)) => match Stream::ALL.get(usize::from(*number)) {
                Some(stream) => Ok(ToParent::Pipe(PipeEnd { stream: *stream, end })),
                None => Err(out_of_order("a fourth standard stream")),
            },
            ([b'l', number @ ..], None) => {
                let number =
                    std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
                number.map(ToParent::Listener).ok_or_else(|| out_of_order("a garbled listener"))
            }
            ([b'w', text @ ..], None) => {
                Ok(ToParent::Warning(String::from_utf8_lossy(text).into_owned()))
            }
            ([b'e', error @ ..], None) => Ok(ToParent::Failed(failed(error))),
            _ => Err(out_of_order("an unknown message")),
        }
    }
}

/// A path or the output of a hook can be longer than a message.
fn failure(error: &Error) -> Vec<u8> {
    let mut shortened = [usize::MAX, 8192, 1024, 128].into_iter().map(|longest| {
        let text = serde_json::to_vec(&error.shortened(longest)).unwrap_or_default();
        [b"e".as_slice(), &text].concat()
    });
    shortened.find(|message| message.len() <= channel::LONGEST).unwrap_or_default()
}

fn failed(error: &[u8]) -> Error {
    serde_json::from_slice(error).unwrap_or_else(|_| out_of_order("a garbled failure"))
}

fn out_of_order(what: &str) -> Error {
    Error::new(format!("the parent and init of a container disagree: {what}"))
}

/// Init sees this when its parent was killed: it ends, and with it all it has made.
fn parent_is_gone() -> Error {
    Error::new("the process that was making this container is gone")
}
