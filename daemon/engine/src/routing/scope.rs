//! What an order draws on: the stock it may see, the nodes it may use, and what a shipment from each of them costs.
//!
//! Whoever narrows an order's nodes or makes some dearer does it here, in [`Leaning`], once per order; all other rooms
//! ask [`Scope::allows`], [`Scope::candidate`] and the least costs of a band, and so stay exact about it. This room
//! looks at no stock.

use std::cell::OnceCell;
use std::sync::Arc;

use earmark_protocol::catalogue::{NodeState, capabilities};
use earmark_protocol::command::{Delivery, Order};
use earmark_protocol::ids::{Money, NodeIx, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use super::carriage::Carriage;
use super::case::Candidate;
use super::days::Days;
use super::demand::Demand;
use super::lanes::{Band, Bookmark, LaneBook, LaneSet, Sheet, To};
use super::late::LateCosts;
use super::price::unit_to_address;
use super::prices::Prices;
use super::settle::First;
use crate::promise::{Timetable, Transit};
use crate::rules::Tariff;
use crate::tariff::Services;
use crate::tariff::fares::{Fare, Floor, Goods};
use crate::{NodeTable, Reader};

/// What rules say of the nodes for one order, by place in the node table.
#[derive(Clone, Copy, Default)]
pub(crate) struct Leaning<'a> {
    /// A bit per node that may serve the order; `None` for all. Nodes beyond the last word may not.
    pub(crate) eligible: Option<&'a [u64]>,
    /// By node: what a shipment from there costs on top, in micros; nothing for nodes beyond the last. A node that is
    /// preferred has less than 0.
    pub(crate) extra: &'a [i64],
    /// What being late adds to that.
    pub(crate) late: Option<&'a LateCosts<'a>>,
    /// The least of both together over all nodes.
    pub(crate) extra_least: i64,
    /// By want: a bit per node that may serve it. Empty where all wants may be served by whoever is eligible.
    pub(crate) by_want: &'a [&'a [u64]],
    /// By want: nodes, a bit each, that keep back so many units of it. Empty where nobody does.
    pub(crate) buffers: &'a [Vec<(Vec<u64>, i64)>],
}

/// Units of a want that a node has beside what can be promised; below 0 where they are spoken for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credit {
    pub(crate) want: u32,
    pub(crate) node: u32,
    pub(crate) units: i64,
}

/// What is read before an order's lines are looked at; a [`Scope`] borrows from it.
pub(super) struct Sight {
    /// The plan epoch, read before anything that it stands for.
    pub(super) epoch: u64,
    pub(super) table: Arc<NodeTable>,
    sheet: Arc<Sheet>,
    /// `None` for a pickup.
    lanes: Option<Arc<LaneSet>>,
    timetable: Arc<Timetable>,
    /// Where days are limited.
    days: Option<Days>,
    pub(super) prices: Arc<Prices>,
    /// When it was ordered.
    now: TimestampMs,
    /// Whether the address is a home.
    is_home: bool,
    /// Where carriers price: grams that the order is billed for at least, and by class of ways what they charge at least.
    grams: u64,
    floors: OnceCell<Vec<Floor>>,
}

impl Sight {
    /// Reads what is there now.
    pub(super) fn of(
        bookmark: &mut Bookmark,
        reader: &Reader,
        lanes: &LaneBook,
        tenant: Tenant,
        order: &Order,
        now: TimestampMs,
    ) -> Self {
        let epoch = reader.epoch();
        let tariff = &reader.rules().tariff;
        let table = bookmark.table(reader);
        let sheet = bookmark.sheet(lanes, (tenant, None), &table, tariff);
        let timetable = bookmark.timetable(tenant, &table, now);
        let prices = bookmark.prices(reader);
        let lanes = destination(order, &table).map(|to| bookmark.lanes(lanes, &sheet, to, tariff));
        let days = Days::of(&timetable, table.nodes.len(), order, now);
        let is_home = matches!(order.delivery, Delivery::Ship { home: true, .. });
        Self {
            epoch,
            table,
            sheet,
            lanes,
            timetable,
            days,
            prices,
            now,
            is_home,
            grams: 0,
            floors: OnceCell::new(),
        }
    }

    /// Whether the order is shipped, to an address or a store.
    pub(super) fn is_shipped(&self) -> bool {
        self.lanes.is_some()
    }

