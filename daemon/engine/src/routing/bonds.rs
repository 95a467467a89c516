//! Lines that go together and lines that never do, as rules say it of one order.
//!
//! The search for a plan knows nothing of them. Where its plan breaks one, the question is parted in two, each of which
//! says so much more about the nodes that may serve a line that the break is gone from both, and no plan that keeps all
//! bonds is lost; each is planned again, the one that could be the cheapest first. So what is claimed proven stays
//! proven, whatever prices a shipment.

use earmark_protocol::command::Order;
use earmark_protocol::ids::Money;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use super::carried::Carried;
use super::demand::{Demand, Want};
use super::planner::Planner;
use super::scope::{Leaning, Scope, has_bit};
use super::solve::SMALL_SKUS;
use super::{Pick, Proposal};
use crate::policy::{Asked, Ruling};

/// Most plans made for one order of few skus, and for one of many: some milliseconds at worst.
const PLANS_MAX: (usize, usize) = (256, 32);

/// The bonds between the wants of an order.
#[derive(Debug, Default)]
pub(super) struct Bonds {
    /// Wants that leave from one node, all or none.
    together: Vec<Vec<usize>>,
    /// Pairs of wants that never leave from one node.
    apart: Vec<(usize, usize)>,
}

/// A bond that a plan does not keep.
#[derive(Clone, Copy, Debug)]
pub(super) enum Broken {
    /// This group leaves from several nodes, or in part; of those nodes, the one that sends most of it.
    Together(usize, u32),
    /// This pair leaves from the node.
    Apart(usize, u32),
}

/// By want: a bit per node that may serve it.
type Allowed = Vec<Vec<u64>>;

/// A part of the question, with the plan that keeps all it says.
struct Part {
    allowed: Allowed,
    proposal: Proposal,
    /// No plan of this part costs less.
    bound: i64,
}

impl Part {
    /// What comes first is the part of which a plan can be the best.
    fn rank(&self) -> (u64, i64) {
        (missing(&self.proposal), self.bound)
    }
}

impl Bonds {
    /// Those of an order under a ruling.
    pub(super) fn of(ruling: &Ruling, asked: &Asked<'_>) -> Self {
        let (together, apart) = ruling.bonds(asked);
        Self { together, apart }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.together.is_empty() && self.apart.is_empty()
    }

    /// The first bond that a plan does not keep.
    pub(super) fn broken_by(&self, demand: &Demand, picks: &[Pick]) -> Option<Broken> {
        if self.is_empty() {
            return None;
        }
        let mut from: Vec<Vec<(u32, i64)>> = vec![Vec::new(); demand.wants.len()];
        for pick in picks {
            let Some(of_want) = demand.find(pick.sku).and_then(|want| from.get_mut(want)) else { continue };
            let (node, units) = (pick.node.0, i64::from(pick.quantity));
            match of_want.iter_mut().find(|(known, _)| *known == node) {
                Some((_, sum)) => *sum += units,
                None => of_want.push((node, units)),
            }
        }
        let together = self.together.iter().enumerate().find_map(|(at, group)| {
            let (most, _) = *group.iter().flat_map(|want| &from[*want]).max_by_key(|(_, units)| *units)?;
            let is_kept = |want: &usize| from[*want] == [(most, demand.wants[*want].units)];
            (!group.iter().all(is_kept)).then_some(Broken::Together(at, most))
        });
        together.or_else(|| {
            self.apart.iter().enumerate().find_map(|(at, (a, b))| {
                let of_both = |(node, _): &&(u32, i64)| from[*b].iter().any(|(other, _)| other == node);
                from[*a].iter().find(of_both).map(|(node, _)| Broken::Apart(at, *node))
            })
        })
    }

    /// The two parts of a question between which a plan has to choose in order to keep a bond.
    fn parts(&self, allowed: &Allowed, broken: Broken) -> [Allowed; 2] {
        let (mut first, mut second) = (allowed.clone(), allowed.clone());
        match broken {
            Broken::Together(group, node) => {
                for want in &self.together[group] {
                    let is_allowed = has_bit(&allowed[*want], node);
                    first[*want].fill(0);
                    set_bit(&mut first[*want], node, is_allowed);
                    set_bit(&mut second[*want], node, false);
                }
            }
            Broken::Apart(pair, node) => {
                let (a, b) = self.apart[pair];
                set_bit(&mut first[a], node, false);
                set_bit(&mut second[b], node, false);
            }
        }
        [first, second]
    }
}

