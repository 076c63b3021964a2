//! Values written as text, as `gdbus` and runc read them (GLib, "GVariant Text Format"): `'text'`, `true`, `uint64 5`,
//! `@as []`, `['a', 'b']`, `('a', 5)`, `<5>`. Dictionaries are left out: no property of a unit takes one.

use crate::error::{Error, Result};
use crate::kernel::cgroup::systemd::Value;

/// How deep values may lie in one another (D-Bus Specification, "Valid Signatures").
const DEEPEST: usize = 32;

const TYPES: [(&str, &str); 12] = [
    ("boolean", "b"),
    ("byte", "y"),
    ("int16", "n"),
    ("uint16", "q"),
    ("int32", "i"),
    ("uint32", "u"),
    ("int64", "x"),
    ("uint64", "t"),
    ("double", "d"),
    ("string", "s"),
    ("objectpath", "o"),
    ("signature", "g"),
];

/// The one value that `text` is.
pub(super) fn parse(text: &str) -> Result<Value> {
    let mut parser = Parser { rest: text, depth: 0 };
    let value = parser.value("")?;
    match parser.rest.trim_start() {
        "" => Ok(value),
        rest => Err(Error::refused(format!("{rest:?} follows the value"))),
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Parser<'a> {
    /// A value of the type `wanted`; of the type it looks like, where nothing is wanted.
    fn value(&mut self, wanted: &str) -> Result<Value> {
        if self.depth == DEEPEST {
            return Err(Error::refused("it is nested too deep"));
        }
        self.depth += 1;
        let value = self.value_here(wanted);
        self.depth -= 1;
        value
    }

    fn value_here(&mut self, wanted: &str) -> Result<Value> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next() {
            Some('[') => self.array(wanted),
            Some('(') => self.tuple(wanted),
            Some('<') => self.variant(),
            Some('\'' | '"') => of_text(self.string()?, wanted),
            Some('@') => {
                self.rest = &self.rest[1..];
                let signature = self.word(|c| c.is_ascii_alphabetic() || "()".contains(c));
                self.value(signature)
            }
            Some(c) if c.is_ascii_alphabetic() => self.keyword(wanted),
            Some(_) => {
                let number = self.word(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
                of_number(number, wanted)
            }
            None => Err(Error::refused("a value is missing")),
        }
    }

    fn keyword(&mut self, wanted: &str) -> Result<Value> {
        let word = self.word(|c| c.is_ascii_alphanumeric());
        match word {
            "true" | "false" if matches!(wanted, "" | "b") => Ok(Value::Bool(word == "true")),
            _ => match TYPES.iter().find(|(name, _)| *name == word) {
                Some((_, signature)) => self.value(signature),
                None => Err(Error::refused(format!(
                    "{word:?} is not a valid value; text is put in quotes"
                ))),
            },
        }
    }

    /// All of one type: the one wanted, or that of the first.
    fn array(&mut self, wanted: &str) -> Result<Value> {
        let mut of = match wanted {
            "" => String::new(),
            wanted => wanted
                .strip_prefix('a')
                .ok_or_else(|| Error::refused(format!("a list is not of type {wanted:?}")))?
                .to_owned(),
        };
        let mut values = Vec::new();
        self.take("[");
        while !self.take("]") {
            let value = self.value(&of)?;
            of = value.signature();
            values.push(value);
            self.separator("]")?;
        }
        match of.as_str() {
            "" => Err(Error::refused("an empty list needs its type, such as @as []")),
            _ => Ok(Value::Array { of, values }),
        }
    }

    fn tuple(&mut self, wanted: &str) -> Result<Value> {
        let mut values = Vec::new();
        self.take("(");
        while !self.take(")") {
            values.push(self.value("")?);
            self.separator(")")?;
        }
        let tuple = Value::Struct(values);
        match tuple.signature() {
            signature if wanted.is_empty() || signature == wanted => Ok(tuple),
            signature => Err(Error::refused(format!("{signature:?} is not of type {wanted:?}"))),
        }
    }

    fn variant(&mut self) -> Result<Value> {
        self.take("<");
        let inner = self.value("")?;
        if !self.take(">") {
            return Err(Error::refused("> is missing"));
        }
        Ok(Value::Variant(Box::new(inner)))
    }

    fn string(&mut self) -> Result<String> {
        let mut characters = self.rest.chars();
        let quote = characters.next();
        let mut text = String::new();
        while let Some(character) = characters.next() {
            match character {
                c if Some(c) == quote => {
                    self.rest = characters.as_str();
                    return Ok(text);
                }
                '\\' => text.push(match characters.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some(other) => other,
                    None => break,
                }),
                c => text.push(c),
            }
        }
        Err(Error::refused("a quote is missing at its end"))
    }

    /// After a value comes a comma or the end.
    fn separator(&mut self, end: &str) -> Result<()> {
        let is_next = self.take(",") || self.rest.trim_start().starts_with(end);
        if is_next { Ok(()) } else { Err(Error::refused(format!("a comma or {end} is missing"))) }
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.trim_start().strip_prefix(token);
        rest.inspect(|rest| self.rest = rest).is_some()
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }
}

