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
use super::case::{Budget, Part};
use super::covers::Covers;
use super::demand::Demand;
use super::few::Few;
use super::lanes::{Bookmark, LaneBook};
use super::obey::Terms;
use super::parcels::{Carriers, Task};
use super::repair::Repair;
use super::scope::Scope;
use super::settle::{First, too_dear};
use super::solve::{SMALL_SKUS, Search, budget, whole_budget};
use super::subsets::{self, Subsets};
use super::upgrades::Upgrades;
use super::walk::{Near, WIDEN};
use super::write::Writer;
use crate::Reader;
use crate::policy::{Kept, Ruling};
use crate::tariff::fares::NEVER;

/// An order of at most this many skus has few.
pub(super) const FEW_SKUS: usize = subsets::SKUS_MAX;
/// Orders of at most so many skus mind prices, where they can be served whole.
pub const PRICED_SKUS_MAX: usize = FEW_SKUS;
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
    pub(super) probes: Vec<u32>,
    pub(super) parts: Vec<Part>,
    pub(super) search: Search,
    pub(super) covers: Covers,
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
        self.search.case.limit = if limit == 0 { usize::MAX } else { usize::from(limit) };
        self.gatherer.begin(scope);
        let could_be_whole = match self.plan_at_once(scope, order) {
            Few::Planned(proposal) => return Ok(proposal),
            Few::Short => false,
            Few::Unfit => true,
        };
        // Prices are minded by orders of few skus that can be served whole; all others are served for least.
        let scope = &Scope { prices: None, ..*scope };
        if could_be_whole
            && !self.is_small()
            && let Some(proposal) = self.plan_whole(scope, order, budget)
        {
            return Ok(proposal);
        }
        let bound = self.search_nodes(scope, best_effort, budget)?;
        let bound = if self.search.best.found() {
            bound
        } else {
            self.serve_in_few_shipments(scope, limit, best_effort, budget)?
        };
        Ok(self.write_best(scope, order, best_effort, bound))
    }

    /// Whether all nodes that have something of the order at hand are looked at.
    fn is_small(&self) -> bool {
        self.demand.wants.len() <= SMALL_SKUS
    }

    /// Searches for the best node set, with ever more nodes until it is proven, all are looked at or the work is done. Returns what
    /// every plan costs at least.
    fn search_nodes(
        &mut self,
        scope: &Scope<'_>,
        best_effort: bool,
        budget: &mut Budget,
    ) -> Result<i64, Refusal> {
        let (is_small, mut near) = (self.is_small(), self.near(scope));
        loop {
            let Search { case, .. } = &mut self.search;
            if is_small {
                self.gatherer.gather_all(scope, &self.demand, case);
            } else {
                self.gatherer.gather(scope, &self.demand, near, case);
            }
            budget.take(self.gatherer.words / 2);
            self.settle_units(scope, best_effort)?;
            self.gatherer.fill(&mut self.search.case);
            let bound = self.search.solve(Carriers::of(scope, &self.demand), budget);
            let is_proven = self.search.best.found() && bound >= self.search.best.cost;
            let is_spent = budget.0 < self.gatherer.words as u64;
            if is_proven || self.search.case.unseen.is_none() || self.search.best.found() && is_spent {
                return Ok(bound);
            }
            near.widen();
        }
    }

    /// How many nodes to look at first. A node is worth a look if serving all from there costs not much more than a
    /// second shipment does.
    pub(super) fn near(&self, scope: &Scope<'_>) -> Near {
        let extra = scope.fixed_least().saturating_mul(NEAR_SHIPMENTS);
        let (least, most) = if self.demand.wants.len() <= FEW_SKUS { NEAR_FEW } else { NEAR_MANY };
        Near { least, most, extra }
    }

    /// Plans an order that can be served whole from near nodes, reading the stock of those it chooses alone.
    pub(super) fn plan_carried(
        &mut self,
        scope: &Scope<'_>,
        order: &Order,
        budget: &mut Budget,
    ) -> Option<Proposal> {
        if !self.could_be_whole() {
            return None;
        }
        let mut near = self.near(scope);
        loop {
            if !self.gatherer.gather_carried(scope, &self.demand, near, &mut self.search.case) {
                return None;
            }
            budget.take(self.search.case.list.len() * self.demand.wants.len());
            self.check_sums().ok()?;
            let bound = self.search_confirmed(scope, budget)?;
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

    /// Searches among nodes that are taken to have what they carry, until those that are chosen have it. Returns what every plan
    /// costs at least; `None` where there is none.
    fn search_confirmed(&mut self, scope: &Scope<'_>, budget: &mut Budget) -> Option<i64> {
        let mut round = 0;
        loop {
            let carriers = Carriers::of(scope, &self.demand);
            let bound = self.search.solve(carriers, budget);
            let Search { case, best, splitter, .. } = &mut self.search;
            if !best.found() {
                return None;
            }
            self.parts.clear();
            self.parts.extend_from_slice(splitter.parts(Task { case, carriers }, best));
            if self.gatherer.confirm(scope, &self.demand, case, &self.parts, round == CONFIRM_ROUNDS)? {
                return Some(bound);
            }
            round += 1;
        }
    }

    /// Serves what so many shipments can carry, where that may be less than all. Returns what a plan of the same quantities costs
    /// at least.
    fn serve_in_few_shipments(
        &mut self,
        scope: &Scope<'_>,
        limit: u16,
        best_effort: bool,
        budget: &mut Budget,
    ) -> Result<i64, Refusal> {
        let bound = self.serve_within_limit(scope, budget);
        let (code, mut is_refused) = (RefusalCode::TooManyShipments, false);
        for reason in self.reasons.iter_mut().filter(|reason| !best_effort && **reason == Some(code)) {
            // Where a rule gives way for it, the order is planned again.
            (*reason, is_refused) = (None, true);
        }
        if is_refused {
            return Err(Refusal::of(code, Field::Shipments).detail(i64::from(limit)));
        }
        Ok(bound)
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

    /// Writes down the best plan that was found, and with best effort what it leaves out.
    fn write_best(&mut self, scope: &Scope<'_>, order: &Order, best_effort: bool, bound: i64) -> Proposal {
        let Search { case, best, splitter, .. } = &mut self.search;
        let task = Task { case, carriers: Carriers::of(scope, &self.demand) };
        let parts = splitter.parts(task, best);
        let mut proposal = self.writer.write(scope, order, &self.demand, &case.list, parts);
        proposal.plan.bound = Money(bound.min(proposal.plan.cost.0));
        if best_effort {
            let reason = |want: usize| self.reasons[want].unwrap_or(RefusalCode::OutOfStock);
            proposal.plan.unfilled = self.writer.unfilled(order, &self.demand, reason);
        }
        proposal
    }
}
