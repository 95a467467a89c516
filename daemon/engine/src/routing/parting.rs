//! Planning so that lines that go together do, and those that never do do not.
//!
//! The search for a plan knows nothing of bonds. Where its plan breaks one, an order of few skus that can be served whole is
//! planned by sets of wants, of which those that no node may send are none. Any other one first gets a plan that keeps
//! all bonds: wants stay where they are, one after the other, and others keep away from there. Then the question is parted
//! in two, each of which says so much more about the nodes that may serve a line that the break is gone from both, and no
//! plan that keeps all bonds is lost; each is planned again, the one that could be the cheapest first. So what is claimed
//! proven stays proven, whatever prices a shipment; and all plans together take no more than one turn of the order's work.

use std::cmp::Ordering;

use earmark_protocol::command::Order;
use earmark_protocol::ids::{Money, NodeIx};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use super::Proposal;
use super::bonds::{Allowed, Bonds, Broken, missing, set_bit};
use super::carried::Carried;
use super::case::Budget;
use super::demand::Want;
use super::few::Few;
use super::planner::Planner;
use super::scope::{Leaning, Scope, has_bit};
use super::settle::First;
use super::subsets::SKUS_MAX;

/// The first plan may take one of so many parts of a turn's work, where others are likely to follow, and each other one of so many.
const FIRST_PART: u64 = 2;
const PARTS: u64 = 12;
/// Most plans, also of a planner that is patient.
const PLANS_MAX: usize = 256;
/// Steps for each set of wants and way to share it out that planning one time looks at, and are not counted there.
const STEPS_PER_WAY: usize = 8;

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

/// What of plans goes first.
fn key(proposal: &Proposal) -> (u64, Money) {
    (missing(proposal), proposal.plan.cost)
}

/// An order that is planned with bonds.
struct Parting<'a> {
    planner: &'a mut Planner,
    scope: &'a Scope<'a>,
    bonds: &'a Bonds,
    limit: u16,
    order: &'a Order,
    best_effort: bool,
    /// What is known of each want before anything is planned, and whether any node may serve it.
    reasons: Vec<Option<RefusalCode>>,
    served: Vec<bool>,
    /// The work that is left, and the most of it that the next plan may take.
    budget: &'a mut Budget,
    most: u64,
    plans: usize,
    /// The best plan that keeps all bonds.
    best: Option<Proposal>,
    refused: First,
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
        let known = self.reasons.clone();
        let mut first_part = FIRST_PART;
        if bonds.are_of_one() {
            if self.would_break(scope, bonds, best_effort) {
                // What breaks them stays away from the first plan already, so most often there is no other one.
                first_part = 1;
            } else {
                let planned = self.plan_in(scope, limit, order, best_effort);
                let is_broken =
                    |proposal: &Proposal| bonds.broken_by(&self.demand, &proposal.picks).is_some();
                if !planned.as_ref().is_ok_and(is_broken) {
                    return planned;
                }
                self.reasons.clone_from(&known);
            }
        }
        let parted = self.in_turn(|planner, budget| {
            let (allowed, served) = planner.allowed(scope, bonds);
            let (reasons, most) = (known.clone(), planner.budget().0.min(budget.0 / first_part));
            let (plans, best, refused) = (PLANS_MAX, None, First::default());
            #[rustfmt::skip]
            let parting = Parting {
                planner, scope, bonds, limit, order, best_effort, reasons, served, budget, most, plans, best, refused,
            };
            parting.keep_bonds(allowed)
        })?;
        // Which of the two stands in the way is told apart by planning without a limit.
        if parted.is_err() && limit > 0 {
            self.reasons = known;
            if self.plan_bonded(scope, bonds, 0, order, best_effort).is_ok() {
                let refusal = Refusal::of(RefusalCode::TooManyShipments, Field::Shipments);
                return Err(refusal.detail(i64::from(limit)));
            }
        }
        parted
    }

    /// Whether a plan that knows nothing of these bonds, each of which is of one want, would break one: no node has all of the want,
    /// and what there is would be sent.
    fn would_break(&mut self, scope: &Scope<'_>, bonds: &Bonds, best_effort: bool) -> bool {
        self.gatherer.begin(scope);
        let mut wants = bonds.together().iter().flatten().filter(|want| self.reasons[**want].is_none());
        wants.any(|want| {
            let (units, (there, most)) = (self.demand.wants[*want].units, self.to_be_had(scope, *want));
            most < units && (there >= units || best_effort && there > 0)
        })
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
        let served: Vec<bool> = allowed.iter().map(|bits| bits.iter().any(|word| *word != 0)).collect();
        let whole = |(want, bits): (usize, &Vec<u64>)| {
            let mut whole = vec![0; bits.len()];
            let Want { sku, units, .. } = wants[want];
            let units = |node| units + scope.buffer(want, node);
            Carried::enough(scope.reader, sku, scope.segments, units, &mut whole);
            whole.iter_mut().zip(bits).for_each(|(whole, bits)| *whole &= bits);
            whole
        };
        let mut whole: Allowed = allowed.iter().enumerate().map(whole).collect();
        // What is out of sale leaves from nowhere, and nor does what goes together with it.
        let is_out = |(_, reason): &(&mut Vec<u64>, &Option<RefusalCode>)| reason.is_some();
        whole.iter_mut().zip(&self.reasons).filter(is_out).for_each(|(whole, _)| whole.fill(0));
        for (bits, whole) in
            allowed.iter_mut().zip(&whole).filter(|(_, whole)| whole.iter().any(|word| *word != 0))
        {
            bits.clone_from(whole);
        }
        for group in bonds.together() {
            for node in 0..nodes as u32 {
                let all = group.iter().all(|want| has_bit(&whole[*want], node));
                group.iter().filter(|_| !all).for_each(|want| set_bit(&mut allowed[*want], node, false));
            }
        }
        (allowed, served)
    }
}