    /// Has the order go by these services alone, where it is said.
    pub(super) fn go_by(
        &mut self,
        bookmark: &mut Bookmark,
        reader: &Reader,
        lanes: &LaneBook,
        order: &Order,
        services: Option<Services>,
    ) {
        if services.is_some() {
            let tariff = &reader.rules().tariff;
            self.sheet = bookmark.sheet(lanes, (self.sheet.tenant, services), &self.table, tariff);
            let to = destination(order, &self.table);
            self.lanes = to.map(|to| bookmark.lanes(lanes, &self.sheet, to, tariff));
        }
    }

    /// Looks up what carriers price of an order's wants, where they do.
    pub(super) fn weigh(&mut self, reader: &Reader, demand: &mut Demand) {
        if let Some(fares) = self.sheet.fares.as_ref().filter(|_| self.lanes.is_some()) {
            self.grams = demand.weigh(reader, fares);
            self.floors = OnceCell::new();
        }
    }

    /// The scope of these segments and nodes, before any rule has its say. What carriers price was looked up before.
    pub(super) fn scope<'a>(
        &'a self,
        reader: &'a Reader,
        segments: &'a [Segment],
        named: &'a [NodeIx],
        without: &'a [NodeIx],
    ) -> Scope<'a> {
        let rules = reader.rules();
        let carriage = self.sheet.fares.as_ref().zip(self.lanes.as_deref());
        let carriage = carriage.map(|(fares, lanes)| {
            let Self { is_home, grams, floors, .. } = self;
            Carriage { fares, lanes, is_home: *is_home, grams: *grams, known_floors: floors }
        });
        Scope {
            reader,
            sheet: &self.sheet,
            lanes: self.lanes.as_deref(),
            tariff: &rules.tariff,
            segments,
            named,
            without,
            split_lines: rules.split_lines,
            leaning: Leaning::default(),
            prices: None,
            credits: &[],
            timetable: &self.timetable,
            days: self.days.as_ref(),
            waits: true,
            transit: None,
            now: self.now,
            carriage,
        }
    }
}

/// Where the order goes; `None` for a pickup.
fn destination<'a>(order: &'a Order, table: &'a NodeTable) -> Option<To<'a>> {
    match &order.delivery {
        Delivery::Ship { position, postal, .. } => Some(To { zone: position.zone(), postal }),
        // A node that is unknown is refused before anything is planned.
        Delivery::ToStore { node } => table.nodes.get(node.0 as usize).map(|found| {
            let spec = &found.spec;
            To { zone: spec.position.zone(), postal: &spec.postal }
        }),
        Delivery::Pickup { .. } => None,
    }
}

/// The nodes that alone may serve an order; empty for all.
pub(super) fn named(order: &Order) -> &[NodeIx] {
    match &order.delivery {
        Delivery::Pickup { node } => std::slice::from_ref(node),
        Delivery::Ship { .. } | Delivery::ToStore { .. } => &order.nodes,
    }
}

/// Checks the nodes that the order names, and keeps them in `named`.
pub(super) fn check_nodes(
    table: &NodeTable,
    tenant: Tenant,
    order: &Order,
    named: &mut Vec<NodeIx>,
) -> Result<(), Refusal> {
    use earmark_protocol::catalogue::capabilities::{PICKUP, SHIP};
    named.clear();
    let node = |node: NodeIx| table.nodes.get(node.0 as usize).filter(|found| found.tenant == tenant);
    if let Some(unknown) = order.nodes.iter().position(|named| node(*named).is_none()) {
        return Err(Refusal::of(RefusalCode::UnknownNode, Field::Nodes).at(unknown));
    }
    let mut first = First::default();
    if let Delivery::Pickup { node: at } | Delivery::ToStore { node: at } = &order.delivery {
        let mut refuse = |code| first.consider(Refusal::of(code, Field::Delivery));
        match node(*at) {
            None => refuse(RefusalCode::UnknownNode),
            Some(found) if found.state != NodeState::Active => refuse(RefusalCode::NodeNotActive),
            Some(found) if found.spec.capabilities & PICKUP == 0 => refuse(RefusalCode::NodeIncapable),
            Some(_) => {}
        }
    }
    match &order.delivery {
        Delivery::Pickup { node: at } => {
            if !order.nodes.is_empty() && !order.nodes.contains(at) {
                first.consider(Refusal::of(RefusalCode::NoNode, Field::Delivery));
            }
            named.push(*at);
        }
        Delivery::Ship { .. } | Delivery::ToStore { .. } if order.nodes.is_empty() => {}
        Delivery::Ship { .. } | Delivery::ToStore { .. } => {
            let mut active = order
                .nodes
                .iter()
                .filter_map(|at| node(*at))
                .filter(|found| found.state == NodeState::Active)
                .peekable();
            let is_any = active.peek().is_some();
            if !active.any(|found| found.spec.capabilities & SHIP != 0) {
                let code = if is_any { RefusalCode::NodeIncapable } else { RefusalCode::NodeNotActive };
                first.consider(Refusal::of(code, Field::Nodes).at(0));
            }
            named.extend_from_slice(&order.nodes);
        }
    }
    first.done()
}

