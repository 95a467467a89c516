//! What an order is planned, priced or repaired in: what is there, by which services it goes, and the nodes it may use at which
//! cost. Whoever looks at an order begins here, and rules about nodes have their say later.

use std::borrow::Cow;
use std::sync::Arc;

use earmark_protocol::command::Order;
use earmark_protocol::ids::{NodeIx, Tenant};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Plan, Unfilled};

use super::bonds::Bonds;
use super::given::Priced;
use super::planner::{Obeying, PRICED_SKUS_MAX, Planner, Question};
use super::prices::Prices;
use super::scope::{Credit, Leaning, Scope, Sight, check_nodes, named};
use super::sellers;
use super::substitutes::as_sent;
use super::upgrades::Upgrades;
use crate::Reader;
use crate::policy::Kept;

impl Planner {
    /// Reads an order of which no line is of a kit, and does something in its scope, before any rule has its say but those about
    /// services: of them so many give way. It obeys this version of the policy where it is said.
    pub(super) fn in_scope<R>(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        version: Option<u32>,
        give_way: usize,
        work: impl FnOnce(&mut Self, Obeying, &Scope<'_>, &Sight) -> R,
    ) -> Result<R, Refusal> {
        let Question { reader, tenant, taking, without, .. } = *question;
        let mut sight = self.look(question, order);
        self.read_order(reader, tenant, order, taking.is_part())?;
        let policies = self.bookmark.policies(reader);
        let kept = match version {
            Some(version) => policies.version(tenant, version).cloned(),
            None => self.policy_for(&policies, reader, tenant, order),
        };
        let upgrades = self.go_by_services(&mut sight, question, order, kept.as_ref(), give_way);
        let mut named = std::mem::take(&mut self.named);
        let done = check_nodes(&sight.table, tenant, order, &mut named).and_then(|()| {
            self.scoped(question, order, &sight, (&named, without), |planner, scope| {
                let wants = &planner.demand.wants;
                let minds = wants.len() <= PRICED_SKUS_MAX && sight.is_shipped();
                let has_any = |prices: &&Prices| wants.iter().any(|want| !prices.of(want.sku).is_empty());
                let prices = Some(&*sight.prices).filter(|_| minds).filter(has_any);
                let credits = planner.beside.iter().filter_map(|beside| beside.of(&planner.demand));
                let credits: Vec<Credit> = credits.collect();
                let scope = Scope { prices, credits: &credits, ..*scope };
                work(planner, Obeying { kept, upgrades }, &scope, &sight)
            })
        });
        self.named = named;
        done
    }

    /// Does something in the scope that an order has under the policy that it obeys, where no rule gives way; what comes of it
    /// is told of which version and plan epoch it is. Rules about services may be left out.
    pub(super) fn strictly(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        minds_services: bool,
        work: impl FnOnce(&mut Self, &Scope<'_>, &Bonds) -> Result<Priced, Refusal>,
    ) -> Result<Priced, Refusal> {
        let Question { reader, tenant, .. } = *question;
        let mut sight = self.look(question, order);
        self.read_order(reader, tenant, order, true)?;
        let policies = self.bookmark.policies(reader);
        let kept = self.policy_for(&policies, reader, tenant, order);
        let minded = kept.as_ref().filter(|_| minds_services);
        let upgrades = self.go_by_services(&mut sight, question, order, minded, 0);
        let mut priced =
            self.scoped(question, order, &sight, (named(order), &[]), |planner, scope| match kept {
                Some(kept) => {
                    let obeyed = (&kept, tenant, &*sight.table);
                    let mut priced = planner.strictly_under(obeyed, scope, order, work)?;
                    priced.proposal.plan.policy = kept.version;
                    Ok(priced)
                }
                None => work(planner, scope, &Bonds::default()),
            })??;
        priced.proposal.plan.upgrades = upgrades.rules;
        priced.proposal.epoch = sight.epoch;
        Ok(priced)
    }

    /// Reads what is there now; before anything else is read of an order, since a plan is of the epoch that is read here.
    pub(super) fn look(&mut self, question: &Question<'_>, order: &Order) -> Sight {
        let Question { reader, lanes, tenant, .. } = *question;
        Sight::of(&mut self.bookmark, reader, lanes, tenant, order, self.now)
    }

    /// Has the order at hand go by the services that this policy leaves it, where so many rules give way, and looks up what carriers
    /// price of it.
    pub(super) fn go_by_services(
        &mut self,
        sight: &mut Sight,
        question: &Question<'_>,
        order: &Order,
        kept: Option<&Arc<Kept>>,
        give_way: usize,
    ) -> Upgrades {
        let Question { reader, lanes, tenant, .. } = *question;
        let upgrades = kept.map(|kept| self.upgrades(reader, sight, tenant, kept, order, give_way));
        let upgrades = upgrades.unwrap_or_default();
        sight.go_by(&mut self.bookmark, reader, lanes, order, upgrades.services);
        sight.weigh(reader, &mut self.demand);
        upgrades
    }

    /// Does something in the scope of the order at hand, with sellers' lines bound to their nodes, the nodes that alone may serve it,
    /// and those that must not.
    ///
    /// # Errors
    /// Where its channel is unknown.
    pub(super) fn scoped<R>(
        &mut self,
        question: &Question<'_>,
        order: &Order,
        sight: &Sight,
        (named, without): (&[NodeIx], &[NodeIx]),
        work: impl FnOnce(&mut Self, &Scope<'_>) -> R,
    ) -> Result<R, Refusal> {
        let Question { reader, tenant, .. } = *question;
        let Some(segments) = reader.rules().channels.get(usize::from(order.channel.0)) else {
            return Err(Refusal::of(RefusalCode::UnknownChannel, Field::Channel));
        };
        let sold = sellers::by_want(order, &self.demand, &sight.table, tenant);
        let leaning = Leaning { by_want: &sellers::bits(&sold), ..Leaning::default() };
        let scope = Scope { leaning, ..sight.scope(reader, segments, named, without) };
        Ok(work(self, &scope))
    }

    /// The order as a plan has it: with what that sends for lines that others stand for, and kits taken apart, less what is left out
    /// of them.
    pub(super) fn as_planned<'a>(
        &mut self,
        reader: &Reader,
        tenant: Tenant,
        order: &'a Order,
        (plan, left_out): (&Plan, &[Unfilled]),
    ) -> Cow<'a, Order> {
        let table = self.bookmark.table(reader);
        let sent = as_sent(order, plan).map_or(Cow::Borrowed(order), Cow::Owned);
        let apart = self.take_apart(&table.kits, reader, tenant, &sent, left_out);
        apart.map_or(sent, Cow::Owned)
    }
}
