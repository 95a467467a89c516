//! Who carries what of an order of many skus: a bit per near node, want by want.
//!
//! Near nodes are numbered in the order in which they are met, so that they fill few words, and which of them have all of some wants,
//! or most of them, is asked of 64 at once. A bit says nothing about how much there is, as in [`super::carried`]; whoever plans by
//! these looks at the stock of those it chose, and says here what was not there.

use super::candidates::Gatherer;
use super::carried::Carried;
use super::demand::Demand;
use super::scope::{Scope, has_bit};
use super::walk::{Near, Walk};

/// Numbers up to this many binary digits count the wants that a node carries.
const DIGITS: usize = 16;

/// Of a want that none of the nearest can serve, so many nodes are near that can.
const SCARCE: usize = 4;

/// Wants whose nodes are counted at a time.
const COUNTED: usize = 7;

/// The near nodes of one band.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) band: usize,
    /// A bit per near node.
    pub(super) nodes: Vec<u64>,
}

/// The near nodes that have something of an order.
#[derive(Default)]
pub(super) struct Columns {
    wants: usize,
    /// Words of near nodes.
    words: usize,
    /// The near nodes, by place.
    nodes: Vec<u32>,
    /// By word of near nodes, then want: who carries it.
    bits: Vec<u64>,
    /// Near nodes by band, in the order of what the whole order costs from there.
    groups: Vec<Group>,
    groups_used: usize,
    /// By word: all near nodes.
    near: Vec<u64>,
    /// By band: what a unit costs from its next node beyond the near ones, where it has one.
    pub(super) ahead: Vec<Option<i64>>,
    /// The most wants that one node carries, near or not.
    pub(super) most: usize,
    /// Answers, by word.
    pub(super) found: Vec<u64>,
    /// By digit, then word: how many of the wants asked for each near node carries.
    digits: Vec<u64>,
    digits_used: usize,
    /// The wants that were counted last, as a mask and one by one; none once who carries what has changed.
    counted: Vec<u64>,
    asked: Vec<u32>,
    /// By want, then word of all nodes: who carries it and is let in.
    rows: Vec<u64>,
    row_words: usize,
    /// By word of all nodes: how many wants each carries.
    sums: Vec<[u64; DIGITS]>,
    /// Wants that no near node can serve.
    scarce: Vec<usize>,
    row: Vec<u64>,
}

impl Columns {
    /// Reads who carries what. `false` where some want is carried by none, and where the order names its nodes.
    pub(super) fn gather(
        &mut self,
        scope: &Scope<'_>,
        demand: &Demand,
        gatherer: &mut Gatherer,
        near: Near,
    ) -> bool {
        if !scope.named.is_empty() || demand.wants.len() >= 1 << DIGITS {
            return false;
        }
        let Some(mut walk) = Walk::new(scope, demand) else { return false };
        if !self.read_rows(scope, demand, gatherer) {
            return false;
        }
        self.wants = demand.wants.len();
        self.begin_near(&mut walk, near, |node| gatherer.eligible(scope, node));
        self.fill(scope, demand);
        self.scarce.is_empty()
            || self.seek_scarce(scope, demand, &mut walk, |node| gatherer.eligible(scope, node))
    }

    /// Reads which nodes carry each want, and counts. `false` where that is not known of one.
    fn read_rows(&mut self, scope: &Scope<'_>, demand: &Demand, gatherer: &mut Gatherer) -> bool {
        self.row_words = scope.sheet.sites.len().div_ceil(64);
        self.rows.clear();
        for (at, want) in demand.wants.iter().enumerate() {
            let Some(carrying) = gatherer.carried.bits(scope.reader, want.sku) else { return false };
            let carrying = &carrying[..self.row_words];
            match scope.leaning.by_want.get(at) {
                None => self.rows.extend_from_slice(carrying),
                Some(let_in) => {
                    let let_in = let_in.iter().copied().chain(std::iter::repeat(0));
                    self.rows.extend(carrying.iter().zip(let_in).map(|(bits, let_in)| bits & let_in));
                }
            }
        }
        self.most = self.most_summed();
        true
    }

    /// Takes the nearest nodes in.
    fn begin_near(&mut self, walk: &mut Walk<'_>, near: Near, eligible: impl Fn(u32) -> bool) {
        self.groups_used = 0;
        self.nodes.clear();
        let first = walk.next().map_or(0, |next| next.1);
        let mut group = 0;
        while let Some((band, floor)) = walk.next() {
            let is_near = floor <= first.saturating_add(near.extra);
            if self.nodes.len() >= if is_near { near.most } else { near.least } {
                break;
            }
            let node = walk.take(band);
            if eligible(node) {
                group = self.take_in(node, band, group);
            }
        }
        self.ahead.clear();
        self.ahead.extend(walk.ahead());
    }

