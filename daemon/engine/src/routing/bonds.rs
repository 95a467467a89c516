//! Lines that go together and lines that never do, as rules say it of one order: what breaks them, and which nodes may serve
//! a line so that a break is gone.
//!
//! This room plans nothing and knows no prices; [`super::parting`] does.

use super::demand::Demand;
use super::scope::has_bit;
use super::{Pick, Proposal};
use crate::policy::{Asked, Ruling};

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
pub(super) type Allowed = Vec<Vec<u64>>;

impl Bonds {
    /// Those of an order under a ruling.
    pub(super) fn of(ruling: &Ruling, asked: &Asked<'_>) -> Self {
        let (together, apart) = ruling.bonds(asked);
        Self { together, apart }
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
        together.or_else(|| {
            self.apart.iter().enumerate().find_map(|(at, (a, b))| {
                let of_both = |(node, _): &&(u32, i64)| from[*b].iter().any(|(other, _)| other == node);
                from[*a].iter().find(of_both).map(|(node, _)| Broken::Apart(at, *node))
            })
        })
    }

    /// The two parts of a question between which a plan has to choose in order to keep a bond.
    pub(super) fn parts(&self, allowed: &Allowed, broken: Broken) -> [Allowed; 2] {
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

    /// Whether one node may send these wants: a bit per want.
    pub(super) fn suit(&self, set: usize) -> bool {
        let has = |want: &usize| set >> *want & 1 == 1;
        let is_one = |group: &Vec<usize>| group.iter().all(has) || !group.iter().any(has);
        self.together.iter().all(is_one) && !self.apart.iter().any(|(a, b)| has(a) && has(b))
    }

    /// By want: those that never leave from a node that it leaves from.
    pub(super) fn foes(&self, wants: usize) -> Vec<Vec<usize>> {
        let mut foes = vec![Vec::new(); wants];
        for (a, b) in &self.apart {
            foes[*a].push(*b);
            foes[*b].push(*a);
        }
        foes
    }

    /// The wants that go together with one, itself among them.
    pub(super) fn with(&self, want: usize) -> Vec<usize> {
        let of = self.together.iter().filter(|group| group.contains(&want)).flatten().copied();
        let mut with: Vec<usize> = of.chain([want]).collect();
        with.sort_unstable();
        with.dedup();
        with
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
        let (from, foes) = (sent(demand, picks), self.foes(stay.len()));
        let nodes = |want: usize| from[want].iter().map(|(node, _)| *node);
        for want in order.iter().copied().filter(|want| !foes[*want].is_empty() && !from[*want].is_empty()) {
            let meets =
                |foe: &usize| stay[*foe] && nodes(want).any(|node| nodes(*foe).any(|other| other == node));
            if stay[want] || foes[want].iter().any(meets) {
                continue;
            }
            stay[want] = true;
            allowed[want].fill(0);
            nodes(want).for_each(|node| set_bit(&mut allowed[want], node, true));
            for foe in foes[want].iter().filter(|foe| !stay[**foe]) {
                nodes(want).for_each(|node| set_bit(&mut allowed[*foe], node, false));
            }
        }
    }
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
