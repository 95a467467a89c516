//! How the text of one field becomes a value, for files and the command line alike. A reason says what was given
//! and what would do.

use std::str::FromStr;

use earmark_protocol::catalogue::{
    CODE_LEN_MAX, COST_MAX, NodeKind, POSTAL_LEN_MAX, capabilities, sku_flags,
};
use earmark_protocol::command::VALUE_MAX;
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Money, QUANTITY_MAX, Segment, TimestampMs};

/// Names of the flags of a sku, and the low capabilities of a node.
pub const SKU_FLAG_NAMES: [(&str, u16); 3] =
    [("hazmat", sku_flags::HAZMAT), ("oversize", sku_flags::OVERSIZE), ("cold", sku_flags::COLD)];

/// Names of the other capabilities of a node.
pub const HANDOVER_NAMES: [(&str, u16); 2] = [("ship", capabilities::SHIP), ("pickup", capabilities::PICKUP)];

/// Names of the kinds of nodes.
pub const KIND_NAMES: [(&str, NodeKind); 5] = [
    ("dc", NodeKind::Dc),
    ("store", NodeKind::Store),
    ("3pl", NodeKind::ThirdParty),
    ("vendor", NodeKind::Vendor),
    ("supplier", NodeKind::Supplier),
];

/// A code of a sku, node or group, or an order's: 1 to [`CODE_LEN_MAX`] bytes without control characters.
pub fn code(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > CODE_LEN_MAX {
        return Err(format!("{text:?} has {} bytes; a code has 1 to {CODE_LEN_MAX}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{text:?} holds a control character"));
    }
    Ok(text.to_owned())
}

/// A whole number of any type.
pub fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| {
        let bits = 8 * size_of::<T>();
        format!("{text:?} is no whole number that fits into {bits} bits")
    })
}

/// Units of a line: 1 to [`QUANTITY_MAX`].
pub fn quantity(text: &str) -> Result<u32, String> {
    match count(text)? {
        0 => Err("the quantity is 0; give at least 1".to_owned()),
        quantity => Ok(quantity),
    }
}

/// Units of a cell: 0 to [`QUANTITY_MAX`].
pub fn count(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|&units: &u32| units <= QUANTITY_MAX)
        .ok_or_else(|| format!("{text:?} is no whole number of 0 to {QUANTITY_MAX}"))
}

/// A segment, below [`Segment::LIMIT`].
pub fn segment(text: &str) -> Result<Segment, String> {
    text.parse()
        .ok()
        .filter(|&segment: &u16| segment < Segment::LIMIT)
        .map(Segment)
        .ok_or_else(|| format!("{text:?} is no segment; segments are 0 to {}", Segment::LIMIT - 1))
}

/// An amount of money of at most six decimals, not negative.
pub fn money(text: &str) -> Result<Money, String> {
    text.parse().map_err(|wrong| format!("{text:?}: {wrong}"))
}

/// A cost of a node: an amount of money up to [`COST_MAX`].
pub fn cost(text: &str) -> Result<Money, String> {
    money_up_to(COST_MAX, text)
}

/// What an order is worth: an amount of money up to [`VALUE_MAX`].
pub fn value(text: &str) -> Result<Money, String> {
    money_up_to(VALUE_MAX, text)
}

fn money_up_to(most: Money, text: &str) -> Result<Money, String> {
    let amount = money(text)?;
    if amount > most { Err(format!("{text:?} is above the limit, {}", money_text(most))) } else { Ok(amount) }
}

/// A percentage of at most two decimals, in hundredths of a percent.
pub fn percent(text: &str) -> Result<u16, String> {
    let hundredths =
        money(text).ok().filter(|percent| percent.0 % 10_000 == 0).map(|percent| percent.0 / 10_000);
    let fits = hundredths.and_then(|hundredths| u16::try_from(hundredths).ok());
    fits.ok_or_else(|| format!("{text:?} is no percentage of at most two decimals; write it like 12.5"))
}

/// `yes` or `no`.
pub fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("{text:?} is neither yes nor no")),
    }
}

/// A postal code, or its beginning.
pub fn postal(text: &str) -> Result<String, String> {
    if text.len() > POSTAL_LEN_MAX {
        return Err(format!("{text:?} has {} bytes; a postal code has at most {POSTAL_LEN_MAX}", text.len()));
    }
    code(text)
}

/// A moment: RFC 3339.
pub fn moment(text: &str) -> Result<TimestampMs, String> {
    let wrong = || {
        format!("{text:?} is no moment from 1970 to 9999-12-30T22:00:00Z; write it like 2026-11-27T08:30:00Z")
    };
    let timestamp: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    u64::try_from(timestamp.as_millisecond()).map(TimestampMs).map_err(|_| wrong())
}

