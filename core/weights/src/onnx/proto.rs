//! The wire format of protocol buffers, as far as ONNX needs it: messages are built from the inside out.

/// A message that grows field by field.
#[derive(Clone, Debug, Default)]
pub(super) struct ProtoMessage(pub Vec<u8>);

/// How the value of a field lies on the wire.
#[derive(Clone, Copy)]
pub(super) enum ProtoWireType {
    Varint = 0,
    Bytes = 2,
    Fixed32 = 5,
}

/// Appends `value` in groups of seven bits, the lowest first.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What stands before the value of a field that has a length: the tag, then the length.
pub(super) fn prefix(field: u32, length: u64) -> Vec<u8> {
    let mut out = Vec::new();
    tag(&mut out, field, ProtoWireType::Bytes);
    varint(&mut out, length);
    out
}

fn tag(out: &mut Vec<u8>, field: u32, wire: ProtoWireType) {
    varint(out, u64::from(field) << 3 | wire as u64);
}

impl ProtoMessage {
    /// With an integer more.
    pub fn integer(mut self, field: u32, value: i64) -> Self {
        tag(&mut self.0, field, ProtoWireType::Varint);
        varint(&mut self.0, value as u64);
        self
    }

    /// With a single-precision number more.
    pub fn float(mut self, field: u32, value: f32) -> Self {
        tag(&mut self.0, field, ProtoWireType::Fixed32);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// With bytes more.
    pub fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.0.extend(prefix(field, value.len() as u64));
        self.0.extend_from_slice(value);
        self
    }

    /// With a text more.
    pub fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// With a message inside more.
    pub fn message(self, field: u32, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    /// With one field for each of `values`.
    pub fn each<T>(self, values: impl IntoIterator<Item = T>, add: impl Fn(Self, T) -> Self) -> Self {
        values.into_iter().fold(self, add)
    }
}
