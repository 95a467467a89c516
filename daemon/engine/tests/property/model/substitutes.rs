//! Substitutes: what they may be, and which an order gets that cannot be had as it was ordered.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::command::Order;
use earmark_protocol::ids::{SkuIx, Tenant};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Reply, Substituted};
use earmark_protocol::substitute::{SUBSTITUTES_MAX, SubstituteSpec};

use super::catalogue::listed;
use super::{Model, Noes, Wish, Yes};

impl Model {
    pub(super) fn put_substitutes(
        &mut self,
        tenant: Tenant,
        specs: &[SubstituteSpec],
    ) -> Result<Yes, Refusal> {
        let mut noes = Noes::default();
        noes.list(Field::Line, specs.len(), false, self.rules.lines_max);
        let mut seen = BTreeSet::new();
        for (index, SubstituteSpec { sku, substitutes }) in specs.iter().enumerate() {
            if self.catalogue.sku(tenant, *sku).is_none() {
                noes.at(RefusalCode::UnknownSku, Field::Sku, index);
            }
            if !seen.insert(*sku) {
                noes.at(RefusalCode::LineTwice, Field::Line, index);
            }
            if substitutes.len() > SUBSTITUTES_MAX {
                let refusal = Refusal::of(RefusalCode::ListTooLong, Field::Substitute);
                noes.push(refusal.at(index).detail(SUBSTITUTES_MAX as i64));
            }
            let mut skus = BTreeSet::from([*sku]);
            for substitute in substitutes {
                if self.catalogue.sku(tenant, *substitute).is_none() {
                    noes.at(RefusalCode::UnknownSku, Field::Substitute, index);
                }
                if !skus.insert(*substitute) {
                    noes.at(RefusalCode::LineTwice, Field::Substitute, index);
                }
                if self.catalogue.kits.contains_key(substitute) {
                    noes.at(RefusalCode::SkuIsKit, Field::Substitute, index);
                }
            }
        }
        if let Some(refusal) = noes.first() {
            return Err(refusal);
        }
        for spec in specs {
            self.catalogue.substitutes.insert(spec.sku, spec.substitutes.clone());
        }
        self.catalogue.substitutes.retain(|_, substitutes| !substitutes.is_empty());
        Ok(listed(specs.len()))
    }

    /// What may stand for a tenant's skus.
    pub(crate) fn substitutes_of(&self, tenant: Tenant) -> Vec<SubstituteSpec> {
        let own =
            self.catalogue.substitutes.iter().filter(|(sku, _)| self.catalogue.sku(tenant, **sku).is_some());
        own.map(|(sku, substitutes)| SubstituteSpec { sku: *sku, substitutes: substitutes.clone() }).collect()
    }

    /// For which lines substitutes may be sent: lines of the order, none of a kit.
    pub(super) fn judge_substitutable(&self, noes: &mut Noes, order: &Order) {
        noes.list(Field::Substitute, order.substitutable.len(), true, self.rules.lines_max);
        let mut seen = BTreeSet::new();
        for (index, line) in order.substitutable.iter().enumerate() {
            match order.lines.iter().rev().find(|known| known.line == *line) {
                None => noes.at(RefusalCode::UnknownLine, Field::Substitute, index),
                Some(known) if self.catalogue.kits.contains_key(&known.sku) => {
                    noes.at(RefusalCode::SkuIsKit, Field::Substitute, index);
                }
                Some(_) => {}
            }
            if !seen.insert(*line) {
                noes.at(RefusalCode::LineTwice, Field::Substitute, index);
            }
        }
    }

