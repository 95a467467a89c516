//! Worlds for routing: nodes, skus and stock, drawn by chance, and the engine's state of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use earmark_engine::routing::Prices;
use earmark_engine::{
    Capacity, CommandRef, Decision, Outcome, Rules, State, Submission, Tariff, apply, decide,
};
use earmark_protocol::catalogue::{
    CalendarSpec, DayHours, NodeSpec, NodeState, SkuSpec, capabilities, sku_flags,
};
use earmark_protocol::command::{
    Command, CommandBody, Delivery, Order, OrderLine, SetNodeState, SetStock, StockCount,
};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, CommandId, LineId, Money, NodeIx, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::reply::Reply;

use crate::carriers::{Carriers, Fare, Goods};

/// A world, told twice: to the engine and to the oracle.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) rules: Rules,
    pub(crate) nodes: Vec<NodeSpec>,
    /// By sku.
    pub(crate) flags: Vec<u16>,
    pub(crate) paused: BTreeSet<usize>,
    pub(crate) stock: BTreeMap<(usize, usize, u16), i32>,
    /// What a policy makes of it for the order at hand.
    pub(crate) lean: Lean,
    /// What carriers charge, where they do.
    pub(crate) carriers: Option<Carriers>,
}

/// What a policy forbids and what it adds to costs, for one order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lean {
    /// Nodes that may not serve a sku.
    pub(crate) excluded: BTreeSet<(usize, usize)>,
    /// By node: added to a shipment's cost.
    pub(crate) extra: Vec<i64>,
    /// Most shipments.
    pub(crate) limit: Option<usize>,
    /// Units of a sku that nodes keep back.
    pub(crate) buffers: BTreeMap<(usize, usize), u32>,
    /// What units are worth to orders to come.
    pub(crate) prices: Prices,
    /// By which services alone shipments go.
    pub(crate) services: Option<BTreeSet<usize>>,
}

impl World {
    /// A few nodes at few places, so that distances tie; four skus, little of each.
    pub(crate) fn random(random: &mut fastrand::Rng) -> Self {
        let costs = random.u8(0..4);
        let nodes = (0..random.usize(1..6)).map(|at| {
            let places = [(41.88, -87.63), (41.88, -87.63), (39.0, -90.0), (32.77, -96.79), (34.05, -118.24)];
            let (lat, lon) = places[random.usize(..places.len())];
            let mut spec = NodeSpec {
                code: format!("N{}", random.u32(..1000) * 10 + at as u32),
                position: Position::from_degrees(lat, lon).expect("it is on the globe"),
                time_zone: "America/Chicago".to_owned(),
                priority: random.u16(..3),
                capabilities: capabilities::SHIP | capabilities::PICKUP,
                ..NodeSpec::default()
            };
            if random.u8(..6) == 0 {
                spec.capabilities &= !capabilities::SHIP;
            }
            if random.bool() {
                spec.capabilities |= sku_flags::HAZMAT;
            }
            if costs > 0 {
                spec.cost_per_order = Money(random.i64(0..3) * 2_000_000);
                spec.cost_per_unit = Money(random.i64(0..3) * 100_000);
            }
            if costs > 1 {
                spec.cost_per_line = Money(random.i64(0..3) * 700_000);
            }
            spec
        });
        let mut nodes: Vec<_> = nodes.collect();
        let flags: Vec<_> = (0..4).map(|_| u16::from(random.u8(..5) == 0)).collect();
        let mut stock = BTreeMap::new();
        let segments = if random.bool() { 1 } else { 3 };
        for sku in 0..flags.len() {
            for node in 0..nodes.len() {
                for segment in 0..segments {
                    if random.u8(..3) > 0 {
                        stock.insert((sku, node, segment), random.i32(-2..7));
                    }
                }
            }
        }
        let mut tariff = Tariff::default();
        if random.u8(..4) == 0 {
            tariff.per_unit_mile = Money(20_000);
        }
        if random.u8(..6) == 0 {
            // A shipment from one node alone costs nothing once: where more do, as many as one likes are as cheap as one.
            tariff.shipment_base = Money(0);
            for (place, node) in (0..).zip(&mut nodes) {
                node.cost_per_order = Money(place * 250_000);
            }
        }
        let rules = Rules {
            tariff,
            split_lines: random.u8(..4) > 0,
            channels: vec![vec![Segment(0)], vec![Segment(2), Segment(0)]],
            ..Rules::default()
        };
        Self { rules, nodes, flags, paused: BTreeSet::new(), stock, lean: Lean::default(), carriers: None }
    }

