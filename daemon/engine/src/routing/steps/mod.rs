//! Exact plans where prices go by steps: node after node, what could still become the cheapest plan.
//!
//! Where carriers price, what a shipment costs is no sum over what is in it, so every shipment of every node is priced as a
//! whole: splits, several parcels and limits of shipments included ([`offers`]). By values of wants it is told how much more than a bound a
//! plan with a shipment costs at least; by [`tables`], how much more the nodes that are still to come cost at least. So plans are put
//! together node after node, and what would exceed the bound by more than is allowed is dropped (Bellman 1957, with the bounds of
//! Morin and Marsten 1976). Little is allowed at first, and then more, until a plan is found: it is the cheapest there is. Where one
//! table has all counts of an order, it says at once how much that is. Where shipments are too many to price all of them, or that takes
//! too much, each node has values of its own ([`decomposed`]).

mod counts;
mod decomposed;
mod near;
mod offers;
mod refill;
mod tables;

use counts::Counts;
use decomposed::{Decomposed, Order};
use near::{Near, Node};
use offers::{LOOK_STEPS, Offers, Pace};
use refill::Refill;
use tables::{NUMBERS_FEW, NUMBERS_LARGER, NUMBERS_MAX, NUMBERS_PART, TOO_MUCH, TRY_STEPS, Table};

use super::case::{Best, Budget, Case, Part};
use super::parcels::Carriers;

/// How much of the budget goes to values that are alike at all nodes, and from where on a budget is not short: something is kept for others
/// then.
const ALIKE_PERCENT: u64 = 50;
const LONG_STEPS: u64 = 10_000_000;
/// Most tables that are asked about one plan.
const TABLES_MAX: usize = 4;
/// Most steps of plans that are remembered.
const TRAIL_MAX: usize = 1 << 21;
/// Steps of trying a shipment beside a plan, and of keeping a plan.
const BUILD_STEPS: usize = 6;
const KEEP_STEPS: usize = 24;
/// Rounds of finding values; after so many of them, what falls short by too much is left out.
const ROUNDS: usize = 160;
const DROP_EVERY: usize = 20;
/// How much of the budget finding values may take.
const VALUE_PERCENT: u64 = 40;
/// How much of what is left looking for a better plan may take where all shipments are priced, also as a share of what was taken so
/// far; and where nothing more is looked for then. How near to the bound it is good enough, as a share of it.
const REFILL_PERCENT: u64 = 10;
const REFILL_SHARE: u64 = 4;
const REFILL_ONLY_PERCENT: u64 = 60;
const GOOD_SHARE: i64 = 400;
/// Where what is near the best is gathered: by how much it may fall short at first and at least, turns of that, and rounds of finding
/// values between them.
const NEAR_FIRST: i64 = 4_000_000;
const NEAR_LEAST: i64 = 10_000;
const NEAR_TURNS: usize = 24;
const NEAR_ROUNDS: usize = 40;
/// What share of what is between the bound and the best cost a turn must gain, and how many may not.
const NEAR_RISE: i64 = 50;
const NEAR_IDLE: u32 = 3;
/// After which of these turns a plan is guessed; how far beyond the bound it is looked for, as shares of it; how many are kept node
/// after node; and how much of what is left that may take.
const GUESS_AT: [usize; 3] = [1, 3, 6];
const GUESS_SHARE: i64 = 3;
const GUESS_WIDTH: Width = Width { plans: 120, ways: 16 };
const GUESS_PERCENT: u64 = 15;
/// How often shipments are looked at by tables, how much of what is left that may take, and what share of them must be part of no
/// plan for it to go on.
const THIN_ROUNDS: usize = 6;
const THIN_PERCENT: u64 = 25;
const THIN_SHARE: usize = 10;
/// Tables are made larger, so many times, where those before took no more than such a share of what is left; and how much of it the
/// larger ones may take.
const LARGER: usize = 4;
const LARGER_SHARE: u64 = 40;
const LARGER_PERCENT: u64 = 20;
/// What plans may cost beyond the least that they must at first, as a share of it; twice as much more each time nothing was found, and
/// that part of it where that was too much.
const ALLOWED_SHARE: i64 = 2_000;
const SMALLER: i64 = 4;

