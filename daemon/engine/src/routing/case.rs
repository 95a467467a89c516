//! One order's choice, stripped to numbers: candidates with their rates, what each can serve whole, what must be
//! split, and the best node set found so far. This room searches nothing; it prices node sets and compares them.

use std::cmp::Ordering;

use super::price::Rates;
use crate::tariff::fares::Floor;

/// A node worth a look for this order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Candidate {
    pub(crate) node: u32,
    pub(crate) miles: u32,
    /// What a shipment from here costs, carriers aside: once, per distinct sku, per unit.
    pub(crate) fixed: i64,
    pub(crate) line: i64,
    pub(crate) unit: i64,
    /// Where carriers price, the class of its ways and what they charge at least.
    pub(crate) class: u32,
    pub(crate) carriage: Floor,
    /// Its place by priority, then code; and by code alone.
    pub(crate) rank: u32,
    pub(crate) code_rank: u32,
    pub(crate) priority: u16,
}

impl Candidate {
    /// What a shipment from here costs, carriers aside.
    pub(crate) fn rates(&self) -> Rates {
        Rates { fixed: self.fixed, line: self.line, unit: self.unit }
    }

    /// What a shipment from here costs once at least, carriers included.
    #[inline]
    pub(crate) fn fixed_floor(&self) -> i64 {
        self.fixed.saturating_add(self.carriage.once)
    }
}

/// A want that no single node can serve whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    pub(crate) want: u32,
    /// The most that one node has.
    pub(crate) most: i64,
    /// Its supplies, by place in [`Case::supplies`].
    pub(crate) first: u32,
    pub(crate) end: u32,
}

/// What a candidate has of a short want.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Supply {
    pub(crate) slot: u32,
    pub(crate) available: i64,
}

/// The least that nodes cost which were not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unseen {
    pub(crate) fixed: i64,
    pub(crate) unit: i64,
}

/// A part of a short want, taken from one candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) want: u32,
    pub(crate) slot: u32,
    pub(crate) units: i64,
}

/// The numbers of one order.
#[derive(Default)]
pub(crate) struct Case {
    /// Units to serve, by want; 0 where nothing can be had.
    pub(crate) units: Vec<i64>,
    /// Where carriers price, by want: grams of a unit that are billed at least. Costs here are least ones then, and the
    /// true cost of a node set is more than their sum.
    pub(crate) unit_g: Vec<i64>,
    /// Words of a mask of wants.
    pub(crate) words: usize,
    /// Candidates by cost per unit, then rank. A slot is a place in this list.
    pub(crate) list: Vec<Candidate>,
    /// By slot: which wants it can serve whole.
    pub(crate) masks: Vec<u64>,
    /// The wants to be served whole by one node.
    pub(crate) whole: Vec<u64>,
    /// How many those are, and their units.
    pub(crate) whole_count: usize,
    pub(crate) whole_units: i64,
    /// The wants to be split, and their supplies by slot.
    pub(crate) shorts: Vec<Short>,
    pub(crate) supplies: Vec<Supply>,
    /// Whether there are more supplies, all dearer than enough of those that are listed.
    pub(crate) more_supplies: bool,
    /// Nodes outside the list that could serve some want; `None` where there are none.
    pub(crate) unseen: Option<Unseen>,
    /// By want: the least an unseen node could serve it for; `i64::MAX` where none can.
    pub(crate) unseen_floor: Vec<i64>,
    /// The least fixed cost of the nodes outside the list that could serve some want; `i64::MAX` where there are none.
    pub(crate) fixed_unlisted: i64,
    /// The cost per line, where it is the same at all candidates and unseen nodes.
    pub(crate) line: Option<i64>,
    /// Most shipments.
    pub(crate) limit: usize,
    /// By eight wants and which of them: their units together. Empty where there are few wants, or too many units.
    sums: Vec<[u32; 256]>,
    /// The same of the grams that are billed at least.
    sums_g: Vec<[u32; 256]>,
}

/// Orders of at most this many skus add up units one by one: tables would cost more than they save.
const SUMS_FROM: usize = 12;

impl Case {
    /// The mask of a slot.
    #[inline]
    pub(crate) fn mask(&self, slot: usize) -> &[u64] {
        &self.masks[slot * self.words..(slot + 1) * self.words]
    }

    /// Whether a slot can serve a want whole.
    #[inline]
    pub(crate) fn serves(&self, slot: usize, want: usize) -> bool {
        self.masks[slot * self.words + want / 64] >> (want % 64) & 1 == 1
    }

