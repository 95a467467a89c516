//! How many units of each want are served, and what refuses an order of which something is missing.

use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use super::case::Candidate;
use super::planner::Planner;
use super::scope::Scope;

/// Keeps the refusal that stands first: the lowest number, then the earliest line.
#[derive(Default)]
pub(super) struct First(Option<Refusal>);

impl First {
    pub(super) fn consider(&mut self, refusal: Refusal) {
        let key = |refusal: &Refusal| (refusal.code, refusal.index);
        if self.0.as_ref().is_none_or(|first| key(&refusal) < key(first)) {
            self.0 = Some(refusal);
        }
    }

    pub(super) fn done(self) -> Result<(), Refusal> {
        self.0.map_or(Ok(()), Err)
    }
}

impl Planner {
    /// Decides how many units of each want are served, and why not more.
    pub(super) fn settle_units(&mut self, scope: &Scope<'_>, best_effort: bool) -> Result<(), Refusal> {
        let case = &mut self.search.case;
        case.units.clear();
        let mut first = First::default();
        let mut sum = 0_i64;
        for (want, found) in self.demand.wants.iter().zip(&self.gatherer.found) {
            let at = case.units.len();
            let reason = &mut self.reasons[at];
            if *reason == Some(RefusalCode::SkuRetired) {
                first.consider(Refusal::of(RefusalCode::SkuRetired, Field::Sku).at(want.first as usize));
                case.units.push(0);
                continue;
            }
            let there = if scope.split_lines { found.total } else { found.most };
            let units = if found.most >= want.units { want.units } else { there.min(want.units) };
            if units < want.units {
                let code = if there > 0 || *reason == Some(RefusalCode::OutOfStock) {
                    RefusalCode::OutOfStock
                } else {
                    self.gatherer.why_none(scope, at, want.flags)
                };
                *reason = Some(code);
                let refusal = Refusal::of(code, Field::Line).at(want.first as usize);
                let detail = if code == RefusalCode::OutOfStock { there } else { 0 };
                first.consider(refusal.detail(detail));
            }
            sum += units;
            case.units.push(units);
        }
        if let Some(refusal) = first.0.filter(|_| !best_effort || sum == 0) {
            return Err(refusal);
        }
        self.check_sums()
    }

    /// All sums of costs must fit; no order that could be shipped comes near this.
    pub(super) fn check_sums(&self) -> Result<(), Refusal> {
        let case = &self.search.case;
        let sum: i64 = case.units.iter().sum();
        let units_g = case.units.iter().zip(&case.unit_g);
        let grams: i128 = units_g.map(|(units, unit_g)| i128::from(*units) * i128::from(*unit_g)).sum();
        let dearest = |of: fn(&Candidate) -> i64| i128::from(case.list.iter().map(of).max().unwrap_or(0));
        let most = dearest(|candidate| candidate.unit.saturating_add(candidate.line)) * i128::from(sum)
            + dearest(|candidate| candidate.carriage.gram) * grams
            + dearest(Candidate::fixed_floor) * case.list.len() as i128;
        if most > i128::from(i64::MAX / 4) { Err(too_dear()) } else { Ok(()) }
    }
}

pub(super) fn too_dear() -> Refusal {
    Refusal::of(RefusalCode::CostTooLarge, Field::Whole)
}
