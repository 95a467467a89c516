//! Repair: a plan that lost some of its stock to others is mended with the nodes it already has.
//!
//! It is quick enough to be done by the committer: at most [`LOOKUPS_MAX`] lookups of a cell. What it cannot mend goes
//! back to a planner, and so does what waits for supply. It opens no node, so planning again may find a cheaper plan, and its bound says no more than what
//! no stock could change.

use earmark_protocol::command::Order;
use earmark_protocol::ids::{Money, NodeIx, SkuIx, Tenant};

use super::Proposal;
use super::case::{Candidate, Part};
use super::lanes::LaneBook;
use super::planner::{Planner, Question, Taking};
use super::scope::{Scope, named};
use crate::Reader;

/// Most lookups of a cell in one repair: each takes some 30 to 50 ns, so all of them stay below 20 µs.
const LOOKUPS_MAX: usize = 384;

/// Buffers of repairs.
#[derive(Default)]
pub(super) struct Repair {
    /// The plan's nodes, by cost per unit, then rank.
    list: Vec<Candidate>,
    /// What the plan takes, by want, then slot.
    taken: Vec<Part>,
    mended: Vec<Part>,
    /// By want: units the plan serves.
    units: Vec<i64>,
}

impl Planner {
    /// Moves what a plan can no longer have to other nodes of the same plan, by the version of the policy that it was made
    /// by. `None` where that is not enough, or would take too long.
    pub fn repair(
        &mut self,
        reader: &Reader,
        lanes: &LaneBook,
        tenant: Tenant,
        order: &Order,
        proposal: &Proposal,
    ) -> Option<Proposal> {
        let plan = &proposal.plan;
        let order = &*self.as_planned(reader, tenant, order, (plan, &plan.unfilled));
        let waits = proposal.plan.shipments.iter().any(|shipment| shipment.waits());
        if proposal.picks.is_empty() || proposal.picks.len() > LOOKUPS_MAX || waits {
            return None;
        }
        let question = Question { reader, lanes, tenant, taking: Taking::Part, without: &[] };
        let mut sight = self.look(&question, order);
        self.demand.read(&order.lines);
        for want in &mut self.demand.wants {
            want.flags = reader.sku(want.sku)?.flags;
        }
        let policies = self.bookmark.policies(reader);
        let kept = policies.version(tenant, proposal.plan.policy);
        let upgrades = self.go_by_services(&mut sight, &question, order, kept, 0);
        if proposal.plan.upgrades != upgrades.rules {
            return None;
        }
        let work = |planner: &mut Self, scope: &Scope<'_>| match kept {
            Some(kept) => {
                let obeyed = (kept, tenant, &*sight.table);
                planner.strictly_under(obeyed, scope, order, |planner, scope, bonds| {
                    let repaired = planner.repair_in(scope, order, proposal);
                    repaired.filter(|repaired| bonds.broken_by(&planner.demand, &repaired.picks).is_none())
                })
            }
            None => planner.repair_in(scope, order, proposal),
        };
        let repaired = self.scoped(&question, order, &sight, (named(order), &[]), work).ok()?;
        repaired.map(|repaired| Proposal { epoch: sight.epoch, ..repaired })
    }

    /// Repairs in this scope.
    fn repair_in(&mut self, scope: &Scope<'_>, order: &Order, proposal: &Proposal) -> Option<Proposal> {
        self.gatherer.begin(scope);
        if !proposal.plan.shipments.iter().all(|shipment| self.gatherer.eligible(scope, shipment.node.0)) {
            return None;
        }
        let mut repair = std::mem::take(&mut self.repair);
        let mended = repair.read(scope, self, proposal).and_then(|()| repair.mend(scope, self));
        let proposal = mended.map(|()| {
            let written = self.writer.write(scope, order, &self.demand, &repair.list, &repair.mended);
            let mut plan = written.plan;
            plan.unfilled.clone_from(&proposal.plan.unfilled);
            plan.policy = proposal.plan.policy;
            plan.review = proposal.plan.review;
            plan.substituted.clone_from(&proposal.plan.substituted);
            plan.upgrades.clone_from(&proposal.plan.upgrades);
            plan.eliminated.clone_from(&proposal.plan.eliminated);
            let bound =
                if scope.lanes.is_none() { plan.cost.0 } else { scope.floor(&repair.units).min(plan.cost.0) };
            plan.bound = Money(bound);
            Proposal { epoch: proposal.epoch, picks: written.picks, plan }
        });
        self.repair = repair;
        proposal
    }
}

