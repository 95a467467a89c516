//! Lines that go together and lines that never do, as rules say it of one order: what breaks them, and which nodes may serve
//! a line so that a break is gone.
//!
//! This room plans nothing and knows no prices; [`super::parting`] does.

use super::demand::Demand;
use super::scope::has_bit;
use super::{Pick, Proposal};
use crate::policy::{Asked, Ruling};

/// The bonds between the wants of an order. What they take grows with the wants that they name, not with the pairs of those.
#[derive(Debug, Default)]
pub(super) struct Bonds {
    /// Wants that leave from one node, all or none.
    together: Vec<Vec<usize>>,
    /// By want: the groups it goes together with.
    groups: Vec<Vec<u32>>,
    /// By rule that keeps wants apart: those, and those that they never leave from one node with. One may be among both.
    apart: Vec<[Vec<usize>; 2]>,
    /// By want: its sides in these rules.
    sides: Vec<Vec<Side>>,
}

/// Wants of one side of a rule never leave from a node that others of its other side leave from: the rule's place twice, and one
/// more for the second side.
type Side = u32;

/// The other side of the same rule.
fn other(side: Side) -> Side {
    side ^ 1
}

/// By side of each rule: a bit per node.
type Rows = Vec<Vec<u64>>;

/// A bond that a plan does not keep.
#[derive(Clone, Copy, Debug)]
pub(super) enum Broken {
    /// This group leaves from several nodes, or in part; of those nodes, the one that sends most of it.
    Together(usize, u32),
    /// These two, kept apart, leave from the node.
    Apart([usize; 2], u32),
}

/// By want: a bit per node that may serve it.
pub(super) type Allowed = Vec<Vec<u64>>;

impl Bonds {
    /// Those of an order under a ruling.
    pub(super) fn of(ruling: &Ruling, asked: &Asked<'_>) -> Self {
        let (together, apart) = ruling.bonds(asked);
        Self::new(together, apart, asked.lines.len())
    }

    fn new(together: Vec<Vec<usize>>, apart: Vec<[Vec<usize>; 2]>, wants: usize) -> Self {
        if together.is_empty() && apart.is_empty() {
            return Self::default();
        }
        let (mut groups, mut sides) = (vec![Vec::new(); wants], vec![Vec::new(); wants]);
        for (at, group) in (0..).zip(&together) {
            group.iter().for_each(|want| groups[*want].push(at));
        }
        for (side, wants) in (0..).zip(apart.iter().flatten()) {
            wants.iter().for_each(|want| sides[*want].push(side));
        }
        Self { together, groups, apart, sides }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.together.is_empty() && self.apart.is_empty()
    }

    /// Whether each is of one want alone: that it leaves from one node. Most plans keep such as they are.
    pub(super) fn are_of_one(&self) -> bool {
        self.apart.is_empty() && self.together.iter().all(|group| group.len() == 1)
    }

    /// Wants that leave from one node, all or none.
    pub(super) fn together(&self) -> &[Vec<usize>] {
        &self.together
    }

    /// The first bond that a plan does not keep.
    pub(super) fn broken_by(&self, demand: &Demand, picks: &[Pick]) -> Option<Broken> {
        if self.is_empty() {
            return None;
        }
        let from = sent(demand, picks);
        let together = self.together.iter().enumerate().find_map(|(at, group)| {
            let (most, _) = *group.iter().flat_map(|want| &from[*want]).max_by_key(|(_, units)| *units)?;
            let is_kept = |want: &usize| from[*want] == [(most, demand.wants[*want].units)];
            (!group.iter().all(is_kept)).then_some(Broken::Together(at, most))
        });
        together.or_else(|| self.apart_broken_by(&from))
    }