    /// What serving a want whole from a slot costs, the shipment aside.
    #[inline]
    pub(crate) fn cost(&self, slot: usize, want: usize) -> i64 {
        self.list[slot].line + self.units[want] * self.rate(slot, want)
    }

    /// The least fixed cost of all nodes that could serve some want, listed or not. It is asked of the list as it stands: a line
    /// below the prices of lighter parcels, told later, may rise faster and begin lower.
    pub(crate) fn fixed_least(&self) -> i64 {
        let listed = self.list.iter().map(Candidate::fixed_floor).min().unwrap_or(0);
        listed.min(self.fixed_unlisted)
    }

    /// What a unit of a want costs from a slot.
    #[inline]
    pub(crate) fn rate(&self, slot: usize, want: usize) -> i64 {
        let candidate = &self.list[slot];
        let carriage = if self.is_stepped() { self.unit_g[want] * candidate.carriage.gram } else { 0 };
        candidate.unit + carriage
    }

    /// Whether carriers price.
    #[inline]
    pub(crate) fn is_stepped(&self) -> bool {
        !self.unit_g.is_empty()
    }

    /// The wants of a mask.
    pub(crate) fn wants(mask: &[u64]) -> impl Iterator<Item = usize> {
        mask.iter().enumerate().flat_map(|(word, bits)| {
            let bits = *bits;
            std::iter::successors((bits != 0).then_some(bits), |bits| {
                let rest = bits & (bits - 1);
                (rest != 0).then_some(rest)
            })
            .map(move |bits| word * 64 + bits.trailing_zeros() as usize)
        })
    }

    /// Begins with these units and empty masks, all of it to be served whole.
    pub(crate) fn begin(&mut self, units: impl Iterator<Item = i64>) {
        self.units.clear();
        self.units.extend(units);
        self.begin_with(|_| i64::MAX);
    }

    /// Begins with empty masks, once `units` and `list` are settled; `most` says what one node has of a want at most.
    pub(crate) fn begin_with(&mut self, most: impl Fn(usize) -> i64) {
        self.sum_units();
        self.words = self.units.len().div_ceil(64);
        self.masks.clear();
        self.masks.resize(self.list.len() * self.words, 0);
        self.whole.clear();
        self.whole.resize(self.words, 0);
        (self.whole_count, self.whole_units) = (0, 0);
        self.shorts.clear();
        self.supplies.clear();
        for (want, units) in self.units.iter().enumerate() {
            if *units > most(want) {
                self.shorts.push(Short { want: want as u32, most: most(want), first: 0, end: 0 });
            } else if *units > 0 {
                self.whole[want / 64] |= 1 << (want % 64);
                self.whole_count += 1;
                self.whole_units += units;
            }
        }
    }

    /// Prepares [`Case::units_of`].
    fn sum_units(&mut self) {
        sum_eights(self.units.iter().copied(), &mut self.sums);
        let grams = self.units.iter().zip(&self.unit_g).map(|(units, unit_g)| units.saturating_mul(*unit_g));
        sum_eights(grams, &mut self.sums_g);
    }

    /// The units of some wants of one word of a mask.
    #[inline]
    pub(crate) fn units_of(&self, word: usize, wants: u64) -> i64 {
        sum_of(&self.sums, word, wants, |want| self.units[want])
    }

    /// Grams, of those that are billed at least, of the wants of a mask that a slot can serve whole; 0 where carriers do not
    /// price.
    pub(crate) fn grams_of(&self, slot: usize, mask: &[u64]) -> i64 {
        if !self.is_stepped() {
            return 0;
        }
        let words = self.mask(slot).iter().zip(mask).enumerate();
        let grams = |want: usize| self.units[want] * self.unit_g[want];
        words.map(|(word, (able, wants))| sum_of(&self.sums_g, word, able & wants, grams)).sum()
    }

    /// The open slot that serves a want whole for least; of equals the one of lower rank.
    pub(crate) fn server(&self, open: &[u32], want: usize) -> Option<u32> {
        let able = open.iter().copied().filter(|slot| self.serves(*slot as usize, want));
        able.min_by_key(|slot| (self.cost(*slot as usize, want), self.list[*slot as usize].rank))
    }

    /// The supplies of a short want, by slot.
    pub(crate) fn supplies_of(&self, short: &Short) -> &[Supply] {
        &self.supplies[short.first as usize..short.end as usize]
    }

    /// What a slot has of a short want.
    pub(crate) fn supply(&self, short: &Short, slot: u32) -> i64 {
        let supplies = self.supplies_of(short);
        let found = supplies.binary_search_by_key(&slot, |supply| supply.slot);
        found.map_or(0, |at| supplies[at].available)
    }