/// What an order draws on.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) reader: &'a Reader,
    pub(crate) sheet: &'a Sheet,
    /// `None` for a pickup.
    pub(crate) lanes: Option<&'a LaneSet>,
    pub(crate) tariff: &'a Tariff,
    pub(crate) segments: &'a [Segment],
    /// The nodes that may serve it; empty for all.
    pub(crate) named: &'a [NodeIx],
    pub(crate) without: &'a [NodeIx],
    /// Whether a want may be split that no node has whole.
    pub(crate) split_lines: bool,
    pub(crate) leaning: Leaning<'a>,
    /// What a unit is worth to the future, where some want has a price.
    pub(crate) prices: Option<&'a Prices>,
    /// By want and node: units that are there beside what can be promised.
    pub(crate) credits: &'a [Credit],
    pub(crate) timetable: &'a Timetable,
    /// Where days are limited.
    pub(crate) days: Option<&'a Days>,
    /// Whether a shipment waits for a day with room; else a node whose next day is full may not serve.
    pub(crate) waits: bool,
    /// How fast goods travel, where the policy says it.
    pub(crate) transit: Option<Transit>,
    /// When it was ordered.
    pub(crate) now: TimestampMs,
    /// How carriers price it; `None` where the configured tariff does, and for a pickup.
    pub(crate) carriage: Option<Carriage<'a>>,
}

