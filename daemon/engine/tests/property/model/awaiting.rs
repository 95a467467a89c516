//! Routed orders that may wait for supply: what of a plan waits is judged here, the rest as a plan of what is in stock.

use std::collections::BTreeMap;

use earmark_protocol::catalogue::DayLoad;
use earmark_protocol::command::Order;
use earmark_protocol::ids::{CommandId, LineId, Money, SkuIx, Tenant};
use earmark_protocol::refusal::Refusal;
use earmark_protocol::refusal::RefusalCode::{self, NoNode, NodeIncapable, OutOfStock, TooManyShipments};
use earmark_protocol::reply::{Plan, Refused, Reply, RowView, Shipment, ShipmentLine, Unfilled};

use super::supply::Turn;
use super::{Model, Wish, plan_of};

impl Model {
    /// A plan's shipments of what is in stock, as the plan without the others, and those that wait.
    pub(super) fn parted(plan: &Plan) -> (Plan, Vec<Shipment>) {
        let (waits, shipments): (Vec<_>, Vec<_>) = plan.shipments.iter().cloned().partition(Shipment::waits);
        let costs = Money(waits.iter().map(|shipment| shipment.cost.0).sum());
        let (cost, bound) = (Money(plan.cost.0 - costs.0), Money(plan.bound.0 - costs.0));
        let mut in_stock = Plan { shipments, cost, bound, ..plan.clone() };
        // Of a kit's line, what waits is told component by component.
        let mut waiting: BTreeMap<(LineId, SkuIx), u32> = BTreeMap::new();
        for line in waits.iter().flat_map(|shipment| &shipment.lines) {
            *waiting.entry((line.line, line.sku)).or_default() += line.quantity;
        }
        let before = in_stock.unfilled.len();
        for ((line, _), quantity) in waiting {
            match in_stock.unfilled[..before].iter_mut().find(|left| left.line == line) {
                Some(left) => left.quantity += quantity,
                None => {
                    in_stock.unfilled.push(Unfilled { line, quantity, reason: RefusalCode::OutOfStock });
                }
            }
        }
        (in_stock, waits)
    }

    /// The plan that was given, or why none can be, where what is not in stock may wait.
    pub(super) fn plan_with_supply(
        &self,
        wish: &Wish<'_>,
        by: u32,
        seen: &Reply,
    ) -> Result<Result<Plan, Refusal>, String> {
        let order = Order { supply_by: None, ..wish.order.clone() };
        let wish = Wish { order: &order, ..wish.clone() };
        let could = |code| {
            matches!(code, OutOfStock | NoNode | NodeIncapable)
                || wish.best_effort && code == RefusalCode::SkuRetired
        };
        let Some(plan) = plan_of(seen) else {
            let Reply::Refused(Refused { refusal, .. }) = seen else {
                return self.plan_in_stock(&wish, seen);
            };
            let is_full = refusal.code == RefusalCode::CapacityReached;
            let is_short = self.refusal_of(&wish).is_some_and(|usual| could(usual.code));
            if is_full && is_short {
                return self.full_for_a_plan(seen).map(Err);
            }
            if is_short && self.could_wait(&wish, by) {
                return Err(format!("all that is left could wait for {wish:?}"));
            }
            // How much there is counts what comes, and the line that is named is the first that nothing comes for.
            let of_lines = [OutOfStock, NoNode, NodeIncapable];
            let is_of_number =
                refusal.code == TooManyShipments && refusal.detail == self.shipments_max(&wish) as i64;
            let is_fair = of_lines.contains(&refusal.code) || is_of_number;
            if (is_short || self.stale.is_some()) && is_fair {
                return Ok(Err(*refusal));
            }
            return self.plan_in_stock(&wish, seen);
        };
        let (mut in_stock, waits) = Self::parted(plan);
        let sent = self.sent_by(&wish, plan)?;
        let told = sent.as_ref().map_or_else(|| wish.clone(), |sent| self.as_sent(&wish, sent));
        self.tell_reasons(&Wish { best_effort: true, ..told }, &mut in_stock);
        if waits.is_empty() {
            if !plan.unfilled.is_empty() && self.could_wait(&wish, by) {
                return Err(format!("all that is left could wait: {plan:?}"));
            }
            let mut told = seen.clone();
            if let Reply::Reserved(reserved) = &mut told {
                reserved.plan = Some(in_stock);
            }
            return Ok(self.plan_in_stock(&wish, &told)?.map(|_| plan.clone()));
        }
        if !plan.unfilled.is_empty() && !wish.best_effort {
            return Err(format!("a line is left out: {plan:?}"));
        }
        self.judge_waits(&wish, by, plan, &waits)?;
        let wish = Wish { best_effort: true, ..wish };
        if waits.iter().flat_map(|shipment| &shipment.lines).any(|line| self.is_of_kit(&wish, line)) {
            return self.judge_waiting_kits(&wish, plan).map(|()| Ok(plan.clone()));
        }
        if in_stock.shipments.is_empty() {
            let is_sure = self.stale.is_none() && in_stock.substituted.is_empty();
            let refusal = self.refusal_of(&wish).map(|refusal| refusal.code);
            if is_sure && !refusal.is_some_and(could) {
                return Err(format!("something is in stock, and all waits: {plan:?}"));
            }
            return Ok(Ok(plan.clone()));
        }
        let judged = match self.sent_by(&wish, &in_stock)? {
            Some(sent) => self.judge_sent(&wish, &sent, &in_stock).map(|_| ()),
            None => self.judge_plan(&wish, &in_stock),
        };
        judged.map(|()| Ok(plan.clone()))
    }

