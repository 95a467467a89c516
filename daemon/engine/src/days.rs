//! What days of nodes are taken: per node a ring of the days at hand, counted by the one writer and read by planners beside
//! it. It says how much is taken, never how much may be.

use std::sync::atomic::Ordering;

use earmark_protocol::catalogue::DayLoad;
use earmark_protocol::ids::NodeIx;
use earmark_protocol::reply::NodeDay;

use crate::arena::Arena;
use crate::sync::AtomicU64;

/// Days of a node that are kept: each takes the place of the one so many days before it.
const KEPT: u32 = 64;

/// How many days ahead a day may be taken: some fewer than are kept, for nodes whose clocks are moved.
pub(crate) const AHEAD_MAX: u32 = 56;

/// What one day is taken.
#[derive(Default)]
#[repr(C)]
pub(crate) struct Day {
    /// The day above its orders, 32 bits each.
    day_and_orders: AtomicU64,
    lines: AtomicU64,
    units: AtomicU64,
}

/// How much more, or less, is taken of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) orders: i32,
    pub(crate) lines: i32,
    pub(crate) units: i64,
}

/// All days of all nodes.
pub(crate) struct Days {
    days: Arena<Day>,
}

impl Days {
    /// Memory for so many nodes.
    pub(crate) fn memory(nodes: u32) -> std::io::Result<Arena<Day>> {
        Arena::new(nodes.clamp(1, NodeIx::LIMIT) as usize * KEPT as usize)
    }

    /// What is taken, in this memory.
    pub(crate) fn new(days: Arena<Day>, taken: &[NodeDay]) -> Self {
        let made = Self { days };
        for NodeDay { node, day, taken } in taken {
            if let Some(at) = made.at(*node, *day) {
                at.store(*day, *taken);
            }
        }
        made
    }

    fn at(&self, node: NodeIx, day: u32) -> Option<&Day> {
        self.days.get((node.0 as usize).checked_mul(KEPT as usize)? + (day % KEPT) as usize)
    }

    /// What is taken of a day. Beside the writer it may be torn: what a plan makes of it is checked by the committer.
    pub(crate) fn taken(&self, node: NodeIx, day: u32) -> DayLoad {
        match self.at(node, day).map(Day::load) {
            Some((kept, taken)) if kept == day => taken,
            _ => DayLoad::default(),
        }
    }

    /// Takes more of a day, or gives some of it back. What is given back to a day that is kept no more is forgotten.
    pub(crate) fn change(&self, node: NodeIx, day: u32, by: Change) {
        let Some(at) = self.at(node, day) else { return };
        let (kept, taken) = at.load();
        let takes = by.orders >= 0 && by.lines >= 0 && by.units > 0;
        let before = match kept == day {
            true => taken,
            false if kept < day && takes => DayLoad::default(),
            false => return,
        };
        let after = DayLoad {
            orders: before.orders.wrapping_add_signed(by.orders),
            lines: before.lines.wrapping_add_signed(by.lines),
            units: before.units.wrapping_add_signed(by.units),
        };
        at.store(day, after);
    }

    /// The days of the first so many nodes of which something is taken, by node and day.
    pub(crate) fn of_nodes(&self, nodes: impl Iterator<Item = NodeIx>) -> impl Iterator<Item = NodeDay> {
        nodes.flat_map(|node| {
            let all = (0..KEPT).filter_map(|place| self.at(node, place)).map(Day::load);
            let mut days: Vec<_> = all
                .filter(|(_, taken)| *taken != DayLoad::default())
                .map(|(day, taken)| NodeDay { node, day, taken })
                .collect();
            days.sort_unstable_by_key(|of| of.day);
            days
        })
    }
}

impl Day {
    fn load(&self) -> (u32, DayLoad) {
        let first = self.day_and_orders.load(Ordering::Relaxed);
        let (lines, units) = (self.lines.load(Ordering::Relaxed), self.units.load(Ordering::Relaxed));
        ((first >> 32) as u32, DayLoad { orders: first as u32, lines: lines as u32, units })
    }

    fn store(&self, day: u32, taken: DayLoad) {
        self.day_and_orders.store(u64::from(day) << 32 | u64::from(taken.orders), Ordering::Relaxed);
        self.lines.store(taken.lines.into(), Ordering::Relaxed);
        self.units.store(taken.units, Ordering::Relaxed);
    }
}

/// Whether a node with this limit has room for so much on a day that is taken so far. A day that nothing is taken of has
/// room for one order, however large: else it could never be shipped.
pub(crate) fn has_room(limit: DayLoad, taken: DayLoad, more: DayLoad) -> bool {
    let fits = |limit: u64, taken: u64, more: u64| limit == 0 || taken.saturating_add(more) <= limit;
    taken == DayLoad::default()
        || fits(limit.orders.into(), taken.orders.into(), more.orders.into())
            && fits(limit.lines.into(), taken.lines.into(), more.lines.into())
            && fits(limit.units, taken.units, more.units)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const NODE: NodeIx = NodeIx(1);

    fn by(sign: i32, units: i64) -> Change {
        Change { orders: sign, lines: sign, units: i64::from(sign) * units }
    }

    #[test]
    fn a_day_takes_the_place_of_the_one_that_is_kept_no_more() {
        let days = Days::new(Days::memory(2).unwrap(), &[]);
        let taken = |day| days.taken(NODE, day).units;
        days.change(NODE, 20_000, by(1, 5));
        days.change(NODE, 20_000, by(1, 7));
        days.change(NODE, 20_001, by(1, 3));
        assert_eq!((taken(20_000), taken(20_001), taken(20_064)), (12, 3, 0));
        days.change(NODE, 20_000, by(-1, 5));
        days.change(NODE, 20_064, by(1, 2));
        assert_eq!((taken(20_000), taken(20_064)), (0, 2));
        days.change(NODE, 20_000, by(-1, 7));
        assert_eq!((taken(20_000), taken(20_064)), (0, 2), "the past takes nothing from it");
        let all: Vec<_> = days.of_nodes([NodeIx(0), NODE].into_iter()).map(|of| of.day).collect();
        assert_eq!(all, [20_001, 20_064]);
        let again =
            Days::new(Days::memory(2).unwrap(), &days.of_nodes([NODE].into_iter()).collect::<Vec<_>>());
        assert_eq!(again.taken(NODE, 20_064), days.taken(NODE, 20_064));
    }

    #[test]
    fn an_empty_day_has_room_for_any_one_order_and_no_other_day_goes_over_its_limit() {
        let load = |orders, lines, units| DayLoad { orders, lines, units };
        let limit = load(2, 0, 10);
        assert!(has_room(limit, load(0, 0, 0), load(1, 40, 400)));
        assert!(has_room(limit, load(1, 1, 4), load(1, 40, 6)));
        assert!(!has_room(limit, load(1, 1, 4), load(1, 1, 7)));
        assert!(!has_room(limit, load(2, 2, 2), load(1, 1, 1)));
        assert!(has_room(DayLoad::default(), load(9, 9, 9), load(1, 1, 1)));
    }
}
