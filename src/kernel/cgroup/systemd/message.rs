//! Messages of D-Bus (D-Bus Specification, "Message Format"). Knows what a message says of itself, not what it is for.

use super::value::{Reader, Value, Writer, signature_of};

/// What every message begins with, up to the length of its header fields.
pub(super) const PREFIX: usize = 16;

const METHOD_CALL: u8 = 1;
const VERSION: u8 = 1;

/// Codes of header fields.
mod field {
    pub const PATH: u8 = 1;
    pub const INTERFACE: u8 = 2;
    pub const MEMBER: u8 = 3;
    pub const ERROR_NAME: u8 = 4;
    pub const REPLY_SERIAL: u8 = 5;
    pub const DESTINATION: u8 = 6;
    pub const SIGNATURE: u8 = 8;
}

/// A call of a method.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call<'a> {
    /// Bus name.
    pub destination: &'a str,
    /// Object path.
    pub path: &'a str,
    /// Interface.
    pub interface: &'a str,
    /// Method.
    pub method: &'a str,
    /// Arguments.
    pub arguments: &'a [Value],
}

impl Call<'_> {
    /// The message, under a number of the caller's choice that the answer will name.
    pub fn to_bytes(&self, serial: u32) -> Vec<u8> {
        let mut body = Writer::default();
        body.all(self.arguments);
        let body = body.into_bytes();
        let mut fields = vec![
            header(field::PATH, Value::Path(self.path.into())),
            header(field::INTERFACE, Value::string(self.interface)),
            header(field::MEMBER, Value::string(self.method)),
            header(field::DESTINATION, Value::string(self.destination)),
        ];
        if !self.arguments.is_empty() {
            fields.push(header(field::SIGNATURE, Value::Signature(signature_of(self.arguments))));
        }
        let mut message = Writer::default();
        message.all(&[
            Value::Byte(b'l'),
            Value::Byte(METHOD_CALL),
            Value::Byte(0),
            Value::Byte(VERSION),
            Value::Uint32(u32::try_from(body.len()).unwrap_or(u32::MAX)),
            Value::Uint32(serial),
            Value::array("(yv)", fields),
        ]);
        message.align(8);
        let mut message = message.into_bytes();
        message.extend(body);
        message
    }
}

fn header(code: u8, value: Value) -> Value {
    Value::Struct(vec![Value::Byte(code), Value::Variant(Box::new(value))])
}

/// What kind of message came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// METHOD_CALL: nothing for us.
    Call,
    /// METHOD_RETURN.
    Return,
    /// ERROR.
    Error,
    /// SIGNAL.
    Signal,
}

/// A message that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// Its type.
    pub kind: Kind,
    /// The serial of the call it answers (REPLY_SERIAL).
    pub answers: Option<u32>,
    /// The signal's name (MEMBER); empty for others.
    pub member: String,
    /// The error's name (ERROR_NAME); empty for others.
    pub error: String,
    /// The arguments, not decoded yet.
    pub body: Vec<u8>,
}

/// How many bytes follow the prefix; `None` where it is no prefix of a little-endian message.
pub(super) fn length_after(prefix: &[u8; PREFIX]) -> Option<usize> {
    let (body, fields) = lengths(prefix)?;
    fields.checked_next_multiple_of(8)?.checked_add(body)
}

/// The lengths of the body and of the header fields.
fn lengths(prefix: &[u8; PREFIX]) -> Option<(usize, usize)> {
    if prefix[0] != b'l' {
        return None;
    }
    let mut reader = Reader::new(&prefix[4..]);
    let (body, _serial, fields) = (reader.uint32()?, reader.uint32()?, reader.uint32()?);
    Some((usize::try_from(body).ok()?, usize::try_from(fields).ok()?))
}

impl Message {
    /// The message of a prefix and what followed it; `None` where it is none.
    pub fn parse(prefix: &[u8; PREFIX], rest: &[u8]) -> Option<Message> {
        let kind = match prefix[1] {
            METHOD_CALL => Kind::Call,
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => return None,
        };
        let (_, fields) = lengths(prefix)?;
        let mut message = Message {
            kind,
            answers: None,
            member: String::new(),
            error: String::new(),
            body: rest.get(fields.checked_next_multiple_of(8)?..)?.to_vec(),
        };
        message.read_fields(Reader::new(rest.get(..fields)?))?;
        Some(message)
    }

    /// All header fields the specification knows are strings, but for one number and the signature.
    fn read_fields(&mut self, mut reader: Reader<'_>) -> Option<()> {
        while !reader.is_at_the_end() {
            reader.align(8);
            let code = reader.byte()?;
            match reader.signature()? {
                "u" => {
                    let number = reader.uint32()?;
                    if code == field::REPLY_SERIAL {
                        self.answers = Some(number);
                    }
                }
                "g" => drop(reader.signature()?),
                "s" | "o" => {
                    let text = reader.string()?;
                    match code {
                        field::MEMBER => self.member = text.to_owned(),
                        field::ERROR_NAME => self.error = text.to_owned(),
                        _ => {}
                    }
                }
                _ => return None,
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(bytes: &[u8]) -> (&[u8; PREFIX], &[u8]) {
        bytes.split_first_chunk().expect("longer than a prefix")
    }

    fn call(arguments: &[Value]) -> Vec<u8> {
        let call = Call {
            destination: "org.example",
            path: "/org/example",
            interface: "org.example.Manager",
            method: "Do",
            arguments,
        };
        call.to_bytes(7)
    }

    #[test]
    fn a_message_says_how_long_it_is() {
        for arguments in [&[][..], &[Value::string("a")], &[Value::Uint64(1), Value::Byte(2)]] {
            let bytes = call(arguments);
            let (prefix, rest) = split(&bytes);
            assert_eq!(length_after(prefix), Some(rest.len()));
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let bytes = call(&[Value::string("argument")]);
        let (prefix, rest) = split(&bytes);
        let message = Message::parse(prefix, rest).expect("a message");
        assert_eq!((message.kind, message.member.as_str()), (Kind::Call, "Do"));
        assert_eq!(message.answers, None);
        assert_eq!(Reader::new(&message.body).string(), Some("argument"));
    }

    #[test]
    fn an_answer_names_what_it_answers() {
        let mut writer = Writer::default();
        writer.all(&[
            Value::Byte(b'l'),
            Value::Byte(3),
            Value::Byte(1),
            Value::Byte(1),
            Value::Uint32(0),
            Value::Uint32(99),
            Value::array(
                "(yv)",
                [
                    header(field::REPLY_SERIAL, Value::Uint32(7)),
                    header(field::ERROR_NAME, Value::string("org.example.No")),
                    header(field::SIGNATURE, Value::Signature(String::new())),
                ],
            ),
        ]);
        writer.align(8);
        let bytes = writer.into_bytes();
        let (prefix, rest) = split(&bytes);
        let message = Message::parse(prefix, rest).expect("a message");
        assert_eq!((message.kind, message.answers), (Kind::Error, Some(7)));
        assert_eq!(message.error, "org.example.No");
    }

    #[test]
    fn garbage_is_no_message() {
        assert_eq!(length_after(&[0; PREFIX]), None);
        let mut bytes = call(&[]);
        bytes[12] = 200;
        let (prefix, rest) = split(&bytes);
        assert_eq!(Message::parse(prefix, rest), None);
    }
}
