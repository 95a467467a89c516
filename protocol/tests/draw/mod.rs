//! Draws values of any message type from bytes of chance: one deserializer in the place of a strategy per type, so a
//! new field or variant is drawn without anybody thinking of it.

#![allow(unreachable_pub, reason = "a module of tests")]

use std::fmt::{self, Display};

use serde::de::value::U32Deserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, SeqAccess,
    VariantAccess, Visitor,
};

/// A value, or `None` where chance named a refusal that there is none of.
pub fn draw<T: DeserializeOwned>(chance: &[u8]) -> Option<T> {
    T::deserialize(&mut Draw { chance }).ok()
}

/// Numbers that sixteen-bit fields mean something by; others are drawn as well.
const MEANT: [u16; 16] = [0, 1, 2, 3, 4, 10, 13, 20, 21, 40, 41, 44, 60, 70, 71, 80];
const LETTERS: [char; 8] = ['a', 'Z', '-', ' ', '\n', 'ß', '€', '🛒'];

/// Zeros follow when chance runs out, so that values end.
struct Draw<'a> {
    chance: &'a [u8],
}

impl Draw<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let count = N.min(self.chance.len());
        bytes[..count].copy_from_slice(&self.chance[..count]);
        self.chance = &self.chance[count..];
        bytes
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.bytes::<1>()[0]) % end
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.$visit($type::from_le_bytes(self.bytes()))
        }
    )*};
}

macro_rules! never {
    ($($method:ident($($argument:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $(_: $argument,)* _: V) -> Result<V::Value, Error> {
            panic!(concat!(stringify!($method), ": no message holds one; teach the drawer"))
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Draw<'_> {
    type Error = Error;

    numbers! {
        deserialize_u8 visit_u8 u8 deserialize_u32 visit_u32 u32 deserialize_u64 visit_u64 u64
        deserialize_u128 visit_u128 u128 deserialize_i8 visit_i8 i8 deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32 deserialize_i64 visit_i64 i64
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let any = self.bytes::<2>();
        let meant = any[0] < 200;
        visitor.visit_u16(if meant {
            MEANT[usize::from(any[1]) % MEANT.len()]
        } else {
            u16::from_le_bytes(any)
        })
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.below(2) == 1)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let length = self.below(6);
        visitor.visit_string((0..length).map(|_| LETTERS[self.below(LETTERS.len())]).collect())
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.below(2) == 1 { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let length = self.below(4);
        visitor.visit_seq(Parts { draw: self, left: length })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Parts { draw: self, left: length })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_tuple(fields.len(), visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let number = self.below(variants.len()) as u32;
        visitor.visit_enum(Variant { draw: self, number })
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    never! {
        deserialize_any() deserialize_ignored_any() deserialize_identifier() deserialize_f32() deserialize_f64()
        deserialize_char() deserialize_str() deserialize_bytes() deserialize_byte_buf() deserialize_unit()
        deserialize_map() deserialize_unit_struct(&'static str) deserialize_newtype_struct(&'static str)
        deserialize_tuple_struct(&'static str, usize)
    }
}

struct Parts<'d, 'a> {
    draw: &'d mut Draw<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Parts<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.draw).map(Some)
    }
}

struct Variant<'d, 'a> {
    draw: &'d mut Draw<'a>,
    number: u32,
}

impl<'de, 'd, 'a> EnumAccess<'de> for Variant<'d, 'a> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        let number: U32Deserializer<Error> = self.number.into_deserializer();
        Ok((seed.deserialize(number)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.draw)
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Error> {
        self.draw.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.draw.deserialize_tuple(fields.len(), visitor)
    }
}

/// A number that chance drew and that means nothing.
#[derive(Debug)]
pub struct Error;

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "drawing a value: a number that means nothing; draw again")
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}