    /// The first two wants that leave from one node and are kept apart.
    fn apart_broken_by(&self, from: &[Vec<(u32, i64)>]) -> Option<Broken> {
        if self.apart.is_empty() {
            return None;
        }
        let mut at_node: Vec<(u32, usize)> = Vec::new();
        for (want, from) in from.iter().enumerate().filter(|(want, _)| !self.sides[*want].is_empty()) {
            at_node.extend(from.iter().map(|(node, _)| (*node, want)));
        }
        at_node.sort_unstable();
        // By side: the wants that leave from the node at hand, in order.
        let mut there: Vec<Vec<usize>> = vec![Vec::new(); self.apart.len() * 2];
        let mut first: Option<[usize; 2]> = None;
        for wants in at_node.chunk_by(|(a, _), (b, _)| a == b) {
            let sides = |(_, want): &(u32, usize)| self.sides[*want].iter().map(|side| *side as usize);
            wants.iter().for_each(|at| sides(at).for_each(|side| there[side].push(at.1)));
            let pair = wants.iter().find_map(|(_, want)| {
                let next = |side: &Side| {
                    let foes = &there[other(*side) as usize];
                    foes.get(foes.partition_point(|foe| foe <= want)).copied()
                };
                self.sides[*want].iter().filter_map(next).min().map(|foe| [*want, foe])
            });
            first = first.into_iter().chain(pair).min();
            wants.iter().flat_map(sides).for_each(|side| there[side].clear());
        }
        let [a, b] = first?;
        let is_of_both = |(node, _): &&(u32, i64)| from[b].iter().any(|(other, _)| other == node);
        from[a].iter().find(is_of_both).map(|(node, _)| Broken::Apart([a, b], *node))
    }

    /// The parts of a question between which a plan has to choose in order to keep a bond: one or two.
    pub(super) fn parts(&self, allowed: &Allowed, broken: Broken) -> Vec<Allowed> {
        let without = |wants: &[usize], node| {
            let mut part = allowed.clone();
            wants.iter().for_each(|want| set_bit(&mut part[*want], node, false));
            part
        };
        match broken {
            Broken::Together(group, node) => {
                let all = self.all_from(allowed, group, node);
                all.into_iter().chain([without(&self.together[group], node)]).collect()
            }
            Broken::Apart([a, b], node) => vec![without(&[a], node), without(&[b], node)],
        }
    }

    /// The part where all of a group leaves from a node; `None` where some of it may not.
    pub(super) fn all_from(&self, allowed: &Allowed, group: usize, node: u32) -> Option<Allowed> {
        let group = &self.together[group];
        group.iter().all(|want| has_bit(&allowed[*want], node)).then(|| {
            let mut part = allowed.clone();
            for want in group {
                part[*want].fill(0);
                set_bit(&mut part[*want], node, true);
            }
            part
        })
    }

    /// Whether one node may send these wants: a bit per want.
    pub(super) fn suit(&self, set: usize) -> bool {
        let has = |want: &&usize| set >> **want & 1 == 1;
        let is_one =
            |group: &Vec<usize>| group.iter().all(|want| has(&want)) || !group.iter().any(|want| has(&want));
        let meet = |[lines, from]: &[Vec<usize>; 2]| {
            let mut pairs =
                lines.iter().filter(has).flat_map(|a| from.iter().filter(has).map(move |b| (a, b)));
            pairs.any(|(a, b)| a != b)
        };
        self.together.iter().all(is_one) && !self.apart.iter().any(meet)
    }

    /// Begins with dealing wants out to nodes.
    pub(super) fn dealing(&self, allowed: &Allowed) -> Dealing<'_> {
        let words = allowed.first().map_or(0, Vec::len);
        let common = |group: &Vec<usize>| {
            let mut common = vec![u64::MAX; words];
            group.iter().for_each(|want| keep(&mut common, &allowed[*want]));
            common
        };
        let sides_of = |group: &Vec<usize>| {
            let mut sides: Vec<Side> = group.iter().flat_map(|want| &self.sides[*want]).copied().collect();
            sides.sort_unstable();
            sides.dedup();
            sides
        };
        Dealing {
            bonds: self,
            common: self.together.iter().map(common).collect(),
            sides: self.together.iter().map(sides_of).collect(),
            begun: vec![false; self.together.len()],
            rows: vec![vec![0; words]; self.apart.len() * 2],
        }
    }

    /// Has wants stay where a plan serves them, those first that come first in `order`, where none that stays is kept apart from
    /// them; and all that are kept apart from those keep away from there.
    pub(super) fn settle(
        &self,
        demand: &Demand,
        picks: &[Pick],
        order: &[usize],
        stay: &mut [bool],
        allowed: &mut Allowed,
    ) {
        let from = sent(demand, picks);
        let nodes = |want: usize| from[want].iter().map(|(node, _)| *node);
        let words = allowed.first().map_or(0, Vec::len);
        let mut rows: Rows = vec![vec![0; words]; self.apart.len() * 2];
        let mark = |rows: &mut Rows, want: usize| {
            for side in &self.sides[want] {
                nodes(want).for_each(|node| set_bit(&mut rows[*side as usize], node, true));
            }
        };
        (0..stay.len()).filter(|want| stay[*want]).for_each(|want| mark(&mut rows, want));
        let is_one = |want: &usize| !self.sides[*want].is_empty() && !from[*want].is_empty();
        for want in order.iter().copied().filter(is_one) {
            let meets = |side: &Side| nodes(want).any(|node| has_bit(&rows[other(*side) as usize], node));
            if stay[want] || self.sides[want].iter().any(meets) {
                continue;
            }
            stay[want] = true;
            mark(&mut rows, want);
            allowed[want].fill(0);
            nodes(want).for_each(|node| set_bit(&mut allowed[want], node, true));
        }
        for want in (0..stay.len()).filter(|want| !stay[*want]) {
            for side in &self.sides[want] {
                take_away(&mut allowed[want], &rows[other(*side) as usize]);
            }
        }
    }
}

