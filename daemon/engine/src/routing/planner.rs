//! The way of an order through routing: check, gather, search, prove, write down.
//!
//! A planner owns the buffers of one thread. It decides in which order the other rooms are asked, how much work each
//! may do, and what is answered where an order cannot be served.

use std::sync::Arc;

use earmark_protocol::command::Order;
use earmark_protocol::ids::{LineId, Money, NodeIx, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use super::Proposal;
use super::allowance::Allowance;
use super::arrange::Portion;
use super::candidates::Gatherer;
use super::carried::Carried;
use super::case::{Budget, Candidate, Part};
use super::covers::Covers;
use super::demand::{Demand, Want};
use super::lanes::{Bookmark, LaneBook};
use super::obey::Terms;
use super::parcels::{Carriers, Task};
use super::repair::Repair;
use super::scope::Scope;
use super::settle::{First, too_dear};
use super::solve::{SMALL_SKUS, Search, budget, whole_budget};
use super::subsets::{self, Subsets};
use super::upgrades::Upgrades;
use super::walk::{Near, WIDEN, Walk};
use super::write::Writer;
use crate::Reader;
use crate::policy::{Kept, Ruling};
use crate::tariff::fares::NEVER;

/// An order of at most this many skus has few.
const FEW_SKUS: usize = subsets::SKUS_MAX;
/// Orders of at most so many skus mind prices, where they can be served whole.
pub const PRICED_SKUS_MAX: usize = FEW_SKUS;
/// Nodes asked whether they have all of an order of few skus.
const ONE_SHIPMENT_NODES: usize = 128;
/// The least and the most nodes looked at first for an order of few skus, and for one of many.
const NEAR_FEW: (usize, usize) = (16, 64);
const NEAR_MANY: (usize, usize) = (128, 512);
/// Serving all from a node that is looked at first costs at most so many shipments more than from the nearest.
const NEAR_SHIPMENTS: i64 = 2;
/// Times that a plan by what nodes carry is made again because some had not enough, before all of it is looked up.
const CONFIRM_ROUNDS: u32 = 3;

/// Plans orders. One per thread.
#[derive(Default)]
pub struct Planner {
    pub(super) bookmark: Bookmark,
    pub(super) demand: Demand,
    /// Which lines of the order at hand are of which kit, for rules that ask.
    pub(super) of_kits: Vec<(LineId, SkuIx)>,
    pub(super) gatherer: Gatherer,
    pub(super) named: Vec<NodeIx>,
    pub(super) reasons: Vec<Option<RefusalCode>>,
    /// The wants in the order they are asked for at one node.
    probes: Vec<u32>,
    pub(super) parts: Vec<Part>,
    pub(super) search: Search,
    pub(super) covers: Covers,
    /// By want: whether a node that was chosen for it had not enough.
    pub(super) missing: Vec<bool>,
    pub(super) subsets: Subsets,
    pub(super) writer: Writer,
    pub(super) repair: Repair,
    pub(super) rulings: Vec<Ruling>,
    /// The time policies are asked for.
    pub(super) now: TimestampMs,
    /// What is there beside what can be promised.
    pub(super) beside: Vec<Portion>,
    is_patient: bool,
    allowance: Allowance,
}

/// What is asked for beside the order.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) reader: &'a Reader,
    pub(super) lanes: &'a LaneBook,
    pub(super) tenant: Tenant,
    pub(super) taking: Taking,
    /// Nodes that must not serve it.
    pub(super) without: &'a [NodeIx],
}

/// What is taken of an order some of which cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    /// None of it, unless the policy has it so.
    Whole,
    /// What there is, unless the policy refuses it.
    Part,
    /// What there is, whatever the policy says of that: the rest is filled otherwise.
    Stock,
}

impl Taking {
    /// What a client asks for.
    pub(super) fn asked(best_effort: bool) -> Self {
        if best_effort { Self::Part } else { Self::Whole }
    }

    /// Whether what cannot be had may be left out, as far as no policy has its say.
    pub(super) fn is_part(self) -> bool {
        self != Self::Whole
    }
}

/// What an order obeys.
pub(super) struct Obeying {
    /// The policy, where there is one.
    pub(super) kept: Option<Arc<Kept>>,
    pub(super) upgrades: Upgrades,
}

/// What became of planning an order of few skus.
pub(super) enum Few {
    /// The cheapest plan there is.
    Planned(Proposal),
    /// No node has enough of some want.
    Short,
    /// It is not an order for that.
    Unfit,
}

