//! Orders that may wait for supply: what stock cannot fill is planned from what is on its way to nodes.
//!
//! Stock comes first, as without: this room adds shipments of what is left, and takes nothing back of what is there. All that
//! is left of a sku waits at one node. The plan says what waits in shipments of their own, behind all others, each with its
//! `supply_day`.

use std::collections::BTreeMap;
use std::sync::Arc;

use earmark_protocol::command::Order;
use earmark_protocol::ids::{LineId, Money, NodeIx, Segment, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Carriage, Plan, Shipment, ShipmentLine, Unfilled};

use super::bonds::{Bonds, missing};
use super::case::Candidate;
use super::kits::take_apart;
use super::planner::{Obeying, Planner, Question};
use super::scope::Scope;
use super::substitutes::as_sent;
use super::write::carriage;
use super::{Pick, Proposal};
use crate::inventory::Place;
use crate::policy::Kept;
use crate::promise::{TRANSIT_DAYS_MAX, days_late};
use crate::tariff::fares::Goods;

/// Most ways to let skus wait that are all tried: a few milliseconds. Beyond, each sku goes where that costs least beside the
/// others, one after the other.
const WAYS_MAX: usize = 20_000;
/// Most times that all skus are looked at again then.
const ROUNDS_MAX: usize = 4;
/// Most nodes where one sku may wait that are looked at: those that are cheapest for it alone.
const STOPS_MAX: usize = 16;

/// What is left of a sku.
struct Left {
    want: usize,
    /// Whether those are all.
    is_all: bool,
    /// Where it may wait, by the nodes' priority and code.
    at: Vec<Stop>,
}

/// What of a sku may wait at a node.
struct Stop {
    from: Candidate,
    /// All that is left, or as much of it as comes.
    units: i64,
    /// The day by which it has come, and all before it were served.
    day: u32,
    leaves: Leaves,
    draws: Vec<(Segment, u32)>,
}

/// When a shipment leaves, and what that costs it for being late.
#[derive(Clone, Copy)]
struct Leaves {
    ship_at: TimestampMs,
    promise_at: TimestampMs,
    late_cost: i64,
}

/// For each sku that is left: where it waits, if it does.
type Way = Vec<Option<usize>>;

/// The least is the best: units that nothing comes for, cost, and nodes by priority and code.
type Worth = (i64, i64, u64, Vec<u32>);

/// What the order says of waiting, and what was planned of it so far.
struct Waiting<'a> {
    order: &'a Order,
    /// The last day.
    by: u32,
    wished: Option<TimestampMs>,
    in_stock: &'a Proposal,
}

/// What bounds what waits.
struct Terms<'a> {
    kept: Option<&'a Arc<Kept>>,
    /// Shipments there may be beside those of the plan.
    shipments: usize,
}

impl Scope<'_> {
    /// When what has come to a node on a day leaves it, or can be picked up, and by when it is delivered; 0 where nothing says
    /// it. What comes on a day is there as it ends. `None` where nothing leaves after that.
    fn leaves_after(&self, node: NodeIx, day: u32) -> Option<(TimestampMs, TimestampMs)> {
        let Some((schedule, there)) = self.timetable.there_on(node, day) else {
            return Some(Default::default());
        };
        let from = there.max(self.now);
        if self.lanes.is_none() {
            return schedule.ready(from, 0).map(|(ready, _)| (ready, ready));
        }
        let leaves = schedule.departures(from, 1).first()?.leaves;
        let way = self.days_on_the_way(node);
        let arrives =
            way.map(|(days, weekends)| schedule.arrivals(leaves, weekends)[days.min(TRANSIT_DAYS_MAX)]);
        Some((leaves, arrives.unwrap_or_default()))
    }
}

