//! Identifiers and units. Every border of Earmark speaks in these types; none of them is an
//! interchangeable integer.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }
    };
}

number!(
    /// Whose stock and orders; 0 where there is one. It comes from the connection's token, never from a message.
    Tenant(u16)
);
number!(
    /// The dense handle of a sku. Clients learn it from `Resolve` and keep it while the log's epoch stays the same.
    SkuIx(u32)
);
number!(
    /// The dense handle of a node, below [`NodeIx::LIMIT`].
    NodeIx(u32)
);
number!(
    /// A ring-fenced part of a node's stock, below [`Segment::LIMIT`]; 0 is the common pool.
    Segment(u16)
);
number!(
    /// The sales channel an order came through. Configuration says which segments it draws from, in which order.
    Channel(u16)
);
number!(
    /// The handle of a carrier's service, below [`crate::tariff::SERVICES_MAX`]. It stays the same for good.
    ServiceIx(u8)
);
number!(
    /// A client's own number of a line, unique within its order.
    LineId(u32)
);
number!(
    /// The place of a record in the one total order. The first record has Lsn 1; 0 means "before all".
    Lsn(u64)
);
number!(
    /// Milliseconds since 1970-01-01T00:00:00Z.
    TimestampMs(u64)
);
number!(
    /// A hold class by its place in the configuration: `cart`, `payment`, `bank_transfer`, …
    HoldClass(u8)
);
number!(
    /// Money in integer millionths of the currency's major unit (micros): 8.759 is 8 759 000.
    /// Tariffs price a mile in fractions of a cent, so whole cents cannot carry them exactly.
    Money(i64)
);

/// A text is no amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no amount; write it like 8.759, with at most six decimals")]
pub struct NoMoney;

impl FromStr for Money {
    type Err = NoMoney;

    /// An amount that is not negative, exact to the micro.
    fn from_str(text: &str) -> Result<Self, NoMoney> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 6 {
            return Err(NoMoney);
        }
        let micros: i64 = format!("{decimals:0<6}").parse().map_err(|_| NoMoney)?;
        let whole: i64 = whole.parse().map_err(|_| NoMoney)?;
        whole.checked_mul(1_000_000).and_then(|whole| whole.checked_add(micros)).map(Self).ok_or(NoMoney)
    }
}

impl NodeIx {
    /// Handles of nodes are below this: 20 bits of a cell's place.
    pub const LIMIT: u32 = 1 << 20;
}

impl Segment {
    /// Segments are below this: 12 bits of a cell's place.
    pub const LIMIT: u16 = 1 << 12;
}

/// The largest quantity of one line or one cell; leaves room for sums in 32 bits.
pub const QUANTITY_MAX: u32 = 1 << 30;

impl TimestampMs {
    /// This moment plus `ms` milliseconds, or the far end of time.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// The id of a changing command, a UUIDv7 made by the client; for `reserve` and `hold` it is the reservation's id.
///
/// On the wire: 16 bytes in the order of RFC 9562. In text: the hyphenated form.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub [u8; 16]);

impl CommandId {
    /// A UUIDv7 of the given time and ten random bytes.
    #[must_use]
    pub fn new(time: TimestampMs, random: [u8; 10]) -> Self {
        Self(*uuid::Builder::from_unix_timestamp_millis(time.0, &random).as_uuid().as_bytes())
    }

    /// The time inside the id: its first 48 bits.
    #[must_use]
    pub fn time(&self) -> TimestampMs {
        let b = self.0;
        TimestampMs(u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]]))
    }

    /// Whether version and variant say UUIDv7.
    #[must_use]
    pub fn is_v7(&self) -> bool {
        self.0[6] >> 4 == 7 && self.0[8] >> 6 == 2
    }

    /// Both halves as integers, most significant first.
    #[must_use]
    pub fn halves(&self) -> [u64; 2] {
        let value = u128::from_be_bytes(self.0);
        [(value >> 64) as u64, value as u64]
    }

    /// The id of two halves, as [`CommandId::halves`] gave them.
    #[must_use]
    pub fn from_halves(halves: [u64; 2]) -> Self {
        Self(((u128::from(halves[0]) << 64) | u128::from(halves[1])).to_be_bytes())
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no UUIDv7.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reading the id {text:?}: it is not a UUIDv7; give one like 01890a5d-ac96-774b-bcce-b302099a8057")]
pub struct IdTextError {
    /// What was given.
    pub text: String,
}

impl FromStr for CommandId {
    type Err = IdTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let id = uuid::Uuid::try_parse(text).map(|id| Self(*id.as_bytes())).ok();
        id.filter(Self::is_v7).ok_or_else(|| IdTextError { text: text.to_owned() })
    }
}

/// In bytes it goes as one little-endian integer: its sixteen bytes stay in their order and are read in one step.
impl Serialize for CommandId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u128(u128::from_le_bytes(self.0))
        }
    }
}

impl<'de> Deserialize<'de> for CommandId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
        } else {
            u128::deserialize(deserializer).map(|id| Self(id.to_le_bytes()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_its_time_and_reads_back_from_text() {
        let id = CommandId::new(TimestampMs(1_700_000_000_123), [7; 10]);
        assert!(id.is_v7());
        assert_eq!(id.time(), TimestampMs(1_700_000_000_123));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(CommandId::from_halves(id.halves()), id);
    }

    #[test]
    fn a_text_that_is_no_uuid_v7_is_refused() {
        assert!("not-an-id".parse::<CommandId>().is_err());
        assert!("00000000-0000-4000-8000-000000000000".parse::<CommandId>().is_err());
    }
}
