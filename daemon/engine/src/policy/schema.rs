//! What conditions can ask: every field of order, line, node and time with its type, its bounds, and what it means.
//!
//! The table here is the one list: the checker reads it, evaluation reads it, and `docs/policy.md` prints it.

use std::ops::BitOr;

/// A type of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `true` or `false`.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// A number with a fraction.
    Double,
    /// A text.
    Text,
}

impl Type {
    /// Its name in CEL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Double => "double",
            Self::Text => "string",
        }
    }

    /// Whether it is one of the numbers, which may be mixed.
    pub(crate) fn is_number(self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }
}

/// What a condition depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs(u8);

impl Needs {
    /// The order, and the time at which it is planned.
    pub(crate) const ORDER: Self = Self(1);
    /// A line of it.
    pub(crate) const LINE: Self = Self(2);
    /// A node.
    pub(crate) const NODE: Self = Self(4);
    /// A node and the order's destination.
    pub(crate) const LANE: Self = Self(8);

    pub(crate) fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it is the same for all nodes.
    pub(crate) fn is_scalar(self) -> bool {
        !self.has(Self::NODE | Self::LANE)
    }

    /// Whether it is the same for all orders.
    pub(crate) fn is_of_nodes(self) -> bool {
        self == Self::NODE
    }
}

impl BitOr for Needs {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    /// As a condition names it.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// Whether an order may lack it.
    pub optional: bool,
    /// The values a text can have; empty for any.
    pub values: &'static [&'static str],
    /// The least and the most a number can be.
    pub bounds: (i64, i64),
    /// What it is.
    pub meaning: &'static str,
    pub(crate) needs: Needs,
}

/// The least and the most of a number that has no bounds worth knowing.
const ANY: (i64, i64) = (i64::MIN, i64::MAX);
const NOT_NEGATIVE: (i64, i64) = (0, i64::MAX);
const POSITIVE: (i64, i64) = (1, i64::MAX);

macro_rules! fields {
    ($($variant:ident $name:literal $kind:ident $(optional $optional:literal)? $(of $values:expr)?, $bounds:expr, $needs:ident, $meaning:literal;)*) => {
        /// A field.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Field { $($variant,)* }

        impl Field {
            pub(crate) const ALL: &[Self] = &[$(Self::$variant),*];
        }

        /// All fields, in the order of the documentation.
        pub const FIELDS: &[FieldSpec] = &[$(FieldSpec {
            name: $name,
            kind: Type::$kind,
            optional: false $(|| $optional)?,
            values: { let values: &[&str] = &[]; $(let _ = values; let values: &[&str] = $values;)? values },
            bounds: $bounds,
            meaning: $meaning,
            needs: Needs::$needs,
        }),*];
    };
}

