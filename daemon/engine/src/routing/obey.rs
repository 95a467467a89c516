//! Planning under a policy: the order as rules see it, the rules' say about nodes, and rules that give way.
//!
//! A rule with an `otherwise` gives way only after a plan under it left something unserved, line by line, the last such
//! rule first; the order is planned again once nodes have enough, or no rule is left that could give way. Without a policy this
//! room does nothing.

use std::collections::HashMap;
use std::sync::Arc;

use earmark_protocol::catalogue::sku_flags;
use earmark_protocol::command::{Delivery, Order};
use earmark_protocol::ids::{LineId, SkuIx, Tenant};
use earmark_protocol::refusal::Refusal;
use earmark_protocol::reply::Eliminated;

use super::Proposal;
use super::bonds::Bonds;
use super::demand::{Demand, Want};
use super::late::Late;
use super::planner::{Planner, Taking};
use super::scope::{Leaning, Scope};
use super::sellers;
use crate::inventory::cell::{word_available, word_place};
use crate::policy::{Asked, Kept, LineFacts, OrderFacts, Policy, PolicyTable, Ruling, Term, Way};
use crate::sync::Ordering;
use crate::{NodeTable, Reader};

/// Code and group of each want's sku, and the code of the kit it is of, where rules ask for them.
type SkuTexts = Vec<[String; 3]>;

/// Rulings kept, so that versions beside each other and tenants do not drive each other's out.
const RULINGS_MAX: usize = 4;

/// By want: nodes, a bit each, that keep back so many units of it.
type Buffers = [Vec<(Vec<u64>, i64)>];

/// A policy, whose it is, and the nodes it speaks of.
pub(super) type Obeyed<'a> = (&'a Arc<Kept>, Tenant, &'a NodeTable);