/// How many plans are kept after each node, and how many shipments of the next one are put beside each of them.
#[derive(Clone, Copy, Debug)]
struct Width {
    plans: usize,
    ways: usize,
}

const ALL: Width = Width { plans: usize::MAX, ways: usize::MAX };

/// What is known before plans are put together: the bound, what every plan costs at least by tables too, and by how much that exceeds
/// the bound; tables go as far as `most`.
#[derive(Clone, Copy, Debug)]
struct Known {
    bound: i64,
    proven: i64,
    least: i64,
    most: i64,
}

/// A plan of the nodes so far.
#[derive(Clone, Copy, Debug)]
struct Begun {
    /// What is left to be served, packed; and its number by table.
    rest: u128,
    places: [u32; TABLES_MAX],
    /// What every plan that begins so costs beyond the bound at least.
    excess: i64,
    priorities: u64,
    /// Its last shipment, by place in the trail; `u32::MAX` for none.
    last: u32,
}

/// A shipment of a plan, and the one before.
#[derive(Clone, Copy, Debug)]
struct Trail {
    before: u32,
    site: u32,
    shipment: u32,
}

/// Buffers.
#[derive(Default)]
pub(super) struct Steps {
    counts: Counts,
    offers: Offers,
    near: Near,
    nodes: Vec<Node>,
    decomposed: Decomposed,
    refill: Refill,
    tables: Vec<Table>,
    groups: Vec<u32>,
    begun: Vec<Begun>,
    trail: Vec<Trail>,
    /// The plan, and its nodes.
    parts: Vec<Part>,
    open: Vec<u32>,
}

