//! Orders that may wait for supply: what stock cannot fill is planned from what is on its way to nodes.
//!
//! Stock comes first, as without: this room adds shipments of what is left, and takes nothing back of what is there. All that
//! is left of a sku waits at one node. Kits are put together of what is in stock and what waits. The plan says what waits in shipments of their own, behind all others, each with its
//! `supply_day`. Where it may wait is said in `stops`, and which way to wait is the best in `ways`.

use std::collections::{HashMap, HashSet};

use earmark_protocol::command::{Delivery, Order, OrderLine};
use earmark_protocol::ids::{LineId, Money, NodeIx, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Shipment, ShipmentLine, Unfilled};

use super::Proposal;
use super::bonds::{Bonds, missing};
use super::kits::take_apart;
use super::obey::Terms;
use super::planner::{Obeying, Planner, Question, Taking};
use super::scope::Scope;
use super::settle::too_dear;
use super::stops::{Bounds, Left};
use super::substitutes::as_sent;
use super::ways::{Way, groups};
use crate::Reader;
use crate::policy::tell_gave_way;
use crate::tariff::fares::NEVER;

/// What the order says of waiting, and what was planned of it so far.
pub(super) struct Waiting<'a> {
    pub(super) order: &'a Order,
    /// The last day.
    pub(super) by: u32,
    pub(super) wished: Option<TimestampMs>,
    pub(super) in_stock: &'a Proposal,
}

/// A plan with what waits.
struct Waited {
    proposal: Proposal,
    /// The most shipments there may be; 0 for no limit.
    limit: u16,
    /// Whether another rule about services could give way.
    could_give_way: bool,
}

impl Planner {
    /// Lets what was planned of an order be more, where what is not in stock may wait for supply: until the day that the order
    /// says, or else as long as its policy has orders wait that are shipped.
    pub(super) fn plan_with_supply(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        planned: Result<Proposal, Refusal>,
    ) -> Result<Proposal, Refusal> {
        if !is_short(&planned, question.taking) {
            return planned;
        }
        let Some(by) = self.waits_until(question, order) else { return planned };
        // Read before all that it stands for: where that changes, the plan is of an epoch that is over.
        let epoch = planned.as_ref().map_or_else(|_| question.reader.epoch(), |proposal| proposal.epoch);
        let (in_stock, refusal) = match planned {
            // What the policy has left out already is what is not in stock.
            Ok(in_stock) => (in_stock, None),
            Err(refusal) => (self.in_stock_of_refused(question, order, refusal.code), Some(refusal)),
        };
        let apart = self.as_planned(question.reader, question.tenant, order, (&in_stock.plan, &[]));
        // What leaves later than now is late in its own way.
        let apart = Order { deliver_by_ms: None, ..apart.into_owned() };
        let waiting = Waiting { order: &apart, by, wished: order.deliver_by_ms, in_stock: &in_stock };
        let waited = if self.lacks_kits(&in_stock) {
            self.let_kits_wait(question, order, &waiting)
        } else {
            self.let_wait(question, &waiting).ok()
        };
        let proposal = match (refusal, waited) {
            (None, waited) => with_more(in_stock, waited),
            (Some(refusal), None) => return Err(refusal),
            (Some(refusal), Some(waited)) => self.as_wanted(question, order, &waiting, waited, refusal)?,
        };
        Ok(Proposal { epoch, ..proposal })
    }

    /// The plan of what is in stock of an order that was refused for this reason: it is planned whatever the policy says of what is
    /// left out.
    fn in_stock_of_refused(&mut self, question: &Question<'_>, order: &Order, why: RefusalCode) -> Proposal {
        let Question { reader, tenant, taking, .. } = *question;
        let table = self.bookmark.table(reader);
        let apart = take_apart(&table.kits, reader, tenant, order, &[]);
        let apart = apart.as_ref().unwrap_or(order);
        let policy = self.version_for(reader, tenant, apart);
        // Where what there is was asked for, there is nothing.
        let took_part = self.takes_part(reader, tenant, apart, policy, taking.is_part());
        let in_stock = if took_part {
            Err(why)
        } else {
            let question = Question { taking: Taking::Stock, ..*question };
            self.plan_in_stock(&question, order).map_err(|refusal| refusal.code)
        };
        in_stock.unwrap_or_else(|why| nothing_in_stock(reader, tenant, order, (policy, why)))
    }