impl Parting<'_> {
    /// Plans so that all bonds are kept, with these nodes for each want. Refused at once where not even a plan that breaks some is
    /// to be had.
    fn keep_bonds(mut self, allowed: Allowed) -> Result<Result<Proposal, Refusal>, Refusal> {
        let part_most = self.budget.0 / PARTS;
        let own = Budget(self.most);
        let part = self.plan(allowed, (0, 0), own)?;
        self.most = part_most;
        if !self.is_broken(&part.proposal) {
            return Ok(Ok(part.proposal));
        }
        if let Some(proposal) = self.by_sets(&part.allowed) {
            return Ok(Ok(proposal));
        }
        self.stay(&part, false);
        self.stay(&part, true);
        self.deal(&part);
        Ok(self.part(part))
    }

    fn is_broken(&self, proposal: &Proposal) -> bool {
        self.bonds.broken_by(&self.planner.demand, &proposal.picks).is_some()
    }

    /// Has the planner know of each want what is known of it where these nodes alone may serve it.
    fn begin(&mut self, allowed: &Allowed) {
        self.planner.reasons.clone_from(&self.reasons);
        // Where a line has nodes, and none is left that keeps the bonds, it is stock that is missing there.
        for ((reason, bits), served) in self.planner.reasons.iter_mut().zip(allowed).zip(&self.served) {
            let is_left_out = *served && bits.iter().all(|word| *word == 0);
            *reason = reason.or(is_left_out.then_some(RefusalCode::OutOfStock));
        }
    }

    /// Plans a part of one that leaves out so much and costs so much at least, with this much work at most.
    fn plan(
        &mut self,
        allowed: Allowed,
        (left_out, least): (u64, i64),
        mut own: Budget,
    ) -> Result<Part, Refusal> {
        self.begin(&allowed);
        let by_want: Vec<&[u64]> = allowed.iter().map(Vec::as_slice).collect();
        let scope = leaning(self.scope, &by_want);
        let given = own.0;
        let planned = self.planner.plan_within(&scope, self.limit, self.order, self.best_effort, &mut own);
        self.charge(given - own.0, allowed.len());
        let proposal = planned?;
        // A part costs no less than the whole that it is of, where it leaves out no more.
        let least = if missing(&proposal) == left_out { least } else { 0 };
        let bound = proposal.plan.bound.0.max(least);
        Ok(Part { allowed, proposal, bound })
    }

    /// Charges a plan that took so many steps, and what it took beside them.
    fn charge(&mut self, steps: u64, wants: usize) {
        let ways = if wants <= SKUS_MAX { 3_usize.pow(wants as u32) * STEPS_PER_WAY } else { 0 };
        self.budget.take(steps as usize + self.scope.sheet.sites.len() * wants + ways);
        self.plans = self.plans.saturating_sub(1);
    }

    /// The work that the next plan may take, `None` where all is used up.
    fn next(&self) -> Option<Budget> {
        (self.budget.0 > 0 && self.plans > 0).then(|| Budget(self.budget.0.min(self.most)))
    }

    /// The cheapest plan there is, where few skus can be served whole.
    fn by_sets(&mut self, allowed: &Allowed) -> Option<Proposal> {
        self.begin(allowed);
        let (wants, bonds) = (allowed.len(), self.bonds);
        if wants > SKUS_MAX {
            return None;
        }
        let by_want: Vec<&[u64]> = allowed.iter().map(Vec::as_slice).collect();
        let scope = leaning(self.scope, &by_want);
        self.planner.subsets.barred.extend((0..1 << wants).map(|set| !bonds.suit(set)));
        let few = self.planner.plan_few(&scope, self.order);
        self.planner.subsets.barred.clear();
        self.charge(0, wants);
        let Few::Planned(proposal) = few else { return None };
        Some(proposal)
    }

    /// Keeps a plan that keeps all bonds, where it is the best.
    fn offer(&mut self, proposal: Proposal) {
        if self.best.as_ref().is_none_or(|best| key(&proposal) < key(best)) {
            self.best = Some(proposal);
        }
    }

    /// Looks for a plan that keeps all bonds: wants stay where they are served, those of few nodes first or last, and what is
    /// left is planned again.
    fn stay(&mut self, part: &Part, is_last: bool) {
        let mut order = scarce_first(&part.allowed);
        if is_last {
            order.reverse();
        }
        let mut stay = vec![false; order.len()];
        let (mut allowed, mut proposal) = (part.allowed.clone(), part.proposal.clone());
        while let Some(broken) = self.bonds.broken_by(&self.planner.demand, &proposal.picks) {
            let Some(own) = self.next() else { return };
            let (demand, before) = (&self.planner.demand, allowed.clone());
            match broken {
                Broken::Together(group, node) => match self.bonds.all_from(&allowed, group, node) {
                    Some(all) => allowed = all,
                    None => return,
                },
                Broken::Apart(..) => {
                    self.bonds.settle(demand, &proposal.picks, &order, &mut stay, &mut allowed);
                }
            }
            if allowed == before {
                return;
            }
            match self.plan(allowed.clone(), (0, 0), own) {
                Ok(part) => proposal = part.proposal,
                Err(refusal) => return self.refused.consider(refusal),
            }
        }
        self.offer(proposal);
    }

    /// Looks for such a plan by dealing wants out to nodes one after the other, those of few nodes first, each where it costs
    /// least beside those before it.
    fn deal(&mut self, part: &Part) {
        let scope = self.scope;
        let mut dealing = self.bonds.dealing(&part.allowed);
        let limit = if self.limit == 0 { usize::MAX } else { usize::from(self.limit) };
        let nothing: Vec<u64> = part.allowed.first().map_or_else(Vec::new, |bits| vec![0; bits.len()]);
        let mut dealt = vec![nothing.clone(); part.allowed.len()];
        let (mut open, mut opened) = (nothing, 0);
        let mut senders = Vec::new();
        for want in scarce_first(&part.allowed) {
            let mut able = part.allowed[want].clone();
            dealing.narrow(want, &mut able);
            let Want { sku, units, .. } = self.planner.demand.wants[want];
            senders.clear();
            for node in (0..scope.sheet.sites.len() as u32).filter(|node| has_bit(&able, *node)) {
                let from = scope.candidate(node);
                let once = if has_bit(&open, node) { 0 } else { from.fixed_floor() };
                let cost = once.saturating_add(from.line).saturating_add(from.unit.saturating_mul(units));
                senders.push((cost, node));
            }
            senders.sort_unstable();
            self.budget.take(scope.sheet.sites.len() + sort_steps(senders.len()));
            let mut left = units;
            for (_, node) in &senders {
                if left <= 0 {
                    break;
                }
                let there = scope.there(sku, NodeIx(*node)) - scope.buffer(want, *node);
                let is_new = !has_bit(&open, *node);
                if there <= 0 || is_new && opened >= limit {
                    continue;
                }
                left -= there;
                opened += usize::from(is_new);
                set_bit(&mut open, *node, true);
                set_bit(&mut dealt[want], *node, true);
            }
            dealing.deal(want, &dealt[want]);
        }
        let own = self.next().unwrap_or(Budget(0));
        match self.plan(dealt, (0, 0), own) {
            Ok(part) if !self.is_broken(&part.proposal) => self.offer(part.proposal),
            Ok(_) => {}
            Err(refusal) => self.refused.consider(refusal),
        }
    }

    /// Parts the question where plans break bonds, until the best plan that keeps all is proven or the work is done.
    fn part(mut self, part: Part) -> Result<Proposal, Refusal> {
        let mut open = vec![part];
        // What no plan of a part costs less than that was not looked into any further, and what it leaves out.
        let mut left: Vec<(u64, i64)> = Vec::new();
        let mut bound = i64::MAX;
        while let Some(at) = (0..open.len()).min_by_key(|at| open[*at].rank()) {
            let part = open.swap_remove(at);
            let beats = |best: &Proposal| part.rank() >= (missing(best), best.plan.cost.0);
            if self.best.as_ref().is_some_and(beats) {
                break;
            }
            let Some(broken) = self.bonds.broken_by(&self.planner.demand, &part.proposal.picks) else {
                bound = bound.min(part.bound);
                self.offer(part.proposal);
                continue;
            };
            for allowed in self.bonds.parts(&part.allowed, broken) {
                // What is no narrower would be planned the same again: nothing is known of the plans that keep the bond there.
                if allowed == part.allowed {
                    left.push(part.rank());
                    continue;
                }
                let Some(own) = self.next() else {
                    left.push(part.rank());
                    break;
                };
                match self.plan(allowed, part.rank(), own) {
                    Ok(part) => open.push(part),
                    Err(refusal) => {
                        // A part of which too little can be had is none; that it takes too many shipments is not proven.
                        if refusal.code == RefusalCode::TooManyShipments {
                            left.push(part.rank());
                        }
                        self.refused.consider(refusal);
                    }
                }
            }
        }
        let Some(mut best) = self.best else {
            self.refused.done()?;
            return Err(Refusal::of(RefusalCode::NoNode, Field::Line).at(0));
        };
        left.extend(open.iter().map(Part::rank));
        for (part_missing, part_bound) in left {
            bound = match part_missing.cmp(&missing(&best)) {
                // A plan of it that leaves out as much as the best one may cost less than this bound says.
                Ordering::Less => bound.min(0),
                Ordering::Equal => bound.min(part_bound),
                Ordering::Greater => bound,
            };
        }
        // Under a limit of shipments a part may hold more than its plan was found to.
        if self.limit > 0 && missing(&best) > 0 {
            bound = bound.min(0);
        }
        best.plan.bound = Money(bound.min(best.plan.cost.0));
        Ok(best)
    }
}

/// The scope where these nodes alone may serve each want. Prices are left out: which plans mind them differs, and costs are
/// compared here.
fn leaning<'a>(scope: &Scope<'a>, by_want: &'a [&'a [u64]]) -> Scope<'a> {
    Scope { leaning: Leaning { by_want, ..scope.leaning }, prices: None, ..*scope }
}

/// The steps that sorting so many takes.
fn sort_steps(len: usize) -> usize {
    len * len.checked_ilog2().unwrap_or(0) as usize
}

/// The wants, those first that few nodes may serve.
fn scarce_first(allowed: &Allowed) -> Vec<usize> {
    let mut order: Vec<usize> = (0..allowed.len()).collect();
    order.sort_by_key(|want| allowed[*want].iter().map(|word| word.count_ones()).sum::<u32>());
    order
}
