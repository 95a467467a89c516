//! How lines, cells, durations and places are written at the command line.

use std::str::FromStr;

use earmark_protocol::geo::Position;
use earmark_protocol::ids::{HoldClass, LineId, Segment};

use crate::data::field;
pub(super) use crate::data::field::{moment, moment_text};

/// Hold classes of the default configuration, by their place in it.
const CLASSES: [&str; 3] = ["cart", "payment", "bank_transfer"];

/// Units of a sku, perhaps of one cell: `SKU[@NODE[/SEGMENT]][:QUANTITY]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LineText {
    /// Code of the sku.
    pub(super) sku: String,
    /// Code of the node and the segment, where a cell is named.
    pub(super) at: Option<Place>,
    /// Units.
    pub(super) quantity: u32,
}

/// A node and a segment of its stock: `NODE[/SEGMENT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Code of the node.
    pub(super) node: String,
    /// Segment.
    pub(super) segment: Segment,
}

/// A cell and a number: `SKU@NODE[/SEGMENT]:NUMBER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CellText {
    /// Code of the sku.
    pub(super) sku: String,
    /// Where.
    pub(super) at: Place,
    /// The number, as it was written.
    pub(super) number: String,
}

/// A part of a reservation: `LINE[@NODE][:QUANTITY]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartText {
    /// The line's number.
    pub(super) line: LineId,
    /// Code of the node, where one is named.
    pub(super) node: Option<String>,
    /// Units; 0 for all.
    pub(super) quantity: u32,
}

/// A line and its new quantity: `LINE=QUANTITY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NewQuantity {
    /// The line's number.
    pub(super) line: LineId,
    /// Units.
    pub(super) quantity: u32,
}

/// A line and its seller: `LINE=SELLER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SellerText {
    /// The line's number.
    pub(super) line: LineId,
    /// The seller's code.
    pub(super) seller: String,
}

impl FromStr for SellerText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (line, seller) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is no line of a seller; write LINE=SELLER"))?;
        Ok(Self { line: LineId(field::number(line)?), seller: field::code(seller)? })
    }
}

impl FromStr for LineText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, quantity) = match text.rsplit_once(':') {
            Some((what, number)) => (what, field::quantity(number)?),
            None => (text, 1),
        };
        let (sku, at) = match what.rsplit_once('@') {
            Some((sku, place)) => (sku, Some(place.parse()?)),
            None => (what, None),
        };
        Ok(Self { sku: field::code(sku)?, at, quantity })
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (node, segment) = match text.rsplit_once('/') {
            Some((node, segment)) => (node, field::segment(segment)?),
            None => (text, Segment(0)),
        };
        Ok(Self { node: field::code(node)?, segment })
    }
}

impl FromStr for CellText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no cell with a number; write SKU@NODE:NUMBER or SKU@NODE/SEGMENT:NUMBER");
        let (cell, number) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (sku, place) = cell.rsplit_once('@').ok_or_else(wrong)?;
        Ok(Self { sku: field::code(sku)?, at: place.parse()?, number: number.to_owned() })
    }
}

impl FromStr for PartText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, quantity) = match text.rsplit_once(':') {
            Some((what, number)) => (what, field::quantity(number)?),
            None => (text, 0),
        };
        let (line, node) = match what.split_once('@') {
            Some((line, node)) => (line, Some(field::code(node)?)),
            None => (what, None),
        };
        Ok(Self { line: LineId(field::number(line)?), node, quantity })
    }
}

impl FromStr for NewQuantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (line, quantity) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is no new quantity; write LINE=QUANTITY"))?;
        Ok(Self { line: LineId(field::number(line)?), quantity: field::count(quantity)? })
    }
}

/// A position: `LAT,LON`.
pub(super) fn position(text: &str) -> Result<Position, String> {
    let (lat, lon) = text
        .split_once(',')
        .ok_or_else(|| format!("{text:?} is no position; write LAT,LON like 41.88,-87.63"))?;
    field::position(field::degrees(lat.trim())?, field::degrees(lon.trim())?)
}