impl Steps {
    /// Looks for the cheapest plan of these nodes by what carriers charge, among those that cost no more than the best, and
    /// offers it. Returns what a plan costs at least: as much as the best then, where the search came to its end.
    pub(super) fn find(
        &mut self,
        (case, carriers): (&Case, Carriers<'_>),
        slots: &[u32],
        worth: impl Fn(u32) -> i64,
        best: &mut Best,
        budget: &mut Budget,
    ) -> i64 {
        if !self.counts.read(case, slots.len()) {
            return 0;
        }
        let (task, is_short) = ((case, carriers), budget.0 < LONG_STEPS);
        let percent = if is_short { 100 } else { ALIKE_PERCENT };
        let proven =
            budget.spend(percent, u64::MAX, |own| self.alike(task, (slots, is_short), worth, best, own));
        if is_short || proven >= best.cost {
            proven
        } else {
            self.decompose(task, slots, best, budget).max(proven)
        }
    }

    /// The same, by values that each node has of its own.
    fn decompose(
        &mut self,
        task: (&Case, Carriers<'_>),
        slots: &[u32],
        best: &mut Best,
        budget: &mut Budget,
    ) -> i64 {
        self.weigh(task, slots, budget);
        let Self { counts, offers, near, nodes, decomposed, refill, .. } = self;
        let (mut shipment, mut shipments) = (0, 0);
        for (value, count) in offers.values.iter().zip(&counts.list).filter(|(_, count)| !count.is_want()) {
            (shipment, shipments) = (shipment + value, shipments + value * count.most);
        }
        let (case, carriers) = task;
        let order = Order { counts, nodes, case, carriers, shipment, shipments };
        let improve = |values: &[i64], best: &mut Best, budget: &mut Budget| {
            refill.improve(counts, task, (slots, values), best, budget);
        };
        decomposed.find(order, &offers.values, (near, improve), best, budget)
    }

    /// The same, by values that are alike at all nodes; where not all shipments are priced and the budget is short, a better plan alone is
    /// looked for.
    fn alike(
        &mut self,
        task: (&Case, Carriers<'_>),
        (slots, is_short): (&[u32], bool),
        worth: impl Fn(u32) -> i64,
        best: &mut Best,
        budget: &mut Budget,
    ) -> i64 {
        let (case, all) = (task.0, budget.0);
        let worths = self.counts.list.iter().map(|count| count.want().map_or(0, |(want, _)| worth(want)));
        let worths: Vec<i64> = worths.collect();
        if self.offers.price(&self.counts, task, slots, budget) {
            self.begin(case, &worths);
        } else {
            let percent = if is_short { REFILL_ONLY_PERCENT } else { REFILL_PERCENT };
            self.offers.value(&self.counts, worths.iter().copied());
            self.improve(task, slots, (0, percent, u64::MAX), best, budget);
            if is_short {
                return 0;
            }
            if let Err(proven) = self.gather(task, slots, best, budget) {
                return proven;
            }
        }
        let bound = self.value(case, best, budget);
        if tables::all_places(&self.counts, &self.offers).is_none() {
            let most = (all - budget.0) / REFILL_SHARE;
            self.improve(task, slots, (bound, REFILL_PERCENT, most), best, budget);
        }
        if bound > best.cost {
            return best.cost;
        }
        let Known { bound, mut proven, least, most } = match self.tell(bound, best, budget) {
            Ok(known) => known,
            Err(proven) => return proven,
        };
        let gap = best.cost.saturating_sub(bound);
        let step_least = (bound / ALLOWED_SHARE).max(1);
        let (mut allowed, mut step) = (least.min(most), step_least);
        // What no plan exceeds the bound by.
        let mut none = allowed;
        loop {
            match self.build(allowed, ALL, budget) {
                // Less may be within the budget.
                None if (allowed - none) / SMALLER >= step_least => step = (allowed - none) / SMALLER,
                None => return proven,
                Some(Some(end)) => {
                    self.offer(case, bound, end, best);
                    return bound + end.excess;
                }
                Some(None) if allowed >= most => {
                    // Nothing costs as little as the best, which is the best then; or there is no plan at all.
                    return if gap <= most {
                        best.cost
                    } else {
                        proven.max(bound.saturating_add(allowed + 1))
                    };
                }
                Some(None) => {
                    none = allowed;
                    proven = proven.max(bound.saturating_add(allowed + 1));
                    step = step.saturating_mul(2);
                }
            }
            allowed = none.saturating_add(step).min(most);
        }
    }

    /// Begins with what is known of values: what each costs at least where it costs least, or what it is worth elsewhere.
    fn begin(&mut self, case: &Case, worths: &[i64]) {
        let Self { counts, offers, .. } = self;
        let least = |want: u32| {
            let rates = offers.sites.iter().map(|site| case.rate(site.slot as usize, want as usize));
            rates.min().unwrap_or(0)
        };
        let least = |(want, units): (u32, i64)| least(want).saturating_mul(units);
        let least: Vec<i64> = counts.list.iter().map(|count| count.want().map_or(0, least)).collect();
        let by_worth = offers.value(counts, worths.iter().copied());
        if offers.value(counts, least.iter().copied()) < by_worth {
            offers.value(counts, worths.iter().copied());
        }
    }

    /// Weighs what nodes have of the order.
    fn weigh(&mut self, task: (&Case, Carriers<'_>), slots: &[u32], budget: &mut Budget) {
        let Self { counts, near, nodes, .. } = self;
        near.read(counts, task.1);
        nodes.clear();
        let mut first = 0;
        for slot in slots {
            let node = near.weigh(counts, task, *slot, first, budget);
            first += node.as_ref().map_or(0, Node::numbers);
            nodes.extend(node);
        }
    }

    /// Gathers what is near the best of each node, until that is all that a plan within the best cost may have. What every plan
    /// costs at least where that takes too much.
    fn gather(
        &mut self,
        task: (&Case, Carriers<'_>),
        slots: &[u32],
        best: &mut Best,
        budget: &mut Budget,
    ) -> Result<(), i64> {
        self.weigh(task, slots, budget);
        let (mut proven, mut slack, mut widest, mut idle) = (0, NEAR_FIRST, i64::MAX, 0);
        for _ in 0..NEAR_TURNS {
            let bound = loop {
                let priced = budget.spend(25, u64::MAX, |own| {
                    let of = (&self.counts, &*self.nodes, &mut self.near);
                    self.offers.price_near(of, task, slack, own)
                });
                match priced {
                    Some(bound) => break bound,
                    None if slack < NEAR_LEAST => return Err(proven),
                    None => (widest, slack) = (slack / 2, slack / 4),
                }
            };
            let gap = best.cost.saturating_sub(bound);
            idle = if bound > proven.saturating_add(gap / NEAR_RISE) { 0 } else { idle + 1 };
            proven = bound.max(proven);
            if bound > best.cost {
                return Err(best.cost);
            }
            if best.found() && gap <= slack {
                return Ok(());
            }
            if idle == NEAR_IDLE && slack * 2 > widest {
                break;
            }
            let bound =
                self.offers.raise(&self.counts, (best.cost, NEAR_ROUNDS), &mut Pace::default(), budget);
            self.guess(task.0, bound, best, budget);
            self.improve(task, slots, (proven, REFILL_PERCENT, u64::MAX), best, budget);
            let gap = best.cost.saturating_sub(proven);
            // What was too much is tried again only where it would be enough.
            let most = if gap / 2 <= widest { gap } else { widest };
            slack = (slack * 2).min(most).max(1);
        }
        Err(proven)
    }

    /// Fills in tables, leaves out what is in no plan within the best cost by them, and finds values for what is left, as long as
    /// that helps; and makes them larger as long as that takes little. What every plan costs at least where it takes too much.
    fn tell(&mut self, bound: i64, best: &Best, budget: &mut Budget) -> Result<Known, i64> {
        let (mut bound, mut proven, mut rounds) = (bound, bound, THIN_ROUNDS);
        let (mut part, mut filled) = (NUMBERS_PART, NUMBERS_PART);
        loop {
            let gap = best.cost.saturating_sub(bound);
            self.offers.drop_beyond(gap);
            self.offers.sort();
            let most = u32::try_from(gap).unwrap_or(TOO_MUCH).min(TOO_MUCH - 1);
            let is_few = tables::all_places(&self.counts, &self.offers).is_some_and(|places| {
                (places * self.offers.shipments.len() * TRY_STEPS) as u64 <= budget.0 / 2
            });
            let (numbers, had) = (if is_few { NUMBERS_MAX } else { part }, budget.0);
            let percent = if part > filled { LARGER_PERCENT } else { 100 };
            let Some(least) = budget.spend(percent, u64::MAX, |own| self.tabulate(numbers, most, own)) else {
                if part == filled {
                    return Err(proven);
                }
                (part, rounds) = (filled, 0);
                continue;
            };
            filled = part;
            // A table says nothing beyond what it was filled in to.
            let least = i64::from(least.min(most + 1));
            proven = proven.max(bound.saturating_add(least));
            let is_cheap = part < NUMBERS_LARGER && (had - budget.0) * LARGER_SHARE < budget.0;
            let may_help = !is_few && rounds > 0 && least <= gap && gap <= i64::from(most);
            if !(may_help && (self.thin(most, budget) || is_cheap)) {
                return Ok(Known { bound, proven, least, most: i64::from(most) });
            }
            part *= if is_cheap { LARGER } else { 1 };
            rounds -= 1;
            self.offers.drop_beyond(gap);
            budget.spend(VALUE_PERCENT, u64::MAX, |own| {
                bound = self.offers.raise(&self.counts, (best.cost, DROP_EVERY), &mut Pace::default(), own);
            });
            if bound > best.cost {
                return Err(best.cost);
            }
        }
    }

    /// Finds values whose bound is high, and returns it.
    fn value(&mut self, case: &Case, best: &mut Best, budget: &mut Budget) -> i64 {
        let mut bound = self.offers.raise(&self.counts, (best.cost, 0), &mut Pace::default(), budget);
        let mut pace = Pace::default();
        budget.spend(VALUE_PERCENT, u64::MAX, |own| {
            for round in 0..ROUNDS / DROP_EVERY {
                // A table that takes no more than values do says more.
                let is_few = tables::all_places(&self.counts, &self.offers)
                    .is_some_and(|places| places * TRY_STEPS <= ROUNDS * LOOK_STEPS);
                if is_few || bound > best.cost {
                    break;
                }
                bound = self.offers.raise(&self.counts, (best.cost, DROP_EVERY), &mut pace, own);
                if GUESS_AT.contains(&round) {
                    self.guess(case, bound, best, own);
                }
                if best.found() {
                    self.offers.drop_beyond(best.cost.saturating_sub(bound));
                }
            }
        });
        bound
    }

    /// Puts a few plans together that go well by the values at hand, and offers the best of them.
    fn guess(&mut self, case: &Case, bound: i64, best: &mut Best, budget: &mut Budget) {
        self.offers.sort();
        let most =
            (bound / GUESS_SHARE).min(best.cost.saturating_sub(bound)).clamp(0, i64::from(TOO_MUCH - 1));
        let found = budget.spend(GUESS_PERCENT, u64::MAX, |own| {
            self.tabulate(NUMBERS_FEW, most as u32, own)?;
            self.build(most, GUESS_WIDTH, own)?
        });
        if let Some(end) = found {
            self.offer(case, bound, end, best);
        }
    }

    /// Looks for a better plan by the values at hand, where the best costs much more than the bound.
    fn improve(
        &mut self,
        task: (&Case, Carriers<'_>),
        slots: &[u32],
        (bound, percent, most): (i64, u64, u64),
        best: &mut Best,
        budget: &mut Budget,
    ) {
        let Self { counts, offers, refill, .. } = self;
        if best.cost.saturating_sub(bound) > bound / GOOD_SHARE {
            budget.spend(percent, most, |own| {
                refill.improve(counts, task, (slots, &offers.values), best, own);
            });
        }
    }

    /// Offers a plan that was put together.
    fn offer(&mut self, case: &Case, bound: i64, end: Begun, best: &mut Best) {
        self.trace(end.last);
        if best.offer(case, bound + end.excess, &self.open) {
            best.parts.extend_from_slice(&self.parts);
        }
    }

    /// Fills in tables of so many numbers, and returns by how much every plan exceeds the bound at least; `None` where that
    /// takes too much.
    fn tabulate(&mut self, numbers: usize, most: u32, budget: &mut Budget) -> Option<u32> {
        tables::share_out(&self.counts, &self.offers, numbers, &mut self.groups);
        self.groups.truncate(TABLES_MAX);
        self.tables.resize_with(self.tables.len().max(self.groups.len()), Table::default);
        let mut least = 0;
        for (table, group) in self.tables.iter_mut().zip(&self.groups) {
            if !table.fill(&self.counts, *group, &self.offers, most, budget) {
                return None;
            }
            least = least.max(table.number(0, table.place(&self.counts, self.counts.full)));
        }
        Some(least)
    }

    /// Marks shipments that no plan within `most` has, and says whether those are many.
    fn thin(&mut self, most: u32, budget: &mut Budget) -> bool {
        let Self { counts, offers, tables, groups, .. } = self;
        offers.marks.clear();
        offers.marks.resize(offers.shipments.len(), false);
        let tables = &mut tables[..groups.len()];
        budget.spend(THIN_PERCENT, u64::MAX, |own| {
            tables.iter_mut().all(|table| table.mark(counts, offers, most, own))
        });
        let marked = offers.marks.iter().filter(|mark| **mark).count();
        if marked * THIN_SHARE < offers.shipments.len() {
            offers.marks.clear();
        }
        !offers.marks.is_empty()
    }

    /// Puts all plans together that cost no more than so much beyond the bound; the cheapest of them, where there is one.
    /// `None` where that takes too much.
    fn build(&mut self, allowed: i64, width: Width, budget: &mut Budget) -> Option<Option<Begun>> {
        let Self { counts, offers, tables, groups, begun, trail, .. } = self;
        let tables = &tables[..groups.len()];
        let ahead = |site: usize, places: &[u32; TABLES_MAX]| {
            let numbers = tables.iter().zip(places).map(|(table, place)| table.number(site, *place));
            numbers.max().map_or(0, |number| if number == TOO_MUCH { i64::MAX } else { i64::from(number) })
        };
        let places = |counts_of: u128| {
            let mut places = [0; TABLES_MAX];
            for (place, table) in places.iter_mut().zip(tables) {
                *place = table.place(counts, counts_of);
            }
            places
        };
        trail.clear();
        begun.clear();
        let full = places(counts.full);
        begun.push(Begun { rest: counts.full, places: full, excess: 0, priorities: 0, last: u32::MAX });
        let mut shipped = Vec::new();
        for (at, site) in offers.sites.iter().enumerate() {
            let shipments = &offers.shipments[site.first..site.end];
            let near =
                shipments.partition_point(|shipment| shipment.beyond.saturating_sub(site.least) <= allowed);
            shipped.clear();
            shipped.extend(shipments[..near].iter().map(|shipment| places(shipment.counts)));
            if !budget.afford(near * LOOK_STEPS) {
                return None;
            }
            for begin in 0..begun.len() {
                let before = begun[begin];
                let (known, mut tried) = (trail.len(), 1);
                for (place, (shipment, places)) in (site.first..).zip(shipments.iter().zip(&shipped)) {
                    let excess = before.excess + (shipment.beyond - site.least);
                    if excess > allowed {
                        break;
                    }
                    tried += 1;
                    let Some(rest) = counts.without(before.rest, shipment.counts) else { continue };
                    let mut left = before.places;
                    left.iter_mut().zip(places).for_each(|(left, place)| *left -= place);
                    if excess.saturating_add(ahead(at + 1, &left)) <= allowed {
                        trail.push(Trail { before: before.last, site: at as u32, shipment: place as u32 });
                        let last = trail.len() as u32 - 1;
                        let priorities = before.priorities + site.priority;
                        begun.push(Begun { rest, places: left, excess, priorities, last });
                        if trail.len() - known == width.ways {
                            break;
                        }
                    }
                }
                // Without it.
                let excess = before.excess.saturating_sub(site.least);
                let is_kept = excess.saturating_add(ahead(at + 1, &before.places)) <= allowed;
                begun[begin].excess = if is_kept { excess } else { i64::MAX };
                let kept = 1 + trail.len() - known;
                if trail.len() > TRAIL_MAX || !budget.afford(kept * KEEP_STEPS + tried * BUILD_STEPS) {
                    return None;
                }
            }
            begun.retain(|begun| begun.excess < i64::MAX);
            begun.sort_unstable_by_key(|begun| (begun.rest, begun.excess, begun.priorities, begun.last));
            begun.dedup_by_key(|begun| begun.rest);
            if begun.len() > width.plans {
                let least = |begun: &Begun| begun.excess.saturating_add(ahead(at + 1, &begun.places));
                begun.select_nth_unstable_by_key(width.plans, |begun| (least(begun), begun.rest));
                begun.truncate(width.plans);
            }
        }
        let whole = begun.iter().filter(|begun| counts.is_served(begun.rest)).map(|begun| Begun {
            excess: begun.excess.saturating_add(offers.unused(counts, begun.rest)),
            ..*begun
        });
        let found = whole.min_by_key(|begun| (begun.excess, begun.priorities));
        Some(found.filter(|begun| begun.excess <= allowed))
    }

    /// Writes down which shipments a plan is made of.
    fn trace(&mut self, last: u32) {
        let Self { counts, offers, trail, parts, open, .. } = self;
        parts.clear();
        open.clear();
        let mut next = last;
        while let Some(Trail { before, site, shipment }) = trail.get(next as usize).copied() {
            let slot = offers.sites[site as usize].slot;
            let shipped = offers.shipments[shipment as usize].counts;
            parts.extend(counts.list.iter().filter_map(|count| count.part(slot, count.of(shipped))));
            open.push(slot);
            next = before;
        }
    }
}
