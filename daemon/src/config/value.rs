//! The kinds of values a setting can have, and how each is read from TOML, from plain text, and shown.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::{DeTable, DeValue};

/// A value of a setting.
pub trait Value: Sized {
    /// Reads a TOML value; the error says what was expected.
    fn read(value: &DeValue<'_>) -> Result<Self, String>;

    /// Reads the text of an environment variable or flag: a TOML value, but text needs no quotes.
    fn read_text(text: &str) -> Result<Self, String> {
        let value =
            DeValue::parse(text).map_err(|error| format!("{text:?} cannot be read: {}", error.message()))?;
        Self::read(value.get_ref())
    }

    /// As it stands in a TOML file.
    fn show(&self) -> String;

    /// As a number, where it is one that has bounds.
    fn number(&self) -> Option<u64> {
        None
    }
}

macro_rules! unsigned {
    ($($kind:ty),*) => { $(
        impl Value for $kind {
            fn read(value: &DeValue<'_>) -> Result<Self, String> {
                let digits = value.as_integer().filter(|integer| integer.radix() == 10).map(|i| i.as_str().replace('_', ""));
                let number = digits.and_then(|digits| digits.trim_start_matches('+').parse().ok());
                number.ok_or_else(|| format!("expected a whole number from 0 to {}", <$kind>::MAX))
            }

            fn show(&self) -> String {
                self.to_string()
            }

            fn number(&self) -> Option<u64> {
                Some(u64::from(*self))
            }
        }
    )* };
}
unsigned!(u16, u32, u64);

impl Value for bool {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| "expected true or false".to_owned())
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        value.as_str().map(str::to_owned).ok_or_else(|| "expected text in quotes".to_owned())
    }

    fn read_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        quoted(self)
    }
}

impl Value for SocketAddr {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        Self::read_text(value.as_str().ok_or("expected an address as text, like \"127.0.0.1:7447\"")?)
    }

    fn read_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is no address; expected one like \"127.0.0.1:7447\""))
    }

    fn show(&self) -> String {
        quoted(&self.to_string())
    }
}

impl Value for Option<PathBuf> {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let text = value.as_str().ok_or_else(|| "expected a path in quotes".to_owned())?;
        Self::read_text(text)
    }

    fn read_text(text: &str) -> Result<Self, String> {
        Ok((!text.is_empty()).then(|| PathBuf::from(text)))
    }

    fn show(&self) -> String {
        quoted(&self.as_ref().map(|path| path.display().to_string()).unwrap_or_default())
    }
}

macro_rules! choice {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl Value for $name {
            fn read(value: &DeValue<'_>) -> Result<Self, String> {
                Self::read_text(value.as_str().unwrap_or_default())
            }

            fn read_text(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(format!("expected {}", [$(concat!('"', $text, '"')),*].join(" or "))),
                }
            }

            fn show(&self) -> String {
                match self { $(Self::$variant => quoted($text)),* }
            }
        }
    };
}

choice!(
    /// Who plays the committer.
    CommitMode {
        /// `Inline` up to three cores, `Thread` above.
        Auto = "auto",
        /// The I/O core that finds the role free, to completion.
        Inline = "inline",
        /// A thread of its own.
        Thread = "thread",
    }
);
choice!(
    /// What must be true of a record before its reply leaves.
    DurabilityMode {
        /// It is on disk.
        Sync = "sync",
        /// Nothing: records reach the disk in a rhythm, and the last ones are at risk.
        Interval = "interval",
        /// Nothing: records are counted and dropped, all is gone when the daemon ends.
        Memory = "memory",
    }
);
choice!(
    /// Whether plans mind what stock is worth to orders to come.
    PriceMode {
        /// By prices learned from the orders that were held lately.
        Learned = "learned",
        /// Not at all: each order is served for least.
        Off = "off",
    }
);
choice!(
    /// How log lines look.
    LogFormat {
        /// For people.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }
);

/// A hold class; its place in the list is its number on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldClassSetting {
    /// Its name.
    pub name: String,
    /// Lifetime of a hold that asks for none, in milliseconds.
    pub lifetime_ms: u32,
    /// Longest lifetime a hold may ask for, in milliseconds.
    pub lifetime_ms_max: u32,
}

impl Value for Vec<HoldClassSetting> {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        tables(value, &["name", "lifetime_ms", "lifetime_ms_max"], |table| {
            Ok(HoldClassSetting {
                name: entry(table, "name")?,
                lifetime_ms: entry(table, "lifetime_ms")?,
                lifetime_ms_max: entry(table, "lifetime_ms_max")?,
            })
        })
    }

    fn show(&self) -> String {
        let rows = self.iter().map(|class| {
            let HoldClassSetting { name, lifetime_ms, lifetime_ms_max } = class;
            let name = quoted(name);
            format!("{{ name = {name}, lifetime_ms = {lifetime_ms}, lifetime_ms_max = {lifetime_ms_max} }}")
        });
        list(rows)
    }
}

/// A sales channel; its place in the list is its number on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SalesChannel {
    /// Its name.
    pub name: String,
    /// The segments it draws from, in this order.
    pub segments: Vec<u16>,
}

impl Value for Vec<SalesChannel> {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        tables(value, &["name", "segments"], |table| {
            Ok(SalesChannel { name: entry(table, "name")?, segments: entry(table, "segments")? })
        })
    }

    fn show(&self) -> String {
        let rows = self.iter().map(|channel| {
            format!("{{ name = {}, segments = {} }}", quoted(&channel.name), channel.segments.show())
        });
        list(rows)
    }
}

impl Value for Vec<u16> {
    fn read(value: &DeValue<'_>) -> Result<Self, String> {
        let numbers = value.as_array().ok_or_else(|| "expected a list of whole numbers".to_owned())?;
        numbers.iter().map(|number| u16::read(number.get_ref())).collect()
    }

    fn show(&self) -> String {
        list(self.iter().map(u16::to_string))
    }
}

fn tables<T>(
    value: &DeValue<'_>,
    known: &[&str],
    row: impl Fn(&DeTable<'_>) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let expected = || format!("expected a list of tables with {}", known.join(", "));
    let rows = value.as_array().ok_or_else(expected)?;
    let read = |value: &toml::Spanned<DeValue<'_>>| {
        let table = value.get_ref().as_table().ok_or_else(expected)?;
        match table.keys().find(|key| !known.contains(&key.get_ref().as_ref())) {
            Some(unknown) => Err(format!("{:?} is not known here; {}", unknown.get_ref(), expected())),
            None => row(table),
        }
    };
    rows.iter().map(read).collect()
}

fn entry<T: Value>(table: &DeTable<'_>, name: &str) -> Result<T, String> {
    let value = table.get(name).ok_or_else(|| format!("{name} is missing in one of the tables"))?;
    T::read(value.get_ref()).map_err(|error| format!("{name}: {error}"))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A TOML basic string. What Rust escapes beyond quotes, backslashes and control characters TOML would not know.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