fn of_text(text: String, wanted: &str) -> Result<Value> {
    match wanted {
        "" | "s" => Ok(Value::String(text)),
        "o" => Ok(Value::Path(text)),
        "g" => Ok(Value::Signature(text)),
        other => Err(Error::refused(format!("text is not of type {other:?}"))),
    }
}

/// Without a type a number is an `int32`, one with a point a `double`.
fn of_number(text: &str, wanted: &str) -> Result<Value> {
    let wanted = match wanted {
        "" if text.contains('.') => "d",
        "" => "i",
        wanted => wanted,
    };
    let number = match wanted {
        "y" => integer(text).map(Value::Byte),
        "n" => integer(text).map(Value::Int16),
        "q" => integer(text).map(Value::Uint16),
        "i" => integer(text).map(Value::Int32),
        "u" => integer(text).map(Value::Uint32),
        "x" => integer(text).map(Value::Int64),
        "t" => integer(text).map(Value::Uint64),
        "d" => text.parse().ok().map(Value::Double),
        _ => None,
    };
    number.ok_or_else(|| Error::refused(format!("{text:?} is not a valid {wanted:?}")))
}

/// Decimal, hexadecimal (`0x`) or octal (`0`), as in C.
fn integer<T: TryFrom<i128>>(text: &str) -> Option<T> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = if let Some(digits) = digits.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = digits.strip_prefix('0').filter(|digits| !digits.is_empty()) {
        (digits, 8)
    } else {
        (digits, 10)
    };
    // Rust reads a sign of its own, which would be a second one.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix);
    number.ok().and_then(|number| T::try_from(sign * number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(texts: &[&str]) -> Value {
        Value::array("s", texts.iter().map(|text| Value::string(*text)))
    }

    #[test]
    fn a_value_is_of_the_type_it_looks_like() {
        for (text, value) in [
            ("'text'", Value::string("text")),
            ("\"it's\"", Value::string("it's")),
            (r"'a\'b'", Value::string("a'b")),
            ("true", Value::Bool(true)),
            (" 5 ", Value::Int32(5)),
            ("-0x10", Value::Int32(-16)),
            ("2.5", Value::Double(2.5)),
            ("['a', 'b']", strings(&["a", "b"])),
            ("[]", strings(&[])),
        ] {
            match text {
                "[]" => assert!(parse(text).is_err()),
                text => assert_eq!(parse(text).unwrap(), value, "{text}"),
            }
        }
    }

    #[test]
    fn a_type_can_be_named() {
        assert_eq!(parse("uint64 123456789").unwrap(), Value::Uint64(123_456_789));
        assert_eq!(parse("byte 255").unwrap(), Value::Byte(255));
        assert_eq!(parse("objectpath '/a'").unwrap(), Value::Path("/a".into()));
        assert_eq!(parse("@as []").unwrap(), strings(&[]));
        assert_eq!(parse("@t 1").unwrap(), Value::Uint64(1));
        assert_eq!(parse("@ay [0x01, 2]").unwrap(), Value::bytes([1, 2]));
        let rows = parse("[('/dev/null', 'rw')]").unwrap();
        assert_eq!(rows.signature(), "a(ss)");
        assert_eq!(parse("<uint32 3>").unwrap().signature(), "v");
    }

    #[test]
    fn what_is_no_value_is_refused() {
        for text in [
            "",
            "infinity",
            "'a",
            "5 6",
            "byte 256",
            "uint32 -1",
            "[1, 'a']",
            "[1 2]",
            "(1",
            "<1",
            "@as [1]",
            "boolean 1",
            "{'a': 1}",
            "@",
            "int32 'a'",
            "0x",
            "--1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