/// Wants as they are dealt out to nodes, one after the other.
pub(super) struct Dealing<'a> {
    bonds: &'a Bonds,
    /// By group that goes together: the nodes that may serve all of it, as far as it was dealt out; its sides in the rules that keep
    /// wants apart; and whether some of it was dealt out.
    common: Vec<Vec<u64>>,
    sides: Vec<Vec<Side>>,
    begun: Vec<bool>,
    /// The nodes that wants of each side were dealt out to.
    rows: Rows,
}

impl Dealing<'_> {
    /// Leaves of these nodes those that a want may leave from beside what was dealt out before it.
    pub(super) fn narrow(&self, want: usize, nodes: &mut [u64]) {
        let groups = || self.bonds.groups[want].iter().map(|group| *group as usize);
        groups().for_each(|group| keep(nodes, &self.common[group]));
        // Where a group began, nobody else's foe has come since.
        let own = self.bonds.sides[want].iter().filter(|_| !groups().any(|group| self.begun[group]));
        let of_groups = groups().filter(|group| !self.begun[*group]).flat_map(|group| &self.sides[group]);
        for side in own.chain(of_groups) {
            take_away(nodes, &self.rows[other(*side) as usize]);
        }
    }

    /// A want was dealt out to these nodes.
    pub(super) fn deal(&mut self, want: usize, nodes: &[u64]) {
        if nodes.iter().all(|word| *word == 0) {
            return;
        }
        let mut mark = |side: &Side| {
            self.rows[*side as usize].iter_mut().zip(nodes).for_each(|(row, nodes)| *row |= nodes);
        };
        self.bonds.sides[want].iter().for_each(&mut mark);
        for group in self.bonds.groups[want].iter().map(|group| *group as usize) {
            if !self.begun[group] {
                self.sides[group].iter().for_each(&mut mark);
            }
            self.begun[group] = true;
            keep(&mut self.common[group], nodes);
        }
    }
}

/// Keeps the bits that others have, too.
fn keep(bits: &mut [u64], others: &[u64]) {
    bits.iter_mut().zip(others).for_each(|(bits, others)| *bits &= others);
}

/// Takes the bits away that others have.
fn take_away(bits: &mut [u64], others: &[u64]) {
    bits.iter_mut().zip(others).for_each(|(bits, others)| *bits &= !others);
}

/// By want: the nodes that a plan sends it from, with the units.
fn sent(demand: &Demand, picks: &[Pick]) -> Vec<Vec<(u32, i64)>> {
    let mut from: Vec<Vec<(u32, i64)>> = vec![Vec::new(); demand.wants.len()];
    for pick in picks {
        let Some(of_want) = demand.find(pick.sku).and_then(|want| from.get_mut(want)) else { continue };
        let (node, units) = (pick.node.0, i64::from(pick.quantity));
        match of_want.iter_mut().find(|(known, _)| *known == node) {
            Some((_, sum)) => *sum += units,
            None => of_want.push((node, units)),
        }
    }
    from
}

/// Units of the order that a plan leaves out.
pub(super) fn missing(proposal: &Proposal) -> u64 {
    proposal.plan.unfilled.iter().map(|unfilled| u64::from(unfilled.quantity)).sum()
}

