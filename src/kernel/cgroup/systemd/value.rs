//! Values of D-Bus, as bytes (D-Bus Specification, "Marshaling (Wire Format)"). Knows no message.

/// One value. Arrays name the type of what they hold, because they may hold nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `y`
    Byte(u8),
    /// `b`
    Bool(bool),
    /// `n`
    Int16(i16),
    /// `q`
    Uint16(u16),
    /// `i`
    Int32(i32),
    /// `u`
    Uint32(u32),
    /// `x`
    Int64(i64),
    /// `t`
    Uint64(u64),
    /// `d`
    Double(f64),
    /// `s`
    String(String),
    /// `o`
    Path(String),
    /// `g`
    Signature(String),
    /// `v`
    Variant(Box<Value>),
    /// `a`, of values of one type.
    Array {
        /// Their type.
        of: String,
        /// The values.
        values: Vec<Value>,
    },
    /// `(`
    Struct(Vec<Value>),
}

impl Value {
    /// A string.
    pub fn string(text: impl Into<String>) -> Self {
        Value::String(text.into())
    }

    /// An array of bytes.
    pub fn bytes(bytes: impl IntoIterator<Item = u8>) -> Self {
        Value::array("y", bytes.into_iter().map(Value::Byte))
    }

    /// An array of values of the type `of`.
    pub fn array(of: impl Into<String>, values: impl IntoIterator<Item = Value>) -> Self {
        Value::Array { of: of.into(), values: values.into_iter().collect() }
    }

    /// Its type, as D-Bus writes types.
    pub fn signature(&self) -> String {
        match self {
            Value::Byte(_) => "y".into(),
            Value::Bool(_) => "b".into(),
            Value::Int16(_) => "n".into(),
            Value::Uint16(_) => "q".into(),
            Value::Int32(_) => "i".into(),
            Value::Uint32(_) => "u".into(),
            Value::Int64(_) => "x".into(),
            Value::Uint64(_) => "t".into(),
            Value::Double(_) => "d".into(),
            Value::String(_) => "s".into(),
            Value::Path(_) => "o".into(),
            Value::Signature(_) => "g".into(),
            Value::Variant(_) => "v".into(),
            Value::Array { of, .. } => format!("a{of}"),
            Value::Struct(fields) => format!("({})", signature_of(fields)),
        }
    }
}

/// The types of values that follow one another.
pub(super) fn signature_of(values: &[Value]) -> String {
    values.iter().map(Value::signature).collect()
}

/// At which multiple of bytes a value of this type begins.
fn alignment(signature: &str) -> usize {
    match signature.as_bytes().first() {
        Some(b'n' | b'q') => 2,
        Some(b'b' | b'i' | b'u' | b's' | b'o' | b'a') => 4,
        Some(b'x' | b't' | b'd' | b'(') => 8,
        _ => 1,
    }
}