    /// An order of up to four lines on a world of [`World::random`].
    pub(crate) fn order(&self, random: &mut fastrand::Rng) -> Order {
        let lines = (0..random.u32(1..5)).map(|line| OrderLine {
            line: LineId(line * 3 + 1),
            sku: SkuIx(random.u32(..self.flags.len() as u32)),
            quantity: random.u32(1..5),
        });
        let lines = lines.collect();
        let node = NodeIx(random.u32(..self.nodes.len() as u32));
        let delivery = if random.u8(..6) == 0 {
            Delivery::Pickup { node }
        } else if random.u8(..8) == 0 && self.nodes[node.0 as usize].capabilities & capabilities::PICKUP != 0
        {
            Delivery::ToStore { node }
        } else {
            Delivery::Ship {
                position: Position::from_degrees(40.0, -89.0).expect("it is on the globe"),
                postal: String::new(),
                home: false,
            }
        };
        let nodes = match &delivery {
            Delivery::Ship { .. } if random.u8(..4) == 0 => {
                let all = (0..self.nodes.len() as u32).filter(|_| random.bool());
                all.map(NodeIx).collect()
            }
            _ => Vec::new(),
        };
        let shipments_max = if random.u8(..3) == 0 { random.u16(1..3) } else { 0 };
        Order {
            channel: Channel(random.u16(..2)),
            delivery,
            nodes,
            shipments_max,
            lines,
            value: None,
            deliver_by_ms: None,
            sellers: Vec::new(),
            substitutable: Vec::new(),
            supply_by: None,
        }
    }

    /// The engine's side of it: nodes and skus put in this order, each cell counted.
    pub(crate) fn state(&self) -> State {
        let capacity = Capacity {
            skus: 8192,
            nodes: 4096,
            cells: 1 << 20,
            reservations: 1024,
            lines: 1024,
            commands: 1024,
            facts_bytes: 1 << 16,
            sku_code_bytes: 1 << 20,
            movements: 1024,
        };
        let mut state = State::new(&capacity, self.rules.clone()).expect("there is memory");
        let sku = |(at, flags): (usize, &u16)| SkuSpec {
            code: format!("S{at}"),
            flags: *flags,
            weight_g: self.carriers.as_ref().map_or(0, |carriers| carriers.weights_g[at]),
            size_mm: self.carriers.as_ref().map_or([0; 3], |carriers| carriers.sizes_mm[at]),
            ..SkuSpec::default()
        };
        let skus: Vec<_> = self.flags.iter().enumerate().map(sku).collect();
        let counts: Vec<_> = self.stock.iter().map(|(cell, available)| count(*cell, *available)).collect();
        run(&mut state, CommandBody::PutNodes(self.nodes.clone()));
        run(&mut state, CommandBody::PutSkus(skus));
        for counts in counts.chunks(self.rules.lines_max as usize) {
            run(
                &mut state,
                CommandBody::SetStock(SetStock { source: 0, as_of: None, counts: counts.to_vec() }),
            );
        }
        if let Some(carriers) = &self.carriers {
            run(&mut state, CommandBody::PutTariffs(carriers.put.clone()));
        }
        for node in &self.paused {
            let node = NodeIx(*node as u32);
            run(&mut state, CommandBody::SetNodeState(SetNodeState { node, state: NodeState::Paused }));
        }
        state
    }

    pub(crate) fn miles(&self, order: &Order, node: usize) -> i64 {
        match &order.delivery {
            Delivery::Ship { position, .. } => {
                i64::from(self.nodes[node].position.miles_to(position.zone().centre()))
            }
            Delivery::ToStore { node: to } => {
                let to = self.nodes[to.0 as usize].position;
                i64::from(self.nodes[node].position.miles_to(to.zone().centre()))
            }
            Delivery::Pickup { .. } => 0,
        }
    }

    pub(crate) fn may_serve(&self, order: &Order, sku: usize, node: usize) -> bool {
        let spec = &self.nodes[node];
        let way = match &order.delivery {
            Delivery::Ship { .. } => spec.capabilities & capabilities::SHIP != 0,
            Delivery::ToStore { node: to } => {
                spec.capabilities & capabilities::SHIP != 0 && !self.paused.contains(&(to.0 as usize))
            }
            Delivery::Pickup { node: at } => {
                at.0 as usize == node && spec.capabilities & capabilities::PICKUP != 0
            }
        };
        let named = order.nodes.is_empty() || order.nodes.contains(&NodeIx(node as u32));
        let allowed = !self.paused.contains(&node) && !self.lean.excluded.contains(&(sku, node));
        let is_ship = !matches!(order.delivery, Delivery::Pickup { .. });
        let reached = !is_ship || self.carriers.is_none() || self.fare(order, node, &[(sku, 1)]).is_some();
        way && named && allowed && reached && spec.capabilities & self.flags[sku] == self.flags[sku]
    }