impl Planner {
    /// A planner with empty buffers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A planner for a thread that nobody waits behind: it looks for the proof of an order of few skus that must be split for
    /// up to some hundred milliseconds, where others answer with the best plan of about one.
    #[must_use]
    pub fn patient() -> Self {
        Self { is_patient: true, ..Self::default() }
    }

    /// Sets the time that policies are asked for from now on.
    pub fn at(&mut self, now: TimestampMs) -> &mut Self {
        self.now = now;
        self
    }

    /// Plans an order against what is available now, and what may wait of it against supply. `best_effort` takes what there is of
    /// each line; `without` are nodes that must not serve it.
    ///
    /// # Errors
    /// The refusal that stands first where the order cannot be served: all of it, or with `best_effort` none of it.
    pub fn plan(
        &mut self,
        reader: &Reader,
        lanes: &LaneBook,
        tenant: Tenant,
        order: &Order,
        best_effort: bool,
        without: &[NodeIx],
    ) -> Result<Proposal, Refusal> {
        let question = Question { reader, lanes, tenant, taking: Taking::asked(best_effort), without };
        self.begin_order();
        let planned = self.plan_in_stock(&question, order);
        self.plan_with_supply(&question, order, planned)
    }

    /// The work that planning the last order took, in steps of about a nanosecond; what is bounded otherwise is not in it.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.allowance.spent()
    }

    /// Begins with an order, whose plans share one allowance of work.
    pub(super) fn begin_order(&mut self) {
        self.allowance = Allowance::default();
    }

    /// Plans an order against what is in stock.
    pub(super) fn plan_in_stock(
        &mut self,
        question: &Question<'_>,
        order: &Order,
    ) -> Result<Proposal, Refusal> {
        let planned = self.plan_kits(question, order, None);
        if order.substitutable.is_empty() {
            return planned;
        }
        self.plan_substituted(question, order, planned)
    }

    /// Plans an order of which no line is of a kit, where so many rules about services give way. Says whether another one could,
    /// too.
    pub(super) fn plan_giving_way(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        version: Option<u32>,
        give_way: usize,
    ) -> Result<(Result<Proposal, Refusal>, bool), Refusal> {
        let Question { reader, tenant, taking, .. } = *question;
        self.in_scope(question, order, version, give_way, |planner, obeyed, scope, sight| {
            let Obeying { kept, upgrades } = obeyed;
            let could_give_way = upgrades.could_give_way;
            let planned = match kept {
                Some(kept) => planner.plan_under((&kept, tenant, &sight.table), scope, order, taking),
                None => {
                    let Terms { shipments: limit, .. } = Terms::usual(order, reader.rules().shipments_max);
                    planner.plan_in(scope, limit, order, taking.is_part())
                }
            };
            let planned = planned.and_then(|mut proposal| {
                proposal.plan.upgrades = upgrades.rules;
                let is_priced = proposal.plan.cost.0 < NEVER;
                if is_priced { Ok(Proposal { epoch: sight.epoch, ..proposal }) } else { Err(too_dear()) }
            });
            (planned, could_give_way)
        })
    }

    /// Reads the order's lines and what is known of its skus.
    pub(super) fn read_order(
        &mut self,
        reader: &Reader,
        tenant: Tenant,
        order: &Order,
        best_effort: bool,
    ) -> Result<(), Refusal> {
        if order.lines.is_empty() {
            return Err(Refusal::of(RefusalCode::EmptyList, Field::Line));
        }
        self.demand.read(&order.lines);
        self.reasons.clear();
        let mut first = First::default();
        for want in &mut self.demand.wants {
            let at = want.first as usize;
            let mut reason = None;
            match reader.sku(want.sku).filter(|facts| facts.tenant == tenant) {
                None => first.consider(Refusal::of(RefusalCode::UnknownSku, Field::Sku).at(at)),
                Some(facts) => {
                    want.flags = facts.flags;
                    if facts.retired {
                        reason = Some(RefusalCode::SkuRetired);
                        if !best_effort {
                            first.consider(Refusal::of(RefusalCode::SkuRetired, Field::Sku).at(at));
                        }
                    }
                }
            }
            self.reasons.push(reason);
        }
        first.done()
    }

    /// Plans in this scope with at most so many shipments; 0 for no limit.
    pub(super) fn plan_in(
        &mut self,
        scope: &Scope<'_>,
        limit: u16,
        order: &Order,
        best_effort: bool,
    ) -> Result<Proposal, Refusal> {
        let Budget(one) = self.budget();
        self.in_turn(|planner, turn| {
            turn.spend(100, one, |own| planner.plan_within(scope, limit, order, best_effort, own))
        })
    }

    /// The work that one plan of the order at hand may make.
    pub(super) fn budget(&self) -> Budget {
        budget(self.demand.wants.len(), self.is_patient)
    }

    /// Does something with the work that the order at hand has left for one turn.
    pub(super) fn in_turn<R>(&mut self, work: impl FnOnce(&mut Self, &mut Budget) -> R) -> R {
        let mut turn = self.allowance.turn(whole_budget(self.demand.wants.len(), self.is_patient));
        let Budget(given) = turn;
        let done = work(self, &mut turn);
        self.allowance.spend(given - turn.0);
        done
    }

    /// Plans like [`Planner::plan_in`], with this much work.
    pub(super) fn plan_within(
        &mut self,
        scope: &Scope<'_>,
        limit: u16,
        order: &Order,
        best_effort: bool,
        budget: &mut Budget,
    ) -> Result<Proposal, Refusal> {
        let skus = self.demand.wants.len();
        self.search.case.limit = if limit == 0 { usize::MAX } else { usize::from(limit) };
        self.gatherer.begin(scope);
        // By steps two light parcels may cost less than one: what could be two is planned by sets of wants.
        let at_once = if scope.carriage.is_some() { 1 } else { FEW_SKUS };
        if skus <= at_once
            && let Some(proposal) = self.plan_one_shipment(scope, order)
        {
            return Ok(proposal);
        }
        let whole = match self.plan_few(scope, order) {
            Few::Planned(proposal) => return Ok(proposal),
            Few::Short => false,
            Few::Unfit => true,
        };
        // Prices are minded by orders of few skus that can be served whole; all others are served for least.
        let scope = &Scope { prices: None, ..*scope };
        let small = skus <= SMALL_SKUS;
        if whole
            && !small
            && let Some(proposal) = self.plan_whole(scope, order, budget)
        {
            return Ok(proposal);
        }
        let mut near = self.near(scope);
        let bound = loop {
            let Search { case, .. } = &mut self.search;
            if small {
                self.gatherer.gather_all(scope, &self.demand, case);
            } else {
                self.gatherer.gather(scope, &self.demand, near, case);
            }
            budget.take(self.gatherer.words / 2);
            self.settle_units(scope, best_effort)?;
            self.gatherer.fill(&mut self.search.case);
            let bound = self.search.solve(Carriers::of(scope, &self.demand), budget);
            let proven = self.search.best.found() && bound >= self.search.best.cost;
            let spent = budget.0 < self.gatherer.words as u64;
            if proven || self.search.case.unseen.is_none() || self.search.best.found() && spent {
                break bound;
            }
            near.widen();
        };
        let bound = if self.search.best.found() {
            bound
        } else {
            let bound = self.serve_within_limit(scope, budget);
            let (code, mut is_refused) = (RefusalCode::TooManyShipments, false);
            for reason in self.reasons.iter_mut().filter(|reason| !best_effort && **reason == Some(code)) {
                // Where a rule gives way for it, the order is planned again.
                (*reason, is_refused) = (None, true);
            }
            if is_refused {
                return Err(Refusal::of(code, Field::Shipments).detail(i64::from(limit)));
            }
            bound
        };
        let Search { case, best, splitter, .. } = &mut self.search;
        let task = Task { case, carriers: Carriers::of(scope, &self.demand) };
        let parts = splitter.parts(task, best);
        let mut proposal = self.writer.write(scope, order, &self.demand, &case.list, parts);
        proposal.plan.bound = Money(bound.min(proposal.plan.cost.0));
        if best_effort {
            let reasons = &self.reasons;
            proposal.plan.unfilled = self
                .writer
                .unfilled(order, &self.demand, |want| reasons[want].unwrap_or(RefusalCode::OutOfStock));
        }
        Ok(proposal)
    }

    /// How many nodes to look at first. A node is worth a look if serving all from there costs not much more than a
    /// second shipment does.
    pub(super) fn near(&self, scope: &Scope<'_>) -> Near {
        let extra = scope.fixed_least().saturating_mul(NEAR_SHIPMENTS);
        let (least, most) = if self.demand.wants.len() <= FEW_SKUS { NEAR_FEW } else { NEAR_MANY };
        Near { least, most, extra }
    }

    /// An order of few skus most often goes out in one shipment: the cheapest node that has all, if it is found soon
    /// and no two shipments could cost as little.
    fn plan_one_shipment(&mut self, scope: &Scope<'_>, order: &Order) -> Option<Proposal> {
        let mut walk = Walk::new(scope, &self.demand).filter(|_| self.reasons.iter().all(Option::is_none))?;
        let skus = self.demand.wants.len();
        let pair_floor = if skus == 1 { i64::MAX } else { walk.pair_floor() };
        let units: i64 = self.demand.wants.iter().map(|want| want.units).sum();
        let goods = self.demand.goods();
        self.probes.clear();
        self.probes.extend(0..skus as u32);
        let mut best: Option<(i64, Candidate)> = None;
        for _ in 0..ONE_SHIPMENT_NODES {
            let next = walk.next();
            if let Some((cost, candidate)) = best.filter(|best| next.is_none_or(|next| next.1 > best.0)) {
                if cost >= pair_floor {
                    return None;
                }
                self.parts.clear();
                let part =
                    |(want, wanted): (usize, &Want)| Part { want: want as u32, slot: 0, units: wanted.units };
                self.parts.extend(self.demand.wants.iter().enumerate().map(part));
                let mut proposal = self.writer.write(scope, order, &self.demand, &[candidate], &self.parts);
                proposal.plan.bound = proposal.plan.weighed();
                return Some(proposal);
            }
            let node = walk.take(next?.0);
            if self.gatherer.eligible(scope, node) && self.has_all(scope, node) {
                let candidate = scope.sender(node);
                let (Money(cost), _) = scope.shipment(&candidate, skus, units.unsigned_abs(), &goods);
                let price = |want: &Want| want.units.saturating_mul(scope.price(want.sku, node));
                let prices = self.demand.wants.iter().map(price);
                let cost = prices.fold(cost, i64::saturating_add);
                let key = (cost, candidate.priority, candidate.code_rank);
                if best.as_ref().is_none_or(|(cost, best)| key < (*cost, best.priority, best.code_rank)) {
                    best = Some((cost, candidate));
                }
            }
        }
        None
    }

    /// Plans an order of few skus that can be served whole: the cheapest plan there is, over all nodes. Who carries a
    /// want is taken to have enough of it, until a node that was chosen turns out not to.
    pub(super) fn plan_few(&mut self, scope: &Scope<'_>, order: &Order) -> Few {
        let wants = &self.demand.wants;
        let served = self.reasons.iter().all(Option::is_none) && wants.iter().all(|want| want.units > 0);
        if wants.len() > FEW_SKUS || !served {
            return Few::Unfit;
        }
        let rows = &mut self.subsets.rows;
        rows.resize_with(wants.len(), Vec::new);
        for (row, want) in rows.iter_mut().zip(wants) {
            let Some(bits) = self.gatherer.carried.bits(scope.reader, want.sku) else { return Few::Unfit };
            row.clear();
            row.extend_from_slice(bits);
        }
        self.subsets.begin(scope, &self.demand);
        let mut looked_at = 0_usize;
        loop {
            let gatherer = &self.gatherer;
            let eligible = |node: u32| gatherer.eligible(scope, node);
            let limit = self.search.case.limit;
            if !self.subsets.find(scope, &self.demand, limit, eligible) || self.subsets.chosen.len() > limit {
                return Few::Unfit;
            }
            let mut wrong = 0;
            for (want, facts) in wants.iter().enumerate().filter(|(want, _)| looked_at >> want & 1 == 0) {
                let serves = |(set, _): &&(usize, _)| set >> want & 1 == 1;
                let (_, from) = self.subsets.chosen.iter().find(serves).expect("every want is shared out");
                let carried = &self.gatherer.carried;
                let there = carried.available(scope.reader, facts.sku, NodeIx(from.node), scope.segments);
                wrong |= usize::from(there < facts.units + scope.buffer(want, from.node)) << want;
            }
            if wrong == 0 {
                break;
            }
            looked_at |= wrong;
            for (want, row) in
                self.subsets.rows.iter_mut().enumerate().filter(|(want, _)| wrong >> want & 1 == 1)
            {
                let Want { sku, units, .. } = wants[want];
                let (reader, segments) = (scope.reader, scope.segments);
                let is_any = if scope.has_buffers() {
                    let units = |node| units + scope.buffer(want, node);
                    Carried::enough(reader, sku, segments, units, row)
                } else {
                    Carried::enough(reader, sku, segments, |_| units, row)
                };
                if !is_any {
                    return Few::Short;
                }
            }
        }
        self.parts.clear();
        let list = &mut self.search.case.list;
        list.clear();
        for (slot, (set, from)) in (0..).zip(&self.subsets.chosen) {
            list.push(*from);
            let wants = wants.iter().enumerate().filter(|(want, _)| set >> want & 1 == 1);
            self.parts.extend(wants.map(|(want, facts)| Part {
                want: want as u32,
                slot,
                units: facts.units,
            }));
        }
        let mut proposal = self.writer.write(scope, order, &self.demand, &self.search.case.list, &self.parts);
        proposal.plan.bound = proposal.plan.weighed();
        Few::Planned(proposal)
    }

    /// Plans an order that can be served whole from near nodes, reading the stock of those it chooses alone.
    pub(super) fn plan_carried(
        &mut self,
        scope: &Scope<'_>,
        order: &Order,
        budget: &mut Budget,
    ) -> Option<Proposal> {
        if self.reasons.iter().any(Option::is_some) || self.demand.wants.iter().any(|want| want.units == 0) {
            return None;
        }
        let mut near = self.near(scope);
        loop {
            if !self.gatherer.gather_carried(scope, &self.demand, near, &mut self.search.case) {
                return None;
            }
            budget.take(self.search.case.list.len() * self.demand.wants.len());
            self.check_sums().ok()?;
            let mut round = 0;
            let bound = loop {
                let carriers = Carriers::of(scope, &self.demand);
                let bound = self.search.solve(carriers, budget);
                let Search { case, best, splitter, .. } = &mut self.search;
                if !best.found() {
                    return None;
                }
                self.parts.clear();
                self.parts.extend_from_slice(splitter.parts(Task { case, carriers }, best));
                if self.gatherer.confirm(scope, &self.demand, case, &self.parts, round == CONFIRM_ROUNDS)? {
                    break bound;
                }
                round += 1;
            };
            let Search { case, best, .. } = &self.search;
            if bound >= best.cost
                || case.unseen.is_none()
                || budget.0 < (case.list.len() * WIDEN * case.words) as u64
            {
                let mut proposal = self.writer.write(scope, order, &self.demand, &case.list, &self.parts);
                proposal.plan.bound = Money(bound.min(proposal.plan.cost.0));
                return Some(proposal);
            }
            near.widen();
        }
    }

    /// Whether a node has enough of every want. The want that was missing last is asked for first next time.
    fn has_all(&mut self, scope: &Scope<'_>, node: u32) -> bool {
        let missing = self.probes.iter().position(|at| {
            let want = &self.demand.wants[*at as usize];
            let carries = self
                .gatherer
                .carried
                .bits(scope.reader, want.sku)
                .is_some_and(|bits| bits[node as usize / 64] >> (node % 64) & 1 == 1);
            !carries || !scope.suits(*at as usize, want.flags, node)
        });
        let missing = missing.or_else(|| {
            self.probes.iter().position(|at| {
                let want = &self.demand.wants[*at as usize];
                let there =
                    self.gatherer.carried.available(scope.reader, want.sku, NodeIx(node), scope.segments);
                there < want.units + scope.buffer(*at as usize, node)
            })
        });
        if let Some(at) = missing {
            self.probes.swap(0, at);
        }
        missing.is_none()
    }

    /// Gives up what the allowed shipments cannot carry: opens the nodes that carry the most, one after the other, and
    /// serves what they have. Returns what a plan of the same quantities costs at least.
    fn serve_within_limit(&mut self, scope: &Scope<'_>, budget: &mut Budget) -> i64 {
        let case = &mut self.search.case;
        let carried = self.gatherer.carry_most(case);
        for ((units, carried), reason) in case.units.iter_mut().zip(carried).zip(&mut self.reasons) {
            if *carried < *units {
                *units = *carried;
                *reason = Some(RefusalCode::TooManyShipments);
            }
        }
        self.gatherer.fill(case);
        let carriers = Carriers::of(scope, &self.demand);
        let bound = self.search.solve(carriers, budget);
        if !self.search.best.found() {
            let Search { case, best, splitter, .. } = &mut self.search;
            splitter.offer(Task { case, carriers }, self.gatherer.carriers(), best, budget);
        }
        bound.min(self.search.best.cost)
    }
}