/// Values as bytes, little-endian.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Fills up with zeros to a multiple of `to` bytes.
    pub fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    /// Writes values one after another.
    pub fn all(&mut self, values: &[Value]) {
        values.iter().for_each(|value| self.value(value));
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Byte(byte) => self.0.push(*byte),
            Value::Bool(truth) => self.number(&u32::from(*truth).to_le_bytes()),
            Value::Int16(number) => self.number(&number.to_le_bytes()),
            Value::Uint16(number) => self.number(&number.to_le_bytes()),
            Value::Int32(number) => self.number(&number.to_le_bytes()),
            Value::Uint32(number) => self.number(&number.to_le_bytes()),
            Value::Int64(number) => self.number(&number.to_le_bytes()),
            Value::Uint64(number) => self.number(&number.to_le_bytes()),
            Value::Double(number) => self.number(&number.to_le_bytes()),
            Value::String(text) | Value::Path(text) => {
                self.length(text.len());
                self.text(text);
            }
            Value::Signature(signature) => self.signature(signature),
            Value::Variant(inner) => {
                self.signature(&inner.signature());
                self.value(inner);
            }
            Value::Array { of, values } => self.array(of, values),
            Value::Struct(fields) => {
                self.align(8);
                self.all(fields);
            }
        }
    }

    fn number(&mut self, bytes: &[u8]) {
        self.align(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// What doesn't fit is far beyond the longest message a bus takes, and is refused there.
    fn length(&mut self, bytes: usize) {
        self.number(&u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(u8::try_from(signature.len()).unwrap_or(u8::MAX));
        self.text(signature);
    }

    /// The length of an array counts neither itself nor what aligns the first element.
    fn array(&mut self, of: &str, values: &[Value]) {
        self.length(0);
        let length_ends = self.0.len();
        self.align(alignment(of));
        let start = self.0.len();
        self.all(values);
        let bytes = u32::try_from(self.0.len() - start).unwrap_or(u32::MAX);
        self.0[length_ends - 4..length_ends].copy_from_slice(&bytes.to_le_bytes());
    }
}

/// Reads values out of bytes, little-endian; `None` where the bytes are none such.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, position: 0 }
    }

    /// Whether all has been read.
    pub fn is_at_the_end(&self) -> bool {
        self.position >= self.bytes.len()
    }

    /// Goes on at a multiple of `to` bytes.
    pub fn align(&mut self, to: usize) {
        self.position = self.position.next_multiple_of(to);
    }

    /// A `y`.
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// A `u`.
    pub fn uint32(&mut self) -> Option<u32> {
        self.align(4);
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    /// An `s` or `o`.
    pub fn string(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.uint32()?).ok()?;
        self.text(length)
    }

    /// A `g`.
    pub fn signature(&mut self) -> Option<&'a str> {
        let length = self.byte()?;
        self.text(usize::from(length))
    }

    fn text(&mut self, length: usize) -> Option<&'a str> {
        let bytes = self.take(length)?;
        self.take(1)?;
        std::str::from_utf8(bytes).ok()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let end = self.position.checked_add(length)?;
        let bytes = self.bytes.get(self.position..end)?;
        self.position = end;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(values: &[Value]) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.all(values);
        writer.into_bytes()
    }

    #[test]
    fn each_value_begins_where_its_type_is_aligned() {
        assert_eq!(
            bytes(&[Value::Byte(1), Value::Uint32(2), Value::Byte(3), Value::Uint64(4)]),
            [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]
        );
        assert_eq!(bytes(&[Value::string("ab")]), [2, 0, 0, 0, b'a', b'b', 0]);
    }

    #[test]
    fn the_length_of_an_array_leaves_out_what_aligns_it() {
        let empty = Value::array("(sv)", []);
        assert_eq!(empty.signature(), "a(sv)");
        assert_eq!(bytes(&[empty]), [0; 8]);
        let one = Value::array("t", [Value::Uint64(5)]);
        assert_eq!(bytes(&[one]), [8, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn a_variant_brings_its_type() {
        let pair = Value::Struct(vec![
            Value::string("A"),
            Value::Variant(Box::new(Value::array("u", [Value::Uint32(7)]))),
        ]);
        assert_eq!(pair.signature(), "(sv)");
        let written = bytes(&[pair]);
        assert_eq!(written, [1, 0, 0, 0, b'A', 0, 2, b'a', b'u', 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0]);
    }

    #[test]
    fn what_is_cut_off_is_no_value() {
        let written = bytes(&[Value::Uint32(9), Value::string("name")]);
        let mut whole = Reader::new(&written);
        assert_eq!((whole.uint32(), whole.string()), (Some(9), Some("name")));
        assert!(whole.is_at_the_end());
        let mut cut = Reader::new(&written[..written.len() - 2]);
        assert_eq!((cut.uint32(), cut.string()), (Some(9), None));
        assert_eq!(Reader::new(&[255, 255, 255, 255]).string(), None);
    }
}
