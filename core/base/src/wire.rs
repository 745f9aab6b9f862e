//! What `#[serde(with = …)]` names where something bulky crosses to a worker of the page: as bytes in one piece, and
//! through the shared pointers that it lies behind.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, Visitor};

/// Takes bytes over, however they are held.
struct BytesVisitor<T>(PhantomData<T>);

impl<T: From<Vec<u8>>> Visitor<'_> for BytesVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<T, E> {
        Ok(bytes.to_vec().into())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<T, E> {
        Ok(bytes.into())
    }
}

/// For `Vec<u8>` and `Arc<[u8]>`, which serde sends byte by byte.
pub mod bytes {
    use std::marker::PhantomData;

    use serde::{Deserializer, Serializer};

    /// As bytes in one piece.
    ///
    /// # Errors
    /// The format's own.
    pub fn serialize<S: Serializer>(bytes: &impl AsRef<[u8]>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes.as_ref())
    }

    /// From bytes in one piece.
    ///
    /// # Errors
    /// The format's own.
    pub fn deserialize<'de, T: From<Vec<u8>>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        from.deserialize_byte_buf(super::BytesVisitor(PhantomData))
    }
}

/// For `Vec<f32>`, as little-endian bytes.
pub mod floats {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};

    /// As bytes in one piece.
    ///
    /// # Errors
    /// The format's own.
    pub fn serialize<S: Serializer>(values: &[f32], to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        to.serialize_bytes(&bytes)
    }

    /// From bytes in one piece.
    ///
    /// # Errors
    /// When the bytes are no whole number of values, and the format's own.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f32>, D::Error> {
        let bytes: Vec<u8> = super::bytes::deserialize(from)?;
        match bytes.as_chunks::<4>() {
            (values, []) => Ok(values.iter().map(|value| f32::from_le_bytes(*value)).collect()),
            _ => Err(D::Error::custom("a value of four bytes is cut off")),
        }
    }
}

/// For what lies behind an `Arc`: itself. What was shared on one side is not on the other.
pub mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    /// As what is behind the pointer.
    ///
    /// # Errors
    /// Those of what is behind it.
    pub fn serialize<T: Serialize, S: Serializer>(shared: &Arc<T>, to: S) -> Result<S::Ok, S::Error> {
        shared.as_ref().serialize(to)
    }

    /// Behind a pointer of its own.
    ///
    /// # Errors
    /// Those of what is behind it.
    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}