pub(super) fn set_bit(bits: &mut [u64], node: u32, to: bool) {
    if let Some(word) = bits.get_mut(node as usize / 64) {
        *word = *word & !(1 << (node % 64)) | u64::from(to) << (node % 64);
    }
}

#[cfg(test)]
mod tests {
    use earmark_protocol::command::OrderLine;
    use earmark_protocol::ids::{LineId, NodeIx, Segment, SkuIx};

    use super::*;

    fn demand(wants: usize) -> Demand {
        let line = |at| OrderLine { line: LineId(at), sku: SkuIx(at), quantity: 1 };
        let mut demand = Demand::default();
        demand.read(&(0..wants as u32).map(line).collect::<Vec<_>>());
        demand
    }

    fn pick(sku: usize, node: u32) -> Pick {
        let sku = sku as u32;
        Pick { line: LineId(sku), sku: SkuIx(sku), node: NodeIx(node), segment: Segment(0), quantity: 1 }
    }

    #[test]
    fn thousands_kept_apart_from_thousands_are_known_by_their_number_and_not_by_that_of_pairs() {
        let wants = 10_000;
        let halves = [(0..wants / 2).collect(), (wants / 2..wants).collect()];
        let bonds = Bonds::new(Vec::new(), vec![halves], wants);
        let known: usize = bonds.sides.iter().map(Vec::len).sum();
        assert_eq!(known, wants);
        let demand = demand(wants);
        let at = |node: fn(usize) -> u32| (0..wants).map(|want| pick(want, node(want))).collect::<Vec<_>>();
        assert!(bonds.broken_by(&demand, &at(|want| u32::from(want >= 5_000))).is_none());
        let broken = bonds.broken_by(&demand, &at(|want| u32::from(want >= 5_001)));
        assert!(matches!(broken, Some(Broken::Apart([0, 5_000], 0))), "{broken:?}");
    }

    #[test]
    fn the_first_broken_pair_is_that_of_all_pairs_there_are() {
        let mut random = crate::routing::sequence::Sequence(7);
        for _ in 0..2_000 {
            let mut some = || (0..6).filter(|_| random.below(2) == 0).collect::<Vec<usize>>();
            let apart: Vec<[Vec<usize>; 2]> = (0..2).map(|_| [some(), some()]).collect();
            let picks: Vec<Pick> = (0..6).map(|want| pick(want, random.below(3) as u32)).collect();
            let bonds = Bonds::new(Vec::new(), apart.clone(), 6);
            let is_apart = |a: usize, b: usize| {
                apart.iter().any(|[lines, from]| {
                    lines.contains(&a) && from.contains(&b) || lines.contains(&b) && from.contains(&a)
                })
            };
            let pairs = (0..6).flat_map(|a| (a + 1..6).map(move |b| (a, b)));
            let first = pairs.into_iter().find(|(a, b)| is_apart(*a, *b) && picks[*a].node == picks[*b].node);
            let told = match bonds.broken_by(&demand(6), &picks) {
                Some(Broken::Apart([a, b], node)) => {
                    assert_eq!((picks[a].node.0, picks[b].node.0), (node, node));
                    Some((a, b))
                }
                Some(Broken::Together(..)) => panic!("nothing goes together"),
                None => None,
            };
            assert_eq!(told, first, "{apart:?} {picks:?}");
            for set in 0..1 << 6 {
                let has = |want: usize| set >> want & 1 == 1;
                let pairs = (0..6).flat_map(|a| (a + 1..6).map(move |b| (a, b)));
                let meet = pairs.into_iter().any(|(a, b)| has(a) && has(b) && is_apart(a, b));
                assert_eq!(bonds.suit(set), !meet, "{set:b} {apart:?}");
            }
        }
    }

    #[test]
    fn what_goes_together_is_parted_only_where_all_of_it_may_leave() {
        let bonds = Bonds::new(vec![vec![0, 1]], Vec::new(), 2);
        let broken = Broken::Together(0, 3);
        let parts = bonds.parts(&vec![vec![0b1000], vec![0b1010]], broken);
        assert_eq!(parts, [[[0b1000], [0b1000]], [[0], [0b0010]]]);
        let parts = bonds.parts(&vec![vec![0b1000], vec![0b0010]], broken);
        assert_eq!(parts, [[[0], [0b0010]]]);
    }
}