fields! {
    OrderChannel "order.channel" Int, (0, 65_535), ORDER, "number of the sales channel";
    OrderDelivery "order.delivery" Text of &["ship", "pickup", "to_store"], ANY, ORDER, "how it reaches the customer";
    OrderPostal "order.postal" Text, ANY, ORDER, "postal code of the address; empty where none was given, and for other ways than ship";
    OrderLat "order.lat" Double optional true, (-90, 90), ORDER, "latitude of the address; not given for other ways than ship";
    OrderLon "order.lon" Double optional true, (-180, 180), ORDER, "longitude of the address; not given for other ways than ship";
    OrderLines "order.lines" Int, POSITIVE, ORDER, "different skus in the order";
    OrderUnits "order.units" Int, POSITIVE, ORDER, "units of all lines";
    OrderValue "order.value" Double optional true, NOT_NEGATIVE, ORDER, "what the order is worth, in the currency all costs are in; not given where the client gave none";
    OrderWeight "order.weight_g" Int, NOT_NEGATIVE, ORDER, "weight of all units in grams";
    OrderHazmat "order.hazmat" Bool, ANY, ORDER, "some line is dangerous goods";
    OrderOversize "order.oversize" Bool, ANY, ORDER, "some line is a large parcel";
    OrderCold "order.cold" Bool, ANY, ORDER, "some line must be kept cold";
    LineSku "line.sku" Text, ANY, LINE, "code of the sku";
    LineGroup "line.group" Text, ANY, LINE, "group of the sku; empty for none";
    LineKit "line.kit" Text, ANY, LINE, "code of the kit that all units of this sku in the order are of; empty where some are of none, or of another";
    LineQuantity "line.quantity" Int, POSITIVE, LINE, "units of this sku over all lines of the order";
    LineWeight "line.weight_g" Int, NOT_NEGATIVE, LINE, "weight of one unit in grams";
    LineHazmat "line.hazmat" Bool, ANY, LINE, "dangerous goods";
    LineOversize "line.oversize" Bool, ANY, LINE, "a large parcel";
    LineCold "line.cold" Bool, ANY, LINE, "must be kept cold";
    NodeCode "node.code" Text, ANY, NODE, "code of the node";
    NodeKind "node.kind" Text of &["dc", "store", "3pl", "vendor", "supplier"], ANY, NODE, "kind of the node";
    NodeGroup "node.group" Text, ANY, NODE, "group of the node; empty for none";
    NodeSeller "node.seller" Text, ANY, NODE, "code of the seller whose node it is; empty for nobody's";
    NodeTimeZone "node.time_zone" Text, ANY, NODE, "IANA name of its time zone";
    NodePriority "node.priority" Int, (0, 65_535), NODE, "its priority";
    NodeLat "node.lat" Double, (-90, 90), NODE, "latitude";
    NodeLon "node.lon" Double, (-180, 180), NODE, "longitude";
    NodeHazmat "node.hazmat" Bool, ANY, NODE, "can ship dangerous goods";
    NodeOversize "node.oversize" Bool, ANY, NODE, "can ship large parcels";
    NodeCold "node.cold" Bool, ANY, NODE, "keeps goods cold";
    NodeShips "node.ships" Bool, ANY, NODE, "ships to addresses";
    NodePickup "node.pickup" Bool, ANY, NODE, "hands over to customers";
    NodeCostPerOrder "node.cost_per_order" Double, NOT_NEGATIVE, NODE, "its own cost of a shipment";
    NodeCostPerLine "node.cost_per_line" Double, NOT_NEGATIVE, NODE, "its own cost of a line";
    NodeCostPerUnit "node.cost_per_unit" Double, NOT_NEGATIVE, NODE, "its own cost of a unit";
    NodeMiles "node.miles" Int, (0, 12_437), LANE, "whole miles from the node to the destination's zone; 0 for a pickup";
    TimeYear "time.year" Int, (1970, 9999), ORDER, "year";
    TimeMonth "time.month" Int, (1, 12), ORDER, "month, 1 is January";
    TimeDay "time.day" Int, (1, 31), ORDER, "day of the month";
    TimeWeekday "time.weekday" Int, (1, 7), ORDER, "day of the week, 1 is Monday and 7 is Sunday";
    TimeHour "time.hour" Int, (0, 23), ORDER, "hour of the day";
    TimeMinute "time.minute" Int, (0, 59), ORDER, "minute of the hour";
    TimeDate "time.date" Text, ANY, ORDER, "the date, like 2027-11-26; dates compare as texts do";
}

impl Field {
    /// The field of a name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        FIELDS.iter().position(|spec| spec.name == name).map(|at| Self::ALL[at])
    }

    /// Its row in the table.
    pub(crate) fn spec(self) -> &'static FieldSpec {
        &FIELDS[self as usize]
    }
}

/// The name nearest to one that nobody knows, where one is near.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|known| (distance(name, known), known))
        .min()
        .filter(|(edits, _)| *edits <= 3)
        .map(|(_, known)| known)
}

/// Edits from one text to another (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let edits = (corner + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], edits);
        }
    }
    row[row.len() - 1]
}