impl Planner {
    /// Plans an order of which what is not in stock may wait for supply that is expected by a day.
    pub(super) fn plan_with_supply(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        by: u32,
    ) -> Result<Proposal, Refusal> {
        let planned = self.plan_in_stock(question, order);
        let is_short = match &planned {
            Ok(proposal) => !proposal.plan.unfilled.is_empty(),
            Err(refusal) => refusal.code == RefusalCode::OutOfStock,
        };
        if !is_short {
            return planned;
        }
        let Question { reader, tenant, best_effort, .. } = *question;
        // Read before all that it stands for: where that changes, the plan is of an epoch that is over.
        let epoch = reader.epoch();
        let table = self.bookmark.table(reader);
        let in_stock =
            match self.plan_in_stock(&Question { best_effort: true, fills: true, ..*question }, order) {
                Ok(proposal) => proposal,
                Err(refusal) if refusal.code == RefusalCode::OutOfStock => {
                    let apart = take_apart(&table.kits, reader, tenant, order, &[]);
                    let policy = self.version_for(reader, tenant, apart.as_ref().unwrap_or(order));
                    let of_line = |line: &earmark_protocol::command::OrderLine| Unfilled {
                        line: line.line,
                        quantity: line.quantity,
                        reason: RefusalCode::OutOfStock,
                    };
                    let unfilled = order.lines.iter().map(of_line).collect();
                    let plan = Plan { policy, unfilled, ..Plan::default() };
                    Proposal { epoch, picks: Vec::new(), plan }
                }
                Err(_) => return planned,
            };
        let sent = as_sent(order, &in_stock.plan);
        let sent = sent.as_ref().unwrap_or(order);
        let apart = self.take_apart(&table.kits, reader, tenant, sent, &[]);
        // What leaves later than now is late in its own way.
        let apart = Order { deliver_by_ms: None, ..apart.unwrap_or_else(|| sent.clone()) };
        let waiting = Waiting { order: &apart, by, wished: order.deliver_by_ms, in_stock: &in_stock };
        // What waits goes by the same services as the rest, and by those for which more rules give way where more comes so.
        let mut gave_way = in_stock.plan.upgrades.iter().filter(|rule| rule.gave_way).count();
        let (mut waits, mut could_give_way) = self.let_wait(question, &waiting, gave_way)?;
        while could_give_way && missing(&waits) > 0 {
            gave_way += 1;
            let more;
            (more, could_give_way) = self.let_wait(question, &waiting, gave_way)?;
            if missing(&more) < missing(&waits) {
                waits = more;
            }
        }
        let proposal = Proposal { epoch, ..waits };
        let (is_whole, is_more) =
            (proposal.plan.unfilled.is_empty(), missing(&proposal) < missing(&in_stock));
        if is_more && (is_whole || self.takes_part(reader, tenant, &apart, proposal.plan.policy, best_effort))
        {
            return Ok(proposal);
        }
        planned.map_err(|refusal| if is_more { first_left(&proposal, order) } else { refusal })
    }

    /// The plan with what waits, where so many rules about services give way. Says whether another one could, too.
    fn let_wait(
        &mut self,
        question: &Question<'_>,
        waiting: &Waiting<'_>,
        gave_way: usize,
    ) -> Result<(Proposal, bool), Refusal> {
        let Question { reader, tenant, .. } = *question;
        let question = Question { best_effort: true, ..*question };
        let Waiting { order, in_stock, .. } = *waiting;
        let version = Some(in_stock.plan.policy);
        self.in_scope(&question, order, version, gave_way, |planner, obeyed, scope, sight| {
            let Obeying { kept, upgrades } = obeyed;
            let (limit, review) = planner.terms_of(kept.as_ref(), reader, order);
            let in_plan = in_stock.plan.shipments.len();
            let shipments = if limit == 0 { usize::MAX } else { usize::from(limit).saturating_sub(in_plan) };
            let terms = Terms { kept: kept.as_ref(), shipments };
            let mut waits = match &kept {
                // Rules give way only where too little comes otherwise.
                Some(kept) => {
                    let mut under = |give_way| {
                        let obeyed = (kept, tenant, &*sight.table);
                        planner.settled_under(obeyed, scope, order, give_way, |planner, scope, bonds| {
                            planner.wait(scope, bonds, waiting, &terms)
                        })
                    };
                    let strict = under(false);
                    let relaxed = (missing(&strict) > 0).then(|| under(true));
                    relaxed.filter(|relaxed| missing(relaxed) < missing(&strict)).unwrap_or(strict)
                }
                None => planner.wait(scope, &Bonds::default(), waiting, &terms),
            };
            waits.plan.review = review;
            waits.plan.upgrades = upgrades.rules;
            (waits, upgrades.could_give_way)
        })
    }