    /// The plan with what waits of an order that was refused without, where it is whole now, or need not be.
    fn as_wanted(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        waiting: &Waiting<'_>,
        waited: Waited,
        refusal: Refusal,
    ) -> Result<Proposal, Refusal> {
        let Question { reader, tenant, taking, .. } = *question;
        let Waited { proposal, limit, .. } = waited;
        if is_too_dear(&proposal) {
            return Err(too_dear());
        }
        let (version, unfilled) = (proposal.plan.policy, &proposal.plan.unfilled);
        let is_more = missing(&proposal) < missing(waiting.in_stock);
        let is_enough =
            unfilled.is_empty() || self.takes_part(reader, tenant, waiting.order, version, taking.is_part());
        if is_more && is_enough {
            return Ok(proposal);
        }
        let is_held_up = unfilled.iter().any(|left| left.reason == RefusalCode::TooManyShipments);
        Err(if is_more || is_held_up { first_left(&proposal, order, limit) } else { refusal })
    }

    /// The last day on which what an order waits for may come: that it says itself, or else that its policy says of what is
    /// shipped. `None` where it does not wait.
    fn waits_until(&mut self, question: &Question<'_>, order: &Order) -> Option<u32> {
        let is_met = matches!(order.delivery, Delivery::Pickup { .. });
        if order.supply_by.is_some() || is_met {
            return order.supply_by;
        }
        let Question { reader, tenant, .. } = *question;
        let policies = self.bookmark.policies(reader);
        policies.newest(tenant)?;
        let version = self.version_of_whole(question, order);
        let kept = policies.version(tenant, version)?;
        self.asking(reader, order, |facts| {
            kept.policy.waits_until(self.now, |term| kept.policy.holds(term, self.now, facts))
        })
    }

    /// The version of the policy that an order obeys, its kits taken apart; its lines are read then.
    pub(super) fn version_of_whole(&mut self, question: &Question<'_>, order: &Order) -> u32 {
        let Question { reader, tenant, .. } = *question;
        let table = self.bookmark.table(reader);
        let apart = take_apart(&table.kits, reader, tenant, order, &[]);
        self.version_for(reader, tenant, apart.as_ref().unwrap_or(order))
    }

    /// Whether the order at hand has a line of a kit of which something is missing that could wait.
    fn lacks_kits(&self, in_stock: &Proposal) -> bool {
        let kits: HashSet<LineId> = self.of_kits.iter().map(|(line, _)| *line).collect();
        let mut left = in_stock.plan.unfilled.iter();
        left.any(|left| could_wait(left.reason) && kits.contains(&left.line))
    }

    /// The plan with what waits of an order with kits, of which stock and supply together make whole ones: their components are planned
    /// anew, as lines. `None` where that is no more than what was planned of stock alone.
    fn let_kits_wait(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        waiting: &Waiting<'_>,
    ) -> Option<Waited> {
        let Question { reader, tenant, .. } = *question;
        let question = Question { taking: Taking::Stock, ..*question };
        let of_stock = &waiting.in_stock.plan;
        let sent = as_sent(order, of_stock);
        let mut limit = None;
        let planned = self.plan_whole_kits(
            &question,
            sent.as_ref().unwrap_or(order),
            Some(of_stock.policy),
            |planner, question, apart, version| {
                let nothing = |refusal: Refusal| {
                    nothing_in_stock(reader, tenant, apart, (version.unwrap_or(0), refusal.code))
                };
                let in_stock = planner.plan_lines(question, apart, version).unwrap_or_else(nothing);
                let apart = &Order { deliver_by_ms: None, ..apart.clone() };
                let waited =
                    planner.let_wait(question, &Waiting { order: apart, in_stock: &in_stock, ..*waiting })?;
                limit.get_or_insert(waited.limit);
                Ok(waited.proposal)
            },
        );
        let mut proposal = planned.ok().filter(|proposal| missing(proposal) < missing(waiting.in_stock))?;
        proposal.plan.substituted.clone_from(&of_stock.substituted);
        Some(Waited { proposal, limit: limit.unwrap_or(0), could_give_way: false })
    }

