//! Judges plans: whether one is legal, priced right and, where it claims so, the cheapest. It never makes one.
//!
//! A plan that is submitted was made a little earlier. What it takes must be there when it is decided; what it left out
//! or preferred is judged by what was there when it was made.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::ids::{LineId, NodeIx, Segment, SkuIx};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Refused, Reply};

use super::catalogue::{Policy, REVIEWED_OVER};
use super::stock::CellKey;
use super::{Model, Noes, Wish, Wished, plan_of, refused_with};

/// How a command was planned before it was submitted, where that was not right before.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    /// The model as it was then.
    pub(crate) then: Box<Model>,
    /// Whether it was the last attempt, so that contention may be the answer.
    pub(crate) is_last: bool,
}

/// What a plan takes.
#[derive(Default)]
struct Taken {
    cells: BTreeMap<CellKey, i64>,
    lines: BTreeMap<(LineId, SkuIx), i64>,
    nodes: BTreeMap<SkuIx, BTreeSet<NodeIx>>,
    skus: BTreeMap<SkuIx, i64>,
}

impl Model {
    /// The plan that was given, where it may be given; or why none can be.
    ///
    /// # Errors
    /// What is wrong with the plan, or that there is one where none was given.
    pub(super) fn plan_or_refusal(
        &self,
        wish: &Wish<'_>,
        seen: &Reply,
    ) -> Result<Result<Plan, Refusal>, String> {
        if let Some(by) = self.waits_until(wish) {
            return self.plan_with_supply(wish, by, seen);
        }
        self.plan_in_stock(wish, seen)
    }

    /// The same of what is in stock alone.
    pub(super) fn plan_in_stock(
        &self,
        wish: &Wish<'_>,
        seen: &Reply,
    ) -> Result<Result<Plan, Refusal>, String> {
        if let Some(plan) = plan_of(seen)
            && let Some(sent) = self.sent_by(wish, plan)?
        {
            return self.judge_sent(wish, &sent, plan).map(Ok);
        }
        let mut moments = std::iter::once(self).chain(self.stale.as_ref().map(|stale| &*stale.then));
        if moments.any(|moment| moment.lacks_substitutes(wish, seen)) {
            if refused_with(seen, RefusalCode::CapacityReached) {
                return self.full_for_a_plan(seen).map(Err);
            } else if self.stale.is_none() {
                return Err(format!("substitutes should be sent for {wish:?}"));
            }
        }
        if let (Some(stale), Reply::Refused(Refused { refusal, .. })) = (&self.stale, seen) {
            let contended = stale.is_last && refused_with(seen, RefusalCode::Contended);
            if contended || stale.then.refusal_then(wish, *refusal) {
                return Ok(Err(*refusal));
            }
        }
        if let Reply::Refused(Refused { refusal, .. }) = seen
            && self.may_lack_kits(wish, *refusal)
        {
            return Ok(Err(*refusal));
        }
        match (plan_of(seen), self.refusal_of(wish)) {
            (None, None) if refused_with(seen, RefusalCode::CapacityReached) => {
                self.full_for_a_plan(seen).map(Err)
            }
            (_, Some(refusal)) => Ok(Err(refusal)),
            (Some(plan), None) => self.judge_plan(wish, plan).map(|()| Ok(plan.clone())),
            (None, None) => Err(format!("there is a plan for {wish:?}, and none was given")),
        }
    }

    /// Whether this could be refused so then, from the order's fields on.
    fn refusal_then(&self, wish: &Wish<'_>, refusal: Refusal) -> bool {
        let mut noes = Noes::default();
        self.judge_order(&mut noes, wish.tenant, wish.order);
        if let Some(no) = noes.first() {
            return no == refusal;
        }
        let lines = match wish.without {
            None => self.in_components(wish.order, &BTreeMap::new()),
            Some(_) => wish.lines.clone(),
        };
        let wish = Wish { lines, ..wish.clone() };
        self.may_lack_kits(&wish, refusal) || self.refusal_of(&wish) == Some(refusal)
    }

    /// A capacity that a plan would need is used up. What a plan needs is not known without one.
    pub(super) fn full_for_a_plan(&self, seen: &Reply) -> Result<Refusal, String> {
        let Reply::Refused(Refused { refusal, .. }) = seen else {
            return Err("a full capacity is a refusal".into());
        };
        let is_fair = match refusal.field {
            Field::CapacityReservations => self.live() >= self.limits.reservations,
            Field::CapacityLines | Field::CapacityFacts => self.limits.tight,
            _ => false,
        };
        if is_fair { Ok(*refusal) } else { Err(format!("{} is not used up", refusal.field.meaning())) }
    }