    /// Lets what the plan leaves out wait where that costs least; what nothing comes for stays left out.
    fn wait(
        &mut self,
        scope: &Scope<'_>,
        bonds: &Bonds,
        waiting: &Waiting<'_>,
        terms: &Terms<'_>,
    ) -> Proposal {
        // A day of a node is not taken room of before what leaves on it is there.
        let scope = &Scope { days: None, prices: None, ..*scope };
        self.gatherer.begin(scope);
        let left = self.left(scope, waiting, terms);
        let worth = |way: &Way| self.worth(scope, bonds, (waiting, terms), &left, way);
        let ways = left.iter().try_fold(1_usize, |ways, left| ways.checked_mul(left.at.len() + 1));
        let (way, is_best) = match ways.filter(|ways| *ways <= WAYS_MAX) {
            Some(ways) => {
                // Where what is in stock says where the rest may wait, another plan of that could cost less with it.
                let is_free = waiting.in_stock.picks.is_empty()
                    || scope.split_lines && bonds.is_empty() && terms.shipments == usize::MAX;
                (best_of_all(&left, ways, worth), is_free && left.iter().all(|left| left.is_all))
            }
            None => (best_one_by_one(&left, worth), false),
        };
        self.written(scope, waiting, &left, &way, is_best)
    }

    /// What is left of each sku, and where it may wait.
    fn left(&self, scope: &Scope<'_>, waiting: &Waiting<'_>, terms: &Terms<'_>) -> Vec<Left> {
        let Waiting { order, in_stock, .. } = *waiting;
        let mut units: BTreeMap<usize, i64> = BTreeMap::new();
        for unfilled in waits_for_stock(in_stock, &self.of_kits) {
            let line = order.lines.iter().find(|line| line.line == unfilled.line);
            let Some(want) = line.and_then(|line| self.demand.find(line.sku)) else { continue };
            *units.entry(want).or_default() += i64::from(unfilled.quantity);
        }
        let left = |(want, units)| {
            let (at, is_all) = self.stops(scope, (waiting, terms), want, units);
            Left { want, is_all, at }
        };
        units.into_iter().map(left).collect()
    }