impl Planner {
    /// Plans in this scope with at most so many shipments, so that all bonds are kept.
    pub(super) fn plan_bonded(
        &mut self,
        scope: &Scope<'_>,
        bonds: &Bonds,
        limit: u16,
        order: &Order,
        best_effort: bool,
    ) -> Result<Proposal, Refusal> {
        if bonds.is_empty() {
            return self.plan_in(scope, limit, order, best_effort);
        }
        let reasons = self.reasons.clone();
        let (allowed, served) = self.allowed(scope, bonds);
        // A part costs no less than the whole that it is of, where it leaves out no more.
        let plan = |planner: &mut Self, allowed: Allowed, (left_out, least): (u64, i64)| {
            planner.reasons.clone_from(&reasons);
            // Where a line has nodes, and none is left that keeps the bonds, it is stock that is missing there.
            for ((reason, bits), served) in planner.reasons.iter_mut().zip(&allowed).zip(&served) {
                let is_left_out = *served && bits.iter().all(|word| *word == 0);
                *reason = reason.or(is_left_out.then_some(RefusalCode::OutOfStock));
            }
            let by_want: Vec<&[u64]> = allowed.iter().map(Vec::as_slice).collect();
            // Prices are left out: which parts mind them differs, and costs are compared here.
            let leaning = Leaning { by_want: &by_want, ..scope.leaning };
            let scope = Scope { leaning, prices: None, ..*scope };
            let proposal = planner.plan_in(&scope, limit, order, best_effort)?;
            let least = if missing(&proposal) == left_out { least } else { 0 };
            let bound = proposal.plan.bound.0.max(least);
            Ok(Part { allowed, proposal, bound })
        };
        let mut open = vec![plan(self, allowed, (0, 0))?];
        let mut best: Option<Proposal> = None;
        // What no plan costs less than, over the parts that were not looked into any further.
        let mut bound = i64::MAX;
        let mut plans = if self.demand.wants.len() <= SMALL_SKUS { PLANS_MAX.0 } else { PLANS_MAX.1 };
        while let Some(at) = (0..open.len()).min_by_key(|at| open[*at].rank()) {
            let part = open.swap_remove(at);
            let beats = |best: &Proposal| part.rank() >= (missing(best), best.plan.cost.0);
            if best.as_ref().is_some_and(beats) {
                break;
            }
            let Some(broken) = bonds.broken_by(&self.demand, &part.proposal.picks) else {
                bound = bound.min(part.bound);
                let key = |proposal: &Proposal| (missing(proposal), proposal.plan.cost);
                if best.as_ref().is_none_or(|best| key(&part.proposal) < key(best)) {
                    best = Some(part.proposal);
                }
                continue;
            };
            if plans == 0 {
                bound = bound.min(part.bound);
                continue;
            }
            plans = plans.saturating_sub(2);
            for allowed in bonds.parts(&part.allowed, broken) {
                // A part that cannot be served is none.
                open.extend(plan(self, allowed, part.rank()).ok());
            }
        }
        let Some(mut best) = best else {
            return Err(Refusal::of(RefusalCode::NoNode, Field::Line).at(0));
        };
        // What leaves out less may cost more: bounds of such parts say nothing about the best one.
        let left = open.iter().filter(|part| missing(&part.proposal) <= missing(&best));
        bound = left.map(|part| part.bound).fold(bound, i64::min);
        best.plan.bound = Money(bound.min(best.plan.cost.0));
        Ok(best)
    }

    /// The nodes that may serve each want at all: those that have all of it, where some have, since it is not split then;
    /// and for what goes together, those that have all of each. And of each want whether any node may serve it.
    fn allowed(&mut self, scope: &Scope<'_>, bonds: &Bonds) -> (Allowed, Vec<bool>) {
        let nodes = scope.sheet.sites.len();
        self.gatherer.begin(scope);
        let (wants, gatherer) = (&self.demand.wants, &self.gatherer);
        let suits = |want: usize| {
            let mut bits = vec![0_u64; nodes.div_ceil(64)];
            for node in 0..nodes as u32 {
                let is_one = gatherer.eligible(scope, node) && scope.suits(want, wants[want].flags, node);
                set_bit(&mut bits, node, is_one);
            }
            bits
        };
        let mut allowed: Allowed = (0..wants.len()).map(suits).collect();
        let served = allowed.iter().map(|bits| bits.iter().any(|word| *word != 0)).collect();
        let whole = |(want, bits): (usize, &Vec<u64>)| {
            let mut whole = vec![0; bits.len()];
            let Want { sku, units, .. } = wants[want];
            let units = |node| units + scope.buffer(want, node);
            Carried::enough(scope.reader, sku, scope.segments, units, &mut whole);
            whole.iter_mut().zip(bits).for_each(|(whole, bits)| *whole &= bits);
            whole
        };
        let whole: Allowed = allowed.iter().enumerate().map(whole).collect();
        for (bits, whole) in
            allowed.iter_mut().zip(&whole).filter(|(_, whole)| whole.iter().any(|word| *word != 0))
        {
            bits.clone_from(whole);
        }
        for group in &bonds.together {
            for node in 0..nodes as u32 {
                let all = group.iter().all(|want| has_bit(&whole[*want], node));
                group.iter().filter(|_| !all).for_each(|want| set_bit(&mut allowed[*want], node, false));
            }
        }
        (allowed, served)
    }
}

/// Units of the order that a plan leaves out.
pub(super) fn missing(proposal: &Proposal) -> u64 {
    proposal.plan.unfilled.iter().map(|unfilled| u64::from(unfilled.quantity)).sum()
}

fn set_bit(bits: &mut [u64], node: u32, to: bool) {
    if let Some(word) = bits.get_mut(node as usize / 64) {
        *word = *word & !(1 << (node % 64)) | u64::from(to) << (node % 64);
    }
}
