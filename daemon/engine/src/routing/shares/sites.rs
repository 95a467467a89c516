//! Reading a case into sites and what they offer, and leaving out what is settled.

use super::{Goal, Offer, Settled, Shares, Site, Status, Told};
use crate::routing::case::{Budget, Case};

impl Shares {
    /// Reads the case: who offers what. Sites that another one is as good as in all they offer are left out.
    pub(in crate::routing) fn read(&mut self, case: &Case, budget: &mut Budget) {
        self.is_exact = false;
        self.pick_sites(case, budget);
        self.offers.clear();
        self.goals.clear();
        let mut shorts = case.shorts.iter().peekable();
        for (want, units) in case.units.iter().enumerate().filter(|(_, units)| **units > 0) {
            let first = self.offers.len() as u32;
            let goal = self.goals.len() as u32;
            let short = shorts.next_if(|short| short.want as usize == want);
            let mut offer = |slot: u32, most: i64| {
                let site = self.site_of_slot[slot as usize];
                if site != u32::MAX && most > 0 {
                    let line = case.list[slot as usize].line as f64;
                    let unit = case.rate(slot as usize, want) as f64;
                    self.offers.push(Offer { site, want: goal, most: most.min(*units) as f64, unit, line });
                }
            };
            match short {
                Some(short) => {
                    case.supplies_of(short).iter().for_each(|supply| offer(supply.slot, supply.available));
                }
                None => {
                    (0..self.sites.len()).for_each(|site| {
                        let slot = self.sites[site].slot;
                        if case.serves(slot as usize, want) {
                            offer(slot, *units);
                        }
                    });
                }
            }
            let end = self.offers.len() as u32;
            self.goals.push(Goal { need: *units as f64, is_whole: short.is_none(), first, end });
        }
        self.index();
    }

    /// Chooses the slots that are worth being sites.
    fn pick_sites(&mut self, case: &Case, budget: &mut Budget) {
        self.sites.clear();
        self.unbeaten.clear();
        self.split.clear();
        self.split.resize(case.list.len(), false);
        for supply in &case.supplies {
            self.split[supply.slot as usize] = true;
        }
        self.site_of_slot.clear();
        for (slot, candidate) in case.list.iter().enumerate() {
            let mask = case.mask(slot);
            let takes_part = self.split[slot] || mask.iter().any(|word| *word != 0);
            let beats = |other: &u32| {
                // What it has is asked first, and a part of it before all: hardly any other node has even that.
                if mask[0] & !case.masks[*other as usize * case.words] != 0 {
                    return false;
                }
                let better = &case.list[*other as usize];
                case.mask(*other as usize).iter().zip(mask).all(|(has, word)| word & !has == 0)
                    && better.fixed_floor() <= candidate.fixed_floor()
                    && better.line <= candidate.line
                    && better.unit <= candidate.unit
                    && better.carriage.gram <= candidate.carriage.gram
            };
            budget.take(1 + self.unbeaten.len());
            let is_beaten = !takes_part || !self.split[slot] && self.unbeaten.iter().any(beats);
            self.site_of_slot.push(if is_beaten { u32::MAX } else { self.sites.len() as u32 });
            if !is_beaten {
                if mask.iter().any(|word| *word != 0) {
                    self.unbeaten.push(slot as u32);
                }
                let fixed = candidate.fixed_floor() as f64;
                self.sites.push(Site { slot: slot as u32, fixed, first: 0, end: 0 });
            }
        }
    }

    /// Lists the offers by site.
    fn index(&mut self) {
        self.sites.iter_mut().for_each(|site| (site.first, site.end) = (0, 0));
        self.offers.iter().for_each(|offer| self.sites[offer.site as usize].end += 1);
        let mut sum = 0;
        for site in &mut self.sites {
            let count = site.end;
            (site.first, site.end) = (sum, sum);
            sum += count;
        }
        self.of_site.clear();
        self.of_site.resize(self.offers.len(), 0);
        for (at, offer) in self.offers.iter().enumerate() {
            let site = &mut self.sites[offer.site as usize];
            self.of_site[site.end as usize] = at as u32;
            site.end += 1;
        }
        self.taken.clear();
        self.used.clear();
        self.used.resize(self.offers.len(), 0.0);
        self.told.clear();
        self.told.resize(self.offers.len(), Told::default());
        for buffer in [&mut self.worth, &mut self.second] {
            buffer.clear();
            buffer.resize(self.goals.len(), 0.0);
        }
    }

    /// Drops closed sites and all they offer; what is settled of the others is kept.
    pub(in crate::routing) fn shrink(&mut self, settled: &mut Settled) {
        let mut kept_offers = 0;
        let mut places: Vec<u32> = Vec::with_capacity(self.sites.len());
        let mut kept = 0;
        for status in &settled.status {
            places.push(kept);
            kept += u32::from(*status != Status::Closed);
        }
        for goal in &mut self.goals {
            let range = goal.first as usize..goal.end as usize;
            goal.first = kept_offers as u32;
            for at in range {
                let site = self.offers[at].site as usize;
                if settled.status[site] != Status::Closed {
                    self.offers[kept_offers] = Offer { site: places[site], ..self.offers[at] };
                    settled.share[kept_offers] = settled.share[at];
                    kept_offers += 1;
                }
            }
            goal.end = kept_offers as u32;
        }
        self.offers.truncate(kept_offers);
        settled.share.truncate(kept_offers);
        let mut site = 0;
        self.sites.retain(|_| {
            site += 1;
            settled.status[site - 1] != Status::Closed
        });
        settled.status.retain(|status| *status != Status::Closed);
        self.index();
    }
}
