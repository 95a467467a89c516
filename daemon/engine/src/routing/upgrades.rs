//! Shipping upgrades: by which services an order may go, as the rules of the policy that it obeys say.
//!
//! That is settled before anything else is asked of an order: its lanes are those of these services alone, so fares, bounds and
//! proofs are, too. A rule with an `otherwise` gives way only where the order is not served whole, and only where more of it
//! is served then; the last such rule first, and all rules about nodes before any of them. Where no rule about services is in
//! force this room does nothing.

use earmark_protocol::command::Order;
use earmark_protocol::ids::Tenant;
use earmark_protocol::refusal::Refusal;
use earmark_protocol::reply::Upgrade;

use super::Proposal;
use super::planner::{Planner, Question};
use super::scope::Sight;
use crate::Reader;
use crate::policy::Kept;
use crate::tariff::Services;

/// What the rules in force say of the services of an order.
#[derive(Clone, Debug, Default)]
pub(super) struct Upgrades {
    /// By which alone it may go; `None` where no rule says anything.
    pub(super) services: Option<Services>,
    /// The rules that say so.
    pub(super) rules: Vec<Upgrade>,
    /// Whether there is a rule that could give way and has not.
    pub(super) could_give_way: bool,
}

impl Planner {
    /// What a policy says of the services of the order at hand where so many rules, the last ones of those that can, give way.
    pub(super) fn upgrades(
        &self,
        reader: &Reader,
        sight: &Sight,
        tenant: Tenant,
        kept: &Kept,
        order: &Order,
        give_way: usize,
    ) -> Upgrades {
        let rules = &kept.policy.upgrades;
        // Nothing goes anywhere that is picked up where it lies.
        if rules.is_empty() || !sight.is_shipped() {
            return Upgrades::default();
        }
        let in_force: Vec<_> = self.asking(reader, order, |facts| {
            let holds = |term| kept.policy.holds(term, self.now, facts);
            let all = kept.policy.upgrade_places().zip(rules);
            all.filter(|(_, rule)| rule.when.as_ref().is_none_or(holds)).collect()
        });
        let (mut upgrades, mut left) = (Upgrades::default(), give_way);
        let specs = || sight.table.tariffs.of(tenant).into_iter().flat_map(|tariffs| &tariffs.services);
        for (place, rule) in in_force.into_iter().rev() {
            let can = !rule.otherwise.is_empty();
            let gave_way = can && left > 0;
            left -= usize::from(gave_way);
            upgrades.could_give_way |= can && !gave_way;
            let allowed = rule.allowed(specs().map(|spec| &**spec), gave_way);
            upgrades.services = Some(upgrades.services.map_or(allowed, |others| others.and(allowed)));
            upgrades.rules.push(Upgrade { rule: place, gave_way });
        }
        upgrades.rules.reverse();
        upgrades
    }

    /// Plans an order of which no line is of a kit, by this version of the policy where it is said.
    pub(super) fn plan_lines(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        version: Option<u32>,
    ) -> Result<Proposal, Refusal> {
        let (mut planned, mut could_give_way) = self.plan_giving_way(question, order, version, 0)?;
        let mut gave_way = 0;
        while could_give_way && !planned.as_ref().is_ok_and(|proposal| proposal.plan.unfilled.is_empty()) {
            gave_way += 1;
            let more;
            (more, could_give_way) = self.plan_giving_way(question, order, version, gave_way)?;
            // Of two refusals the later one says what there is, all services that may be used considered.
            if served(&more) > served(&planned) || planned.is_err() && more.is_err() {
                planned = more;
            }
        }
        planned
    }
}

/// Units that are served.
fn served(planned: &Result<Proposal, Refusal>) -> u64 {
    let picks = planned.as_ref().map_or(&[][..], |proposal| &proposal.picks);
    picks.iter().map(|pick| u64::from(pick.quantity)).sum()
}
