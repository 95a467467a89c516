//! Writes a value as the codec does, one line per number or text, with what each line says, and learns the shape of
//! every struct and enum on the way. It shares no code with the codec: that both agree is what the golden test checks.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use serde::ser::{self, Serialize, Serializer};

/// A line of an example: bytes and what they say.
pub struct Line {
    pub bytes: Vec<u8>,
    pub note: String,
}

/// What was learned of structs and enums.
#[derive(Default)]
pub struct Schema {
    /// Fields with their types, in order.
    pub structs: BTreeMap<String, Vec<(String, String)>>,
    /// Variants by number, with their names and contents.
    pub enums: BTreeMap<String, BTreeMap<u32, (String, String)>>,
}

/// The lines of a value; what they teach goes into the schema.
pub fn trace<T: Serialize + ?Sized>(value: &T, schema: &mut Schema) -> Vec<Line> {
    let mut lines = Vec::new();
    let tracer = Tracer { lines: &mut lines, schema, path: String::new() };
    value.serialize(tracer).expect("messages are made of what the tracer knows");
    lines
}

/// The type is not known where a list is empty or an option is none.
const UNKNOWN: &str = "?";

struct Tracer<'a> {
    lines: &'a mut Vec<Line>,
    schema: &'a mut Schema,
    path: String,
}

impl Tracer<'_> {
    fn line(&mut self, bytes: &[u8], note: impl Display) {
        let note = match self.path.as_str() {
            "" => note.to_string().trim_start_matches([':', '=', ' ']).to_owned(),
            path => format!("{path}{note}"),
        };
        self.lines.push(Line { bytes: bytes.to_vec(), note });
    }

    fn number(mut self, bytes: &[u8], value: impl Display, name: &str) -> Result<String, Error> {
        self.line(bytes, format_args!(" = {value}"));
        Ok(name.to_owned())
    }

    fn variant(&mut self, number: u32, name: &str) {
        self.line(&number.to_le_bytes(), format_args!(": variant {name}"));
    }

    fn part(&mut self, step: &str) -> Tracer<'_> {
        let path = match (self.path.as_str(), step.starts_with('[')) {
            ("", _) => step.to_owned(),
            (path, true) => format!("{path}{step}"),
            (path, false) => format!("{path}.{step}"),
        };
        Tracer { lines: self.lines, schema: self.schema, path }
    }
}

/// Keeps what is known: `?` anywhere in a type is what an emptier example could not tell.
fn merge(known: &mut String, seen: String) {
    if known.contains(UNKNOWN) {
        *known = seen;
    } else {
        assert!(seen.contains(UNKNOWN) || *known == seen, "{known} and {seen} in one place");
    }
}

impl Schema {
    fn learn_struct(&mut self, name: &str, fields: Vec<(String, String)>) {
        match self.structs.get_mut(name) {
            None => {
                self.structs.insert(name.to_owned(), fields);
            }
            Some(known) => {
                for ((_, known), (_, seen)) in known.iter_mut().zip(fields) {
                    merge(known, seen);
                }
            }
        }
    }

    fn learn_variant(&mut self, name: &str, number: u32, variant: &str, content: String) {
        let variants = self.enums.entry(name.to_owned()).or_default();
        let known = variants.entry(number).or_insert_with(|| (variant.to_owned(), UNKNOWN.to_owned()));
        merge(&mut known.1, content);
    }
}

macro_rules! numbers {
    ($($method:ident $type:ident)*) => {$(
        fn $method(self, value: $type) -> Result<String, Error> {
            self.number(&value.to_le_bytes(), value, stringify!($type))
        }
    )*};
}

impl<'a> Serializer for Tracer<'a> {
    /// The name of the value's type.
    type Ok = String;
    type Error = Error;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = ser::Impossible<String, Error>;
    type SerializeTupleVariant = ser::Impossible<String, Error>;
    type SerializeMap = ser::Impossible<String, Error>;
    type SerializeStruct = Fields<'a>;
    type SerializeStructVariant = Fields<'a>;

    numbers! {
        serialize_u8 u8 serialize_u16 u16 serialize_u32 u32 serialize_u64 u64
        serialize_i8 i8 serialize_i16 i16 serialize_i32 i32 serialize_i64 i64
    }

    /// An id: in the words of its text form.
    fn serialize_u128(self, value: u128) -> Result<String, Error> {
        let bytes = value.to_le_bytes();
        self.number(&bytes, earmark_protocol::ids::CommandId(bytes), "id")
    }

    fn serialize_bool(self, value: bool) -> Result<String, Error> {
        self.number(&[u8::from(value)], value, "bool")
    }

    fn serialize_str(mut self, value: &str) -> Result<String, Error> {
        self.line(&(value.len() as u64).to_le_bytes(), format_args!(": {} bytes", value.len()));
        if !value.is_empty() {
            self.line(value.as_bytes(), format_args!(" = {value:?}"));
        }
        Ok("text".to_owned())
    }

    fn serialize_none(mut self) -> Result<String, Error> {
        self.line(&[0], ": none");
        Ok(format!("option of {UNKNOWN}"))
    }

