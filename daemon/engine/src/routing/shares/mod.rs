//! Lower bounds of orders whose wants share shipments: each node's fixed cost is shared out among the wants it could
//! serve, and then every want is served for least on its own.
//!
//! Whatever the shares, the sum of what the wants cost on their own is a bound, since no node gets more than its fixed
//! cost paid: Lagrangian cost splitting, Guignard and Kim (1987), "Lagrangean decomposition: a model yielding stronger
//! Lagrangean bounds". A want that must be split is a knapsack with a charge per supply, whose bound is in
//! [`super::knapsack`]. [`Shares::ascend`] moves shares towards the wants that use a node; what a bound says of a
//! node that is taken or left out is in [`Shares::settle`]. This room knows no plan: [`super::branch`] makes them.
//!
//! Numbers here are floating point, since they only ever say where not to look: [`slack`] is what they may be off by.

mod sites;

use super::case::{Budget, Case};
use super::fills::{self, Fills, Told};
use super::knapsack::{Knapsack, Supply};

/// By how much a bound must pass a cost before it counts: less than the smallest difference of two costs, and more than
/// what rounding adds up to.
pub(super) fn slack(cost: f64) -> f64 {
    0.5 + cost.abs() * 1e-12
}

/// Steps of putting one supply into its place in an order of hundreds.
const SORT_STEPS: usize = 3;

/// What is settled of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Undecided,
    /// It is in the plan, its fixed cost is paid.
    Open,
    /// It is not.
    Closed,
}

/// A node that could serve some want.
#[derive(Clone, Copy, Debug)]
pub(super) struct Site {
    pub(super) slot: u32,
    pub(super) fixed: f64,
    /// Its offers, by place in [`Shares::of_site`].
    first: u32,
    end: u32,
}

/// What a site could give of a want.
#[derive(Clone, Copy, Debug)]
struct Offer {
    site: u32,
    want: u32,
    /// Units: all that are needed, or as many as there are.
    most: f64,
    unit: f64,
    line: f64,
}

/// A want, and its offers.
#[derive(Clone, Copy, Debug)]
struct Goal {
    need: f64,
    is_whole: bool,
    first: u32,
    end: u32,
}

/// What is settled so far, and how fixed costs are shared out among the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Settled {
    pub(super) status: Vec<Status>,
    /// By offer: nothing where its site is open, infinite where it is closed.
    share: Vec<f64>,
    /// The open sites' fixed costs, and what undecided ones of a negative fixed cost could save.
    base: f64,
    pub(super) open: usize,
}

/// How long the steps of [`Shares::ascend`] are, as a share of what would close the gap if slopes stayed as they are; and rounds
/// without a better bound since that changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    length: f64,
    stalled: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { length: 1.0, stalled: 0 }
    }
}

/// The offers of an order, and buffers.
#[derive(Default)]
pub(super) struct Shares {
    pub(super) sites: Vec<Site>,
    of_site: Vec<u32>,
    offers: Vec<Offer>,
    goals: Vec<Goal>,
    /// By offer: how much of it the relaxed plan takes; and those of which it takes something, few beside all offers.
    used: Vec<f64>,
    taken: Vec<u32>,
    /// Sites that the relaxed plan uses and whose shares can move.
    moving: Vec<u32>,
    /// By want: what all of it costs, or at most a unit where it is split and that is not told exactly.
    worth: Vec<f64>,
    /// By want: what the second best way costs; or by how much the bound of a split passes what rates alone say.
    second: Vec<f64>,
    /// Whether splits are told exactly, where that is not too much; and by offer what is told so.
    pub(super) is_exact: bool,
    told: Vec<Told>,
    knapsack: Knapsack,
    fills: Fills,
    slope: Vec<f64>,
    best_share: Vec<f64>,
    sorted: Vec<f64>,
    /// Masks of sites that take no part in splits and that no other site is as good as.
    unbeaten: Vec<u32>,
    site_of_slot: Vec<u32>,
    split: Vec<bool>,
}