    /// What a node could give of a sku, over the channel's segments.
    pub(crate) fn available(&self, order: &Order, sku: usize, node: usize) -> u32 {
        if !self.may_serve(order, sku, node) {
            return 0;
        }
        let segments = &self.rules.channels[usize::from(order.channel.0)];
        let of = |segment: &Segment| self.stock.get(&(sku, node, segment.0)).copied().unwrap_or(0);
        let there: u32 = segments.iter().map(|segment| of(segment).max(0).unsigned_abs()).sum();
        there.saturating_sub(self.lean.buffers.get(&(sku, node)).copied().unwrap_or(0))
    }

    /// The price of these units of a sku at a node, beside what they cost.
    pub(crate) fn price(&self, order: &Order, node: usize, sku: usize, units: u32) -> i64 {
        let is_shipped = !matches!(order.delivery, Delivery::Pickup { .. });
        let Money(unit) = self.lean.prices.at(SkuIx(sku as u32), NodeIx(node as u32));
        if is_shipped { unit * i64::from(units) } else { 0 }
    }

    /// What a shipment of these skus with their units costs.
    pub(crate) fn shipment_cost(&self, order: &Order, node: usize, parts: &[(usize, u32)]) -> i64 {
        let spec = &self.nodes[node];
        let units: u32 = parts.iter().map(|part| part.1).sum();
        let (mut fixed, mut unit) = (spec.cost_per_order.0, spec.cost_per_unit.0);
        match &self.carriers {
            Some(_) if !matches!(order.delivery, Delivery::Pickup { .. }) => {
                fixed += self.fare(order, node, parts).expect("a service goes from here").total();
            }
            None if !matches!(order.delivery, Delivery::Pickup { .. }) => {
                fixed += self.rules.tariff.shipment_base.0;
                unit += self.rules.tariff.per_unit.0
                    + self.rules.tariff.per_unit_mile.0 * self.miles(order, node);
            }
            _ => {}
        }
        fixed += self.lean.extra.get(node).copied().unwrap_or(0);
        fixed + spec.cost_per_line.0 * parts.len() as i64 + unit * i64::from(units)
    }

    /// What the cheapest service charges; `None` where none goes.
    pub(crate) fn fare(&self, order: &Order, node: usize, parts: &[(usize, u32)]) -> Option<Fare> {
        let carriers = self.carriers.as_ref()?;
        let (postal, home) = match &order.delivery {
            Delivery::Ship { postal, home, .. } => (postal, home),
            Delivery::ToStore { node } => (&self.nodes[node.0 as usize].postal, &false),
            Delivery::Pickup { .. } => return None,
        };
        let goods = Goods {
            grams: parts
                .iter()
                .map(|(sku, units)| u64::from(carriers.weights_g[*sku]) * u64::from(*units))
                .sum(),
            mm3: parts
                .iter()
                .map(|(sku, units)| {
                    let [a, b, c] = carriers.sizes_mm[*sku].map(u64::from);
                    a * b * c * u64::from(*units)
                })
                .sum(),
            flags: parts.iter().fold(0, |flags, (sku, _)| flags | self.flags[*sku]),
            home: *home,
        };
        let miles = self.miles(order, node);
        let spec = &self.nodes[node];
        let is_allowed =
            |at: &usize| self.lean.services.as_ref().is_none_or(|services| services.contains(at));
        let fares = carriers.put.services.iter().enumerate();
        let fares = fares.filter(|(at, service)| service.offered && is_allowed(at));
        let fares = fares.filter_map(|(at, service)| {
            let zone = carriers.zone(service, spec, miles, postal)?;
            Some(carriers.charge(at, zone, &goods))
        });
        fares.min_by_key(|fare| (fare.total(), fare.service))
    }
}

/// Decides and applies a command that must take place.
pub(crate) fn run(state: &mut State, body: CommandBody) {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let now = TimestampMs(1_700_000_000_000);
    let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let [a, b, c, d, e, f, g, h] = number;
    let command = Command { id: CommandId::new(now, [0, 0, a, b, c, d, e, f, g, h]), give_up_ms: 0, body };
    let command_ref = CommandRef::Full(&command);
    let submission =
        Submission { tenant: Tenant(0), content: 0, command: command_ref, planned: None, last: false };
    let mut decision = Decision::default();
    decide(state, now, &submission, &mut decision);
    assert!(matches!(decision.outcome, Outcome::Reply(Reply::Done(_))), "{:?}", decision.outcome);
    apply(state, &decision.record);
}

