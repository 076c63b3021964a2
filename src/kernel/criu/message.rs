//! Messages of criu's RPC as bytes: protocol buffers, of which it needs numbers, texts and messages inside messages.

/// How a value is written (protobuf.dev, "Encoding").
const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH: u64 = 2;
const FIXED_32: u64 = 5;

/// A message to send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// Adds a number; `true` is 1.
    #[must_use]
    pub fn number(mut self, field: u32, value: impl Into<u64>) -> Self {
        self.varint(u64::from(field) << 3 | VARINT);
        self.varint(value.into());
        self
    }

    /// Adds a text.
    #[must_use]
    pub fn text(self, field: u32, value: impl AsRef<[u8]>) -> Self {
        self.bytes_of(field, value.as_ref())
    }

    /// Adds a message.
    #[must_use]
    pub fn message(self, field: u32, value: &Message) -> Self {
        self.bytes_of(field, &value.0)
    }

    /// As it is sent.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn bytes_of(mut self, field: u32, value: &[u8]) -> Self {
        self.varint(u64::from(field) << 3 | LENGTH);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// Seven bits a byte, the lowest first; the eighth says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push((value & 0x7f) as u8);
    }
}

/// A message that was received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received<'a>(pub &'a [u8]);

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Received<'a> {
    /// A number in it.
    pub fn number(self, field: u32) -> Option<u64> {
        match self.value(field)? {
            Value::Number(number) => Some(number),
            Value::Bytes(_) => None,
        }
    }

    /// A message in it.
    pub fn message(self, field: u32) -> Option<Received<'a>> {
        match self.value(field)? {
            Value::Bytes(bytes) => Some(Received(bytes)),
            Value::Number(_) => None,
        }
    }

    /// A text in it.
    pub fn text(self, field: u32) -> Option<String> {
        self.message(field).map(|text| String::from_utf8_lossy(text.0).into_owned())
    }

    fn value(self, wanted: u32) -> Option<Value<'a>> {
        let mut rest = self.0;
        loop {
            let tag = varint(&mut rest)?;
            let value = match tag & 7 {
                VARINT => Value::Number(varint(&mut rest)?),
                FIXED_64 => Value::Bytes(take(&mut rest, 8)?),
                FIXED_32 => Value::Bytes(take(&mut rest, 4)?),
                LENGTH => {
                    let length = varint(&mut rest)?;
                    Value::Bytes(take(&mut rest, usize::try_from(length).ok()?)?)
                }
                _ => return None,
            };
            if tag >> 3 == u64::from(wanted) {
                return Some(value);
            }
        }
    }
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_encoded_as_the_format_says() {
        // The examples of protobuf.dev: 150 in field 1, "testing" in field 2.
        assert_eq!(Message::default().number(1, 150u32).bytes(), [0x08, 0x96, 0x01]);
        let text = Message::default().text(2, "testing");
        assert_eq!(text.bytes(), b"\x12\x07testing");
        assert_eq!(Message::default().message(3, &text).bytes()[..2], [0x1a, 9]);
    }

    #[test]
    fn fields_are_found_in_any_order() {
        let inner = Message::default().text(1, "post-restore").number(2, 4711u32);
        let message = Message::default().number(48, true).message(5, &inner).number(7, u64::MAX);
        let received = Received(message.bytes());
        assert_eq!(received.number(7), Some(u64::MAX));
        assert_eq!(received.number(48), Some(1));
        let inner = received.message(5).unwrap();
        assert_eq!((inner.text(1).as_deref(), inner.number(2)), (Some("post-restore"), Some(4711)));
        assert_eq!(received.number(9), None);
    }

    #[test]
    fn a_cut_message_ends() {
        for bytes in [&b"\x12\x07test"[..], b"\x08", b"\x08\x80", b"\xff", b""] {
            assert_eq!(Received(bytes).number(9), None);
        }
    }
}