    /// The plan with what waits. That goes by the same services as the rest, and all by those for which more rules give way where
    /// more comes so.
    fn let_wait(&mut self, question: &Question<'_>, waiting: &Waiting<'_>) -> Result<Waited, Refusal> {
        let by_stock = waiting.in_stock.plan.upgrades.iter().filter(|rule| rule.gave_way).count();
        let mut gave_way = by_stock;
        let mut best = self.let_wait_giving_way(question, waiting, gave_way)?;
        let mut of_best = gave_way;
        while best.could_give_way && missing(&best.proposal) > 0 {
            gave_way += 1;
            let more = self.let_wait_giving_way(question, waiting, gave_way)?;
            best.could_give_way = more.could_give_way;
            if missing(&more.proposal) < missing(&best.proposal) {
                (best, of_best) = (more, gave_way);
            }
        }
        let cheaper =
            (of_best > by_stock).then(|| self.let_all_give_way(question, waiting, of_best)).flatten();
        let is_cheaper = |all: &Waited| worth(&all.proposal) < worth(&best.proposal);
        Ok(cheaper.filter(is_cheaper).unwrap_or(best))
    }

    /// The same where what is in stock is planned again, too, as so many rules about services give way for it. What is in stock of
    /// kits stays as it was planned.
    fn let_all_give_way(
        &mut self,
        question: &Question<'_>,
        waiting: &Waiting<'_>,
        gave_way: usize,
    ) -> Option<Waited> {
        let Waiting { order, in_stock, wished, .. } = *waiting;
        if in_stock.picks.is_empty() || !self.of_kits.is_empty() {
            return None;
        }
        let question = Question { taking: Taking::Stock, ..*question };
        let order = Order { deliver_by_ms: wished, ..order.clone() };
        let version = Some(in_stock.plan.policy);
        let (planned, _) = self.plan_giving_way(&question, &order, version, gave_way).ok()?;
        let mut again = planned.ok()?;
        again.plan.substituted.clone_from(&in_stock.plan.substituted);
        self.let_wait_giving_way(&question, &Waiting { in_stock: &again, ..*waiting }, gave_way).ok()
    }

    /// The same where so many rules about services give way.
    fn let_wait_giving_way(
        &mut self,
        question: &Question<'_>,
        waiting: &Waiting<'_>,
        gave_way: usize,
    ) -> Result<Waited, Refusal> {
        let Question { reader, tenant, .. } = *question;
        let question = Question { taking: Taking::Part, ..*question };
        let Waiting { order, in_stock, .. } = *waiting;
        let version = Some(in_stock.plan.policy);
        self.in_scope(&question, order, version, gave_way, |planner, obeyed, scope, sight| {
            let Obeying { kept, upgrades } = obeyed;
            let Terms { shipments: limit, review } = planner.terms(kept.as_ref(), reader, order);
            let in_plan = in_stock.plan.shipments.len();
            let shipments = if limit == 0 { usize::MAX } else { usize::from(limit).saturating_sub(in_plan) };
            let mut proposal = match &kept {
                // Rules give way only where too little comes otherwise.
                Some(kept) => {
                    let mut under = |give_way| {
                        let obeyed = (kept, tenant, &*sight.table);
                        planner.settled_under(obeyed, scope, order, give_way, |planner, scope, bonds| {
                            planner.wait(scope, waiting, &Bounds { kept: Some(kept), bonds, shipments })
                        })
                    };
                    let (strict, _) = under(false);
                    let relaxed = (missing(&strict) > 0).then(|| under(true));
                    match relaxed.filter(|(relaxed, _)| missing(relaxed) < missing(&strict)) {
                        Some((mut relaxed, gave_way)) => {
                            tell_gave_way(&mut relaxed.plan.eliminated, gave_way);
                            relaxed
                        }
                        None => strict,
                    }
                }
                None => {
                    let bounds = Bounds { kept: None, bonds: &Bonds::default(), shipments };
                    planner.wait(scope, waiting, &bounds)
                }
            };
            proposal.plan.review = review;
            proposal.plan.upgrades = upgrades.rules;
            Waited { proposal, limit, could_give_way: upgrades.could_give_way }
        })
    }