    /// Whether a plan obeys order and stock, and says the right price. One that leaves kits out is judged as a plan of the
    /// rest; all of the order cannot be had then.
    pub(super) fn judge_plan(&self, wish: &Wish<'_>, plan: &Plan) -> Result<(), String> {
        if wish.without.is_some() {
            return self.judge_rest(wish, wish, plan);
        }
        let (left_out, of_rest) = self.kits_left_out(wish.order, plan);
        if left_out.is_empty() {
            return self.judge_rest(wish, wish, plan);
        }
        let demands = wish.demands();
        let rest = Wish { lines: self.in_components(wish.order, &left_out), ..wish.clone() };
        if self.stale.is_none() && self.shipments_max(wish) == usize::MAX {
            self.judge_kits_left_out(wish, &rest, &left_out)?;
        }
        let has_all = demands.iter().all(|(sku, units)| self.served(wish, *sku, *units) == *units);
        if self.stale.is_none() && (!wish.best_effort || has_all && self.least_cost(wish, &demands).is_some())
        {
            return Err(format!("kits are left out, and all can be had: {plan:?}"));
        }
        self.judge_rest(&rest, wish, &of_rest)
    }

    pub(super) fn judge_rest(&self, wish: &Wish<'_>, whole: &Wish<'_>, plan: &Plan) -> Result<(), String> {
        let taken = self.judge_shape(wish, plan)?;
        self.judge_price(wish, plan)?;
        self.judge_promises(wish, plan)?;
        let Policy { version: policy, is_careful, .. } =
            self.policies.get(&wish.tenant).copied().unwrap_or_default();
        if !plan.shipments.is_empty() && (plan.policy != policy || !plan.eliminated.is_empty()) {
            return Err(format!("policy {policy} excludes no node: {plan:?}"));
        }
        // What is routed again was looked at before.
        let units: i64 = whole.demands().iter().map(|(_, units)| units).sum();
        let review = is_careful && units > REVIEWED_OVER && wish.without.is_none();
        if plan.review != review && !plan.shipments.is_empty() {
            return Err(format!("an order of {units} units is reviewed: {review}, not {}", plan.review));
        }
        for (key, units) in &taken.cells {
            let there = self.stock.available(key).max(0);
            if *units > there {
                return Err(format!("{key:?}: {units} planned, {there} there"));
            }
        }
        match &self.stale {
            // Where a stale plan was mended, what was mended is as of now and the rest as of then; where it draws from is as
            // of now altogether.
            Some(stale) => {
                self.judge_spread(&[self, &stale.then], wish, &taken)?;
                self.judge_draws(wish, &taken).or_else(|_| stale.then.judge_draws(wish, &taken))
            }
            None => {
                self.judge_spread(&[self], wish, &taken)?;
                self.judge_draws(wish, &taken)?;
                self.judge_fill(wish, plan, &taken)?;
                self.judge_bound(wish, plan, &taken)
            }
        }
    }

    /// A plan is about the order's lines and nodes that may serve them, and leaves out nothing without saying so.
    fn judge_shape(&self, wish: &Wish<'_>, plan: &Plan) -> Result<Taken, String> {
        let check = |fair: bool, what: &dyn Fn() -> String| if fair { Ok(()) } else { Err(what()) };
        check(plan.shipments.len() <= self.shipments_max(wish), &|| "too many shipments".into())?;
        check(plan.unfilled.is_empty() || wish.best_effort, &|| "a line is left out".into())?;
        let (mut taken, mut nodes) = (Taken::default(), BTreeSet::new());
        for shipment in &plan.shipments {
            let node = shipment.node;
            check(nodes.insert(node), &|| format!("node {node} has two shipments"))?;
            check(!shipment.lines.is_empty(), &|| format!("node {node} ships nothing"))?;
            for part in &shipment.lines {
                let units = i64::from(part.quantity);
                let mut lines = wish.lines.iter();
                let is_wanted = lines.any(|line| (line.line, line.sku) == (part.line, part.sku)) && units > 0;
                check(is_wanted, &|| format!("{part:?} of node {node} is not of the order"))?;
                let is_allowed = self.nodes_for(wish, part.sku).contains(&node);
                check(is_allowed, &|| format!("{part:?}: node {node} may not serve it"))?;
                check(!self.is_retired(wish, part.sku), &|| format!("{part:?} is out of sale"))?;
                *taken.lines.entry((part.line, part.sku)).or_default() += units;
                *taken.cells.entry((part.sku, node, part.segment)).or_default() += units;
                *taken.skus.entry(part.sku).or_default() += units;
                taken.nodes.entry(part.sku).or_default().insert(node);
            }
        }
        // Of a kit's line that is routed again, what is left of its components is told one by one.
        let lines: BTreeSet<LineId> = wish.lines.iter().map(|line| line.line).collect();
        for line in &lines {
            let of_line = || wish.lines.iter().filter(|part| part.line == *line);
            let mut left: Vec<i64> = plan
                .unfilled
                .iter()
                .filter(|part| part.line == *line)
                .map(|part| i64::from(part.quantity))
                .collect();
            let got = |part: &Wished| taken.lines.get(&(part.line, part.sku)).copied().unwrap_or(0);
            let mut wanting: Vec<i64> = of_line()
                .map(|part| i64::from(part.quantity) - got(part))
                .filter(|units| *units != 0)
                .collect();
            left.sort_unstable();
            wanting.sort_unstable();
            check(left == wanting, &|| format!("line {line}: {wanting:?} are wanting, {left:?} are told"))?;
        }
        let is_known = plan.unfilled.iter().all(|part| lines.contains(&part.line));
        check(is_known, &|| "a line is told in vain".into())?;
        Ok(taken)
    }