    /// Whether what a shipment has for a line is a component of a kit, whichever sku was ordered or stands for it.
    fn is_of_kit(&self, wish: &Wish<'_>, part: &ShipmentLine) -> bool {
        let mut lines = wish.order.lines.iter().filter(|line| line.line == part.line);
        lines.any(|line| self.catalogue.kits.contains_key(&line.sku))
    }

    /// Stock and supply together make whole kits of all that is not left out, and what is in stock of those is a plan.
    fn judge_waiting_kits(&self, wish: &Wish<'_>, plan: &Plan) -> Result<(), String> {
        let (left_out, of_rest) = self.kits_left_out(wish.order, plan);
        if !plan.substituted.is_empty() {
            return Ok(());
        }
        let lines = self.in_components(wish.order, &left_out);
        let rest = Wish { lines, ..wish.clone() };
        for part in &rest.lines {
            let all = plan.shipments.iter().flat_map(|shipment| &shipment.lines);
            let own = all.filter(|own| (own.line, own.sku) == (part.line, part.sku));
            let there: u32 = own.map(|own| own.quantity).sum();
            let left = of_rest.unfilled.iter().filter(|left| left.line == part.line);
            if there + left.map(|left| left.quantity).sum::<u32>() != part.quantity {
                return Err(format!("{there} of {part:?}, a part of a kit or a line: {plan:?}"));
            }
        }
        let (mut in_stock, _) = Self::parted(&of_rest);
        self.tell_reasons(&rest, &mut in_stock);
        if in_stock.shipments.is_empty() { Ok(()) } else { self.judge_rest(&rest, wish, &in_stock) }
    }

    /// The last day on which what an order waits for may come, where it waits at all: what is routed again does not.
    pub(super) fn waits_until(&self, wish: &Wish<'_>) -> Option<u32> {
        let mut moments = std::iter::once(self).chain(self.stale.as_ref().map(|stale| &*stale.then));
        let is_patient =
            |model: &Self| model.policies.get(&wish.tenant).is_some_and(|policy| policy.is_patient);
        let is_patient = !wish.is_pickup() && moments.any(is_patient);
        let tomorrow = (self.now.0 / 86_400_000) as u32 + 1;
        let by = wish.order.supply_by.or_else(|| is_patient.then_some(tomorrow));
        by.filter(|_| wish.without.is_none())
    }

    /// Tells of what waits, or could in more shipments, why it is not in stock.
    fn tell_reasons(&self, wish: &Wish<'_>, in_stock: &mut Plan) {
        let taken = |sku| -> i64 {
            let lines = in_stock.shipments.iter().flat_map(|shipment| &shipment.lines);
            lines.filter(|line| line.sku == sku).map(|line| i64::from(line.quantity)).sum()
        };
        let mut reasons = BTreeMap::new();
        for line in &wish.lines {
            let demand = wish.demands().into_iter().find(|(sku, _)| *sku == line.sku);
            let there = demand.map_or(0, |(sku, demand)| self.served(wish, sku, demand));
            if taken(line.sku) == there {
                reasons.insert(line.line, self.reason(wish, line.sku));
            }
        }
        for left in &mut in_stock.unfilled {
            if [OutOfStock, TooManyShipments].contains(&left.reason) {
                left.reason = reasons.get(&left.line).copied().unwrap_or(left.reason);
            }
        }
    }

