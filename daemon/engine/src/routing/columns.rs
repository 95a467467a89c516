//! Who carries what of an order of many skus: a bit per node, want by want, for nodes that are near.
//!
//! Which nodes have all of some wants, or most of them, is asked of 64 nodes at once. A bit says nothing about how much
//! there is, as in [`super::carried`]; whoever plans by these looks at the stock of those it chose, and says here what was not there.

use super::candidates::Gatherer;
use super::carried::Carried;
use super::demand::Demand;
use super::scope::Scope;
use super::walk::{Near, Walk};

/// Numbers up to this many binary digits count the wants that a node carries.
const DIGITS: usize = 16;

/// The near nodes of one band.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) band: usize,
    /// A bit per node.
    pub(super) nodes: Vec<u64>,
}

/// The nodes that have something of an order.
#[derive(Default)]
pub(super) struct Columns {
    wants: usize,
    words: usize,
    /// By word of nodes, then want: who carries it.
    bits: Vec<u64>,
    /// Near nodes by band, in the order of what the whole order costs from there.
    groups: Vec<Group>,
    groups_used: usize,
    /// By word: all near nodes.
    near: Vec<u64>,
    /// By band: what a unit costs from its next node beyond the near ones, where it has one.
    pub(super) ahead: Vec<Option<i64>>,
    /// Answers, by word.
    pub(super) found: Vec<u64>,
    /// By digit, then word: how many of the wants asked for each node carries.
    digits: Vec<u64>,
    digits_used: usize,
    /// The wants that were counted last, as a mask and one by one; none once who carries what has changed.
    counted: Vec<u64>,
    asked: Vec<u32>,
    row: Vec<u64>,
}