    /// Takes the next nearest nodes in that can serve a scarce want. `false` where there is none for some of them.
    fn seek_scarce(
        &mut self,
        scope: &Scope<'_>,
        demand: &Demand,
        walk: &mut Walk<'_>,
        eligible: impl Fn(u32) -> bool,
    ) -> bool {
        let mut sought: Vec<(usize, usize)> = self.scarce.iter().map(|want| (*want, SCARCE)).collect();
        let mut group = 0;
        while let Some((band, _)) = walk.next().filter(|_| !sought.is_empty()) {
            let node = walk.take(band);
            let serves = |want: usize| {
                has_bit(&self.rows[want * self.row_words..][..self.row_words], node)
                    && scope.is_capable(demand.wants[want].flags, node)
            };
            if !sought.iter().any(|(want, _)| serves(*want)) || !eligible(node) {
                continue;
            }
            sought.iter_mut().filter(|(want, _)| serves(*want)).for_each(|(_, left)| *left -= 1);
            sought.retain(|(_, left)| *left > 0);
            group = self.take_in(node, band, group);
        }
        self.fill(scope, demand);
        self.scarce.is_empty()
    }

    /// Takes a node of a band in, which most often is of the same group as the one before. Returns its group.
    fn take_in(&mut self, node: u32, band: usize, before: usize) -> usize {
        let is_same = self.groups[..self.groups_used].get(before).is_some_and(|group| group.band == band);
        let group = if is_same { before } else { self.group_of(band) };
        let place = self.nodes.len();
        let nodes = &mut self.groups[group].nodes;
        nodes.resize(nodes.len().max(place / 64 + 1), 0);
        nodes[place / 64] |= 1 << (place % 64);
        self.nodes.push(node);
        group
    }

    /// Writes down who of the near nodes can serve what, and which wants none can.
    fn fill(&mut self, scope: &Scope<'_>, demand: &Demand) {
        self.words = self.nodes.len().div_ceil(64);
        self.groups[..self.groups_used].iter_mut().for_each(|group| group.nodes.resize(self.words, 0));
        self.near.clear();
        self.near.resize(self.words, u64::MAX);
        if let Some(last) = self.near.last_mut() {
            *last >>= (64 - self.nodes.len() % 64) % 64;
        }
        self.counted.clear();
        self.scarce.clear();
        self.bits.resize(self.words * self.wants, 0);
        for (at, want) in demand.wants.iter().enumerate() {
            let row = &self.rows[at * self.row_words..][..self.row_words];
            let serves = |node: u32| u64::from(has_bit(row, node) && scope.is_capable(want.flags, node));
            let has = |node: u32| row[node as usize / 64] >> (node % 64) & 1;
            let mut is_any = 0;
            for (word, nodes) in self.nodes.chunks(64).enumerate() {
                let bits = if want.flags == 0 { bits_of(nodes, has) } else { bits_of(nodes, serves) };
                self.bits[word * self.wants + at] = bits;
                is_any |= bits;
            }
            if is_any == 0 {
                self.scarce.push(at);
            }
        }
    }

    /// The most wants that a node has in its rows.
    fn most_summed(&mut self) -> usize {
        self.sums.clear();
        self.sums.resize(self.row_words, [0; DIGITS]);
        self.found.clear();
        self.found.resize(self.row_words, 0);
        let (none, words) = (&self.found[..], self.row_words);
        for seven in self.rows.chunks(COUNTED * words.max(1)) {
            let row = |at: usize| seven.get(at * words..(at + 1) * words).unwrap_or(none);
            let rows: [&[u64]; COUNTED] = std::array::from_fn(row);
            for (word, sums) in self.sums.iter_mut().enumerate() {
                add_seven(rows.map(|row| row[word]), sums);
            }
        }
        self.found.fill(u64::MAX);
        let digits = (self.rows.len() / words.max(1)).checked_ilog2().map_or(0, |digit| digit as usize + 1);
        let mut most = 0;
        for digit in (0..digits).rev() {
            if self.found.iter().zip(&self.sums).any(|(found, sums)| found & sums[digit] != 0) {
                most |= 1 << digit;
                self.found.iter_mut().zip(&self.sums).for_each(|(found, sums)| *found &= sums[digit]);
            }
        }
        most
    }

    /// The group of a band, a new one where it has none.
    fn group_of(&mut self, band: usize) -> usize {
        let known = self.groups[..self.groups_used].iter().position(|group| group.band == band);
        known.unwrap_or_else(|| {
            if self.groups.len() == self.groups_used {
                self.groups.push(Group::default());
            }
            let group = &mut self.groups[self.groups_used];
            group.band = band;
            group.nodes.clear();
            self.groups_used += 1;
            self.groups_used - 1
        })
    }