impl Shares {
    fn offers_of(&self, site: usize) -> &[u32] {
        let Site { first, end, .. } = self.sites[site];
        &self.of_site[first as usize..end as usize]
    }

    /// Nothing settled yet, fixed costs shared out evenly.
    pub(super) fn begin(&self, settled: &mut Settled) {
        settled.status.clear();
        settled.status.resize(self.sites.len(), Status::Undecided);
        settled.open = 0;
        settled.base = self.sites.iter().map(|site| site.fixed.min(0.0)).sum();
        settled.share.clear();
        settled.share.resize(self.offers.len(), 0.0);
        for (at, site) in self.sites.iter().enumerate() {
            let offers = self.offers_of(at);
            for offer in offers {
                settled.share[*offer as usize] = site.fixed.max(0.0) / offers.len() as f64;
            }
        }
    }

    /// Takes a site into the plan.
    pub(super) fn open(&self, settled: &mut Settled, site: usize) {
        settled.status[site] = Status::Open;
        settled.open += 1;
        settled.base += self.sites[site].fixed.max(0.0);
        self.offers_of(site).iter().for_each(|offer| settled.share[*offer as usize] = 0.0);
    }

    /// Leaves a site out.
    pub(super) fn close(&self, settled: &mut Settled, site: usize) {
        settled.status[site] = Status::Closed;
        settled.base -= self.sites[site].fixed.min(0.0);
        self.offers_of(site).iter().for_each(|offer| settled.share[*offer as usize] = f64::INFINITY);
    }

    /// What every plan costs at least that agrees with what is settled; infinite where there is none.
    pub(super) fn bound(&mut self, settled: &Settled, budget: &mut Budget) -> f64 {
        let mut total = settled.base;
        self.taken.drain(..).for_each(|at| self.used[at as usize] = 0.0);
        for want in 0..self.goals.len() {
            let Goal { is_whole, need, first, end } = self.goals[want];
            let range = first as usize..end as usize;
            total += if is_whole {
                self.serve(want, need, &settled.share[range], budget)
            } else {
                self.split(want, need, &settled.share[range], budget)
            };
            if total == f64::INFINITY {
                break;
            }
        }
        total
    }

    /// What a want costs at least that one site serves whole, by its offers' shares.
    fn serve(&mut self, want: usize, need: f64, shares: &[f64], budget: &mut Budget) -> f64 {
        budget.take(shares.len());
        let (mut least, mut second, mut chosen) = (f64::INFINITY, f64::INFINITY, 0);
        for (at, share) in (self.goals[want].first as usize..).zip(shares) {
            let offer = &self.offers[at];
            let cost = offer.unit * need + offer.line + share;
            if cost < least {
                (second, least, chosen) = (least, cost, at);
            } else if cost < second {
                second = cost;
            }
        }
        if least < f64::INFINITY {
            self.used[chosen] = 1.0;
            self.taken.push(chosen as u32);
            (self.worth[want], self.second[want]) = (least, second);
        }
        least
    }

    /// What a want costs at least that is split over sites.
    fn split(&mut self, want: usize, need: f64, shares: &[f64], budget: &mut Budget) -> f64 {
        let there =
            (self.goals[want].first as usize..).zip(shares).filter(|(_, share)| **share < f64::INFINITY);
        let supply = |(at, share): (usize, &f64)| {
            let offer = &self.offers[at];
            let charge = offer.line + share;
            let rate = offer.unit + charge / offer.most;
            Supply { rate, unit: offer.unit, charge, most: offer.most, offer: at as u32 }
        };
        self.knapsack.supplies.clear();
        self.knapsack.supplies.extend(there.map(supply));
        if let Some(steps) = self.steps_exactly(want).filter(|_| self.is_exact) {
            budget.take(steps);
            return self.split_exactly(want, need);
        }
        let is_enough = self.knapsack.fill(need);
        budget.take(shares.len() * SORT_STEPS + self.knapsack.steps);
        if !is_enough {
            return f64::INFINITY;
        }
        for (at, used) in &self.knapsack.used {
            self.used[*at as usize] = *used;
            self.taken.push(*at);
        }
        self.worth[want] = self.knapsack.worth;
        self.second[want] = self.knapsack.cost - self.knapsack.relaxed;
        self.knapsack.cost
    }

