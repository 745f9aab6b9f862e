//! The words of an enum, asked of the enum itself.

use serde::de::value::Error;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

/// The names that an enum without content is read by, in their order.
///
/// Its deserializer says which names it knows before it looks at anything, so that no list can be out of date.
pub(super) fn words<T: Deserialize<'static>>() -> &'static [&'static str] {
    let mut found: &'static [&'static str] = &[];
    // There is nothing to read: the answer is always an error, behind which the names are known.
    let _ = T::deserialize(EnumNamesDeserializer(&mut found));
    found
}

/// Listens to what a type expects, and gives it nothing.
struct EnumNamesDeserializer<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for EnumNamesDeserializer<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("nothing to read"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        *self.0 = variants;
        self.deserialize_any(visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