    /// The near nodes by band, in the order of what the whole order costs from there.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups[..self.groups_used]
    }

    /// The node of a place.
    pub(super) fn node(&self, place: u32) -> u32 {
        self.nodes[place as usize]
    }

    /// How many near nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Which wants the node of a place carries, as a mask.
    pub(super) fn mask(&self, place: u32, mask: &mut [u64]) {
        let of_word = &self.bits[place as usize / 64 * self.wants..][..self.wants];
        for (word, wants) in mask.iter_mut().zip(of_word.chunks(64)) {
            *word = wants.iter().rev().fold(0, |word, bits| word << 1 | bits >> (place % 64) & 1);
        }
    }

    /// Whether some node of a group carries a want.
    pub(super) fn has(&self, group: &Group, want: usize) -> bool {
        group.nodes.iter().enumerate().any(|(word, nodes)| nodes & self.bits[word * self.wants + want] != 0)
    }

    /// Says that the node of a place has not enough of a want.
    pub(super) fn clear(&mut self, place: u32, want: usize) {
        self.counted.clear();
        self.bits[place as usize / 64 * self.wants + want] &= !(1 << (place % 64));
    }

    /// Looks at all stock of a want and leaves those nodes that have enough. `false` where no near one has.
    pub(super) fn look_closely(&mut self, scope: &Scope<'_>, demand: &Demand, want: usize) -> bool {
        let facts = &demand.wants[want];
        self.counted.clear();
        self.row.clear();
        self.row.resize(scope.sheet.sites.len().div_ceil(64), 0);
        let units = |node| facts.units + scope.buffer(want, node);
        Carried::enough(scope.reader, facts.sku, scope.segments, units, &mut self.row);
        let mut is_any = 0;
        for (word, nodes) in self.nodes.chunks(64).enumerate() {
            let has = |node: u32| self.row[node as usize / 64] >> (node % 64) & 1;
            let enough = bits_of(nodes, has);
            let bits = &mut self.bits[word * self.wants + want];
            *bits &= enough;
            is_any |= *bits;
        }
        is_any != 0
    }

    /// Finds the near nodes that carry all of these wants, into `found`.
    pub(super) fn all_of(&mut self, wants: &[u64]) {
        self.found.clear();
        for (word, near) in self.near.iter().enumerate() {
            let of_word = &self.bits[word * self.wants..][..self.wants];
            let mut nodes = *near;
            'wants: for (first, mask) in (0..).step_by(64).zip(wants) {
                for want in ones(*mask) {
                    nodes &= of_word[first + want as usize];
                    if nodes == 0 {
                        break 'wants;
                    }
                }
            }
            self.found.push(nodes);
        }
    }

    /// Counts how many of these wants each near node carries.
    pub(super) fn count(&mut self, wants: &[u64]) {
        if self.counted == wants {
            return;
        }
        self.counted.clear();
        self.counted.extend_from_slice(wants);
        self.asked.clear();
        for (first, mask) in (0..).step_by(64).zip(wants) {
            self.asked.extend(ones(*mask).map(|want| first + want));
        }
        self.digits.resize(DIGITS * self.words, 0);
        self.digits_used = self.asked.len().checked_ilog2().map_or(0, |digit| digit as usize + 1);
        for word in 0..self.words {
            let of_word = &self.bits[word * self.wants..][..self.wants];
            let mut digits = [0; DIGITS];
            for seven in self.asked.chunks(COUNTED) {
                let mut bits = [0; COUNTED];
                bits.iter_mut().zip(seven).for_each(|(bits, want)| *bits = of_word[*want as usize]);
                add_seven(bits, &mut digits);
            }
            for (digit, of_digit) in digits[..self.digits_used].iter().enumerate() {
                self.digits[digit * self.words + word] = *of_digit;
            }
        }
    }

    /// After [`Columns::count`]: finds those of a group's nodes that carry the most, into `found`. Returns how many wants that is;
    /// nothing where it is no more than so many.
    pub(super) fn most_of(&mut self, group: usize, more_than: usize) -> usize {
        self.found.clear();
        self.found.extend_from_slice(&self.groups[group].nodes);
        let mut most = 0;
        for digit in (0..self.digits_used).rev() {
            let of_digit = &self.digits[digit * self.words..][..self.words];
            let mut both = self.found.iter().zip(of_digit).map(|(found, digit)| found & digit);
            if both.any(|both| both != 0) {
                most |= 1 << digit;
                self.found.iter_mut().zip(of_digit).for_each(|(found, digit)| *found &= digit);
            }
            if most + (1 << digit) - 1 <= more_than {
                return 0;
            }
        }
        most
    }
}