impl Repair {
    /// Reads what the plan takes from where. `None` where the plan is not one of this order.
    fn read(&mut self, scope: &Scope<'_>, planner: &Planner, proposal: &Proposal) -> Option<()> {
        self.list.clear();
        self.list.extend(proposal.plan.shipments.iter().map(|shipment| scope.candidate(shipment.node.0)));
        self.list.sort_unstable_by_key(|candidate| (candidate.unit, candidate.rank));
        self.taken.clear();
        self.units.clear();
        self.units.resize(planner.demand.wants.len(), 0);
        for pick in &proposal.picks {
            let want = planner.demand.find(pick.sku)?;
            let slot = self.list.iter().position(|candidate| candidate.node == pick.node.0)?;
            let units = i64::from(pick.quantity);
            self.units[want] += units;
            self.taken.push(Part { want: want as u32, slot: slot as u32, units });
        }
        self.taken.sort_unstable_by_key(|part| (part.want, part.slot));
        self.taken.dedup_by(|part, kept| {
            let same = (part.want, part.slot) == (kept.want, kept.slot);
            kept.units += if same { part.units } else { 0 };
            same
        });
        Some(())
    }

    /// Keeps what still fits and moves what does not.
    fn mend(&mut self, scope: &Scope<'_>, planner: &Planner) -> Option<()> {
        let mut lookups = 0;
        let mut available = |want: usize, sku: SkuIx, candidate: &Candidate| {
            lookups += scope.segments.len();
            let node = candidate.node;
            (lookups <= LOOKUPS_MAX).then(|| scope.there(sku, NodeIx(node)) - scope.buffer(want, node))
        };
        self.mended.clear();
        for parts in self.taken.chunk_by(|a, b| a.want == b.want) {
            let (want, sku) = (parts[0].want, planner.demand.wants[parts[0].want as usize].sku);
            let facts = scope.reader.sku(sku).filter(|facts| !facts.retired)?;
            let mut fits = true;
            for part in parts {
                fits &= available(want as usize, sku, &self.list[part.slot as usize])? >= part.units;
            }
            if fits {
                self.mended.extend_from_slice(parts);
                continue;
            }
            let need = self.units[want as usize];
            let start = self.mended.len();
            let mut whole: Option<(i64, u32)> = None;
            for (slot, candidate) in self.list.iter().enumerate() {
                let able = scope.suits(want as usize, facts.flags, candidate.node);
                let there = if able { available(want as usize, sku, candidate)? } else { 0 };
                if there >= need {
                    let cost = candidate.line.saturating_add(candidate.unit.saturating_mul(need));
                    whole = Some(whole.map_or((cost, slot as u32), |least| least.min((cost, slot as u32))));
                } else if there > 0 {
                    self.mended.push(Part { want, slot: slot as u32, units: there });
                }
            }
            if let Some((_, slot)) = whole {
                self.mended.truncate(start);
                self.mended.push(Part { want, slot, units: need });
                continue;
            }
            // A want that one node served whole may not be split now; one that was split may be split otherwise.
            if parts.len() == 1 {
                return None;
            }
            let mut left = need;
            for part in &mut self.mended[start..] {
                part.units = part.units.min(left);
                left -= part.units;
            }
            if left > 0 {
                return None;
            }
            while self.mended.last().is_some_and(|part| part.units == 0) {
                self.mended.pop();
            }
        }
        Some(())
    }
}