    /// The same, exactly.
    fn split_exactly(&mut self, want: usize, need: f64) -> f64 {
        if !self.fills.fill(&mut self.knapsack.supplies, need) {
            return f64::INFINITY;
        }
        for (supply, told) in self.knapsack.supplies.iter().zip(&self.fills.told) {
            self.told[supply.offer as usize] = *told;
        }
        for at in &self.fills.used {
            self.used[*at as usize] = 1.0;
            self.taken.push(*at);
        }
        self.worth[want] = self.fills.cost;
        self.fills.cost
    }

    /// The steps of telling exactly what a want costs that is to be split; `None` where that is too much.
    fn steps_exactly(&self, want: usize) -> Option<usize> {
        let Goal { is_whole, need, first, end } = self.goals[want];
        fills::steps((end - first) as usize, need).filter(|_| !is_whole)
    }

    /// The steps of a bound by exact splits; nothing where there are none.
    pub(super) fn exact_steps(&self) -> u64 {
        (0..self.goals.len()).filter_map(|want| self.steps_exactly(want)).sum::<usize>() as u64
    }

    /// Raises the bound by moving shares to the offers that are used, in so many rounds, up to a cost. Returns the best bound
    /// and leaves its shares and its relaxed plan.
    pub(super) fn ascend(
        &mut self,
        settled: &mut Settled,
        rounds: usize,
        pace: &mut Pace,
        target: f64,
        budget: &mut Budget,
    ) -> f64 {
        let mut bound = self.bound(settled, budget);
        let shared = (0..self.sites.len()).any(|site| self.is_shared(settled, site));
        if !shared || bound == f64::INFINITY {
            return bound;
        }
        self.best_share.clone_from(&settled.share);
        let mut latest = bound;
        for _ in 0..rounds {
            if bound > target || budget.0 == 0 {
                break;
            }
            let steepness = self.slopes(settled);
            budget.take(self.offers.len() * 2);
            if steepness < 1e-9 {
                break;
            }
            let gap =
                if target < f64::INFINITY { (target - latest).max(1.0) } else { latest.abs() * GAP_GUESS };
            self.step(settled, pace.length * gap / steepness);
            latest = self.bound(settled, budget);
            if latest > bound {
                bound = latest;
                self.best_share.clone_from(&settled.share);
                pace.stalled = 0;
            } else {
                pace.stalled += 1;
                if pace.stalled == STALLED_ROUNDS {
                    *pace = Pace { length: pace.length * SLOWER, stalled: 0 };
                }
            }
        }
        if latest < bound {
            settled.share.clone_from(&self.best_share);
            self.bound(settled, budget);
        }
        bound
    }

    /// Whether a site's fixed cost can be shared out in more than one way.
    fn is_shared(&self, settled: &Settled, site: usize) -> bool {
        // Where it costs nothing, every share of it is nothing.
        let has_cost = self.sites[site].fixed > 0.0;
        has_cost && settled.status[site] == Status::Undecided && self.offers_of(site).len() > 1
    }

    /// By offer of the sites that shares move at: how the bound grows with its share, as far as a site's shares keep their sum.
    /// Returns the square of it.
    fn slopes(&mut self, settled: &Settled) -> f64 {
        let (mut slope, mut moving) = (std::mem::take(&mut self.slope), std::mem::take(&mut self.moving));
        slope.resize(self.offers.len().max(slope.len()), 0.0);
        // Where nothing of a site is used, all of its shares are as good.
        moving.clear();
        moving.extend(self.taken.iter().map(|at| self.offers[*at as usize].site));
        moving.sort_unstable();
        moving.dedup();
        moving.retain(|site| self.is_shared(settled, *site as usize));
        let mut square = 0.0;
        for site in &moving {
            let offers = self.offers_of(*site as usize);
            let used = |offer: &u32| self.used[*offer as usize];
            let mean = offers.iter().map(used).sum::<f64>() / offers.len() as f64;
            for offer in offers {
                let rise = used(offer) - mean;
                slope[*offer as usize] = rise;
                square += rise * rise;
            }
        }
        (self.slope, self.moving) = (slope, moving);
        square
    }

