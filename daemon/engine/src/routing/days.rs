//! Nodes whose days take so much and no more: how many of its days a node lets pass until one has room for the order.
//!
//! A day must have room for the whole order, whatever part of it the node will ship: so the day that a shipment leaves on is known
//! before it is known what is in it, plans stay exact about lateness, and no day goes over its limit.

use std::cell::Cell;
use std::collections::HashSet;

use earmark_protocol::catalogue::DayLoad;
use earmark_protocol::command::Order;
use earmark_protocol::ids::{NodeIx, TimestampMs};

use super::scope::Scope;
use crate::days::{AHEAD_MAX, has_room};
use crate::promise::{DEPARTURES_MAX, Timetable};

const DAY_MS: u64 = 24 * 3_600_000;
/// Of a node that was not asked about.
const UNKNOWN: u8 = u8::MAX;
/// Of a node all of whose days are full.
const NEVER: u8 = u8::MAX - 1;

/// The days of one order. Each node is asked about once, so that all of a plan sees the same.
pub(crate) struct Days {
    wanted: DayLoad,
    /// By node.
    passed: Vec<Cell<u8>>,
    /// The last day that may be taken.
    last: u32,
}

impl Days {
    /// `None` where no node has a limit.
    pub(super) fn of(timetable: &Timetable, nodes: usize, order: &Order, now: TimestampMs) -> Option<Self> {
        let units = order.lines.iter().map(|line| u64::from(line.quantity)).sum();
        let last = (now.0 / DAY_MS) as u32 + AHEAD_MAX;
        timetable.has_limits().then(|| {
            // What is of one line of a kit is one line.
            let lines: HashSet<_> = order.lines.iter().map(|line| line.line).collect();
            let wanted = DayLoad { orders: 1, lines: lines.len() as u32, units };
            Self { wanted, passed: vec![Cell::new(UNKNOWN); nodes], last }
        })
    }

    /// How many days that it could leave on have no room; `None` where none has.
    pub(super) fn passed(&self, scope: &Scope<'_>, node: NodeIx) -> Option<usize> {
        let Some(limit) = scope.timetable.limit(node) else { return Some(0) };
        let kept = self.passed.get(node.0 as usize)?;
        if kept.get() == UNKNOWN {
            let found = (0..DEPARTURES_MAX)
                .map_while(|passed| scope.day(node, passed).filter(|day| *day <= self.last))
                .position(|day| has_room(limit, scope.reader.taken_of(node, day), self.wanted));
            kept.set(found.map_or(NEVER, |passed| passed as u8));
        }
        (kept.get() != NEVER).then(|| usize::from(kept.get()))
    }
}
