//! Orders that may wait for supply: what stock cannot fill is planned from what is on its way to nodes.
//!
//! Stock comes first, as without: this room adds shipments of what is left, and takes nothing back of what is there. All that
//! is left of a sku waits at one node. The plan says what waits in shipments of their own, behind all others, each with its
//! `supply_day`. Where it may wait is said in `stops`.

use earmark_protocol::command::{Delivery, Order, OrderLine};
use earmark_protocol::ids::{LineId, Money, NodeIx, SkuIx, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Shipment, ShipmentLine, Unfilled};

use super::Proposal;
use super::bonds::{Bonds, missing};
use super::kits::take_apart;
use super::obey::Terms;
use super::planner::{Obeying, Planner, Question, Taking};
use super::scope::Scope;
use super::settle::too_dear;
use super::stops::{Bounds, Left, Way, groups};
use super::substitutes::as_sent;
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
        let table = self.bookmark.table(question.reader);
        // What the policy has left out already is what is in stock; else it is planned whatever the policy says of that.
        let in_stock = match &planned {
            Ok(proposal) => proposal.clone(),
            Err(_) => match self.plan_in_stock(&Question { taking: Taking::Stock, ..*question }, order) {
                Ok(proposal) => proposal,
                Err(refusal) => self.nothing_in_stock(question, order, refusal.code),
            },
        };
        let Question { reader, tenant, taking, .. } = *question;
        let sent = as_sent(order, &in_stock.plan);
        let sent = sent.as_ref().unwrap_or(order);
        let apart = self.take_apart(&table.kits, reader, tenant, sent, &[]);
        // What leaves later than now is late in its own way.
        let apart = Order { deliver_by_ms: None, ..apart.unwrap_or_else(|| sent.clone()) };
        let waiting = Waiting { order: &apart, by, wished: order.deliver_by_ms, in_stock: &in_stock };
        let Ok(Waited { proposal, limit, .. }) = self.let_wait(question, &waiting) else { return planned };
        if proposal.plan.cost.0 >= NEVER {
            return planned.map_err(|_| too_dear());
        }
        let proposal = Proposal { epoch, ..proposal };
        let unfilled = &proposal.plan.unfilled;
        let is_more = missing(&proposal) < missing(&in_stock);
        let is_taken = unfilled.is_empty()
            || self.takes_part(reader, tenant, &apart, proposal.plan.policy, taking.is_part());
        match planned {
            _ if is_more && is_taken => Ok(proposal),
            // Why no more of it waits is told, too.
            Ok(planned) if !is_more => {
                Ok(Proposal { plan: Plan { unfilled: unfilled.clone(), ..planned.plan }, ..planned })
            }
            Ok(planned) => Ok(planned),
            Err(refusal) => {
                let is_held_up = unfilled.iter().any(|left| left.reason == RefusalCode::TooManyShipments);
                Err(if is_more || is_held_up { first_left(&proposal, order, limit) } else { refusal })
            }
        }
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

    /// The plan of an order of which nothing can be had now, for this reason: all of it is left out.
    fn nothing_in_stock(&mut self, question: &Question<'_>, order: &Order, why: RefusalCode) -> Proposal {
        let Question { reader, tenant, .. } = *question;
        let policy = self.version_of_whole(question, order);
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

    /// The plan with what waits. That goes by the same services as the rest, and by those for which more rules give way where
    /// more comes so.
    fn let_wait(&mut self, question: &Question<'_>, waiting: &Waiting<'_>) -> Result<Waited, Refusal> {
        let mut gave_way = waiting.in_stock.plan.upgrades.iter().filter(|rule| rule.gave_way).count();
        let mut best = self.let_wait_giving_way(question, waiting, gave_way)?;
        while best.could_give_way && missing(&best.proposal) > 0 {
            gave_way += 1;
            let more = self.let_wait_giving_way(question, waiting, gave_way)?;
            best.could_give_way = more.could_give_way;
            if missing(&more.proposal) < missing(&best.proposal) {
                best = more;
            }
        }
        Ok(best)
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
                    let strict = under(false);
                    let relaxed = (missing(&strict) > 0).then(|| under(true));
                    relaxed.filter(|relaxed| missing(relaxed) < missing(&strict)).unwrap_or(strict)
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
            for ((left, limited), free) in left.iter().zip(&way).zip(&free) {
                let is_whole = free.is_some_and(|at| left.at[at].units == left.units);
                if limited.is_some() || !is_whole {
                    continue;
                }
                let lines = self.demand.lines_of(&self.demand.wants[left.want]);
                let lines: Vec<LineId> = lines.map(|at| waiting.order.lines[at].line).collect();
                let of_want = |unfilled: &&mut Unfilled| lines.contains(&unfilled.line);
                for unfilled in proposal.plan.unfilled.iter_mut().filter(of_want) {
                    unfilled.reason = RefusalCode::TooManyShipments;
                }
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
        let mut open: Vec<Unfilled> = waits_for_stock(&proposal, &self.of_kits).copied().collect();
        let (before, mut least) = (proposal.plan.cost, 0_i64);
        for ((node, day), group) in groups(left, way) {
            let (cost, leaves, carriage) = self.cost(scope, &group);
            let mut lines = Vec::new();
            for (left, stop) in &group {
                let want = &self.demand.wants[left.want];
                let of_want: Vec<LineId> =
                    self.demand.lines_of(want).map(|at| waiting.order.lines[at].line).collect();
                for (segment, units) in &stop.draws {
                    let mut units = *units;
                    for unfilled in open.iter_mut().filter(|unfilled| of_want.contains(&unfilled.line)) {
                        let quantity = unfilled.quantity.min(units);
                        unfilled.quantity -= quantity;
                        units -= quantity;
                        if quantity > 0 {
                            let (line, sku, segment) = (unfilled.line, want.sku, *segment);
                            lines.push(ShipmentLine { line, sku, segment, quantity });
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
        for unfilled in &mut plan.unfilled {
            let still = open.iter().find(|open| open.line == unfilled.line);
            unfilled.quantity = still.map_or(unfilled.quantity, |open| open.quantity);
        }
        plan.unfilled.retain(|unfilled| unfilled.quantity > 0);
        proposal
    }
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

/// What a plan leaves out because it is not in stock. Kits are put together of what is in stock alone.
pub(super) fn waits_for_stock<'a>(
    proposal: &'a Proposal,
    of_kits: &'a [(LineId, SkuIx)],
) -> impl Iterator<Item = &'a Unfilled> {
    proposal.plan.unfilled.iter().filter(|unfilled| {
        let is_kit = of_kits.iter().any(|(line, _)| *line == unfilled.line);
        could_wait(unfilled.reason) && !is_kit
    })
}

/// What refuses an order that cannot be had whole: the first line that nothing comes for, and what of its sku could be had; or the
/// number of shipments.
fn first_left(proposal: &Proposal, order: &Order, limit: u16) -> Refusal {
    let left_of = |line: &OrderLine| {
        let of_line = proposal.plan.unfilled.iter().filter(|left| left.line == line.line);
        of_line.map(|left| i64::from(left.quantity)).sum::<i64>()
    };
    let left = order.lines.iter().enumerate().filter_map(|(at, line)| {
        let unfilled = proposal.plan.unfilled.iter().find(|unfilled| unfilled.line == line.line)?;
        Some((unfilled.reason, at, line.sku))
    });
    let (reason, at, sku) = left.min().expect("something is left out");
    let of_sku = order.lines.iter().filter(|line| line.sku == sku);
    let there: i64 = of_sku.map(|line| i64::from(line.quantity) - left_of(line)).sum();
    match reason {
        RefusalCode::TooManyShipments => Refusal::of(reason, Field::Shipments).detail(i64::from(limit)),
        RefusalCode::OutOfStock => Refusal::of(reason, Field::Line).at(at).detail(there),
        _ => Refusal::of(reason, Field::Line).at(at),
    }
}