/// A duration in milliseconds: a whole number and `ms`, `s`, `m`, `h` or `d`.
pub(super) fn duration_ms(text: &str) -> Result<u32, String> {
    let wrong = || format!("{text:?} is no duration up to 49 days; write it like 90s, 15m, 2h or 3d");
    let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let unit_ms: u32 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong()),
    };
    number
        .parse()
        .ok()
        .and_then(|number: u32| number.checked_mul(unit_ms))
        .filter(|ms| *ms > 0)
        .ok_or_else(wrong)
}

/// A hold class: a name of the default configuration, or a number.
pub(super) fn class(text: &str) -> Result<HoldClass, String> {
    let named = CLASSES.iter().position(|name| *name == text).and_then(|place| u8::try_from(place).ok());
    named.or_else(|| text.parse().ok()).map(HoldClass).ok_or_else(|| {
        format!("{text:?} is no hold class; classes are {}, or a number of 0 to 255", CLASSES.join(", "))
    })
}

/// A hold class as it is written.
#[must_use]
pub(super) fn class_text(class: HoldClass) -> String {
    CLASSES.get(usize::from(class.0)).map_or_else(|| class.to_string(), |name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_cells_are_read_as_they_are_documented() {
        let line = |sku: &str, at: Option<(&str, u16)>, quantity| {
            let at = at.map(|(node, segment)| Place { node: node.into(), segment: Segment(segment) });
            Ok(LineText { sku: sku.into(), at, quantity })
        };
        assert_eq!("MUG".parse(), line("MUG", None, 1));
        assert_eq!("MUG:3".parse(), line("MUG", None, 3));
        assert_eq!("MUG@CHI:3".parse(), line("MUG", Some(("CHI", 0)), 3));
        assert_eq!("a@b@CHI/7".parse(), line("a@b", Some(("CHI", 7)), 1));
        for wrong in ["", ":3", "MUG:0", "MUG:many", "MUG@:3", "MUG@CHI/9999:1", "@CHI"] {
            assert!(wrong.parse::<LineText>().is_err(), "{wrong:?} was taken for a line");
        }
        let part = |line, node: Option<&str>, quantity| {
            Ok(PartText { line: LineId(line), node: node.map(str::to_owned), quantity })
        };
        assert_eq!("4".parse(), part(4, None, 0));
        assert_eq!("4@CHI:2".parse(), part(4, Some("CHI"), 2));
        assert!("MUG".parse::<PartText>().is_err());
        assert_eq!("2=0".parse(), Ok(NewQuantity { line: LineId(2), quantity: 0 }));
        assert!("2:0".parse::<NewQuantity>().is_err());
        let cell: CellText = "MUG@CHI/2:-5".parse().unwrap();
        assert_eq!((cell.at.segment, cell.number.as_str()), (Segment(2), "-5"));
    }

    #[test]
    fn durations_and_moments_are_read_with_their_units() {
        for (text, ms) in
            [("1500ms", 1_500), ("90s", 90_000), ("15m", 900_000), ("2h", 7_200_000), ("3d", 259_200_000)]
        {
            assert_eq!(duration_ms(text), Ok(ms));
        }
        for wrong in ["", "15", "m", "0s", "-1s", "1w", "99999d"] {
            assert!(duration_ms(wrong).is_err(), "{wrong:?} was taken for a duration");
        }
        let read = moment("2026-11-27T08:30:00Z").unwrap();
        assert_eq!(moment_text(read), "2026-11-27T08:30:00.000Z");
    }

    #[test]
    fn classes_have_the_names_of_the_default_configuration() {
        let config = crate::config::Config::default();
        let names: Vec<_> = config.rules.classes.iter().map(|class| class.name.as_str()).collect();
        assert_eq!(names, CLASSES);
        assert_eq!(class("payment"), Ok(HoldClass(1)));
        assert_eq!(class("9"), Ok(HoldClass(9)));
        assert!(class("basket").is_err());
    }
}