/// A bit for each of some nodes, the first one lowest.
fn bits_of(nodes: &[u32], bit: impl Fn(u32) -> u64) -> u64 {
    nodes.iter().rev().fold(0, |bits, node| bits << 1 | bit(*node))
}

/// Counts seven more wants: three full adders make a number of three digits of them.
fn add_seven([a, b, c, d, e, f, g]: [u64; COUNTED], digits: &mut [u64; DIGITS]) {
    let add = |a: u64, b: u64, c: u64| (a ^ b ^ c, a & b | (a ^ b) & c);
    let ((first, twos), (second, more_twos)) = (add(a, b, c), add(d, e, f));
    let (ones, last_twos) = add(first, second, g);
    let (twos, fours) = add(twos, more_twos, last_twos);
    let mut carry = 0;
    for (digit, more) in digits.iter_mut().zip([ones, twos, fours]) {
        (*digit, carry) = add(*digit, more, carry);
    }
    for digit in &mut digits[3..] {
        if carry == 0 {
            break;
        }
        (*digit, carry) = (*digit ^ carry, *digit & carry);
    }
}

/// The places of some bits.
pub(super) fn places(bits: &[u64]) -> impl Iterator<Item = u32> + '_ {
    (0..).step_by(64).zip(bits).flat_map(|(first, bits)| ones(*bits).map(move |place| first + place))
}

/// The places of the bits of a word.
pub(super) fn ones(mut bits: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros();
        let is_any = bits != 0;
        bits &= bits.wrapping_sub(1);
        is_any.then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: u32 = 200;
    const WANTS: usize = 70;

    /// Nodes that each carry some of the wants, every third of them in one group.
    fn drawn() -> Columns {
        let words = NODES.div_ceil(64) as usize;
        let mut random = fastrand::Rng::with_seed(5);
        let third = |word: usize| {
            (0..64).filter(|bit| (word * 64 + bit).is_multiple_of(3)).fold(0, |bits, bit| bits | 1 << bit)
        };
        let groups = vec![Group { band: 0, nodes: (0..words).map(third).collect() }];
        let bits = (0..words * WANTS).map(|_| random.u64(..) | random.u64(..)).collect();
        let (nodes, near) = ((0..NODES).collect(), vec![u64::MAX; words]);
        Columns { wants: WANTS, words, nodes, bits, groups, groups_used: 1, near, ..Columns::default() }
    }

    fn carried(columns: &Columns, place: u32, of: &[u64]) -> u32 {
        let mut mask = [0; 2];
        columns.mask(place, &mut mask);
        mask.iter().zip(of).map(|(mask, of)| (mask & of).count_ones()).sum()
    }

    #[test]
    fn nodes_with_all_of_some_wants_are_found_and_no_others() {
        let mut columns = drawn();
        let wants = [1 << 3 | 1 << 40, 1 << 2];
        columns.all_of(&wants);
        let found: Vec<u32> = places(&columns.found).collect();
        let has_all = |place: &u32| carried(&columns, *place, &wants) == 3;
        assert_eq!(found, (0..256).filter(has_all).collect::<Vec<_>>());
        assert!(!found.is_empty());
    }

    #[test]
    fn nodes_with_most_of_some_wants_are_found_and_no_others() {
        let mut columns = drawn();
        let wants = [0x0FFF_FFFF_FFFF_FFF0, 0x3F];
        columns.count(&wants);
        let most = columns.most_of(0, 0);
        let found: Vec<u32> = places(&columns.found).collect();
        let all = || (0..256).filter(|place: &u32| place.is_multiple_of(3));
        let counted = |place: u32| carried(&columns, place, &wants) as usize;
        assert_eq!(most, all().map(counted).max().unwrap_or(0));
        assert_eq!(found, all().filter(|place| counted(*place) == most).collect::<Vec<_>>());
    }

    #[test]
    fn the_most_that_rows_come_to_is_counted() {
        let mut random = fastrand::Rng::with_seed(6);
        let mut counts = [0_usize; 192];
        let mut columns = Columns { row_words: 3, ..Columns::default() };
        for _ in 0..40 {
            let words: [u64; 3] = std::array::from_fn(|_| random.u64(..) & random.u64(..));
            columns.rows.extend(words);
            places(&words).for_each(|node| counts[node as usize] += 1);
        }
        assert_eq!(Some(columns.most_summed()), counts.into_iter().max());
    }

    #[test]
    fn what_a_node_has_not_is_forgotten() {
        let mut columns = drawn();
        columns.bits.fill(u64::MAX);
        columns.clear(9, 65);
        let all = [u64::MAX, 0x3F];
        assert_eq!((carried(&columns, 9, &all), carried(&columns, 12, &all)), (69, 70));
    }
}