/// A calendar of a node that is open all day, every day, and needs no time.
pub(crate) fn always_open() -> CalendarSpec {
    let day = DayHours { opens_min: 0, closes_min: 1_440, cut_off_min: 1_440 };
    CalendarSpec { code: "always".to_owned(), week: [Some(day); 7], ..CalendarSpec::default() }
}

/// Has the first node work by a calendar, and be something else otherwise, too.
pub(crate) fn first_works_by(state: &mut State, calendar: CalendarSpec, change: impl FnOnce(&mut NodeSpec)) {
    let mut spec = (*state.reader().nodes().nodes[0].spec).clone();
    spec.calendar.clone_from(&calendar.code);
    change(&mut spec);
    run(state, CommandBody::PutCalendars(vec![calendar]));
    run(state, CommandBody::PutNodes(vec![spec]));
}

/// The count after which so much of a cell is available; below 0 where it is short.
pub(crate) fn count((sku, node, segment): (usize, usize, u16), available: i32) -> StockCount {
    StockCount {
        sku: SkuIx(sku as u32),
        node: NodeIx(node as u32),
        segment: Segment(segment),
        on_hand: available.max(0).unsigned_abs(),
        safety: Some(available.min(0).unsigned_abs()),
    }
}

impl World {
    /// Many nodes all over a country, each with each of `skus` skus by chance, `1..=depth` units deep.
    pub(crate) fn wide(
        random: &mut fastrand::Rng,
        nodes: usize,
        skus: usize,
        carry: f64,
        depth: i32,
    ) -> Self {
        let costs = random.u8(0..4);
        let node = |at: usize, random: &mut fastrand::Rng| {
            let (lat, lon) = (28.0 + random.f64() * 19.0, -122.0 + random.f64() * 48.0);
            let mut spec = NodeSpec {
                code: format!("N{}", (at * 7919) % 100_003),
                position: Position::from_degrees(lat, lon).expect("it is on the globe"),
                time_zone: "America/Chicago".to_owned(),
                priority: random.u16(..3),
                capabilities: capabilities::SHIP | capabilities::PICKUP | sku_flags::ALL,
                ..NodeSpec::default()
            };
            match costs {
                // By kind of node.
                1 => spec.cost_per_order = Money([0, 1_500_000, 4_000_000][at % 3]),
                // More levels of cost than bands of equal ones.
                2 => {
                    spec.cost_per_order = Money(random.i64(0..20) * 200_000);
                    spec.cost_per_unit = Money(random.i64(0..20) * 10_000);
                }
                3 => spec.cost_per_line = Money([0, 600_000, 250_000][at % 3]),
                _ => {}
            }
            spec
        };
        let nodes: Vec<_> = (0..nodes).map(|at| node(at, random)).collect();
        let mut stock = BTreeMap::new();
        for sku in 0..skus {
            for node in 0..nodes.len() {
                if random.f64() < carry {
                    stock.insert((sku, node, 0), random.i32(1..=depth));
                }
            }
        }
        let (rules, flags) = (Rules::default(), vec![0; skus]);
        Self { rules, nodes, flags, paused: BTreeSet::new(), stock, lean: Lean::default(), carriers: None }
    }

    /// An order of so many different skus, `1..=units` units each, to somewhere in the country.
    pub(crate) fn wide_order(&self, random: &mut fastrand::Rng, skus: usize, units: u32) -> Order {
        let mut all: Vec<u32> = (0..self.flags.len() as u32).collect();
        random.shuffle(&mut all);
        let line = |(at, sku): (usize, u32)| OrderLine {
            line: LineId(at as u32),
            sku: SkuIx(sku),
            quantity: random.u32(1..=units),
        };
        let lines = all.into_iter().take(skus).enumerate().map(line).collect();
        let (lat, lon) = (28.0 + random.f64() * 19.0, -122.0 + random.f64() * 48.0);
        let position = Position::from_degrees(lat, lon).expect("it is on the globe");
        let delivery = Delivery::Ship { position, postal: String::new(), home: false };
        Order {
            channel: Channel(0),
            delivery,
            nodes: Vec::new(),
            shipments_max: 0,
            lines,
            value: None,
            deliver_by_ms: None,
            sellers: Vec::new(),
            substitutable: Vec::new(),
            supply_by: None,
        }
    }
}