    /// Moves shares along the slopes, and back to where none is negative and each site's sum is its fixed cost.
    fn step(&mut self, settled: &mut Settled, length: f64) {
        let mut sorted = std::mem::take(&mut self.sorted);
        for site in self.moving.iter().map(|site| *site as usize) {
            let offers = self.offers_of(site);
            if offers.iter().all(|offer| self.slope[*offer as usize] == 0.0) {
                continue;
            }
            let fixed = self.sites[site].fixed.max(0.0);
            sorted.clear();
            for offer in offers {
                let share = &mut settled.share[*offer as usize];
                *share += length * self.slope[*offer as usize];
                sorted.push(*share);
            }
            sorted.sort_unstable_by(|a, b| b.total_cmp(a));
            let (mut sum, mut excess) = (0.0, 0.0);
            for (count, share) in sorted.iter().enumerate() {
                sum += share;
                let even = (sum - fixed) / (count + 1) as f64;
                if share - even > 0.0 {
                    excess = even;
                }
            }
            for offer in offers {
                let share = &mut settled.share[*offer as usize];
                *share = (*share - excess).max(0.0);
            }
        }
        self.sorted = sorted;
    }

    /// Closes sites that no plan within `cost` has, and opens those that every such plan has. Call it after [`Shares::bound`]
    /// with its answer. Returns how many it settled.
    pub(super) fn settle(&self, settled: &mut Settled, bound: f64, cost: f64) -> usize {
        let mut decided = 0;
        for site in 0..self.sites.len() {
            if settled.status[site] != Status::Undecided {
                continue;
            }
            // What the wants save at most if this site's fixed cost is paid, and lose at least if it is left out.
            let (mut gain, mut loss, mut bound) = (0.0, 0.0, bound);
            for at in self.offers_of(site) {
                let (offer, share) = (&self.offers[*at as usize], settled.share[*at as usize]);
                let goal = &self.goals[offer.want as usize];
                let worth = self.worth[offer.want as usize];
                if goal.is_whole {
                    gain += (worth - offer.unit * goal.need - offer.line).max(0.0);
                    if self.used[*at as usize] > 0.0 {
                        loss += self.second[offer.want as usize] - worth;
                    }
                } else if self.is_exact && self.steps_exactly(offer.want as usize).is_some() {
                    let Told { with, without } = self.told[*at as usize];
                    gain += worth - without.min(with - share);
                    loss += without - worth;
                } else {
                    let free = (worth - offer.unit) * offer.most - offer.line;
                    bound -= self.second[offer.want as usize];
                    gain += free.max(0.0) - (free - share).max(0.0);
                    loss += (free - share).max(0.0);
                }
            }
            if bound + self.sites[site].fixed.max(0.0) - gain > cost + slack(cost) {
                self.close(settled, site);
                decided += 1;
            } else if bound + loss > cost + slack(cost) {
                self.open(settled, site);
                decided += 1;
            }
        }
        decided
    }