    /// Lets what the plan leaves out wait where that costs least; what nothing comes for stays left out.
    fn wait(&mut self, scope: &Scope<'_>, waiting: &Waiting<'_>, bounds: &Bounds<'_>) -> Proposal {
        // A day of a node is not taken room of before what leaves on it is there.
        let scope = &Scope { days: None, prices: None, ..*scope };
        self.gatherer.begin(scope);
        let left = self.left(scope, waiting, bounds);
        let (way, is_best) = self.best_way(scope, waiting, bounds, &left);
        let mut proposal = self.written(scope, waiting, &left, &way, is_best);
        // What would wait if there were more shipments is left out for their number.
        if bounds.shipments < usize::MAX && !proposal.plan.unfilled.is_empty() {
            let (free, _) =
                self.best_way(scope, waiting, &Bounds { shipments: usize::MAX, ..*bounds }, &left);
            let held_up = left.iter().zip(&way).zip(&free).filter(|((left, limited), free)| {
                limited.is_none() && free.is_some_and(|at| left.at[at].units == left.units)
            });
            let lines = |left: &Left| self.demand.lines_of(&self.demand.wants[left.want]);
            let lines = held_up.flat_map(|((left, _), _)| lines(left));
            let lines: HashSet<LineId> = lines.map(|at| waiting.order.lines[at].line).collect();
            let of_lines = |unfilled: &&mut Unfilled| lines.contains(&unfilled.line);
            for unfilled in proposal.plan.unfilled.iter_mut().filter(of_lines) {
                unfilled.reason = RefusalCode::TooManyShipments;
            }
        }
        proposal
    }

    /// The plan, with what waits behind what is in stock.
    fn written(
        &self,
        scope: &Scope<'_>,
        waiting: &Waiting<'_>,
        left: &[Left],
        way: &Way,
        is_best: bool,
    ) -> Proposal {
        let mut proposal = waiting.in_stock.clone();
        let mut open = waits_for_stock(waiting.order, &proposal);
        let (before, mut least) = (proposal.plan.cost, 0_i64);
        for ((node, day), group) in groups(left, way) {
            let (cost, leaves, carriage) = self.cost(scope, &group);
            let mut lines = Vec::new();
            for (left, stop) in &group {
                let want = &self.demand.wants[left.want];
                for (segment, units) in &stop.draws {
                    let mut units = *units;
                    for line in self.demand.lines_of(want).map(|at| waiting.order.lines[at].line) {
                        let Some(open) = open.get_mut(&(line, want.sku)) else { continue };
                        let quantity = (*open).min(units);
                        *open -= quantity;
                        units -= quantity;
                        if quantity > 0 {
                            lines.push(ShipmentLine { line, sku: want.sku, segment: *segment, quantity });
                        }
                    }
                }
            }
            let plan = &mut proposal.plan;
            plan.cost = Money(plan.cost.0.saturating_add(cost.0));
            least = least.saturating_add(scope.leaning.extra_least.min(0));
            plan.shipments.push(Shipment {
                node: NodeIx(node),
                miles: group[0].1.from.miles,
                cost,
                policy_cost: Money(scope.extra(node).saturating_add(leaves.late_cost)),
                carriage,
                ship_at_ms: leaves.ship_at,
                promise_at_ms: leaves.promise_at,
                ship_day: 0,
                supply_day: day,
                lines,
            });
        }
        let plan = &mut proposal.plan;
        let added = if is_best { plan.cost.0 - before.0 } else { least };
        plan.bound = Money(plan.bound.0.saturating_add(added));
        plan.unfilled = still_left_out(waiting.order, &plan.unfilled, &open);
        proposal
    }
}

/// The plan of an order of which nothing can be had now, for this reason, by this version of the policy: all of it is left out.
fn nothing_in_stock(
    reader: &Reader,
    tenant: Tenant,
    order: &Order,
    (policy, why): (u32, RefusalCode),
) -> Proposal {
    let left_out = |line: &OrderLine| {
        let is_retired = reader.own_sku(tenant, line.sku).is_some_and(|facts| facts.retired);
        let reason = match why {
            _ if is_retired => RefusalCode::SkuRetired,
            RefusalCode::SkuRetired => RefusalCode::OutOfStock,
            why => why,
        };
        Unfilled { line: line.line, quantity: line.quantity, reason }
    };
    let unfilled = order.lines.iter().map(left_out).collect();
    Proposal { epoch: 0, picks: Vec::new(), plan: Plan { policy, unfilled, ..Plan::default() } }
}

/// The plan of what is in stock of an order that need not be whole, with what waits where that is more; and else with why no more
/// of it waits.
fn with_more(in_stock: Proposal, waited: Option<Waited>) -> Proposal {
    let Some(Waited { proposal, .. }) = waited.filter(|waited| !is_too_dear(&waited.proposal)) else {
        return in_stock;
    };
    if missing(&proposal) < missing(&in_stock) {
        return proposal;
    }
    Proposal { plan: Plan { unfilled: proposal.plan.unfilled, ..in_stock.plan }, ..in_stock }
}