    fn serialize_some<T: Serialize + ?Sized>(mut self, value: &T) -> Result<String, Error> {
        self.line(&[1], ": some");
        Ok(format!("option of {}", value.serialize(self)?))
    }

    fn serialize_seq(mut self, len: Option<usize>) -> Result<Elements<'a>, Error> {
        let length = len.expect("every list knows its length");
        let plural = if length == 1 { "" } else { "s" };
        self.line(&(length as u64).to_le_bytes(), format_args!(": {length} element{plural}"));
        Ok(Elements { tracer: self, types: Vec::new(), list: true })
    }

    fn serialize_tuple(self, _len: usize) -> Result<Elements<'a>, Error> {
        Ok(Elements { tracer: self, types: Vec::new(), list: false })
    }

    fn serialize_struct(self, name: &'static str, _len: usize) -> Result<Fields<'a>, Error> {
        Ok(Fields { tracer: self, name, variant: None, fields: Vec::new() })
    }

    fn serialize_unit_variant(
        mut self,
        name: &'static str,
        number: u32,
        variant: &'static str,
    ) -> Result<String, Error> {
        self.variant(number, variant);
        self.schema.learn_variant(name, number, variant, "nothing".to_owned());
        Ok(name.to_owned())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        name: &'static str,
        number: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<String, Error> {
        self.variant(number, variant);
        let path = std::mem::take(&mut self.path);
        let content = value.serialize(Tracer { lines: self.lines, schema: self.schema, path })?;
        self.schema.learn_variant(name, number, variant, content);
        Ok(name.to_owned())
    }

    fn serialize_struct_variant(
        mut self,
        name: &'static str,
        number: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Fields<'a>, Error> {
        self.variant(number, variant);
        Ok(Fields { tracer: self, name, variant: Some((number, variant)), fields: Vec::new() })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<String, Error> {
        value.serialize(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    // Messages hold none of these.

    fn serialize_f32(self, _: f32) -> Result<String, Error> {
        Err(Error)
    }
    fn serialize_f64(self, _: f64) -> Result<String, Error> {
        Err(Error)
    }
    fn serialize_char(self, _: char) -> Result<String, Error> {
        Err(Error)
    }
    fn serialize_bytes(self, _: &[u8]) -> Result<String, Error> {
        Err(Error)
    }
    fn serialize_unit(self) -> Result<String, Error> {
        Err(Error)
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<String, Error> {
        Err(Error)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeTupleStruct, Error> {
        Err(Error)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(Error)
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Error> {
        Err(Error)
    }
}

struct Elements<'a> {
    tracer: Tracer<'a>,
    types: Vec<String>,
    list: bool,
}

impl Elements<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let step = format!("[{}]", self.types.len());
        let name = value.serialize(self.tracer.part(&step))?;
        self.types.push(name);
        Ok(())
    }

    fn finish(self) -> String {
        if self.list {
            let mut name = UNKNOWN.to_owned();
            self.types.into_iter().for_each(|seen| merge(&mut name, seen));
            return format!("list of {name}");
        }
        format!("({})", self.types.join(", "))
    }
}

impl ser::SerializeSeq for Elements<'_> {
    type Ok = String;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.element(value)
    }

    fn end(self) -> Result<String, Error> {
        Ok(self.finish())
    }
}

impl ser::SerializeTuple for Elements<'_> {
    type Ok = String;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.element(value)
    }

    fn end(self) -> Result<String, Error> {
        Ok(self.finish())
    }
}

struct Fields<'a> {
    tracer: Tracer<'a>,
    name: &'static str,
    variant: Option<(u32, &'static str)>,
    fields: Vec<(String, String)>,
}

impl Fields<'_> {
    fn field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Error> {
        let seen = value.serialize(self.tracer.part(name))?;
        self.fields.push((name.to_owned(), seen));
        Ok(())
    }

    fn finish(self) -> String {
        let Self { tracer, name, variant, fields } = self;
        match variant {
            None => tracer.schema.learn_struct(name, fields),
            Some((number, variant)) => {
                let fields: Vec<_> =
                    fields.into_iter().map(|(name, seen)| format!("{name}: {seen}")).collect();
                tracer.schema.learn_variant(name, number, variant, fields.join(", "));
            }
        }
        name.to_owned()
    }
}

impl ser::SerializeStruct for Fields<'_> {
    type Ok = String;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.field(key, value)
    }

    fn end(self) -> Result<String, Error> {
        Ok(self.finish())
    }
}

impl ser::SerializeStructVariant for Fields<'_> {
    type Ok = String;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        self.field(key, value)
    }

    fn end(self) -> Result<String, Error> {
        Ok(self.finish())
    }
}

/// A value that no message holds.
#[derive(Debug)]
pub struct Error;

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tracing a value: no message holds one of its type; teach the tracer")
    }
}

impl std::error::Error for Error {}

impl ser::Error for Error {
    fn custom<T: Display>(_: T) -> Self {
        Self
    }
}