impl Planner {
    /// Has the policy rule on the order at hand, and does what is to be done under its ruling. No rule has given way yet.
    fn under<R>(
        &mut self,
        (kept, tenant, table): Obeyed<'_>,
        scope: &Scope<'_>,
        order: &Order,
        work: impl FnOnce(&mut Self, &mut Ruling, &Asked<'_>) -> R,
    ) -> R {
        let texts = self.sku_texts(kept, scope.reader, order);
        let lines = line_facts(scope.reader, &self.demand, &texts);
        let asked = asked(order, &lines, table, scope);
        let known = self.rulings.iter().position(|ruling| ruling.is_by(kept, tenant));
        let mut ruling = match known {
            Some(at) => self.rulings.remove(at),
            None if self.rulings.len() < RULINGS_MAX => Ruling::default(),
            None => self.rulings.remove(0),
        };
        ruling.rule_by(kept, tenant, self.now, &asked);
        let done = work(self, &mut ruling, &asked);
        self.rulings.push(ruling);
        done
    }

    /// Code and group of the wants' skus, and of which kit they are, where rules ask for them.
    fn sku_texts(&self, kept: &Kept, reader: &Reader, order: &Order) -> SkuTexts {
        if !kept.program.asks_sku_texts {
            return Vec::new();
        }
        let of_kits: HashMap<LineId, SkuIx> = self.of_kits.iter().copied().collect();
        let kit = |want: &Want| {
            let mut lines = self.demand.lines_of(want).map(|at| of_kits.get(&order.lines[at].line));
            let first = lines.next()??;
            lines.all(|kit| kit == Some(first)).then_some(*first)
        };
        let texts = |want: &Want| {
            let (sku, group) = reader.sku_texts(want.sku).unwrap_or_default();
            [sku, group, kit(want).and_then(|kit| reader.sku_texts(kit)).unwrap_or_default().0]
        };
        self.demand.wants.iter().map(texts).collect()
    }

    /// The policy that the order at hand obeys: the newest that is for it.
    pub(super) fn policy_for(
        &self,
        policies: &PolicyTable,
        reader: &Reader,
        tenant: Tenant,
        order: &Order,
    ) -> Option<Arc<Kept>> {
        let newest = policies.newest(tenant)?;
        if newest.policy.is_for_all() {
            return Some(Arc::clone(newest));
        }
        self.asking(reader, order, |facts| {
            policies.newest_where(tenant, |kept| kept.policy.is_for(self.now, order, facts)).cloned()
        })
    }

    /// Has something asked of the order at hand as a whole, as rules see it.
    pub(super) fn asking<R>(
        &self,
        reader: &Reader,
        order: &Order,
        ask: impl FnOnce(&OrderFacts<'_>) -> R,
    ) -> R {
        let lines = line_facts(reader, &self.demand, &[]);
        ask(&order_facts(order, &lines))
    }

    /// The version of the policy that an order obeys now; 0 for none.
    pub(crate) fn version_for(&mut self, reader: &Reader, tenant: Tenant, order: &Order) -> u32 {
        let policies = self.bookmark.policies(reader);
        if self.read_order(reader, tenant, order, true).is_err() {
            return 0;
        }
        self.policy_for(&policies, reader, tenant, order).map_or(0, |kept| kept.version)
    }

    /// Whether a plan of this order by this version of the policy may leave something out. `asked` is what its client says.
    pub(crate) fn takes_part(
        &mut self,
        reader: &Reader,
        tenant: Tenant,
        order: &Order,
        version: u32,
        asked: bool,
    ) -> bool {
        let policies = self.bookmark.policies(reader);
        let Some(kept) = policies.version(tenant, version) else { return asked };
        if self.read_order(reader, tenant, order, true).is_err() {
            return asked;
        }
        self.asking(reader, order, |facts| {
            kept.policy.takes_part(asked, |term| kept.policy.holds(term, self.now, facts))
        })
    }

    /// What the policy that the order at hand obeys says of it as a whole, and the daemon's rules where there is none.
    pub(super) fn terms(&self, kept: Option<&Arc<Kept>>, reader: &Reader, order: &Order) -> Terms {
        let usual = reader.rules().shipments_max;
        let Some(kept) = kept else { return Terms::usual(order, usual) };
        self.asking(reader, order, |facts| {
            Terms::under(&kept.policy, order, usual, |term| kept.policy.holds(term, self.now, facts))
        })
    }

    /// Plans in this scope, but for what the policy says. What cannot be had is left out where that is asked for, or is filled
    /// otherwise.
    pub(super) fn plan_under(
        &mut self,
        obeyed: Obeyed<'_>,
        scope: &Scope<'_>,
        order: &Order,
        taking: Taking,
    ) -> Result<Proposal, Refusal> {
        let (kept, ..) = obeyed;
        self.under(obeyed, scope, order, |planner, ruling, asked| {
            let policy = &kept.policy;
            let holds = |term: &Term| ruling.holds(term, &asked.order);
            let best_effort = taking == Taking::Stock || policy.takes_part(taking.is_part(), holds);
            let terms = Terms::under(policy, order, scope.reader.rules().shipments_max, holds);
            let (bonds, buffers) = (Bonds::of(ruling, asked), ruling.buffers(asked));
            // What the order's lines alone say; each plan adds what stood in its own way.
            let known = planner.reasons.clone();
            loop {
                planner.reasons.clone_from(&known);
                let (planned, refused) =
                    planner.ruled(kept, ruling, &buffers, (scope, order), |planner, scope, refused| {
                        let limit = terms.shipments;
                        (planner.plan_bonded(scope, &bonds, limit, order, best_effort), refused)
                    });
                let is_whole = planned.as_ref().is_ok_and(|proposal| proposal.plan.unfilled.is_empty());
                let gives_way = !is_whole && ruling.can_relax();
                if !gives_way || !planner.give_way(kept, (ruling, asked), &buffers, (scope, order)) {
                    return planned.map(|mut proposal| {
                        proposal.plan.policy = kept.version;
                        proposal.plan.eliminated = ruling.eliminated();
                        proposal.plan.review = terms.review;
                        if refused > 0 {
                            let late = Eliminated { rule: Eliminated::LATE, nodes: refused };
                            proposal.plan.eliminated.push(late);
                        }
                        proposal
                    });
                }
            }
        })
    }

    /// Does something in the scope that a ruling leaves of this one; how many nodes are not let in since they are late is told, too.
    fn ruled<R>(
        &mut self,
        kept: &Kept,
        ruling: &Ruling,
        buffers: &Buffers,
        (scope, order): (&Scope<'_>, &Order),
        work: impl FnOnce(&mut Self, &Scope<'_>, u32) -> R,
    ) -> R {
        let by_want = by_want(ruling, self.demand.wants.len());
        let sold = sellers::within(scope.leaning.by_want, &by_want);
        let by_want = if sold.is_empty() { by_want } else { sellers::bits(&sold) };
        let ruled = lean(scope, kept, ruling, &by_want, buffers);
        let late = Late::of(&ruled, &kept.policy, order.deliver_by_ms);
        let refused = late.as_ref().map_or(0, |late| late.refused);
        work(self, &late.as_ref().map_or(ruled, |late| late.lean(&ruled)), refused)
    }

    /// Has rules give way for what nodes have too little of, one after the other, until they have enough or none is left; or one for
    /// each line, where all of it could be had and what stood in the way is the number of shipments. `false` where none gave way.
    fn give_way(
        &mut self,
        kept: &Kept,
        (ruling, asked): (&mut Ruling, &Asked<'_>),
        buffers: &Buffers,
        of: (&Scope<'_>, &Order),
    ) -> bool {
        let mut gave_way = false;
        loop {
            let short: Vec<bool> = self.ruled(kept, ruling, buffers, of, |planner, scope, _| {
                planner.gatherer.begin(scope);
                (0..planner.demand.wants.len()).map(|want| planner.is_short(scope, want)).collect()
            });
            let any_short = short.contains(&true);
            if gave_way && !any_short || !ruling.relax(asked, |want| !any_short || short[want]) {
                return gave_way;
            }
            gave_way = true;
        }
    }

    /// Does something in the scope that the policy leaves of this one where no rule gives way: a plan that one gave way
    /// for is made again where it may not stay as it is.
    pub(super) fn strictly_under<R>(
        &mut self,
        obeyed: Obeyed<'_>,
        scope: &Scope<'_>,
        order: &Order,
        work: impl FnOnce(&mut Self, &Scope<'_>, &Bonds) -> R,
    ) -> R {
        self.settled_under(obeyed, scope, order, false, work).0
    }

    /// Whether nodes have too little of a want, also where every rule gave way that can.
    pub(super) fn is_short_under(
        &mut self,
        obeyed: Obeyed<'_>,
        scope: &Scope<'_>,
        order: &Order,
        want: usize,
    ) -> bool {
        let (is_short, _) = self.settled_under(obeyed, scope, order, true, |planner, scope, _| {
            planner.gatherer.begin(scope);
            planner.is_short(scope, want)
        });
        is_short
    }

    /// Does something in the scope that the policy leaves of this one, where no rule gives way or all do that can. Says which did.
    pub(super) fn settled_under<R>(
        &mut self,
        obeyed: Obeyed<'_>,
        scope: &Scope<'_>,
        order: &Order,
        give_way: bool,
        work: impl FnOnce(&mut Self, &Scope<'_>, &Bonds) -> R,
    ) -> (R, Vec<u16>) {
        let (kept, ..) = obeyed;
        self.under(obeyed, scope, order, |planner, ruling, asked| {
            while give_way && ruling.relax(asked, |_| true) {}
            let (bonds, buffers) = (Bonds::of(ruling, asked), ruling.buffers(asked));
            let done = planner.ruled(kept, ruling, &buffers, (scope, order), |planner, scope, _| {
                work(planner, scope, &bonds)
            });
            (done, ruling.gave_way().collect())
        })
    }

    /// Whether the nodes that may serve a want have too little of it.
    fn is_short(&self, scope: &Scope<'_>, want: usize) -> bool {
        let (there, _) = self.to_be_had(scope, want);
        there < self.demand.wants[want].units
    }

    /// What there is of a want that may be sent: at all, and at the node that has most of it. They are one where no line may be split.
    pub(super) fn to_be_had(&self, scope: &Scope<'_>, want: usize) -> (i64, i64) {
        let wanted = &self.demand.wants[want];
        let (mut total, mut most) = (0, 0);
        scope.reader.read_words(wanted.sku, |words| {
            (total, most) = (0_i64, 0_i64);
            let mut at_node = (u32::MAX, 0_i64);
            for word in words {
                let word = word.load(Ordering::Relaxed);
                let (place, available) = (word_place(word), i64::from(word_available(word)));
                let node = place.node().0;
                let counts = available > 0
                    && scope.segments.contains(&place.segment())
                    && self.gatherer.eligible(scope, node)
                    && scope.suits(want, wanted.flags, node);
                if counts {
                    // The first cell of a node bears what it keeps back.
                    let available =
                        if at_node.0 == node { available } else { available - scope.buffer(want, node) };
                    let before = if at_node.0 == node { at_node.1 } else { 0 };
                    at_node = (node, before + available);
                    total += at_node.1.max(0) - before.max(0);
                    most = most.max(at_node.1);
                }
            }
        });
        (if scope.split_lines { total } else { most }, most)
    }
}

/// What is said of an order as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// The most shipments it may have; 0 for no limit.
    pub(super) shipments: u16,
    /// Whether it waits for review.
    pub(super) review: bool,
}

impl Terms {
    /// Those of an order that obeys no policy, where orders have so many shipments at most that say nothing of it.
    pub(super) fn usual(order: &Order, usual: u16) -> Self {
        let shipments = if order.shipments_max == 0 { usual } else { order.shipments_max };
        Self { shipments, review: false }
    }

    /// Those of one that obeys this policy; `holds` says whether a condition is true of it.
    fn under(policy: &Policy, order: &Order, usual: u16, mut holds: impl FnMut(&Term) -> bool) -> Self {
        let review = policy.review_when.as_ref().is_some_and(&mut holds);
        if policy.split_when.as_ref().is_some_and(|when| !holds(when)) {
            return Self { shipments: 1, review };
        }
        Self { review, ..Self::usual(order, policy.shipments_max.unwrap_or(usual)) }
    }
}

/// The nodes of each want, where wants differ.
fn by_want(ruling: &Ruling, wants: usize) -> Vec<&[u64]> {
    if ruling.differ() { (0..wants).map(|want| ruling.nodes_of(want)).collect() } else { Vec::new() }
}

/// The scope with the ruling in it.
fn lean<'a>(
    scope: &Scope<'a>,
    kept: &Kept,
    ruling: &'a Ruling,
    by_want: &'a [&'a [u64]],
    buffers: &'a Buffers,
) -> Scope<'a> {
    let (extra, extra_least) = ruling.extra();
    let leaning =
        Leaning { eligible: Some(ruling.eligible()), extra, late: None, extra_least, by_want, buffers };
    let split_lines = kept.policy.split_lines.unwrap_or(scope.split_lines);
    let (waits, transit) = (kept.policy.waits_for_days, kept.policy.transit());
    Scope { split_lines, leaning, waits, transit, ..*scope }
}

/// The wants as rules see them.
fn line_facts<'a>(reader: &Reader, demand: &Demand, texts: &'a [[String; 3]]) -> Vec<LineFacts<'a>> {
    let facts = |(at, want): (usize, &Want)| {
        let [sku, group, kit] = texts.get(at).map_or([""; 3], |texts| texts.each_ref().map(String::as_str));
        let weight_g = reader.sku(want.sku).map_or(0, |facts| i64::from(facts.weight_g));
        LineFacts { sku, group, kit, quantity: want.units, weight_g, flags: want.flags }
    };
    demand.wants.iter().enumerate().map(facts).collect()
}

/// The order as rules see it.
fn asked<'a>(
    order: &'a Order,
    lines: &'a [LineFacts<'a>],
    table: &'a NodeTable,
    scope: &Scope<'a>,
) -> Asked<'a> {
    let miles = scope.lanes.map_or(&[][..], |lanes| &lanes.miles);
    Asked { order: order_facts(order, lines), lines, table, miles }
}

/// What is known of the order as a whole; its lines are its wants.
fn order_facts<'a>(order: &'a Order, lines: &[LineFacts<'_>]) -> OrderFacts<'a> {
    let (delivery, postal, position) = match &order.delivery {
        Delivery::Ship { position, postal, .. } => {
            let degrees = |micros: i32| f64::from(micros) / 1e6;
            (Way::Ship, postal.as_str(), Some((degrees(position.lat_udeg), degrees(position.lon_udeg))))
        }
        Delivery::Pickup { .. } => (Way::Pickup, "", None),
        Delivery::ToStore { .. } => (Way::ToStore, "", None),
    };
    OrderFacts {
        channel: order.channel.0,
        delivery,
        postal,
        position,
        lines: lines.len() as i64,
        units: lines.iter().map(|line| line.quantity).sum(),
        value: order.value,
        weight_g: lines
            .iter()
            .map(|line| line.weight_g.saturating_mul(line.quantity))
            .fold(0, i64::saturating_add),
        flags: lines.iter().fold(0, |flags, line| flags | line.flags) & sku_flags::ALL,
    }
}