    /// Where so many units of a want may wait: all of them, or else as many as come to any one node. And whether that is everywhere.
    fn stops(
        &self,
        scope: &Scope<'_>,
        (waiting, terms): (&Waiting<'_>, &Terms<'_>),
        want: usize,
        units: i64,
    ) -> (Vec<Stop>, bool) {
        let (sku, flags) = (self.demand.wants[want].sku, self.demand.wants[want].flags);
        let taken: Vec<NodeIx> =
            waiting.in_stock.picks.iter().filter(|pick| pick.sku == sku).map(|pick| pick.node).collect();
        let book = scope.reader.supplies();
        let coming: Vec<(Place, u64)> =
            book.by_day(sku, waiting.by).filter(|(_, units)| *units > 0).collect();
        let mut stops: Vec<Stop> = Vec::new();
        for of_node in coming.chunk_by(|a, b| a.0.node() == b.0.node()) {
            let node = of_node[0].0.node();
            // Where a want may not be split, it waits where the rest of it ships.
            let is_split = !scope.split_lines && taken.iter().any(|other| *other != node);
            if is_split || !self.gatherer.eligible(scope, node.0) || !scope.suits(want, flags, node.0) {
                continue;
            }
            // Of what comes, a node makes up for what it should keep back first.
            let keeps_back = scope.keeps(want, node.0) - scope.there(sku, node);
            let (mut left, mut keeps_back, mut day) = (units, keeps_back.max(0), 0);
            let mut draws = Vec::new();
            for segment in scope.segments {
                let place = Place::new(node, *segment);
                let Some((_, comes)) = of_node.iter().find(|(at, _)| *at == place) else { continue };
                let available = scope.reader.available(sku, node, *segment).unwrap_or(0);
                let short = i64::from(available.min(0)).abs();
                let comes = i64::try_from(*comes).unwrap_or(i64::MAX) - short;
                let kept = keeps_back.min(comes.max(0));
                keeps_back -= kept;
                let drawn = (comes - kept).clamp(0, left);
                if drawn > 0 {
                    let served = book.day_behind_all(sku, place, (short + kept + drawn).unsigned_abs());
                    // Day 0 is no day to wait for; what is due before is there by the next.
                    day = day.max(served.unwrap_or(waiting.by)).max(1);
                    draws.push((*segment, u32::try_from(drawn).unwrap_or(u32::MAX)));
                    left -= drawn;
                }
            }
            if left < units
                && let Some(leaves) = self.leaves(scope, (waiting, terms), node, day)
            {
                stops.push(Stop { from: scope.candidate(node.0), units: units - left, day, leaves, draws });
            }
        }
        let most = stops.iter().map(|stop| stop.units).max().unwrap_or(0);
        stops.retain(|stop| stop.units == most);
        let is_all = stops.len() <= STOPS_MAX;
        if !is_all {
            let goods = self.demand.wants[want].goods(most);
            let alone = |stop: &Stop| {
                let (Money(cost), _) = scope.shipment(&stop.from, 1, most.unsigned_abs(), &goods);
                (cost.saturating_add(stop.leaves.late_cost), stop.from.priority, stop.from.code_rank)
            };
            stops.sort_by_cached_key(alone);
            stops.truncate(STOPS_MAX);
        }
        stops.sort_unstable_by_key(|stop| (stop.from.priority, stop.from.code_rank));
        (stops, is_all)
    }

    /// When what has come to a node on a day leaves it; `None` where it never does, or is late and may not be.
    fn leaves(
        &self,
        scope: &Scope<'_>,
        (waiting, terms): (&Waiting<'_>, &Terms<'_>),
        node: NodeIx,
        day: u32,
    ) -> Option<Leaves> {
        let (ship_at, promise_at) = scope.leaves_after(node, day)?;
        let late = waiting.wished.filter(|wished| promise_at > *wished);
        let (Some(wished), Some(kept)) = (late, terms.kept) else {
            return Some(Leaves { ship_at, promise_at, late_cost: 0 });
        };
        let days = i64::try_from(days_late(promise_at, wished)).unwrap_or(i64::MAX);
        let late_cost = kept.policy.late_day_cost.0.saturating_mul(days);
        (!kept.policy.refuses_late).then_some(Leaves { ship_at, promise_at, late_cost })
    }

    /// What a way to wait is worth; `None` where it may not be.
    fn worth(
        &self,
        scope: &Scope<'_>,
        bonds: &Bonds,
        (waiting, terms): (&Waiting<'_>, &Terms<'_>),
        left: &[Left],
        way: &Way,
    ) -> Option<Worth> {
        let groups = groups(left, way);
        if groups.len() > terms.shipments {
            return None;
        }
        if !bonds.is_empty() {
            let picks = groups.iter().flat_map(|((node, _), group)| {
                group.iter().map(|(left, stop)| Pick {
                    line: LineId(0),
                    sku: self.demand.wants[left.want].sku,
                    node: NodeIx(*node),
                    segment: Segment(0),
                    quantity: u32::try_from(stop.units).unwrap_or(u32::MAX),
                })
            });
            let picks: Vec<Pick> = waiting.in_stock.picks.iter().copied().chain(picks).collect();
            if bonds.broken_by(&self.demand, &picks).is_some() {
                return None;
            }
        }
        let filled: i64 = groups.values().flatten().map(|(_, stop)| stop.units).sum();
        let cost = groups.values().map(|group| self.cost(scope, group).0.0);
        let cost = cost.fold(0, i64::saturating_add);
        let priorities = groups.values().map(|group| u64::from(group[0].1.from.priority)).sum();
        let codes = groups.values().map(|group| group[0].1.from.code_rank).collect();
        Some((-filled, cost, priorities, codes))
    }