    /// The slots that a plan within `cost` may have, after [`Shares::shrink`]: those of the sites that are left, and of all others
    /// those that would not be closed. `bound` is what [`Shares::bound`] said last.
    pub(super) fn useful(&mut self, case: &Case, bound: f64, cost: f64, slots: &mut Vec<u32>) {
        // A node left out for another one that is as good may count where prices go by steps; and where nodes cost less than
        // nothing, so may any.
        let is_plain = case.list.iter().all(|candidate| candidate.fixed_floor() >= 0);
        let is_site = &mut self.split;
        is_site.fill(false);
        self.sites.iter().for_each(|site| is_site[site.slot as usize] = true);
        slots.clear();
        for (slot, candidate) in case.list.iter().enumerate() {
            let mut shorts = case.shorts.iter().peekable();
            let (mut least, mut is_any) = (bound + candidate.fixed_floor() as f64, false);
            let wants = case.units.iter().enumerate().filter(|(_, units)| **units > 0);
            for (at, (want, units)) in wants.enumerate() {
                let short = shorts.next_if(|short| short.want as usize == want);
                let most = match short {
                    Some(short) => case.supply(short, slot as u32).min(*units),
                    None => i64::from(case.serves(slot, want)) * *units,
                };
                if most > 0 {
                    let cost = case.rate(slot, want) as f64 * most as f64 + candidate.line as f64;
                    let (worth, second) = (self.worth[at], self.second[at]);
                    let saved = if short.is_some() { worth * most as f64 - cost } else { worth - cost };
                    least -= saved.max(0.0) + if short.is_some() { second } else { 0.0 };
                    is_any = true;
                }
            }
            if is_any && (!is_plain || is_site[slot] || least <= cost + slack(cost)) {
                slots.push(slot as u32);
            }
        }
    }

    /// What all of a want is worth by the bound, or a unit of it where it is split.
    pub(super) fn worth(&self, case: &Case, want: u32) -> i64 {
        let before = case.units[..want as usize].iter().filter(|units| **units > 0).count();
        self.worth.get(before).map_or(0, |worth| *worth as i64)
    }

    /// The slots that are open or that the relaxed plan uses.
    pub(super) fn rounded(&self, settled: &Settled, slots: &mut Vec<u32>) {
        slots.clear();
        for (at, site) in self.sites.iter().enumerate() {
            let used = || self.offers_of(at).iter().any(|offer| self.used[*offer as usize] > 0.0);
            if settled.status[at] == Status::Open || settled.status[at] == Status::Undecided && used() {
                slots.push(site.slot);
            }
        }
    }

    /// Of the sites not settled that the relaxed plan uses, the one whose fixed cost is paid for least; and how much of it is
    /// used.
    pub(super) fn most_torn(&self, settled: &Settled) -> Option<(usize, f64)> {
        let mut torn: Option<(f64, usize, f64)> = None;
        for (at, site) in self.sites.iter().enumerate() {
            if settled.status[at] != Status::Undecided {
                continue;
            }
            let (mut most, mut paid) = (0.0_f64, 0.0);
            for offer in self.offers_of(at) {
                let used = self.used[*offer as usize];
                most = most.max(used);
                paid += used * settled.share[*offer as usize];
            }
            let unpaid = site.fixed.max(0.0) - paid;
            if most > 0.0 && torn.is_none_or(|(before, ..)| unpaid > before) {
                torn = Some((unpaid, at, most));
            }
        }
        torn.map(|(_, site, used)| (site, used))
    }

    /// What a plan costs at least in which a node of this fixed cost takes part that serves each want whole for this much, by
    /// place in the case; infinite for none.
    pub(super) fn bound_with(&self, bound: f64, fixed: i64, case: &Case, floors: &[i64]) -> f64 {
        let mut least = bound + fixed as f64;
        let wants = case.units.iter().zip(floors).filter(|(units, _)| **units > 0);
        for ((goal, worth), (_, floor)) in self.goals.iter().zip(&self.worth).zip(wants) {
            if goal.is_whole && *floor < i64::MAX {
                least -= (worth - *floor as f64).max(0.0);
            }
        }
        least
    }
}

/// After so many rounds without a better bound the steps become shorter.
const STALLED_ROUNDS: u32 = 3;
const SLOWER: f64 = 0.6;
/// How far the bound is off where no plan is known, as a share of it.
const GAP_GUESS: f64 = 0.1;
