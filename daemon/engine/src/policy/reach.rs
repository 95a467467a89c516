//! Which orders a policy is for, and from when on: those it is not for obey the version before it.

use earmark_protocol::command::{Delivery, Order};
use earmark_protocol::ids::TimestampMs;
use xxhash_rust::xxh3::xxh3_64;

use super::check::Term;
use super::eval::{self, LineFacts, OrderFacts, Scene, TimeFacts};
use super::model::Policy;

/// Which orders a policy is for; all of them where nothing is said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    /// From when on.
    pub(crate) active_from: Option<TimestampMs>,
    /// How many per cent of all destinations.
    pub(crate) share: Option<u8>,
    /// Which orders and times.
    pub(crate) only_when: Option<Term>,
}

impl Reach {
    /// Whether it is for all orders at all times.
    pub(crate) fn is_all(&self) -> bool {
        self.active_from.is_none() && self.share.is_none() && self.only_when.is_none()
    }
}

impl Policy {
    /// Whether it is for all orders from the moment it is set.
    #[must_use]
    pub fn is_for_all(&self) -> bool {
        self.reach.is_all()
    }

    /// Whether it is for this order at this time.
    pub(crate) fn is_for(&self, now: TimestampMs, order: &Order, facts: &OrderFacts<'_>) -> bool {
        let Reach { active_from, share, only_when } = &self.reach;
        active_from.is_none_or(|from| from <= now)
            && share.is_none_or(|share| bucket(order) < u64::from(share))
            && only_when.as_ref().is_none_or(|when| self.holds(when, now, facts))
    }

    /// Whether a condition of it that is about orders alone is true of this one at this time.
    pub(crate) fn holds(&self, condition: &Term, now: TimestampMs, order: &OrderFacts<'_>) -> bool {
        let (line, time) = (LineFacts::default(), TimeFacts::at(now, &self.zone));
        eval::holds(condition, &Scene { order, line: &line, time: &time, node: None, miles: 0 })
    }
}

/// Where an order's destination stands among a hundred. It is the same for a quote, a reservation and what is routed again;
/// and for all policies, so that a share that is raised takes no destination back.
fn bucket(order: &Order) -> u64 {
    let hash = match &order.delivery {
        Delivery::Ship { position, postal, .. } => {
            let mut bytes = Vec::with_capacity(8 + postal.len());
            bytes.extend_from_slice(&position.lat_udeg.to_le_bytes());
            bytes.extend_from_slice(&position.lon_udeg.to_le_bytes());
            bytes.extend_from_slice(postal.as_bytes());
            xxh3_64(&bytes)
        }
        Delivery::Pickup { node } | Delivery::ToStore { node } => xxh3_64(&node.0.to_le_bytes()),
    };
    hash % 100
}

#[cfg(test)]
mod tests {
    use earmark_protocol::geo::Position;
    use earmark_protocol::ids::{Channel, NodeIx};

    use super::*;

    fn to(delivery: Delivery) -> Order {
        Order {
            channel: Channel(0),
            delivery,
            nodes: Vec::new(),
            shipments_max: 0,
            lines: Vec::new(),
            value: None,
            deliver_by_ms: None,
            sellers: Vec::new(),
            substitutable: Vec::new(),
            supply_by: None,
        }
    }

    #[test]
    fn destinations_fall_evenly_over_a_hundred_and_stay_where_they_fell() {
        let at = |n: i32| {
            let position = Position { lat_udeg: 40_000_000 + n * 37, lon_udeg: -90_000_000 - n * 11 };
            bucket(&to(Delivery::Ship { position, postal: format!("{n:05}"), home: false }))
        };
        let mut counts = [0_u32; 100];
        (0..20_000).for_each(|n| counts[at(n) as usize] += 1);
        assert!(counts.iter().all(|count| (130..280).contains(count)), "{counts:?}");
        // Fixed for ever: versions in a log take the same orders in every build.
        assert_eq!([at(0), at(1), at(2)], [92, 70, 69]);
        assert_eq!(bucket(&to(Delivery::Pickup { node: NodeIx(7) })), 4);
    }
}