    /// The order as it is sent where there is too little of what was ordered: line by line, of those that may have one, the
    /// first substitute of which there is enough.
    fn sent(&self, wish: &Wish<'_>) -> Option<Order> {
        if !self.policies.get(&wish.tenant).is_some_and(|policy| policy.substitutes) {
            return None;
        }
        let mut sent = wish.order.clone();
        for (at, line) in wish.order.lines.iter().enumerate() {
            let may_be_sent = wish.order.substitutable.contains(&line.line);
            let substitutes = self.catalogue.substitutes.get(&line.sku).filter(|_| may_be_sent);
            if !self.is_short(wish, &sent, line.sku) {
                continue;
            }
            for substitute in substitutes.into_iter().flatten() {
                sent.lines[at].sku = *substitute;
                let mut noes = Noes::default();
                self.judge_order(&mut noes, wish.tenant, &sent);
                let is_kit = self.catalogue.kits.contains_key(substitute);
                if !is_kit && noes.first().is_none() && !self.is_short(wish, &sent, *substitute) {
                    break;
                }
                sent.lines[at].sku = line.sku;
            }
        }
        (sent != *wish.order).then_some(sent)
    }

    fn is_short(&self, wish: &Wish<'_>, order: &Order, sku: SkuIx) -> bool {
        let lines = self.in_components(order, &BTreeMap::new());
        let wish = Wish { order, lines, ..wish.clone() };
        let demand = wish.demands().into_iter().find(|(of, _)| *of == sku);
        self.is_retired(&wish, sku)
            || demand.is_some_and(|(sku, demand)| self.served(&wish, sku, demand) < demand)
    }

    pub(super) fn as_sent<'a>(&self, wish: &Wish<'a>, sent: &'a Order) -> Wish<'a> {
        Wish { order: sent, lines: self.in_components(sent, &BTreeMap::new()), ..wish.clone() }
    }

    /// What a plan of an order with substitutes is judged as: a plan of what it sends. `None` where it sends what was ordered.
    ///
    /// # Errors
    /// Where it sends what may not stand for what was ordered, or what should not.
    pub(super) fn sent_by(&self, wish: &Wish<'_>, plan: &Plan) -> Result<Option<Order>, String> {
        if plan.substituted.is_empty() {
            return Ok(None);
        }
        let mut sent = wish.order.clone();
        for Substituted { line, ordered, sent: sku } in &plan.substituted {
            let known = sent.lines.iter_mut().find(|known| (known.line, known.sku) == (*line, *ordered));
            let known = known.ok_or_else(|| format!("line {line} was not ordered as {ordered}: {plan:?}"))?;
            known.sku = *sku;
            let then = self.stale.iter().map(|stale| &*stale.then);
            let may = |model: &Self| {
                let policy = model.policies.get(&wish.tenant);
                policy.is_some_and(|policy| policy.substitutes)
                    && model.catalogue.substitutes.get(ordered).is_some_and(|skus| skus.contains(sku))
            };
            if !wish.order.substitutable.contains(line) || !std::iter::once(self).chain(then).any(may) {
                return Err(format!("nothing may stand for {ordered} in line {line}: {plan:?}"));
            }
        }
        if self.stale.is_none() && self.sent(wish).as_ref() != Some(&sent) {
            return Err(format!("{:?} should be sent: {plan:?}", self.sent(wish)));
        }
        Ok(Some(sent))
    }

    /// Whether substitutes would help an order that got none: it can be had with them, where it was planned in part all of it.
    pub(super) fn lacks_substitutes(&self, wish: &Wish<'_>, seen: &Reply) -> bool {
        // Of a moment before, where not all that is ordered was known.
        let mut noes = Noes::default();
        self.judge_order(&mut noes, wish.tenant, wish.order);
        if noes.first().is_some() || wish.without.is_some() {
            return false;
        }
        let Some(sent) = self.sent(wish) else { return false };
        let is_planned = !matches!(seen, Reply::Refused(_));
        let best_effort = wish.best_effort && !is_planned;
        let wish = Wish { best_effort, ..self.as_sent(wish, &sent) };
        let is_refused_for_kits = match seen {
            Reply::Refused(refused) => self.may_lack_kits(&wish, refused.refusal),
            _ => false,
        };
        self.refusal_of(&wish).is_none() && !is_refused_for_kits
    }

    /// The plan of an order that is sent otherwise than it was ordered, judged.
    pub(super) fn judge_sent(&self, wish: &Wish<'_>, sent: &Order, plan: &Plan) -> Result<Plan, String> {
        self.judge_plan(&self.as_sent(wish, sent), plan).map(|()| plan.clone())
    }
}