impl Columns {
    /// Reads who carries what. `false` where some want is carried by none near, and where the order names its nodes.
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
        let Some(walk) = Walk::new(scope, demand) else { return false };
        (self.wants, self.words) = (demand.wants.len(), scope.sheet.sites.len().div_ceil(64));
        self.walk(scope, walk, gatherer, near);
        self.counted.clear();
        self.bits.clear();
        self.bits.resize(self.words * self.wants, 0);
        for (at, want) in demand.wants.iter().enumerate() {
            let Some(carrying) = gatherer.carried.bits(scope.reader, want.sku) else { return false };
            let let_in = scope.leaning.by_want.get(at);
            let mut is_near = 0;
            for (word, carrying) in carrying[..self.words].iter().enumerate() {
                let let_in = let_in.map_or(u64::MAX, |bits| bits.get(word).copied().unwrap_or(0));
                let bits = carrying & let_in;
                self.bits[word * self.wants + at] = bits;
                is_near |= bits & self.near[word];
            }
            if is_near == 0 || want.flags != 0 && !self.leave_capable(scope, at, want.flags) {
                return false;
            }
        }
        true
    }

    /// Takes the cheapest nodes in.
    fn walk(&mut self, scope: &Scope<'_>, mut walk: Walk<'_>, gatherer: &Gatherer, near: Near) {
        self.groups_used = 0;
        self.near.clear();
        self.near.resize(self.words, 0);
        let first = walk.next().map_or(0, |next| next.1);
        let (mut count, mut group) = (0, 0);
        while let Some((band, floor)) = walk.next() {
            let is_near = floor <= first.saturating_add(near.extra);
            if count >= if is_near { near.most } else { near.least } {
                break;
            }
            let node = walk.take(band);
            if gatherer.eligible(scope, node) {
                count += 1;
                if self.groups[..self.groups_used].get(group).is_none_or(|group| group.band != band) {
                    group = self.group_of(band);
                }
                self.groups[group].nodes[node as usize / 64] |= 1 << (node % 64);
                self.near[node as usize / 64] |= 1 << (node % 64);
            }
        }
        self.ahead.clear();
        self.ahead.extend(walk.ahead());
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
            group.nodes.resize(self.words, 0);
            self.groups_used += 1;
            self.groups_used - 1
        })
    }

    /// Takes a want from the near nodes that cannot handle it. `false` where none is left.
    fn leave_capable(&mut self, scope: &Scope<'_>, want: usize, flags: u16) -> bool {
        let mut is_any = false;
        for word in 0..self.words {
            let bits = &mut self.bits[word * self.wants + want];
            for node in ones(*bits & self.near[word]) {
                if scope.is_capable(flags, word as u32 * 64 + node) {
                    is_any = true;
                } else {
                    *bits &= !(1 << node);
                }
            }
        }
        is_any
    }

    /// The near nodes by band, in the order of what the whole order costs from there.
    pub(super) fn groups(&self) -> &[Group] {
        &self.groups[..self.groups_used]
    }

    /// Which wants a node carries, as a mask.
    pub(super) fn mask(&self, node: u32, mask: &mut [u64]) {
        let of_word = &self.bits[node as usize / 64 * self.wants..][..self.wants];
        for (word, wants) in mask.iter_mut().zip(of_word.chunks(64)) {
            let bit = |(at, bits): (usize, &u64)| (bits >> (node % 64) & 1) << at;
            *word = wants.iter().enumerate().map(bit).fold(0, |word, bit| word | bit);
        }
    }

    /// Whether some node of a group carries a want.
    pub(super) fn has(&self, group: &Group, want: usize) -> bool {
        group.nodes.iter().enumerate().any(|(word, nodes)| nodes & self.bits[word * self.wants + want] != 0)
    }

    /// Says that a node has not enough of a want.
    pub(super) fn clear(&mut self, node: u32, want: usize) {
        self.counted.clear();
        self.bits[node as usize / 64 * self.wants + want] &= !(1 << (node % 64));
    }

    /// Looks at all stock of a want and leaves those nodes that have enough. `false` where no near one has.
    pub(super) fn look_closely(&mut self, scope: &Scope<'_>, demand: &Demand, want: usize) -> bool {
        let facts = &demand.wants[want];
        self.counted.clear();
        self.row.clear();
        self.row.resize(self.words, 0);
        let units = |node| facts.units + scope.buffer(want, node);
        Carried::enough(scope.reader, facts.sku, scope.segments, units, &mut self.row);
        let mut is_any = 0;
        for (word, row) in self.row.iter().enumerate() {
            let bits = &mut self.bits[word * self.wants + want];
            *bits &= row;
            is_any |= *bits & self.near[word];
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

    /// Counts how many of these wants each node carries.
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
        self.digits.clear();
        self.digits.resize(DIGITS * self.words, 0);
        self.digits_used = self.asked.len().checked_ilog2().map_or(0, |digit| digit as usize + 1);
        for word in 0..self.words {
            let of_word = &self.bits[word * self.wants..][..self.wants];
            let mut digits = [0; DIGITS];
            for seven in self.asked.chunks(7) {
                let mut bits = [0; 7];
                bits.iter_mut().zip(seven).for_each(|(bits, want)| *bits = of_word[*want as usize]);
                add_seven(bits, &mut digits);
            }
            for (digit, of_digit) in digits[..self.digits_used].iter().enumerate() {
                self.digits[digit * self.words + word] = *of_digit;
            }
        }
    }

    /// After [`Columns::count`]: finds those of a group's nodes that carry the most, or of all nodes, near or not, where no group is
    /// said, into `found`. Returns how many wants that is; nothing where it is no more than so many.
    pub(super) fn most_of(&mut self, group: Option<usize>, more_than: usize) -> usize {
        self.found.clear();
        match group {
            Some(group) => self.found.extend_from_slice(&self.groups[group].nodes),
            None => self.found.resize(self.words, u64::MAX),
        }
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

/// Counts seven more wants: three full adders make a number of three digits of them.
fn add_seven([a, b, c, d, e, f, g]: [u64; 7], digits: &mut [u64; DIGITS]) {
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

/// The nodes of some bits.
pub(super) fn nodes(bits: &[u64]) -> impl Iterator<Item = u32> + '_ {
    (0..).step_by(64).zip(bits).flat_map(|(first, bits)| ones(*bits).map(move |node| first + node))
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

    /// Nodes that each carry some of the wants, every third of them near and in one group.
    fn drawn() -> Columns {
        let words = NODES.div_ceil(64) as usize;
        let mut random = fastrand::Rng::with_seed(5);
        let near = |word: usize| {
            (0..64).filter(|bit| (word * 64 + bit).is_multiple_of(3)).fold(0, |bits, bit| bits | 1 << bit)
        };
        let near: Vec<u64> = (0..words).map(near).collect();
        let groups = vec![Group { band: 0, nodes: near.clone() }];
        let bits = (0..words * WANTS).map(|_| random.u64(..) | random.u64(..)).collect();
        Columns { wants: WANTS, words, bits, groups, groups_used: 1, near, ..Columns::default() }
    }

    fn carried(columns: &Columns, node: u32, of: &[u64]) -> u32 {
        let mut mask = [0; 2];
        columns.mask(node, &mut mask);
        mask.iter().zip(of).map(|(mask, of)| (mask & of).count_ones()).sum()
    }

    #[test]
    fn nodes_with_all_of_some_wants_are_found_and_no_others() {
        let mut columns = drawn();
        let wants = [1 << 3 | 1 << 40, 1 << 2];
        columns.all_of(&wants);
        let found: Vec<u32> = nodes(&columns.found).collect();
        let has_all = |node: &u32| node.is_multiple_of(3) && carried(&columns, *node, &wants) == 3;
        assert_eq!(found, (0..256).filter(has_all).collect::<Vec<_>>());
        assert!(!found.is_empty());
    }

    #[test]
    fn nodes_with_most_of_some_wants_are_found_and_no_others() {
        let mut columns = drawn();
        let wants = [0x0FFF_FFFF_FFFF_FFF0, 0x3F];
        columns.count(&wants);
        for group in [None, Some(0)] {
            let most = columns.most_of(group, 0);
            let found: Vec<u32> = nodes(&columns.found).collect();
            let all = || (0..256).filter(|node: &u32| group.is_none() || node.is_multiple_of(3));
            let counted = |node: u32| carried(&columns, node, &wants) as usize;
            assert_eq!(most, all().map(counted).max().unwrap_or(0));
            assert_eq!(found, all().filter(|node| counted(*node) == most).collect::<Vec<_>>());
        }
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