    /// What a shipment of what waits costs, and what of it is for being late and the carrier's.
    fn cost(&self, scope: &Scope<'_>, group: &[(&Left, &Stop)]) -> (Money, Leaves, Option<Carriage>) {
        let goods = group.iter().fold(Goods::default(), |goods, (left, stop)| {
            goods.and(self.demand.wants[left.want].goods(stop.units))
        });
        let units: i64 = group.iter().map(|(_, stop)| stop.units).sum();
        let (Money(cost), fare) = scope.shipment(&group[0].1.from, group.len(), units.unsigned_abs(), &goods);
        let leaves = group[0].1.leaves;
        (Money(cost.saturating_add(leaves.late_cost)), leaves, fare.map(carriage))
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

/// What a plan leaves out because it is not in stock. Kits are put together of what is in stock alone.
fn waits_for_stock<'a>(
    proposal: &'a Proposal,
    of_kits: &'a [(LineId, earmark_protocol::ids::SkuIx)],
) -> impl Iterator<Item = &'a Unfilled> {
    proposal.plan.unfilled.iter().filter(|unfilled| {
        let is_kit = of_kits.iter().any(|(line, _)| *line == unfilled.line);
        unfilled.reason == RefusalCode::OutOfStock && !is_kit
    })
}

/// What waits on a way, by node and day: each is a shipment.
fn groups<'a>(left: &'a [Left], way: &Way) -> BTreeMap<(u32, u32), Vec<(&'a Left, &'a Stop)>> {
    let mut groups: BTreeMap<(u32, u32), Vec<(&Left, &Stop)>> = BTreeMap::new();
    for (left, at) in left.iter().zip(way) {
        if let Some(stop) = at.map(|at| &left.at[at]) {
            groups.entry((stop.from.node, stop.day)).or_default().push((left, stop));
        }
    }
    groups
}

/// The best of all ways there are.
fn best_of_all(left: &[Left], ways: usize, worth: impl Fn(&Way) -> Option<Worth>) -> Way {
    let way = |number: usize| {
        let mut number = number;
        let at = |left: &Left| {
            let choices = left.at.len() + 1;
            let choice = number % choices;
            number /= choices;
            choice.checked_sub(1)
        };
        left.iter().map(at).collect::<Way>()
    };
    let worths = (0..ways).filter_map(|number| Some((worth(&way(number))?, number)));
    worths.min().map_or_else(|| vec![None; left.len()], |(_, number)| way(number))
}

/// A good way: each sku where that is best beside all others, until nothing gets better.
fn best_one_by_one(left: &[Left], worth: impl Fn(&Way) -> Option<Worth>) -> Way {
    let mut way: Way = vec![None; left.len()];
    for _ in 0..ROUNDS_MAX {
        let before = way.clone();
        for (at, left) in left.iter().enumerate() {
            let choices = std::iter::once(None).chain((0..left.at.len()).map(Some));
            let with = |choice: Option<usize>| {
                let mut with = way.clone();
                with[at] = choice;
                Some((worth(&with)?, choice))
            };
            way[at] = choices.filter_map(with).min().and_then(|(_, choice)| choice);
        }
        if way == before {
            break;
        }
    }
    way
}

/// What refuses an order that cannot be had whole: the first line that nothing comes for, and what of its sku there is.
fn first_left(proposal: &Proposal, order: &Order) -> Refusal {
    let left = order.lines.iter().enumerate().filter_map(|(at, line)| {
        let unfilled = proposal.plan.unfilled.iter().find(|unfilled| unfilled.line == line.line)?;
        Some((unfilled.reason, at, line.sku))
    });
    let (reason, at, sku) = left.min().expect("something is left out");
    let lines = proposal.plan.shipments.iter().flat_map(|shipment| &shipment.lines);
    let there: i64 = lines.filter(|line| line.sku == sku).map(|line| i64::from(line.quantity)).sum();
    let detail = if reason == RefusalCode::OutOfStock { there } else { 0 };
    Refusal::of(reason, Field::Line).at(at).detail(detail)
}