    /// Whether each sku that there is too little of could surely wait at one node alone, each in a shipment of its own.
    fn could_wait(&self, wish: &Wish<'_>, by: u32) -> bool {
        let has_kits = wish.order.lines.iter().any(|line| self.catalogue.kits.contains_key(&line.sku));
        if has_kits
            || self.stale.is_some()
            || self.shipments_max(wish) < usize::MAX
            || !self.rules.split_lines
        {
            return false;
        }
        wish.demands().into_iter().all(|(sku, demand)| {
            let left = demand - self.served(wish, sku, demand);
            let segments = &self.rules.channels[usize::from(wish.order.channel.0)];
            let comes = |node| {
                let of = |segment: &u16| {
                    let key = (sku, node, earmark_protocol::ids::Segment(*segment));
                    (self.free_by(key, by) as i64 + self.stock.available(&key).min(0)).max(0)
                };
                segments.iter().map(of).sum::<i64>() >= left
            };
            left == 0 || !self.is_retired(wish, sku) && self.nodes_for(wish, sku).into_iter().any(comes)
        })
    }

    /// What waits comes in time, behind all who wait already, to nodes that may serve it.
    fn judge_waits(&self, wish: &Wish<'_>, by: u32, plan: &Plan, waits: &[Shipment]) -> Result<(), String> {
        if plan.shipments.len() > self.shipments_max(wish) {
            return Err(format!("too many shipments: {plan:?}"));
        }
        let segments = &self.rules.channels[usize::from(wish.order.channel.0)];
        for shipment in waits {
            if shipment.supply_day > by || shipment.ship_day > 0 || shipment.lines.is_empty() {
                return Err(format!("it may wait until day {by}: {shipment:?}"));
            }
            let (miles, cost) = (self.miles(wish, shipment.node), self.price(wish, shipment));
            let late = shipment.cost.0 - cost;
            if shipment.miles != miles || late < 0 || late > 0 && wish.order.deliver_by_ms.is_none() {
                return Err(format!("{shipment:?} should cost {cost} over {miles} miles"));
            }
            for line in &shipment.lines {
                let key = (line.sku, shipment.node, line.segment);
                let all = waits.iter().filter(|other| other.node == shipment.node);
                let all = all.flat_map(|other| &other.lines);
                let same = all.filter(|other| (other.sku, other.segment) == (line.sku, line.segment));
                let units: u64 = same.map(|other| u64::from(other.quantity)).sum();
                let short = self.stock.available(&key).min(0).unsigned_abs();
                let day = self.day_of(key, self.waiting_for(key) + short + units);
                let is_drawn = segments.contains(&line.segment.0);
                // What waits takes no room of a day, so it does not matter whether there is any.
                let limit = self.catalogue.nodes[shipment.node.0 as usize].spec.day_limit;
                let serves = || self.nodes_for(wish, line.sku).contains(&shipment.node);
                let may = is_drawn && (limit != DayLoad::default() || serves());
                if day.is_none_or(|day| day > shipment.supply_day) || !may || self.is_retired(wish, line.sku)
                {
                    return Err(format!("{line:?} may not wait there, it comes on {day:?}: {shipment:?}"));
                }
            }
        }
        Ok(())
    }

    /// What a plan lets wait: a row for each line of those shipments, behind all who wait.
    pub(super) fn wait_as_planned(
        &mut self,
        rows: &mut Vec<RowView>,
        (tenant, reservation): (Tenant, CommandId),
        waits: &[Shipment],
    ) {
        for shipment in waits {
            for line in &shipment.lines {
                self.turns.push(Turn { tenant, reservation, row: rows.len(), day: shipment.supply_day });
                rows.push(RowView {
                    line: line.line,
                    sku: line.sku,
                    node: shipment.node,
                    segment: line.segment,
                    awaited: line.quantity,
                    ..RowView::default()
                });
            }
        }
    }
}
