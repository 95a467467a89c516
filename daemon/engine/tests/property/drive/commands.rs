//! Random commands: mostly such as a shop sends, some that make no sense. It looks at the model to name things that
//! exist, and never at the engine.

use earmark_protocol::catalogue::{
    CalendarSpec, DayLoad, NodeKind, NodeSpec, NodeState, SkuSpec, capabilities, sku_flags,
};
use earmark_protocol::command::{
    AdjustStock, Amend, AmendLine, CellQuantity, Command, CommandBody, Correction, Delivery, Disposition,
    Extend, Hold, Order, OrderLine, Reject, Reserve, Restock, SellerLines, SetNodeState, SetPolicy, SetStock,
    Step, StepLine, StockChange, StockCount, Transfer,
};
use earmark_protocol::geo::Position;
use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::ids::{
    Channel, CommandId, HoldClass, LineId, Money, NodeIx, QUANTITY_MAX, Segment, SkuIx, Tenant, TimestampMs,
};
use earmark_protocol::reply::RowView;

use super::Given;
use super::dice::Dice;
use crate::model::{CALENDARS, Model, POLICIES, TARIFFS, calendar_kinds, open_units, tariffs};

/// Where nodes stand and orders go.
const PLACES: [(f64, f64); 6] =
    [(41.88, -87.63), (32.78, -96.80), (40.71, -74.01), (34.05, -118.24), (47.61, -122.33), (25.76, -80.19)];

/// Whose nodes are.
const SELLERS: [&str; 2] = ["acme", "zeta"];

/// How many of [`CALENDARS`] a shop has from the first.
pub(crate) const FIRST_CALENDARS: usize = 2;

/// Makes commands of one tenant at one time.
pub(crate) struct Author<'a> {
    pub(crate) dice: &'a mut Dice,
    pub(crate) model: &'a Model,
    pub(crate) tenant: Tenant,
    pub(crate) now: TimestampMs,
}

