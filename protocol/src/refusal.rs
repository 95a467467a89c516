//! A business "no": numbered, stable, data. Never an error.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum $name { $($(#[$vdoc])* $variant = $number,)* }

        impl $name {
            /// All of them, in order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its stable number.
            #[must_use]
            pub fn number(self) -> u16 { self as u16 }

            /// The one of this number.
            #[must_use]
            pub fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// Its name in code, JSON and documents.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)* }
            }

            /// What it means and what to do, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() { serializer.serialize_str(self.name()) }
                else { serializer.serialize_u16(self.number()) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                use serde::de::Error;
                if deserializer.is_human_readable() {
                    let name = String::deserialize(deserializer)?;
                    Self::ALL.iter().copied().find(|x| x.name() == name)
                        .ok_or_else(|| D::Error::custom(format!("{name:?} is none of {}", stringify!($name))))
                } else {
                    let number = u16::deserialize(deserializer)?;
                    Self::from_number(number)
                        .ok_or_else(|| D::Error::custom(format!("{number} is none of {}", stringify!($name))))
                }
            }
        }
    };
}

numbered!(
    /// Why a command was refused. In order of precedence: where several apply, the one that stands first is given.
    RefusalCode {
        /// See [`RefusalCode::meaning`].
        Overloaded = 1, "The daemon has more work than it can do in time; try again later with the same id.";
        /// See [`RefusalCode::meaning`].
        GaveUp = 2, "The command's give-up time passed before it was decided; nothing was done.";
        /// See [`RefusalCode::meaning`].
        Draining = 3, "The daemon is shutting down and takes no new work; connect to its successor.";
        /// See [`RefusalCode::meaning`].
        NotAllowed = 4, "The token's role does not allow this; use a token of a stronger role.";
        /// See [`RefusalCode::meaning`].
        StorageFull = 5, "The disk has no room for what must be kept; nothing was done. Make room, then try again with the same id.";
        /// See [`RefusalCode::meaning`].
        NothingKept = 6, "This daemon keeps its state in memory alone (durability.mode = \"memory\"), so it makes no images.";
        /// See [`RefusalCode::meaning`].
        IdReused = 10, "The id was used before with other content; make a new id for each command.";
        /// See [`RefusalCode::meaning`].
        IdTooOld = 11, "The id's time is older than the retry window; a command this late is never acted on. Detail says the earliest time that is.";
        /// See [`RefusalCode::meaning`].
        IdFromFuture = 12, "The id's time is ahead of the daemon's; make ids on the time that Hello gave. Detail says the latest time that is taken.";
        /// See [`RefusalCode::meaning`].
        IdMalformed = 13, "The id is not a UUIDv7.";
        /// See [`RefusalCode::meaning`].
        EmptyList = 20, "The list is empty; give at least one element.";
        /// See [`RefusalCode::meaning`].
        ListTooLong = 21, "The list is longer than the limit; detail says the limit.";
        /// See [`RefusalCode::meaning`].
        TextTooLong = 22, "The text is empty, too long, or holds control characters; detail says the limit in bytes.";
        /// See [`RefusalCode::meaning`].
        UnknownFlag = 23, "A flag is set that this build does not know; detail says the flags that are known.";
        /// See [`RefusalCode::meaning`].
        PositionInvalid = 24, "The position is off the globe.";
        /// See [`RefusalCode::meaning`].
        PolicyInvalid = 25, "The policy has a mistake; index is its line and detail its column. earmark policy check says what it is.";
        /// See [`RefusalCode::meaning`].
        CalendarInvalid = 26, "The calendar cannot be. Detail says where: 1 to 7 for a day of the week, Monday first, a date like 20261225, or 0 for the whole. earmark check says what it is.";
        /// See [`RefusalCode::meaning`].
        TariffInvalid = 27, "A tariff has a mistake, in the part that field names, of the rate, chart row or service at index; where it is of a zone, detail is its number. earmark check says what it is.";
        /// See [`RefusalCode::meaning`].
        UnknownSku = 30, "No such sku; put it into the catalogue first.";
        /// See [`RefusalCode::meaning`].
        UnknownNode = 31, "No such node; put it into the catalogue first.";
        /// See [`RefusalCode::meaning`].
        UnknownSegment = 32, "No such segment; segments are below 4096, and a cell must have been stocked once.";
        /// See [`RefusalCode::meaning`].
        UnknownClass = 33, "No such hold class; the configuration names them.";
        /// See [`RefusalCode::meaning`].
        UnknownChannel = 34, "No such channel; the configuration names them.";
        /// See [`RefusalCode::meaning`].
        UnknownReservation = 35, "No such reservation, or it ended and is forgotten.";
        /// See [`RefusalCode::meaning`].
        UnknownLine = 36, "There is no such line in the order, or in the reservation at that node.";
        /// See [`RefusalCode::meaning`].
        UnknownCalendar = 37, "No such calendar; put it into the catalogue first.";
        /// See [`RefusalCode::meaning`].
        UnknownTimeZone = 38, "No such time zone; give an IANA name like America/Chicago.";
        /// See [`RefusalCode::meaning`].
        UnknownSupply = 39, "Nothing of that supply is on its way to the cell; put it first.";
        /// See [`RefusalCode::meaning`].
        QuantityZero = 40, "The quantity is 0; give at least 1.";
        /// See [`RefusalCode::meaning`].
        QuantityTooLarge = 41, "The quantity, or a sum of quantities, is over the limit; detail says the limit.";
        /// See [`RefusalCode::meaning`].
        LineTwice = 42, "The line id, or the cell, stands twice in the list.";
        /// See [`RefusalCode::meaning`].
        LifetimeOutOfBounds = 43, "The lifetime is over the class's limit; detail says the limit in milliseconds.";
        /// See [`RefusalCode::meaning`].
        TimeFromFuture = 44, "The time lies ahead of the daemon's; detail says the daemon's time.";
        /// See [`RefusalCode::meaning`].
        UnknownSeller = 45, "No node is of such a seller; put one first.";
        /// See [`RefusalCode::meaning`].
        SellersDiffer = 46, "Lines of one sku, or of a kit that has it, are of different sellers, or of one and of nobody; order them apart.";
        /// See [`RefusalCode::meaning`].
        UnknownService = 47, "A rule of the policy names a service that no carrier has; index is its line and detail its column. Put the service first, or correct the name.";
        /// See [`RefusalCode::meaning`].
        CostTooLarge = 48, "What the order could cost is more than can be counted; order fewer units at once, or lower the costs of nodes, carriers or rules that stand far above the others.";
        /// See [`RefusalCode::meaning`].
        SkuRetired = 50, "The sku is out of sale.";
        /// See [`RefusalCode::meaning`].
        NodeNotActive = 51, "The node is paused or retired.";
        /// See [`RefusalCode::meaning`].
        NodeIncapable = 52, "The node cannot do what the order or sku needs.";
        /// See [`RefusalCode::meaning`].
        NodeRetired = 53, "The node is retired; a retired node does not come back.";
        /// See [`RefusalCode::meaning`].
        SkuIsKit = 54, "The sku is a kit, and what is stocked and held are its components; name them, or order the kit.";
        /// See [`RefusalCode::meaning`].
        SkuStocked = 55, "The sku was stocked itself, so it cannot be a kit; put the kit under a sku of its own.";
        /// See [`RefusalCode::meaning`].
        KitOfKits = 56, "A component of a kit cannot be a kit; name what that one is put together of.";
        /// See [`RefusalCode::meaning`].
        Expired = 60, "The hold's deadline has passed; reserve again.";
        /// See [`RefusalCode::meaning`].
        WrongStatus = 61, "The reservation, or that line of it, cannot take this step now; detail is its status.";
        /// See [`RefusalCode::meaning`].
        NotEnough = 62, "The line has less than that in the stage the step starts from; detail says how much.";
        /// See [`RefusalCode::meaning`].
        StaleCount = 63, "A newer count of that source was taken already; detail says its time.";
        /// See [`RefusalCode::meaning`].
        CountTooOld = 64, "Movements since that count are no longer kept; count again.";
        /// See [`RefusalCode::meaning`].
        InReview = 65, "The reservation waits for review; approve it, or release it.";
        /// See [`RefusalCode::meaning`].
        KitInParts = 66, "The line has units of several components of a kit, and a quantity does not say of which; leave it out for all of the line. An amendment: they make no whole kits; only 0 can be said.";
        /// See [`RefusalCode::meaning`].
        OutOfStock = 70, "Not enough is available; detail says how much is.";
        /// See [`RefusalCode::meaning`].
        NoNode = 71, "No node can serve this line: none is active, capable, allowed by the order and the policy, and has a day with room.";
        /// See [`RefusalCode::meaning`].
        TooManyShipments = 72, "It cannot be served within that many shipments; detail says the limit.";
        /// See [`RefusalCode::meaning`].
        Contended = 73, "Others took the planned stock again and again; try again with a new id.";
        /// See [`RefusalCode::meaning`].
        NoService = 74, "No service of a carrier, of those that the policy lets the order go by, goes to the address from a node that could serve this line; offer one that does, or let it go by others.";
        /// See [`RefusalCode::meaning`].
        DayFull = 75, "The day on which it ships has no room for that much more; detail says for how many units it has.";
        /// See [`RefusalCode::meaning`].
        NotBetter = 76, "The move saves less than it has to, and detail says what it saves; or, where index names an order, promises that one later than before.";
        /// See [`RefusalCode::meaning`].
        CapacityReached = 80, "A capacity of the configuration is used up; field names the setting.";
    }
);

