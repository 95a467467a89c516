//! Parcels: what goes from each open node as one shipment, and what carriers charge for it.
//!
//! A case's rates say of carriage only what adds up and is never too much. What a node set truly costs is said here, after
//! wants were moved between its nodes as long as that helped: one parcel less may be cheaper, and so may a lighter one.

use super::case::{Candidate, Case, Part, Supply};
use super::demand::Demand;
use super::scope::Scope;
use crate::tariff::fares::{Fares, Goods};

/// No unit measures more than this in bounds, so that what billions of them do is no too large number.
const MEASURE_MAX: u64 = 1 << 26;

/// Wants are moved between open nodes up to so many wants times nodes.
const MOVES_MAX: usize = 512;

/// What carriers charge for parts of a case.
#[derive(Clone, Copy)]
pub(crate) struct Carriers<'a> {
    scope: &'a Scope<'a>,
    demand: &'a Demand,
}

impl<'a> Carriers<'a> {
    /// `None` where the case's own rates are the truth.
    pub(crate) fn of(scope: &'a Scope<'a>, demand: &'a Demand) -> Option<Self> {
        scope.carriage.is_some().then_some(Self { scope, demand })
    }

    /// Says of each node what carriers charge at least for what it could ship of the order. A line below the prices of that
    /// is nearer to them than one below the prices of the whole order.
    pub(super) fn bound(&self, case: &mut Case, grams: &mut Vec<i64>) {
        let Some(carriage) = &self.scope.carriage else { return };
        grams.clear();
        grams.extend((0..case.list.len()).map(|slot| case.grams_of(slot, &case.whole)));
        for short in &case.shorts {
            let (units, unit_g) = (case.units[short.want as usize], case.unit_g[short.want as usize]);
            for Supply { slot, available } in case.supplies_of(short) {
                grams[*slot as usize] += units.min(*available) * unit_g;
            }
        }
        for (candidate, grams) in case.list.iter_mut().zip(grams) {
            candidate.carriage = carriage.floor(candidate.class, grams.unsigned_abs());
        }
    }

    /// What a part is of a load.
    pub(super) fn load(&self, part: &Part) -> Load {
        let goods = self.demand.wants[part.want as usize].goods(part.units);
        Load { skus: 1, units: part.units.unsigned_abs(), goods }
    }

    /// The least that carriers charge from a node for so many grams or more, with the surcharges of these flags.
    pub(super) fn least(&self, from: &Candidate, grams: i64, flags: u16) -> i64 {
        self.scope.carriage.map_or(0, |carriage| carriage.least(from.class, grams.unsigned_abs(), flags))
    }

    /// Which flags of a want carriers may ask a surcharge for.
    pub(super) fn surcharged(&self, want: u32) -> u16 {
        self.demand.wants[want as usize].flags & Fares::SURCHARGED
    }

    /// What a unit of a want weighs, and what its volume counts for at least with all carriers, in such parts of a gram.
    pub(super) fn measures(&self, want: u32, per_gram: i64) -> (i64, i64) {
        let (goods, per_gram) = (self.demand.wants[want as usize].goods(1), per_gram.unsigned_abs());
        let divisor = self.scope.carriage.map_or(0, |carriage| u64::from(carriage.fares.divisor_max()));
        let of = |grams: u64| grams.min(MEASURE_MAX) as i64;
        let by_volume = goods.mm3.saturating_mul(per_gram).checked_div(divisor).unwrap_or(0);
        (of(goods.grams.saturating_mul(per_gram)), of(by_volume))
    }

    /// What a load costs from a node, carriers aside.
    pub(super) fn price_own(&self, from: &Candidate, load: &Load) -> i64 {
        from.rates().shipment(load.skus, load.units).0
    }

    /// What a load costs from a node; nothing where it is empty.
    pub(super) fn price(&self, from: &Candidate, load: &Load) -> i64 {
        if load.skus == 0 {
            return 0;
        }
        let carriage = self.scope.carriage.map_or(0, |carriage| carriage.price(from.class, &load.goods));
        self.price_own(from, load).saturating_add(carriage)
    }
}

/// A case, and what carriers charge in it.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) case: &'a Case,
    pub(crate) carriers: Option<Carriers<'a>>,
}

/// What goes from a node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    skus: usize,
    units: u64,
    goods: Goods,
}

impl Load {
    pub(super) fn is_empty(&self) -> bool {
        self.skus == 0
    }

    /// So many times the same, of as many skus.
    pub(super) fn times(self, units: u64) -> Self {
        Self { skus: self.skus, units: self.units * units, goods: self.goods.times(units) }
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self {
            skus: self.skus + other.skus,
            units: self.units + other.units,
            goods: self.goods.and(other.goods),
        }
    }
}

/// Buffers of pricing parcels.
#[derive(Default)]
pub(crate) struct Parcels {
    /// By slot: what goes from there, and what that costs.
    loads: Vec<Load>,
    costs: Vec<i64>,
}

impl Parcels {
    /// What these open nodes cost: `split` parts stay where they are, `whole` ones are moved where that saves. Says in `used` which
    /// nodes are needed.
    pub(crate) fn carry(
        &mut self,
        (case, carriers): (&Case, Carriers<'_>),
        open: &[u32],
        split: &[Part],
        whole: &mut [Part],
        used: &mut [bool],
    ) -> i64 {
        self.loads.clear();
        self.loads.resize(case.list.len(), Load::default());
        for part in split.iter().chain(&*whole) {
            let load = &mut self.loads[part.slot as usize];
            *load = load.and(carriers.load(part));
        }
        let price = |slot: u32, load: &Load| carriers.price(&case.list[slot as usize], load);
        self.costs.resize(case.list.len().max(self.costs.len()), 0);
        for slot in open {
            self.costs[*slot as usize] = price(*slot, &self.loads[*slot as usize]);
        }
        let may_move = open.len() > 1 && whole.len() * open.len() <= MOVES_MAX;
        // Once around without a move, and twice at most.
        let (mut at, mut idle, mut left) = (0, 0, if may_move { whole.len() * 2 } else { 0 });
        while left > 0 && idle < whole.len() {
            left -= 1;
            let Part { want, slot: from, .. } = whole[at];
            let part = carriers.load(&whole[at]);
            let stays = |other: &&Part| other.slot == from && other.want != want;
            let rest = split.iter().chain(&*whole).filter(stays).map(|other| carriers.load(other));
            let without = rest.fold(Load::default(), Load::and);
            let left = price(from, &without);
            let saved = self.costs[from as usize] - left;
            let able =
                open.iter().copied().filter(|to| *to != from && case.serves(*to as usize, want as usize));
            let extra = able.map(|to| {
                let with = price(to, &self.loads[to as usize].and(part));
                (with - self.costs[to as usize], to)
            });
            match extra.min().filter(|(extra, _)| *extra < saved) {
                Some((extra, to)) => {
                    (self.loads[from as usize], self.costs[from as usize]) = (without, left);
                    self.loads[to as usize] = self.loads[to as usize].and(part);
                    self.costs[to as usize] += extra;
                    whole[at].slot = to;
                    idle = 0;
                }
                None => idle += 1,
            }
            at = (at + 1) % whole.len();
        }
        let mut cost = 0_i64;
        for slot in open {
            used[*slot as usize] = self.loads[*slot as usize].skus > 0;
            cost = cost.saturating_add(self.costs[*slot as usize]);
        }
        cost
    }
}