/// A moment as it is written.
#[must_use]
pub fn moment_text(moment: TimestampMs) -> String {
    let timestamp = i64::try_from(moment.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    timestamp.map_or_else(|| format!("{} ms", moment.0), |timestamp| format!("{timestamp:.3}"))
}

/// A date, given in days since 1970, as it is written.
#[must_use]
pub fn day_text(day: u32) -> String {
    let date =
        jiff::Span::new().try_days(day).and_then(|days| jiff::civil::date(1970, 1, 1).checked_add(days));
    date.map_or_else(|_| format!("day {day}"), |date| date.to_string())
}

/// A date, in days since 1970.
pub fn day(text: &str) -> Result<u32, String> {
    let since = |date: jiff::civil::Date| (date - jiff::civil::date(1970, 1, 1)).get_days();
    let day = text.parse().ok().map(since).and_then(|days| u32::try_from(days).ok());
    day.filter(|_| text.len() == 10).ok_or_else(|| format!("{text:?} is no date; write it like 2026-11-27"))
}

/// An amount of money as it is written: exact to the micro, without needless zeros.
#[must_use]
pub fn money_text(amount: Money) -> String {
    let sign = if amount.0 < 0 { "-" } else { "" };
    let micros = amount.0.unsigned_abs();
    let decimals = format!("{:06}", micros % 1_000_000);
    let kept = decimals.trim_end_matches('0').len().max(2);
    format!("{sign}{}.{}", micros / 1_000_000, &decimals[..kept])
}

/// Decimal degrees.
pub fn degrees(text: &str) -> Result<f64, String> {
    let degrees = text.parse().ok().filter(|degrees: &f64| degrees.is_finite());
    degrees.ok_or_else(|| format!("{text:?} is no number of degrees; write it like 41.8781"))
}

/// A position of two numbers of degrees.
pub fn position(lat: f64, lon: f64) -> Result<Position, String> {
    Position::from_degrees(lat, lon)
        .ok_or_else(|| format!("{lat}, {lon} is off the globe; latitude is -90 to 90, longitude -180 to 180"))
}

/// The kind of a node.
pub fn kind(text: &str) -> Result<NodeKind, String> {
    let found = KIND_NAMES.iter().find(|(name, _)| *name == text);
    found.map(|&(_, kind)| kind).ok_or_else(|| {
        format!("{text:?} is no kind of node; kinds are {}", KIND_NAMES.map(|(name, _)| name).join(", "))
    })
}

/// The name of a node's kind.
#[must_use]
pub fn kind_name(kind: NodeKind) -> &'static str {
    KIND_NAMES.iter().find(|(_, of)| *of == kind).map_or("", |(name, _)| name)
}

/// Flags of a sku: names separated by blanks.
pub fn flags(text: &str) -> Result<u16, String> {
    words(text, &SKU_FLAG_NAMES)
}

/// Capabilities of a node: names separated by blanks.
pub fn node_capabilities(text: &str) -> Result<u16, String> {
    words(text, &[HANDOVER_NAMES.as_slice(), SKU_FLAG_NAMES.as_slice()].concat())
}

/// The names of the bits that are set, separated by blanks; `none` where none is.
#[must_use]
pub fn bit_names(bits: u16) -> String {
    let all = HANDOVER_NAMES.iter().chain(&SKU_FLAG_NAMES);
    let set: Vec<_> = all.filter(|(_, bit)| bits & bit != 0).map(|(name, _)| *name).collect();
    if set.is_empty() { "none".to_owned() } else { set.join(" ") }
}

/// A name of the time-zone database.
pub fn time_zone(text: &str) -> Result<String, String> {
    match earmark_engine::promise::time_zone(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err(format!("{text:?} is no time zone; write an IANA name like America/Chicago")),
    }
}

fn words(text: &str, known: &[(&str, u16)]) -> Result<u16, String> {
    if text == "none" {
        return Ok(0);
    }
    text.split_whitespace().try_fold(0, |bits, word| {
        let found = known.iter().find(|(name, _)| *name == word);
        found.map(|(_, bit)| bits | bit).ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
            format!("{word:?} is not known; known are {}, or none", names.join(", "))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_read_to_the_micro_and_nothing_else_is_taken_for_it() {
        assert_eq!(money("8.759"), Ok(Money(8_759_000)));
        assert_eq!(money("12"), Ok(Money(12_000_000)));
        assert_eq!(money("0.000541"), Ok(Money(541)));
        for text in ["", "-1", "1e3", ".5", "1.2345678", "99999999999999999", "1,5", "$4"] {
            assert!(money(text).is_err(), "{text:?} was taken for money");
        }
    }

    #[test]
    fn money_shows_cents_and_no_needless_zeros() {
        for (micros, text) in
            [(8_759_000, "8.759"), (1_000_000, "1.00"), (541, "0.000541"), (-500_000, "-0.50"), (0, "0.00")]
        {
            assert_eq!(money_text(Money(micros)), text);
        }
    }

    #[test]
    fn words_of_bits_read_back_as_they_were_written() {
        for bits in 0..=capabilities::ALL {
            if bits & !capabilities::ALL == 0 {
                assert_eq!(node_capabilities(&bit_names(bits)), Ok(bits));
            }
        }
        assert!(flags("cold wet").is_err());
    }

    #[test]
    fn dates_read_back_as_they_were_written() {
        for days in [0, 20_784, 2_932_896] {
            assert_eq!(day(&day_text(days)), Ok(days));
        }
        assert_eq!(day("2026-11-27"), Ok(20_784));
        for text in ["", "2026-11-31", "1969-12-31", "20261127", "2026-11-27T08:30", "tomorrow"] {
            assert!(day(text).is_err(), "{text:?} was taken for a date");
        }
    }

    #[test]
    fn time_zones_are_those_of_the_database() {
        assert!(time_zone("America/Chicago").is_ok());
        assert!(time_zone("America/Gotham").is_err());
    }
}