numbered!(
    /// Which part of a command a refusal speaks of.
    Field {
        /// The command as a whole.
        Whole = 0, "command";
        /// `id`.
        Id = 1, "id";
        /// `lines[i]`.
        Line = 2, "lines";
        /// `lines[i].sku` or `cells[i].sku`.
        Sku = 3, "sku";
        /// `….node`.
        Node = 4, "node";
        /// `….segment`.
        Segment = 5, "segment";
        /// `….quantity`.
        Quantity = 6, "quantity";
        /// `class`.
        Class = 7, "class";
        /// `lifetime_ms`.
        Lifetime = 8, "lifetime_ms";
        /// `channel`.
        Channel = 9, "channel";
        /// `delivery`.
        Delivery = 10, "delivery";
        /// `reservation`.
        Reservation = 11, "reservation";
        /// `as_of`.
        AsOf = 12, "as_of";
        /// `code`.
        Code = 13, "code";
        /// `group`.
        Group = 14, "group";
        /// `flags` or `capabilities`.
        Flags = 15, "flags";
        /// `position`.
        Position = 16, "position";
        /// `shipments_max`.
        Shipments = 17, "shipments_max";
        /// `nodes`.
        Nodes = 18, "nodes";
        /// `reason`.
        Reason = 19, "reason";
        /// `time_zone`.
        TimeZone = 20, "time_zone";
        /// `weight_g`, or a cost.
        Cost = 21, "cost";
        /// `text` of a policy.
        Policy = 22, "policy";
        /// `value` of an order.
        Value = 23, "value";
        /// `calendar` of a node, or one of a list of calendars.
        Calendar = 24, "calendar";
        /// `rates`, or the currency of a service.
        Currency = 25, "currency";
        /// `charts`, or the chart of a service.
        Chart = 26, "chart";
        /// `services[i]`.
        Service = 27, "service";
        /// `services[i].zones`.
        Zone = 28, "zone";
        /// `services[i].zones[..].steps`.
        Steps = 29, "steps";
        /// `postal`.
        Postal = 30, "postal";
        /// `kits[i].components`.
        Component = 31, "components";
        /// `seller` of a node, or `sellers` of an order.
        Seller = 32, "sellers";
        /// `substitutes[i].substitutes`, or `substitutable` of an order.
        Substitute = 33, "substitutes";
        /// The setting `capacity.skus`.
        CapacitySkus = 40, "capacity.skus";
        /// The setting `capacity.nodes`.
        CapacityNodes = 41, "capacity.nodes";
        /// The setting `capacity.cells`.
        CapacityCells = 42, "capacity.cells";
        /// The setting `capacity.reservations`.
        CapacityReservations = 43, "capacity.reservations";
        /// The setting `capacity.lines`.
        CapacityLines = 44, "capacity.lines";
        /// The setting `capacity.facts_bytes`.
        CapacityFacts = 45, "capacity.facts_bytes";
        /// The setting `capacity.sku_code_bytes`.
        CapacityCodes = 46, "capacity.sku_code_bytes";
    }
);