impl Author<'_> {
    /// A new id: mostly of now, sometimes of the past or the future, rarely none at all.
    pub(crate) fn id(&mut self) -> CommandId {
        let now = self.now.0;
        let (window, future) = (self.model.rules.retry_window_ms, self.model.rules.id_future_ms);
        let time = match self.dice.below(60) {
            0 => now - window - self.dice.between(0, 3),
            1 => now - window + self.dice.between(0, 3),
            2 => now + future + self.dice.between(0, 2),
            3..6 => now + self.dice.between(0, future),
            6..12 => now - self.dice.between(0, window / 2),
            _ => now,
        };
        let mut id = CommandId::new(TimestampMs(time), self.dice.bytes());
        if self.dice.one_in(150) {
            id.0[6] = 0x40;
        }
        id
    }

    /// Some command with a new id, in either form.
    pub(crate) fn given(&mut self) -> Given {
        let id = self.id();
        if !self.dice.one_in(6) {
            return Given::Full(Command { id, give_up_ms: 0, body: self.any() });
        }
        let CellQuantity { sku, node, segment, quantity } = self.cell();
        let lifetime_ms = self.lifetime_ms();
        let flags = u8::from(self.dice.one_in(60));
        let class = HoldClass(self.dice.below(3) as u8);
        Given::One(HoldOne { id, sku, node, quantity, lifetime_ms, give_up_ms: 0, segment, class, flags })
    }

    /// The same once more: mostly just as it was, sometimes its id with another content, or by another tenant.
    pub(crate) fn again(&mut self, mut given: Given) -> (Tenant, Given) {
        let mut tenant = self.tenant;
        match self.dice.below(8) {
            0 => {
                let id = given.id();
                given = self.given();
                match &mut given {
                    Given::One(one) => one.id = id,
                    Given::Full(command) => command.id = id,
                }
            }
            1 => tenant = Tenant(1 - tenant.0),
            2 => match &mut given {
                Given::One(one) => one.give_up_ms = 77,
                Given::Full(command) => command.give_up_ms = 77,
            },
            _ => {}
        }
        (tenant, given)
    }

    /// Some command.
    pub(crate) fn any(&mut self) -> CommandBody {
        let weights =
            [16, 22, 10, 4, 5, 8, 4, 6, 4, 4, 9, 7, 6, 5, 3, 5, 2, 1, 2, 2, 1, 1, 4, 4, 6, 3, 2, 12, 3];
        match self.dice.weighted(&weights) {
            0 => CommandBody::Hold(self.hold()),
            1 => CommandBody::Reserve(self.reserve()),
            2 => CommandBody::Confirm(self.step(|row| row.held + row.awaited)),
            3 => CommandBody::Release(self.step(|row| row.held + row.awaited)),
            4 => CommandBody::Cancel(self.step(|row| open_units(row) as u32 + row.awaited + row.backordered)),
            5 => CommandBody::Dispatch(self.step(|row| row.confirmed)),
            6 => CommandBody::Ready(self.step(|row| row.dispatched)),
            7 => CommandBody::Ship(self.step(|row| row.dispatched)),
            8 => CommandBody::Collect(self.step(|row| row.ready)),
            9 => CommandBody::Extend(Extend {
                reservation: self.reservation(|row| row.held + row.awaited),
                lifetime_ms: self.lifetime_ms(),
            }),
            10 => CommandBody::Amend(self.amend()),
            11 => CommandBody::Reject(self.reject()),
            12 => CommandBody::SetStock(self.set_stock()),
            13 => CommandBody::AdjustStock(self.adjust_stock()),
            14 => CommandBody::Restock(Restock {
                cell: self.cell(),
                disposition: *self.dice.pick(&[Disposition::Sellable, Disposition::Unsellable]),
            }),
            15 => CommandBody::Transfer(Transfer {
                from: self.cell(),
                to_node: self.node(),
                to_segment: self.segment(),
            }),
            16 => CommandBody::PutSkus(self.sku_specs()),
            17 => CommandBody::RetireSkus(self.list(2, Self::sku)),
            18 => CommandBody::PutNodes(self.node_specs()),
            19 => CommandBody::SetPolicy(SetPolicy { text: self.dice.pick(&POLICIES).0.to_owned() }),
            20 => CommandBody::PutCalendars(self.calendars()),
            21 => CommandBody::PutTariffs(tariffs(self.dice.pick(&TARIFFS))),
            22 => CommandBody::Approve(self.reservation(|row| row.held)),
            23 => CommandBody::PutSupplies(self.supplies()),
            24 => CommandBody::Receive(self.receive()),
            25 => CommandBody::PutKits(self.kits()),
            26 => CommandBody::PutSubstitutes(self.substitutes()),
            27 => CommandBody::Move(self.move_orders()),
            _ => CommandBody::SetNodeState(SetNodeState {
                node: self.node(),
                state: *self.dice.pick(&[
                    NodeState::Active,
                    NodeState::Active,
                    NodeState::Active,
                    NodeState::Paused,
                    NodeState::Paused,
                    NodeState::Paused,
                    NodeState::Retired,
                ]),
            }),
        }
    }

    /// The first calendars (kind 0), nodes (kind 1) and skus (kind 2) of a shop.
    pub(crate) fn first(&mut self, kind: usize, place: usize) -> CommandBody {
        match kind {
            0 => {
                let code = CALENDARS[place].to_owned();
                CommandBody::PutCalendars(vec![CalendarSpec { code, ..calendar_kinds()[place].0.clone() }])
            }
            1 => {
                let mut spec = self.node_spec(format!("node-{place}"));
                spec.position =
                    Position::from_degrees(PLACES[place].0, PLACES[place].1).expect("on the globe");
                if self.dice.one_in(3) {
                    self.work_by(&mut spec, &CALENDARS[..FIRST_CALENDARS]);
                }
                CommandBody::PutNodes(vec![spec])
            }
            _ => {
                let flags = if place == 1 { sku_flags::HAZMAT } else { 0 };
                let code = format!("sku-{place}");
                CommandBody::PutSkus(vec![SkuSpec { code, flags, ..SkuSpec::default() }])
            }
        }
    }

    /// Has a node work by one of these calendars, perhaps so much a day.
    fn work_by(&mut self, spec: &mut NodeSpec, calendars: &[&str]) {
        spec.calendar = (*self.dice.pick(calendars)).to_owned();
        let mut limit = |most: usize| [0, 1 + self.dice.below(most)][self.dice.below(2)];
        let [orders, lines] = [limit(6), limit(9)].map(|limit| limit as u32);
        spec.day_limit = DayLoad { orders, lines, units: limit(12) as u64 };
    }

    /// A count of a few cells with something in them.
    pub(crate) fn stock_up(&mut self) -> SetStock {
        let mut counts = Vec::<StockCount>::new();
        for _ in 0..6 {
            let (sku, node, segment) = (self.sku(), self.node(), self.segment());
            if !counts.iter().any(|count| (count.sku, count.node, count.segment) == (sku, node, segment)) {
                let on_hand = 3 + self.dice.below(20) as u32;
                counts.push(StockCount { sku, node, segment, on_hand, safety: None });
            }
        }
        SetStock { source: 0, as_of: None, counts }
    }

    /// A list of mostly one to `most` things; rarely none or too many.
    pub(super) fn list<T>(&mut self, most: usize, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = match self.dice.below(120) {
            0 => 0,
            1 => self.model.rules.lines_max + 1,
            _ => 1 + self.dice.below(most),
        };
        (0..length).map(|_| one(self)).collect()
    }

    fn handle(&mut self, known: &[u32], all: usize) -> u32 {
        if known.is_empty() || self.dice.one_in(60) {
            self.dice.below(all + 2) as u32
        } else {
            *self.dice.pick(known)
        }
    }

    pub(super) fn sku(&mut self) -> SkuIx {
        let skus = &self.model.catalogue.skus;
        let in_sale =
            |place: &u32| !skus[*place as usize].retired && skus[*place as usize].tenant == self.tenant;
        let known: Vec<u32> = (0..skus.len() as u32).filter(in_sale).collect();
        SkuIx(self.handle(&known, skus.len()))
    }

    pub(super) fn node(&mut self) -> NodeIx {
        let nodes = &self.model.catalogue.nodes;
        let own: Vec<u32> =
            (0..nodes.len() as u32).filter(|place| nodes[*place as usize].tenant == self.tenant).collect();
        let active: Vec<u32> =
            own.iter().copied().filter(|place| nodes[*place as usize].state == NodeState::Active).collect();
        NodeIx(if self.dice.one_in(8) {
            self.handle(&own, nodes.len())
        } else {
            self.handle(&active, nodes.len())
        })
    }

    fn segment(&mut self) -> Segment {
        match self.dice.below(150) {
            0 => Segment(Segment::LIMIT),
            1 => Segment(u16::MAX),
            2..30 => Segment(1),
            30..40 => Segment(2),
            _ => Segment(0),
        }
    }

    pub(super) fn quantity(&mut self) -> u32 {
        match self.dice.below(200) {
            0 => 0,
            1 => QUANTITY_MAX + 1,
            2 => u32::MAX,
            3 => QUANTITY_MAX,
            4..20 => 1 + self.dice.below(40) as u32,
            _ => 1 + self.dice.below(6) as u32,
        }
    }

    fn class(&mut self) -> HoldClass {
        HoldClass(if self.dice.one_in(150) {
            99
        } else {
            self.dice.below(self.model.rules.classes.len()) as u8
        })
    }

    pub(crate) fn lifetime_ms(&mut self) -> u32 {
        match self.dice.below(30) {
            0 => u32::MAX,
            1 => 1,
            2..10 => 0,
            _ => 200 + self.dice.below(8_000) as u32,
        }
    }

    /// A quantity of a cell, mostly of one that exists.
    pub(crate) fn cell(&mut self) -> CellQuantity {
        let (mut sku, mut node, mut segment) = (self.sku(), self.node(), self.segment());
        let known: Vec<_> = self.model.stock.cells.keys().filter(|(of, _, _)| *of == sku).copied().collect();
        if !known.is_empty() && !self.dice.one_in(10) {
            (sku, node, segment) = *self.dice.pick(&known);
        }
        CellQuantity { sku, node, segment, quantity: self.quantity() }
    }

    fn hold(&mut self) -> Hold {
        let supply_by = self.dice.one_in(2).then(|| self.supply_day());
        Hold {
            cells: self.list(4, |author| author.cell_to_hold(supply_by.is_some())),
            class: self.class(),
            lifetime_ms: self.lifetime_ms(),
            best_effort: self.dice.one_in(3),
            supply_by,
        }
    }

    fn reserve(&mut self) -> Reserve {
        Reserve {
            order: self.order(),
            class: self.class(),
            lifetime_ms: self.lifetime_ms(),
            best_effort: self.dice.one_in(3),
        }
    }

    fn order(&mut self) -> Order {
        let twice = self.dice.one_in(40);
        let mut line = 0;
        let lines = self.list(4, |author| {
            line += if twice { 0 } else { 1 };
            OrderLine { line: LineId(line), sku: author.sku(), quantity: author.quantity() }
        });
        let delivery = if self.dice.one_in(5) {
            Delivery::Pickup { node: self.node() }
        } else if self.dice.one_in(6) {
            Delivery::ToStore { node: self.node() }
        } else {
            let position = self.position();
            let postal = if self.dice.one_in(60) { "far too long to be a postal code" } else { "60601" };
            Delivery::Ship { position, postal: postal.into(), home: self.dice.one_in(2) }
        };
        let nodes = if self.dice.one_in(5) { self.list(3, Self::node) } else { Vec::new() };
        let channel = Channel(if self.dice.one_in(60) { 77 } else { self.dice.below(3) as u16 });
        let shipments_max = if self.dice.one_in(4) { 1 + self.dice.below(3) as u16 } else { 0 };
        let value = match self.dice.below(20) {
            0 => Some(Money(-1)),
            1 => Some(Money(1_000_000_000_000_001)),
            2..=9 => Some(Money(self.dice.below(90_000_000) as i64)),
            _ => None,
        };
        let wished = self.now.plus_ms(self.dice.between(0, 9 * 86_400_000));
        let deliver_by_ms = self.dice.one_in(4).then_some(wished);
        let sellers = if self.dice.one_in(4) { self.sellers(&lines) } else { Vec::new() };
        let substitutable = self.substitutable(&lines);
        let supply_by = self.dice.one_in(4).then(|| self.supply_day());
        Order {
            channel,
            delivery,
            nodes,
            shipments_max,
            lines,
            value,
            deliver_by_ms,
            sellers,
            substitutable,
            supply_by,
        }
    }

    /// Sellers of some of an order's lines, mostly so that it can be.
    fn sellers(&mut self, lines: &[OrderLine]) -> Vec<SellerLines> {
        let mut sellers: Vec<SellerLines> = Vec::new();
        for seller in SELLERS {
            if lines.is_empty() || self.dice.one_in(3) {
                continue;
            }
            let sku = self.dice.pick(lines).sku;
            let is_free = |line: &LineId| sellers.iter().all(|own| !own.lines.contains(line));
            let own = lines.iter().filter(|line| line.sku == sku).map(|line| line.line).filter(is_free);
            let mut own: Vec<LineId> = own.collect();
            if self.dice.one_in(20) {
                own.push(LineId(self.dice.below(4) as u32));
            }
            let seller = if self.dice.one_in(30) { "nobody" } else { seller };
            sellers.push(SellerLines { seller: seller.to_owned(), lines: own });
        }
        sellers
    }

    fn position(&mut self) -> Position {
        if self.dice.one_in(60) {
            return Position { lat_udeg: 90_000_001, lon_udeg: 0 };
        }
        let (lat, lon) = *self.dice.pick(&PLACES);
        Position::from_degrees(lat, lon).expect("the places are on the globe")
    }

    /// A reservation, mostly one that has units of this kind.
    pub(super) fn reservation(&mut self, has: impl Fn(&RowView) -> u32) -> CommandId {
        let own = || self.model.reservations.iter().filter(|((tenant, _), _)| *tenant == self.tenant);
        let fit: Vec<CommandId> = own()
            .filter(|(_, reservation)| reservation.rows.iter().any(|row| has(row) > 0))
            .map(|((_, id), _)| *id)
            .collect();
        let any: Vec<CommandId> = own().map(|((_, id), _)| *id).collect();
        if any.is_empty() || self.dice.one_in(60) {
            CommandId::new(self.now, self.dice.bytes())
        } else if fit.is_empty() || self.dice.one_in(10) {
            *self.dice.pick(&any)
        } else {
            *self.dice.pick(&fit)
        }
    }

    pub(super) fn rows(&self, reservation: CommandId) -> Vec<RowView> {
        let found = self.model.reservations.get(&(self.tenant, reservation));
        found.map(|reservation| reservation.rows.clone()).unwrap_or_default()
    }

    fn step_line(&mut self, rows: &[RowView], has: impl Fn(&RowView) -> u32) -> StepLine {
        if rows.is_empty() || self.dice.one_in(40) {
            return StepLine {
                line: LineId(self.dice.below(6) as u32),
                node: Some(self.node()),
                quantity: 0,
            };
        }
        let row = *self.dice.pick(rows);
        let there = has(&row);
        let quantity = match self.dice.below(10) {
            0..4 => 0,
            4..8 => 1 + self.dice.below(there.max(1) as usize) as u32,
            8 => there,
            _ => self.quantity(),
        };
        StepLine { line: row.line, node: self.dice.one_in(2).then_some(row.node), quantity }
    }

    fn step(&mut self, has: impl Fn(&RowView) -> u32 + Copy) -> Step {
        let reservation = self.reservation(has);
        let rows = self.rows(reservation);
        let lines = if self.dice.one_in(2) {
            Vec::new()
        } else {
            self.list(3, |author| author.step_line(&rows, has))
        };
        Step { reservation, lines, best_effort: self.dice.one_in(4) }
    }

    fn amend(&mut self) -> Amend {
        let promised = |row: &RowView| row.held + row.confirmed + row.awaited + row.backordered;
        let reservation = self.reservation(promised);
        let rows = self.rows(reservation);
        let lines = self.list(2, |author| {
            let row = if rows.is_empty() { RowView::default() } else { *author.dice.pick(&rows) };
            let line = if author.dice.one_in(50) { LineId(55) } else { row.line };
            let now = promised(&row);
            let quantity = match author.dice.below(12) {
                0 => 0,
                1 => author.quantity(),
                2 => now,
                3..7 => now.saturating_sub(1 + author.dice.below(3) as u32),
                _ => now + 1 + author.dice.below(4) as u32,
            };
            AmendLine { line, quantity }
        });
        Amend { reservation, lines, best_effort: self.dice.one_in(3) }
    }

    fn reject(&mut self) -> Reject {
        let open = |row: &RowView| open_units(row) as u32;
        let reservation = self.reservation(open);
        let rows: Vec<RowView> = self.rows(reservation).into_iter().filter(|row| open(row) > 0).collect();
        let node =
            if rows.is_empty() || self.dice.one_in(20) { self.node() } else { self.dice.pick(&rows).node };
        let lines = if self.dice.one_in(2) {
            Vec::new()
        } else {
            let there: Vec<RowView> = rows.into_iter().filter(|row| row.node == node).collect();
            self.list(2, |author| author.step_line(&there, open))
        };
        let corrections = [Correction::None, Correction::Missing, Correction::Unsellable, Correction::Empty];
        let reason = if self.dice.one_in(60) { "r".repeat(201) } else { "not on the shelf".into() };
        let (correction, reroute) = (*self.dice.pick(&corrections), !self.dice.one_in(3));
        Reject { reservation, node, lines, correction, reason, reroute }
    }

    fn as_of(&mut self) -> Option<TimestampMs> {
        match self.dice.below(12) {
            0..6 => None,
            6..8 => Some(TimestampMs(self.now.0 - self.dice.between(0, 300))),
            8..10 => Some(TimestampMs(self.now.0 - self.dice.between(0, 20_000))),
            10 => Some(self.now),
            _ => Some(TimestampMs(self.now.0 + self.dice.between(0, 2))),
        }
    }

    fn set_stock(&mut self) -> SetStock {
        let counts = self.list(4, |author| {
            let CellQuantity { sku, node, segment, .. } = author.cell();
            let on_hand = match author.dice.below(120) {
                0 => QUANTITY_MAX + 1,
                1 => QUANTITY_MAX,
                _ => author.dice.below(25) as u32,
            };
            let safety = match author.dice.below(100) {
                0 => Some(QUANTITY_MAX + 1),
                1 => Some(QUANTITY_MAX),
                2..14 => Some(author.dice.below(4) as u32),
                _ => None,
            };
            StockCount { sku, node, segment, on_hand, safety }
        });
        SetStock { source: self.dice.below(6) as u16, as_of: self.as_of(), counts }
    }

    fn adjust_stock(&mut self) -> AdjustStock {
        let changes = self.list(3, |author| {
            let CellQuantity { sku, node, segment, .. } = author.cell();
            let delta = match author.dice.below(100) {
                0 => i32::MIN,
                1 => i32::MAX,
                2 => -(QUANTITY_MAX as i32),
                _ => author.dice.below(17) as i32 - 8,
            };
            StockChange { sku, node, segment, delta }
        });
        AdjustStock { changes }
    }

    pub(super) fn text(&mut self, text: String) -> String {
        match self.dice.below(100) {
            0 => String::new(),
            1 => "x".repeat(65),
            2 => "tab\there".into(),
            _ => text,
        }
    }

    fn sku_specs(&mut self) -> Vec<SkuSpec> {
        self.list(2, |author| {
            let code = format!("sku-{}", author.dice.below(9));
            let flags = [0, 0, 0, sku_flags::HAZMAT, sku_flags::OVERSIZE | sku_flags::COLD];
            SkuSpec {
                code: author.text(code),
                weight_g: author.dice.below(5_000) as u32,
                flags: if author.dice.one_in(60) { 1 << 9 } else { *author.dice.pick(&flags) },
                group: author.text("toys".into()),
                size_mm: *author.dice.pick(&[[0; 3], [300, 200, 100]]),
            }
        })
    }

    fn calendars(&mut self) -> Vec<CalendarSpec> {
        self.list(2, |author| {
            let code = (*author.dice.pick(&CALENDARS[..2])).to_owned();
            let code = author.text(code);
            let kinds = calendar_kinds();
            CalendarSpec { code, ..author.dice.pick(&kinds).0.clone() }
        })
    }

    /// A node with this code.
    pub(crate) fn node_spec(&mut self, code: String) -> NodeSpec {
        let cost = |dice: &mut Dice| Money(dice.below(4) as i64 * 250_000);
        let both = capabilities::SHIP | capabilities::PICKUP;
        let all =
            [both | sku_flags::ALL, both, both | sku_flags::HAZMAT, capabilities::SHIP, capabilities::PICKUP];
        NodeSpec {
            code,
            kind: *self.dice.pick(&[NodeKind::Dc, NodeKind::Store, NodeKind::ThirdParty]),
            position: self.position(),
            time_zone: (*self.dice.pick(&["America/Chicago", "Asia/Tokyo", "UTC"])).to_owned(),
            group: ["", "west"][self.dice.below(2)].into(),
            priority: self.dice.below(3) as u16,
            capabilities: *self.dice.pick(&all),
            cost_per_order: cost(self.dice),
            cost_per_line: cost(self.dice),
            cost_per_unit: cost(self.dice),
            calendar: String::new(),
            postal: ["", "606", "75201"][self.dice.below(3)].into(),
            day_limit: DayLoad::default(),
            seller: ["", SELLERS[0], SELLERS[0], SELLERS[1]][self.dice.below(4)].to_owned(),
        }
    }

    fn node_specs(&mut self) -> Vec<NodeSpec> {
        self.list(2, |author| {
            let code = format!("node-{}", author.dice.below(6));
            let code = author.text(code);
            let mut spec = author.node_spec(code);
            if author.dice.one_in(60) {
                spec.capabilities = 1 << 15;
            }
            if author.dice.one_in(3) {
                author.work_by(&mut spec, &CALENDARS);
            }
            if author.dice.one_in(60) {
                spec.day_limit.orders = 1;
            }
            if author.dice.one_in(60) {
                spec.time_zone = "Mars/Base".to_owned();
            }
            spec.group = author.text(spec.group.clone());
            spec
        })
    }
}