impl Scope<'_> {
    /// What a node must be able to do.
    pub(crate) fn needs(&self) -> u16 {
        if self.lanes.is_some() { capabilities::SHIP } else { capabilities::PICKUP }
    }

    /// Whether the node is of the tenant, active, able to deliver the way the order asks for, let in by rules, and open on
    /// some day to come that has room.
    #[inline]
    pub(crate) fn allows(&self, node: u32) -> bool {
        let Some(site) = self.sheet.sites.get(node as usize) else { return false };
        let let_in = |bits: &[u64]| has_bit(bits, node);
        site.active
            && site.capabilities & self.needs() != 0
            && self.leaning.eligible.is_none_or(let_in)
            && self.timetable.opens(node)
            && self.carriage.is_none_or(|carriage| carriage.reaches(node))
            && (self.days.is_none() || self.passed(NodeIx(node)).is_some())
    }

    /// Whether a node that is allowed may serve a want whose sku has these flags.
    #[inline]
    pub(crate) fn suits(&self, want: usize, flags: u16, node: u32) -> bool {
        self.is_capable(flags, node) && self.leaning.by_want.get(want).is_none_or(|bits| has_bit(bits, node))
    }

    /// Whether a node can handle a sku of these flags.
    pub(crate) fn is_capable(&self, flags: u16, node: u32) -> bool {
        self.sheet.sites.get(node as usize).is_some_and(|site| site.capabilities & flags == flags)
    }

    /// The price of a unit of a sku at a node, beside what it costs.
    pub(crate) fn price(&self, sku: SkuIx, node: u32) -> i64 {
        self.prices.map_or(0, |prices| prices.at(sku, NodeIx(node)).0)
    }

    /// What a node can promise of a sku over the order's segments, whatever it keeps back.
    pub(crate) fn there(&self, sku: SkuIx, node: NodeIx) -> i64 {
        let of = |segment: &Segment| self.reader.available(sku, node, *segment).unwrap_or(0);
        self.segments.iter().map(|segment| i64::from(of(segment).max(0))).sum()
    }

    /// Units of a want that a node must have beyond those it is asked for: what it keeps back, less what is there beside what can
    /// be promised.
    #[inline]
    pub(crate) fn buffer(&self, want: usize, node: u32) -> i64 {
        // Asked at each look at a node's stock: most orders have neither.
        if self.has_buffers() { self.keeps(want, node) - self.credit(want, node) } else { 0 }
    }

    /// Whether some node must have more, or less, of some want than it is asked for.
    #[inline]
    pub(crate) fn has_buffers(&self) -> bool {
        !self.leaning.buffers.is_empty() || !self.credits.is_empty()
    }

    /// Units of a want that a node keeps back.
    #[inline(never)]
    pub(crate) fn keeps(&self, want: usize, node: u32) -> i64 {
        let buffers = self.leaning.buffers.get(want).map_or(&[][..], Vec::as_slice);
        buffers.iter().filter(|(bits, _)| has_bit(bits, node)).map(|(_, units)| *units).max().unwrap_or(0)
    }

    #[inline(never)]
    fn credit(&self, want: usize, node: u32) -> i64 {
        self.credits_of(want).filter(|credit| credit.node == node).map(|credit| credit.units).sum()
    }

    /// What is there of a want beside what can be promised.
    pub(crate) fn credits_of(&self, want: usize) -> impl Iterator<Item = &Credit> {
        self.credits.iter().filter(move |credit| credit.want as usize == want)
    }

    /// How many days on which it could ship the node lets pass; `None` where it may not serve for that.
    fn passed(&self, node: NodeIx) -> Option<usize> {
        let passed = self.days.map_or(Some(0), |days| days.passed(self, node));
        passed.filter(|passed| *passed == 0 || self.waits)
    }

    /// When a shipment leaves the node, or is ready to be picked up there, where so many days are let pass; and on which day.
    fn leaves(&self, node: NodeIx, passed: usize) -> Option<(TimestampMs, u32)> {
        match self.lanes {
            Some(_) => self.timetable.leaves(node, passed).map(|departure| (departure.leaves, departure.day)),
            None => self.timetable.ready(node, self.now, passed),
        }
    }

    /// The day of a shipment from the node, where so many are let pass.
    pub(super) fn day(&self, node: NodeIx, passed: usize) -> Option<u32> {
        self.leaves(node, passed).map(|(_, day)| day)
    }

    /// When a shipment leaves the node, or is ready to be picked up there, 0 where the node has no calendar; and the day that it
    /// takes room of, 0 where that has no limit.
    pub(crate) fn ships(&self, node: NodeIx) -> (TimestampMs, u32) {
        let (moment, day) = self.leaves(node, self.passed(node).unwrap_or(0)).unwrap_or_default();
        (moment, if self.timetable.limit(node).is_some() { day } else { 0 })
    }

    /// By when a shipment from the node is delivered, or is ready to be picked up there; 0 where nothing says it.
    pub(crate) fn promised_at(&self, node: NodeIx) -> TimestampMs {
        if self.lanes.is_none() {
            return self.ships(node).0;
        }
        let arrives = self.days_on_the_way(node).and_then(|(days, weekends)| {
            self.timetable.arrives(node, self.passed(node).unwrap_or(0), days, weekends)
        });
        arrives.unwrap_or(TimestampMs(0))
    }

    /// How long a shipment from the node is on its way, and whether it travels on weekends; `None` where nothing says it.
    pub(super) fn days_on_the_way(&self, node: NodeIx) -> Option<(usize, bool)> {
        let miles = u32::from(self.lanes?.miles[node.0 as usize]);
        self.transit.map(|transit| (transit.days(miles), transit.weekends))
    }

    /// What rules, and being late, add to the cost of a shipment from a node.
    #[inline]
    pub(crate) fn extra(&self, node: u32) -> i64 {
        let ruled = self.leaning.extra.get(node as usize).copied().unwrap_or(0);
        self.leaning.late.map_or(ruled, |late| ruled.saturating_add(late.at(node)))
    }

    /// What each shipment costs before it is known from where.
    fn base(&self) -> i64 {
        if self.lanes.is_some() && self.carriage.is_none() { self.tariff.shipment_base.0 } else { 0 }
    }

    /// The bands of the order's nodes.
    pub(crate) fn bands(&self) -> &[Band] {
        self.lanes.map_or(&self.sheet.bands, |lanes| &lanes.bands)
    }

    /// The least that a shipment from a band's nodes costs, lines, units and carriers aside.
    pub(crate) fn band_fixed(&self, band: &Band) -> i64 {
        self.base().saturating_add(band.fixed).saturating_add(self.leaning.extra_least)
    }

    /// Whether the nodes of a band differ in nothing but what a unit costs from there, and what rules and prices add.
    pub(crate) fn bands_are_uniform(&self) -> bool {
        self.sheet.bands_are_uniform() && self.bands_have_one_class()
    }

    /// Whether rules add no more to what a shipment from a node costs than they do anywhere.
    #[inline]
    pub(crate) fn is_plain(&self, node: u32) -> bool {
        self.extra(node) <= self.leaning.extra_least
    }

    /// Whether carriers charge the same from all nodes of a band.
    pub(crate) fn bands_have_one_class(&self) -> bool {
        self.carriage.is_none_or(|carriage| carriage.lanes.bands_have_one_class())
    }

    /// The least that a shipment costs, lines and units aside.
    pub(crate) fn fixed_least(&self) -> i64 {
        self.own_fixed_least().saturating_add(self.carriage.map_or(0, |carriage| carriage.floor_least()))
    }

    /// The same, carriers aside.
    pub(crate) fn own_fixed_least(&self) -> i64 {
        let fixed = self.sheet.bands.iter().map(|band| band.fixed).min().unwrap_or(0);
        self.base().saturating_add(fixed).saturating_add(self.leaning.extra_least)
    }

    /// What a unit costs from a node, carriers aside.
    #[inline]
    pub(crate) fn unit_from(&self, node: u32) -> i64 {
        let unit = self.sheet.costs(node).unit;
        match self.lanes.filter(|_| self.carriage.is_none()) {
            Some(lanes) => unit_to_address(self.tariff, unit, u32::from(lanes.miles[node as usize])),
            None => unit,
        }
    }

    /// What a shipment of these goods from a candidate costs, and what the carrier takes of that.
    pub(crate) fn shipment(
        &self,
        from: &Candidate,
        skus: usize,
        units: u64,
        goods: &Goods,
    ) -> (Money, Option<Fare>) {
        let Money(own) = from.rates().shipment(skus, units);
        let fare = self.carriage.and_then(|carriage| carriage.fare(from.class, goods));
        (Money(own.saturating_add(fare.map_or(0, |fare| fare.total()))), fare)
    }

    /// A node with its rates, and what carriers charge from there at least.
    pub(crate) fn candidate(&self, node: u32) -> Candidate {
        let carriage = self.carriage.map_or_else(Floor::default, |carriage| carriage.floor_of(node));
        Candidate { carriage, ..self.sender(node) }
    }

    /// A node with its rates, for whoever prices each shipment as a whole.
    pub(crate) fn sender(&self, node: u32) -> Candidate {
        let (site, costs) = (&self.sheet.sites[node as usize], self.sheet.costs(node));
        let miles = self.lanes.map_or(0, |lanes| u32::from(lanes.miles[node as usize]));
        let unit = self.unit_from(node);
        let (class, carriage) = (self.carriage.map_or(0, |carriage| carriage.class(node)), Floor::default());
        let fixed = self.base().saturating_add(costs.fixed).saturating_add(self.extra(node));
        let (rank, code_rank, priority) = (site.rank, site.code_rank, site.priority);
        Candidate { node, miles, fixed, line: costs.line, unit, class, carriage, rank, code_rank, priority }
    }

    /// What these wants cost at least, whatever stock there is: one shipment at the lowest rates of all nodes.
    pub(crate) fn floor(&self, units: &[i64]) -> i64 {
        let mut least = Candidate { fixed: i64::MAX, line: i64::MAX, unit: i64::MAX, ..Candidate::default() };
        let mut lower = |candidate: Candidate| {
            least.fixed = least.fixed.min(candidate.fixed_floor());
            least.line = least.line.min(candidate.line);
            least.unit = least.unit.min(candidate.unit);
        };
        if let Some(lanes) = self.lanes.filter(|_| self.named.is_empty()) {
            let mut start = 0;
            for (band, end) in lanes.bands.iter().zip(lanes.ends.iter().copied()) {
                if start < end {
                    let unit = self.unit_from(lanes.order[start as usize]);
                    let carriage =
                        self.carriage.map_or(Floor::default(), |carriage| carriage.band_floor(band));
                    let (fixed, line) = (self.band_fixed(band), band.line);
                    lower(Candidate { fixed, line, unit, carriage, ..Candidate::default() });
                }
                start = end;
            }
        } else {
            self.named.iter().for_each(|node| lower(self.candidate(node.0)));
        }
        units.iter().filter(|units| **units > 0).fold(least.fixed, |floor, units| {
            floor.saturating_add(least.line).saturating_add(least.unit.saturating_mul(*units))
        })
    }
}

/// Whether a node is among those of some bits.
pub(super) fn has_bit(bits: &[u64], node: u32) -> bool {
    bits.get(node as usize / 64).is_some_and(|bits| bits >> (node % 64) & 1 == 1)
}