/// The least is the best: units that are left out, then cost.
fn worth(proposal: &Proposal) -> (u64, Money) {
    (missing(proposal), proposal.plan.weighed())
}

fn is_too_dear(proposal: &Proposal) -> bool {
    proposal.plan.cost.0 >= NEVER
}

/// Whether an order that is not to be had for this reason could be had if there were supply.
fn could_wait(why: RefusalCode) -> bool {
    matches!(why, RefusalCode::OutOfStock | RefusalCode::NoNode | RefusalCode::NodeIncapable)
}

/// Whether something is missing that could wait.
fn is_short(planned: &Result<Proposal, Refusal>, taking: Taking) -> bool {
    match planned {
        Ok(proposal) => proposal.plan.unfilled.iter().any(|left| could_wait(left.reason)),
        // Beside what is out of sale there may be other lines.
        Err(refusal) => {
            could_wait(refusal.code) || taking.is_part() && refusal.code == RefusalCode::SkuRetired
        }
    }
}

/// By line and sku of an order whose kits are taken apart: what a plan leaves out because it is not in stock. Of a line of which
/// something cannot wait, nothing does: a kit would not be whole.
pub(super) fn waits_for_stock(order: &Order, in_stock: &Proposal) -> HashMap<(LineId, SkuIx), u32> {
    let mut lines: HashMap<LineId, bool> = HashMap::new();
    for left in &in_stock.plan.unfilled {
        *lines.entry(left.line).or_insert(true) &= could_wait(left.reason);
    }
    let mut had: HashMap<(LineId, SkuIx), u32> = HashMap::new();
    for pick in &in_stock.picks {
        *had.entry((pick.line, pick.sku)).or_default() += pick.quantity;
    }
    let waits = order.lines.iter().filter(|line| lines.get(&line.line) == Some(&true)).map(|line| {
        let key = (line.line, line.sku);
        (key, line.quantity.saturating_sub(had.get(&key).copied().unwrap_or(0)))
    });
    waits.filter(|(_, left)| *left > 0).collect()
}

/// What is left out, where of what waits for stock so much is still open.
fn still_left_out(order: &Order, before: &[Unfilled], open: &HashMap<(LineId, SkuIx), u32>) -> Vec<Unfilled> {
    let waits: HashSet<LineId> = open.keys().map(|(line, _)| *line).collect();
    let mut reasons: HashMap<LineId, RefusalCode> = HashMap::new();
    for left in before {
        reasons.entry(left.line).or_insert(left.reason);
    }
    let places: HashMap<LineId, usize> =
        order.lines.iter().enumerate().map(|(at, line)| (line.line, at)).collect();
    let of_line = |line: &OrderLine| {
        let quantity = *open.get(&(line.line, line.sku))?;
        let reason = *reasons.get(&line.line)?;
        (quantity > 0).then_some(Unfilled { line: line.line, quantity, reason })
    };
    let others = before.iter().filter(|left| !waits.contains(&left.line)).copied();
    let mut left: Vec<Unfilled> = others.chain(order.lines.iter().filter_map(of_line)).collect();
    left.sort_by_key(|left| places.get(&left.line).copied());
    left
}

/// What refuses an order that cannot be had whole: the first line that nothing comes for, and what of its sku could be had; or the
/// number of shipments.
fn first_left(proposal: &Proposal, order: &Order, limit: u16) -> Refusal {
    let unfilled: HashMap<LineId, &Unfilled> =
        proposal.plan.unfilled.iter().map(|left| (left.line, left)).collect();
    let left = order.lines.iter().enumerate().filter_map(|(at, line)| {
        let unfilled = unfilled.get(&line.line)?;
        Some((unfilled.reason, at, line.sku))
    });
    let (reason, at, sku) = left.min().expect("something is left out");
    let of_sku = order.lines.iter().filter(|line| line.sku == sku);
    let there = |line: &OrderLine| {
        i64::from(line.quantity) - unfilled.get(&line.line).map_or(0, |left| i64::from(left.quantity))
    };
    let there: i64 = of_sku.map(there).sum();
    match reason {
        RefusalCode::TooManyShipments => Refusal::of(reason, Field::Shipments).detail(i64::from(limit)),
        RefusalCode::OutOfStock => Refusal::of(reason, Field::Line).at(at).detail(there),
        _ => Refusal::of(reason, Field::Line).at(at),
    }
}
