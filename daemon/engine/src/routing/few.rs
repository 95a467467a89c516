//! Orders of few skus, planned at once over all nodes: in one shipment where that is found soon and no two could cost as little,
//! and else by sets of skus.
//!
//! Nothing here spends of an order's work: both ways are bounded by themselves. What is answered is proven cheapest.

use earmark_protocol::command::Order;
use earmark_protocol::ids::{Money, NodeIx};

use super::Proposal;
use super::carried::Carried;
use super::case::{Candidate, Part};
use super::demand::Want;
use super::planner::{FEW_SKUS, Planner};
use super::scope::{Scope, has_bit};
use super::walk::Walk;

/// Nodes asked whether they have all of an order of few skus.
const ONE_SHIPMENT_NODES: usize = 128;

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
    /// Plans an order of few skus that can be served whole, in one shipment if that may be.
    pub(super) fn plan_at_once(&mut self, scope: &Scope<'_>, order: &Order) -> Few {
        // By steps two light parcels may cost less than one: what could be two is planned by sets of wants.
        let skus_max = if scope.carriage.is_some() { 1 } else { FEW_SKUS };
        if self.demand.wants.len() <= skus_max
            && let Some(proposal) = self.plan_one_shipment(scope, order)
        {
            return Few::Planned(proposal);
        }
        self.plan_few(scope, order)
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
                return (cost < pair_floor).then(|| self.write_one_shipment(scope, order, candidate));
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

    /// Writes down that a node sends all.
    fn write_one_shipment(&mut self, scope: &Scope<'_>, order: &Order, from: Candidate) -> Proposal {
        self.parts.clear();
        let part = |(want, wanted): (usize, &Want)| Part { want: want as u32, slot: 0, units: wanted.units };
        self.parts.extend(self.demand.wants.iter().enumerate().map(part));
        let mut proposal = self.writer.write(scope, order, &self.demand, &[from], &self.parts);
        proposal.plan.bound = proposal.plan.weighed();
        proposal
    }

    /// Whether a node has enough of every want. The want that was missing last is asked for first next time.
    fn has_all(&mut self, scope: &Scope<'_>, node: u32) -> bool {
        let missing = self.probes.iter().position(|at| {
            let want = &self.demand.wants[*at as usize];
            let bits = self.gatherer.carried.bits(scope.reader, want.sku);
            !bits.is_some_and(|bits| has_bit(bits, node)) || !scope.suits(*at as usize, want.flags, node)
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

    /// Plans an order of few skus that can be served whole: the cheapest plan there is, over all nodes. Who carries a
    /// want is taken to have enough of it, until a node that was chosen turns out not to.
    pub(super) fn plan_few(&mut self, scope: &Scope<'_>, order: &Order) -> Few {
        if self.demand.wants.len() > FEW_SKUS || !self.could_be_whole() || !self.presume_rows(scope) {
            return Few::Unfit;
        }
        self.subsets.begin(scope, &self.demand);
        let mut looked_up = 0_usize;
        loop {
            if !self.share_out(scope) {
                return Few::Unfit;
            }
            let wrong = self.presumed_wrongly(scope, looked_up);
            if wrong == 0 {
                return Few::Planned(self.write_shared_out(scope, order));
            }
            looked_up |= wrong;
            if !self.look_rows_up(scope, wrong) {
                return Few::Short;
            }
        }
    }

    /// Whether all of the order is to be served, as far as its lines say.
    pub(super) fn could_be_whole(&self) -> bool {
        self.reasons.iter().all(Option::is_none) && self.demand.wants.iter().all(|want| want.units > 0)
    }

    /// Takes who carries a want to have enough of it. `false` where it is not known who does.
    fn presume_rows(&mut self, scope: &Scope<'_>) -> bool {
        let (wants, rows) = (&self.demand.wants, &mut self.subsets.rows);
        rows.resize_with(wants.len(), Vec::new);
        for (row, want) in rows.iter_mut().zip(wants) {
            let Some(bits) = self.gatherer.carried.bits(scope.reader, want.sku) else { return false };
            row.clear();
            row.extend_from_slice(bits);
        }
        true
    }

    /// Shares the wants out to the nodes that are taken to have enough of them. `false` where that cannot be, or not in as few
    /// shipments as there may be.
    fn share_out(&mut self, scope: &Scope<'_>) -> bool {
        let (gatherer, limit) = (&self.gatherer, self.search.case.limit);
        let eligible = |node: u32| gatherer.eligible(scope, node);
        self.subsets.find(scope, &self.demand, limit, eligible) && self.subsets.chosen.len() <= limit
    }

    /// The wants, a bit each, of which the node that was chosen has not enough. Some are known not to be.
    fn presumed_wrongly(&self, scope: &Scope<'_>, looked_up: usize) -> usize {
        let mut wrong = 0;
        let wants = self.demand.wants.iter().enumerate();
        for (want, facts) in wants.filter(|(want, _)| looked_up >> want & 1 == 0) {
            let serves = |(set, _): &&(usize, _)| set >> want & 1 == 1;
            let (_, from) = self.subsets.chosen.iter().find(serves).expect("every want is shared out");
            let carried = &self.gatherer.carried;
            let there = carried.available(scope.reader, facts.sku, NodeIx(from.node), scope.segments);
            wrong |= usize::from(there < facts.units + scope.buffer(want, from.node)) << want;
        }
        wrong
    }

    /// Looks up which nodes have enough of these wants. `false` where none has of one.
    fn look_rows_up(&mut self, scope: &Scope<'_>, wants: usize) -> bool {
        let rows = self.subsets.rows.iter_mut().zip(&self.demand.wants).enumerate();
        let mut rows = rows.filter(|(want, _)| wants >> want & 1 == 1);
        rows.all(|(want, (row, Want { sku, units, .. }))| {
            let (reader, segments) = (scope.reader, scope.segments);
            if scope.has_buffers() {
                let units = |node| units + scope.buffer(want, node);
                Carried::enough(reader, *sku, segments, units, row)
            } else {
                Carried::enough(reader, *sku, segments, |_| *units, row)
            }
        })
    }

    /// Writes down how the wants are shared out.
    fn write_shared_out(&mut self, scope: &Scope<'_>, order: &Order) -> Proposal {
        self.parts.clear();
        let list = &mut self.search.case.list;
        list.clear();
        for (slot, (set, from)) in (0..).zip(&self.subsets.chosen) {
            list.push(*from);
            let wants = self.demand.wants.iter().enumerate().filter(|(want, _)| set >> want & 1 == 1);
            let part = |(want, facts): (usize, &Want)| Part { want: want as u32, slot, units: facts.units };
            self.parts.extend(wants.map(part));
        }
        let mut proposal = self.writer.write(scope, order, &self.demand, &self.search.case.list, &self.parts);
        proposal.plan.bound = proposal.plan.weighed();
        proposal
    }
}