/// A refusal: which, of which part, and a number that says how far off it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which.
    pub code: RefusalCode,
    /// The offending field.
    pub field: Field,
    /// Its place in the command's list, where it is in one.
    pub index: Option<u32>,
    /// What the code's meaning says it is; 0 where it says nothing.
    pub detail: i64,
}

impl Refusal {
    /// A refusal of a field outside any list.
    #[must_use]
    pub fn of(code: RefusalCode, field: Field) -> Self {
        Self { code, field, index: None, detail: 0 }
    }

    /// The same, at this place of the list.
    #[must_use]
    pub fn at(self, index: usize) -> Self {
        Self { index: u32::try_from(index).ok(), ..self }
    }

    /// The same, with this detail.
    #[must_use]
    pub fn detail(self, detail: i64) -> Self {
        Self { detail, ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}) at {}", self.code.name(), self.code.number(), self.field.meaning())?;
        if let Some(index) = self.index {
            write!(f, "[{index}]")?;
        }
        write!(f, ": {}", self.code.meaning())?;
        // How much there is can be nothing.
        let is_amount = self.code.meaning().contains("; detail says how much");
        if self.detail != 0 || is_amount { write!(f, " (detail {})", self.detail) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_how_much_there_is_also_where_that_is_nothing() {
        let none = Refusal::of(RefusalCode::OutOfStock, Field::Line).at(0);
        assert!(none.to_string().ends_with("detail says how much is. (detail 0)"), "{none}");
        let unknown = Refusal::of(RefusalCode::UnknownSku, Field::Line);
        assert!(!unknown.to_string().contains("detail"), "{unknown}");
    }
}