    /// Which of two node sets goes first at equal cost: the lower sum of priorities, then the order of codes.
    pub(crate) fn tie(&self, a: &[u32], b: &[u32]) -> Ordering {
        let priorities = |open: &[u32]| -> u64 {
            open.iter().map(|slot| u64::from(self.list[*slot as usize].priority)).sum()
        };
        // Sets are small where ties are met: compare by repeated minimum instead of sorting copies.
        priorities(a).cmp(&priorities(b)).then_with(|| {
            let mut floor = None;
            loop {
                let next = |open: &[u32]| {
                    let ranks = open.iter().map(|slot| self.list[*slot as usize].code_rank);
                    ranks.filter(|rank| floor.is_none_or(|floor| *rank > floor)).min()
                };
                match (next(a), next(b)) {
                    (Some(x), Some(y)) if x == y => floor = Some(x),
                    (x, y) => return x.cmp(&y),
                }
            }
        })
    }
}

/// Fills in the sums of each eight of these; none where they are few, or come to too much.
fn sum_eights(of_wants: impl Iterator<Item = i64> + Clone, sums: &mut Vec<[u32; 256]>) {
    sums.clear();
    let total = of_wants.clone().fold(0, i64::saturating_add);
    if of_wants.clone().count() < SUMS_FROM || total > i64::from(u32::MAX) {
        return;
    }
    for (want, of_want) in of_wants.enumerate() {
        if want % 8 == 0 {
            sums.push([0; 256]);
        }
        let table = sums.last_mut().expect("one was begun");
        let (without, with) = table.split_at_mut(1 << (want % 8));
        for (sum, less) in with.iter_mut().zip(without) {
            *sum = *less + of_want as u32;
        }
    }
}

/// The sum of some wants of one word of a mask.
#[inline]
fn sum_of(sums: &[[u32; 256]], word: usize, wants: u64, of_want: impl Fn(usize) -> i64) -> i64 {
    if sums.is_empty() {
        let (mut sum, mut bits) = (0, wants);
        while bits != 0 {
            sum += of_want(word * 64 + bits.trailing_zeros() as usize);
            bits &= bits - 1;
        }
        return sum;
    }
    let tables = &sums[word * 8..sums.len().min(word * 8 + 8)];
    tables.iter().zip(wants.to_le_bytes()).map(|(table, byte)| i64::from(table[usize::from(byte)])).sum()
}

/// The best node set found so far.
#[derive(Default)]
pub(crate) struct Best {
    /// What it costs; `i64::MAX` while there is none.
    pub(crate) cost: i64,
    /// Its slots, ascending.
    pub(crate) open: Vec<u32>,
    /// What each of them serves, where the set alone does not say it: carriers' prices depend on how wants are shared out.
    pub(crate) parts: Vec<Part>,
}

impl Best {
    /// Forgets what was found.
    pub(crate) fn clear(&mut self) {
        self.cost = i64::MAX;
        self.open.clear();
        self.parts.clear();
    }

    /// Whether a set was found.
    pub(crate) fn found(&self) -> bool {
        self.cost < i64::MAX
    }

    /// Takes a legal set where it is better than what is known, and says whether it is. What it serves is left to be told.
    pub(crate) fn offer(&mut self, case: &Case, cost: i64, open: &[u32]) -> bool {
        let is_better = cost < self.cost || cost == self.cost && case.tie(open, &self.open).is_lt();
        if is_better {
            self.clear();
            self.cost = cost;
            self.open.extend_from_slice(open);
            self.open.sort_unstable();
        }
        is_better
    }
}

/// Work, counted in steps and not in time, so that an answer does not depend on the machine. A step is about a
/// nanosecond's work: a word of a mask, a want's price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget(pub(crate) u64);

impl Budget {
    /// Gives a share in percent of what is left to some work, but no more than `most`, and takes back what that leaves.
    pub(crate) fn spend<R>(&mut self, percent: u64, most: u64, work: impl FnOnce(&mut Budget) -> R) -> R {
        let given = (self.0 * percent / 100).min(most);
        let mut own = Budget(given);
        let result = work(&mut own);
        self.0 -= given - own.0;
        result
    }

    /// Takes so many steps where there are as many, and else leaves them to other work.
    #[inline]
    pub(crate) fn afford(&mut self, steps: usize) -> bool {
        let can = self.0 >= steps as u64;
        self.0 -= if can { steps as u64 } else { 0 };
        can
    }

    /// Takes so many steps; `false` when there are not as many left, and then none are from here on.
    #[inline]
    pub(crate) fn take(&mut self, steps: usize) -> bool {
        match self.0.checked_sub(steps as u64) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => {
                self.0 = 0;
                false
            }
        }
    }
}