    pub(super) fn judge_price(&self, wish: &Wish<'_>, plan: &Plan) -> Result<(), String> {
        let mut sum = 0;
        for shipment in &plan.shipments {
            let (miles, cost) = (self.miles(wish, shipment.node), self.price(wish, shipment));
            let carriage = self.carriage(wish, shipment.node, &Self::parts(shipment));
            if (shipment.miles, shipment.cost.0, shipment.carriage) != (miles, cost, carriage) {
                return Err(format!("{shipment:?} should cost {cost} over {miles} miles, with {carriage:?}"));
            }
            sum += cost;
        }
        if plan.cost.0 != sum || plan.bound > plan.cost {
            return Err(format!("the plan should cost {sum}, and be bounded below that: {plan:?}"));
        }
        Ok(())
    }

    /// A node's segments are drawn in the channel's order.
    fn judge_draws(&self, wish: &Wish<'_>, taken: &Taken) -> Result<(), String> {
        let segments = &self.rules.channels[usize::from(wish.order.channel.0)];
        for &(sku, node, segment) in taken.cells.keys() {
            let Some(place) = segments.iter().position(|drawn| *drawn == segment.0) else {
                return Err(format!("the channel does not draw from segment {segment}"));
            };
            for &earlier in &segments[..place] {
                let key = (sku, node, Segment(earlier));
                if taken.cells.get(&key).copied().unwrap_or(0) < self.stock.available(&key) {
                    return Err(format!("segment {segment} is drawn before {earlier} is empty"));
                }
            }
        }
        Ok(())
    }

    /// A sku comes from several nodes only where at one of these moments no single allowed node had all that is served of it.
    fn judge_spread(&self, moments: &[&Self], wish: &Wish<'_>, taken: &Taken) -> Result<(), String> {
        for (&sku, nodes) in taken.nodes.iter().filter(|(_, nodes)| nodes.len() > 1) {
            let units = taken.skus[&sku];
            let one_had_all = moments.iter().all(|moment| moment.has_single_node(wish, sku, units));
            if !self.rules.split_lines || one_had_all {
                return Err(format!("sku {sku} is split over {nodes:?}, though one node has all {units}"));
            }
        }
        Ok(())
    }

    /// Best effort takes all there is, unless the number of shipments stands in the way; and says why not more.
    fn judge_fill(&self, wish: &Wish<'_>, plan: &Plan, taken: &Taken) -> Result<(), String> {
        let there: Vec<(SkuIx, i64)> =
            wish.demands().into_iter().map(|(sku, demand)| (sku, self.served(wish, sku, demand))).collect();
        let fits = self.least_cost(wish, &there).is_some();
        let is_nowhere = plan.shipments.is_empty();
        let mut noes = Noes::default();
        self.judge_named_nodes(&mut noes, wish);
        let of_nodes = noes.first().map(|refusal| refusal.code);
        let any_reason =
            |code| of_nodes == Some(code) || there.iter().any(|(sku, _)| self.reason(wish, *sku) == code);
        for &(sku, there) in &there {
            let got = taken.skus.get(&sku).copied().unwrap_or(0);
            if got > there || (fits && got < there) {
                return Err(format!("sku {sku}: {got} planned, {there} there"));
            }
            let reason = if got < there { RefusalCode::TooManyShipments } else { self.reason(wish, sku) };
            for part in &plan.unfilled {
                // Where a line has several skus, its reasons are not told apart.
                let mut of_line = wish.lines.iter().filter(|line| line.line == part.line);
                let is_of_sku = of_line.clone().count() == 1 && of_line.any(|line| line.sku == sku);
                let is_told = part.reason == reason || is_nowhere && any_reason(part.reason);
                if is_of_sku && !is_told {
                    return Err(format!("{part:?}: the reason is {reason:?}"));
                }
            }
        }
        Ok(())
    }

    /// No plan of the same quantities costs less than the bound that is claimed.
    fn judge_bound(&self, wish: &Wish<'_>, plan: &Plan, taken: &Taken) -> Result<(), String> {
        let demands: Vec<(SkuIx, i64)> = taken.skus.iter().map(|(sku, units)| (*sku, *units)).collect();
        let is_whole = |(sku, units): &(SkuIx, i64)| self.has_single_node(wish, *sku, *units);
        if self.is_carried(wish) && !demands.iter().all(is_whole) {
            // Ways to split are too many to try them all here.
            return Ok(());
        }
        let carried = self.is_carried(wish);
        match if carried { self.least_cost_carried(wish, &demands) } else { self.least_cost(wish, &demands) }
        {
            Some(least) if plan.bound.0 <= least && least <= plan.cost.0 => Ok(()),
            least => Err(format!("a bound of {} is claimed, the least is {least:?}", plan.bound)),
        }
    }
}
