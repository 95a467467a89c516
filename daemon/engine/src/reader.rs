//! Lock-free reads beside the writer.
//!
//! A reader never waits for the writer and never delays it. Where it cannot get a whole answer in a bounded number of
//! tries it says so (`None`), and the question goes to the committer instead.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLockReadGuard};

use earmark_protocol::catalogue::{DayLoad, NodeState};
use earmark_protocol::ids::{CommandId, Lsn, NodeIx, Segment, ServiceIx, SkuIx, Tenant, TimestampMs};
use earmark_protocol::kit::{Component, KitSpec};
use earmark_protocol::query::{Atp, Scope};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{
    AtpCell, AtpReply, AtpSku, CellView, NodeDay, NodeView, PolicyView, ReservationView, ReviewView, Reviews,
    SkuView, Status,
};
use earmark_protocol::substitute::SubstituteSpec;
use earmark_protocol::supply::{SupplyKey, SupplySpec, WaitKey, WaitView};
use earmark_protocol::tariff::{ServiceSpec, TariffsView};

use crate::catalogue::kits::assembled;
use crate::catalogue::{NodeTable, SkuFacts};
use crate::inventory::{CellStock, Place};
use crate::policy::PolicyTable;
use crate::reservations::Brief;
use crate::routing::{LaneBook, PriceBook};
use crate::rules::Rules;
use crate::state::Shared;
use crate::supply::{Comes, Due, SupplyBook, Wait};
use crate::sync::AtomicU64;

/// Skus of a question whose memory is asked for before the first of them is read.
const ATP_SKUS_AHEAD: usize = 16;

/// Supplies, and rows that wait for them, that are looked at under one lock.
const SUPPLY_AT_ONCE: usize = 256;

/// A reader of a [`crate::State`]; clones share the state.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

impl Reader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The rules the state decides by.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.shared.rules
    }

    /// The lanes, computed as they are asked for.
    #[must_use]
    pub fn lanes(&self) -> &LaneBook {
        &self.shared.lanes
    }

    /// Whether reservations will soon lie where the kernel has to give memory first; then [`Reader::populate`] has it do so.
    #[must_use]
    pub fn wants_memory(&self) -> bool {
        self.shared.reservations.wants_memory()
    }

    /// Has the kernel give memory for the reservations that come next, so that the writer does not wait for it. For one
    /// thread beside the writer.
    pub fn populate(&self) {
        self.shared.reservations.populate();
    }

    /// The same for the whole index of ids. Hashes spread over it, so that few ids touch all of it.
    pub fn populate_index(&self) {
        self.shared.reservations.ids.populate();
    }

    /// The prices that plans pay for taking what the future may need.
    #[must_use]
    pub fn prices(&self) -> &PriceBook {
        &self.shared.prices
    }

    /// How many skus there are, of all tenants.
    pub(crate) fn skus_len(&self) -> u32 {
        self.shared.inventory.skus.len()
    }

    /// The plan epoch: a plan made in an older one is made again.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.shared.plan_epoch()
    }

    /// The last record applied; all that it and those before it changed is seen by reads after this.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.shared.lsn()
    }

    /// Nothing seen by reads before this is of a later record: [`Reader::lsn`], or the one that is being applied.
    #[must_use]
    pub fn lsn_begun(&self) -> Lsn {
        self.shared.lsn_begun()
    }

    /// The version of [`Reader::nodes`].
    #[must_use]
    pub fn nodes_version(&self) -> u64 {
        self.shared.nodes_version()
    }

    /// All nodes, as of now. It takes a lock for the length of one pointer copy: keep the table and ask
    /// [`Reader::nodes_version`] whether it is still the newest.
    #[must_use]
    pub fn nodes(&self) -> Arc<NodeTable> {
        self.shared.nodes()
    }

    /// Weight in grams of a unit of a sku, and its length, width and height in millimetres.
    pub(crate) fn sku_measures(&self, sku: SkuIx) -> Option<(u32, [u16; 3])> {
        let skus = &self.shared.inventory.skus;
        Some((skus.facts(sku)?.weight_g, skus.size_mm(sku)?))
    }

    /// Code and group of a sku.
    pub(crate) fn sku_texts(&self, sku: SkuIx) -> Option<(String, String)> {
        self.shared.inventory.skus.view(sku).map(|view| (view.spec.code, view.spec.group))
    }

    /// All policies, as of now, under a lock as [`Reader::nodes`] is.
    pub(crate) fn policies(&self) -> Arc<PolicyTable> {
        self.shared.policies()
    }

    /// The version of [`Reader::policies`].
    pub(crate) fn policies_version(&self) -> u64 {
        self.shared.policies_version()
    }

    /// A tenant's policy: this version, or the one in force for 0.
    #[must_use]
    pub fn policy(&self, tenant: Tenant, version: u32) -> Option<PolicyView> {
        self.shared.policies().view(tenant, version)
    }

    /// A tenant's tariffs, with services from this handle on as long as `takes` has room for one.
    #[must_use]
    pub fn tariffs(
        &self,
        tenant: Tenant,
        from: ServiceIx,
        takes: impl FnMut(&ServiceSpec) -> bool,
    ) -> TariffsView {
        self.shared.nodes().tariffs.of(tenant).map(|tariffs| tariffs.view(from, takes)).unwrap_or_default()
    }

    /// What planning must know of a sku, of whichever tenant.
    #[must_use]
    pub fn sku(&self, sku: SkuIx) -> Option<SkuFacts> {
        self.shared.inventory.skus.facts(sku)
    }

    /// All cells of a sku, sorted by node and segment, each with what can be promised now. `false`, and nothing in
    /// `out`, where the sku is unknown or grew again and again meanwhile.
    pub fn stock(&self, sku: SkuIx, out: &mut Vec<CellStock>) -> bool {
        self.shared.inventory.stock(sku, out)
    }

    /// Calls `read` with the words of all of a sku's cells, for planning; see [`Inventory::read_run`]. `None` where the
    /// sku is unknown or grew again and again meanwhile.
    ///
    /// [`Inventory::read_run`]: crate::inventory::Inventory::read_run
    pub(crate) fn read_words<R>(&self, sku: SkuIx, read: impl FnMut(&[AtomicU64]) -> R) -> Option<R> {
        self.shared.inventory.read_run(sku, read)
    }

    /// How often a sku's run of cells moved; as long as it stays the same, no cell came or went. `None` while it moves,
    /// and where the sku is unknown.
    pub(crate) fn moves(&self, sku: SkuIx) -> Option<u32> {
        self.shared.inventory.moves(sku)
    }

    /// What can be promised of one cell; below 0 where it is short, `None` where there is no such cell.
    #[must_use]
    pub fn available(&self, sku: SkuIx, node: NodeIx, segment: Segment) -> Option<i32> {
        self.shared.inventory.available(sku, Place::new(node, segment))
    }

    /// Whole cells of a tenant's sku; `None` where the sku is unknown or changed again and again meanwhile.
    #[must_use]
    pub fn cells(&self, tenant: Tenant, sku: SkuIx) -> Option<Vec<CellView>> {
        self.own_sku(tenant, sku)?;
        self.shared.inventory.views(sku)
    }

    /// A reservation; `None` where it is unknown, or changed again and again meanwhile: ask the committer.
    #[must_use]
    pub fn show(&self, tenant: Tenant, id: &CommandId) -> Option<ReservationView> {
        self.shared.reservations.view(tenant, id, &self.shared.supplies)
    }

    /// The handle of a sku's code.
    #[must_use]
    pub fn resolve_sku(&self, tenant: Tenant, code: &str) -> Option<SkuIx> {
        self.shared.inventory.skus.find(tenant, code)
    }

    /// The handle of a node's code.
    #[must_use]
    pub fn resolve_node(&self, tenant: Tenant, code: &str) -> Option<NodeIx> {
        self.nodes().find(tenant, code)
    }

    /// At most `most` skus of a tenant, from a handle on.
    #[must_use]
    pub fn skus_page(&self, tenant: Tenant, from: SkuIx, most: usize) -> Vec<SkuView> {
        let skus = &self.shared.inventory.skus;
        let handles = (from.0..skus.len()).map(SkuIx).filter(|sku| self.own_sku(tenant, *sku).is_some());
        handles.filter_map(|sku| skus.view(sku)).take(most).collect()
    }

    /// At most `most` nodes of a tenant, from a handle on.
    #[must_use]
    pub fn nodes_page(&self, tenant: Tenant, from: NodeIx, most: usize) -> Vec<NodeView> {
        let table = self.nodes();
        let handles = (from.0..table.nodes.len() as u32).map(NodeIx);
        handles.filter_map(|node| table.view(tenant, node)).take(most).collect()
    }

    /// At most `most` kits of a tenant, from a handle on.
    #[must_use]
    pub fn kits_page(&self, tenant: Tenant, from: SkuIx, most: usize) -> Vec<KitSpec> {
        let nodes = self.nodes();
        nodes.kits.from(from).filter(|spec| self.own_sku(tenant, spec.kit).is_some()).take(most).collect()
    }

    /// At most `most` skus of a tenant that others may stand for, from a handle on.
    #[must_use]
    pub fn substitutes_page(&self, tenant: Tenant, from: SkuIx, most: usize) -> Vec<SubstituteSpec> {
        let nodes = self.nodes();
        let is_own = |spec: &SubstituteSpec| self.own_sku(tenant, spec.sku).is_some();
        nodes.substitutes.from(from).filter(is_own).take(most).collect()
    }

    /// What is taken of a node's day.
    pub(crate) fn taken_of(&self, node: NodeIx, day: u32) -> DayLoad {
        self.shared.days.taken(node, day)
    }

    /// What days of a tenant's nodes are taken, from a handle on: of so many nodes that there are `most` days or a few more.
    #[must_use]
    pub fn node_days(&self, tenant: Tenant, from: NodeIx, most: usize) -> Vec<NodeDay> {
        let nodes = self.nodes();
        let own = nodes.handles().skip(from.0 as usize).filter(|node| nodes.get(tenant, *node).is_some());
        let mut page: Vec<NodeDay> = Vec::new();
        for node in own {
            if page.len() >= most {
                break;
            }
            page.extend(self.shared.days.of_nodes(std::iter::once(node)));
        }
        page
    }

    /// At most `most` supplies of a tenant's cells, by sku, node, segment and code, after this one.
    #[must_use]
    pub fn supplies_page(&self, tenant: Tenant, after: Option<&SupplyKey>, most: usize) -> Vec<SupplySpec> {
        let (mut page, mut from) = (Vec::new(), after.cloned());
        // Not all under one lock: the writer waits for it, where supply changes.
        while page.len() < most {
            let looked_at: Vec<_> =
                self.shared.supplies.read().after(from.as_ref()).take(SUPPLY_AT_ONCE).collect();
            let Some(last) = looked_at.last() else { break };
            from = Some(last.key());
            page.extend(looked_at.into_iter().filter(|spec| self.own_sku(tenant, spec.sku).is_some()));
        }
        page.truncate(most);
        page
    }

    /// What is on its way, and who waits for it. The writer waits meanwhile, where supply changes.
    pub(crate) fn supplies(&self) -> RwLockReadGuard<'_, SupplyBook> {
        self.shared.supplies.read()
    }

    /// At most `most` of those who wait for supply of a tenant's cells, by sku, node, segment and turn, after this one; those
    /// alone whose supply is late, where only they are asked for: what is overdue at this time is, too.
    #[must_use]
    pub fn waiting_page(
        &self,
        tenant: Tenant,
        after: Option<WaitKey>,
        late: bool,
        most: usize,
        now: TimestampMs,
    ) -> Vec<WaitView> {
        let (mut page, mut from) = (Vec::new(), after);
        while page.len() < most {
            let looked_at: Vec<_> = self
                .shared
                .supplies
                .read()
                .waiting_after(from, Due::from(now))
                .take(SUPPLY_AT_ONCE)
                .collect();
            let Some((last, ..)) = looked_at.last() else { break };
            from = Some(*last);
            let views = looked_at.into_iter().map(|(key, _, wait, comes)| {
                let Wait { reservation, line, awaited, backordered, day: said_day, .. } = wait;
                let (day, overdue_since) = match comes {
                    Comes::On(day) => (Some(day), None),
                    Comes::OverdueSince(day) => (None, Some(day)),
                    Comes::Never => (None, None),
                };
                WaitView { key, reservation, line, awaited, backordered, said_day, day, overdue_since }
            });
            let is_late = |view: &WaitView| view.day.is_none_or(|day| day > view.said_day);
            let own = views.filter(|view| self.own_sku(tenant, view.key.sku).is_some());
            page.extend(own.filter(|view| !late || is_late(view)));
        }
        page.truncate(most);
        page
    }

    /// What can be promised: one atomic word per cell, so it is never a torn sum of a cell; cells of one sku are read
    /// one after the other. `None` where a sku grew again and again meanwhile: ask the committer. What supply adds is as of a time.
    ///
    /// # Errors
    /// Refusals of unknown skus, nodes and segments, and of an answer with more than `cells_max` cells.
    pub fn atp(
        &self,
        tenant: Tenant,
        question: &Atp,
        cells_max: usize,
        now: TimestampMs,
    ) -> Result<Option<AtpReply>, Refusal> {
        let lines_max = self.rules().lines_max;
        let listed = match &question.scope {
            Scope::Nodes(nodes) => nodes.len(),
            _ => 0,
        };
        if question.skus.is_empty() {
            return Err(Refusal::of(RefusalCode::EmptyList, Field::Line));
        }
        if question.skus.len().max(listed) > lines_max as usize {
            return Err(Refusal::of(RefusalCode::ListTooLong, Field::Line).detail(i64::from(lines_max)));
        }
        if question.segment.is_some_and(|segment| segment.0 >= Segment::LIMIT) {
            return Err(Refusal::of(RefusalCode::UnknownSegment, Field::Segment));
        }
        let nodes = self.nodes();
        let scope = ScopeFilter::new(&nodes, tenant, &question.scope)?;
        let due = question.by_day.map(|by| Due::until(now, by));
        let inventory = &self.shared.inventory;
        let mut reply = AtpReply { lsn: self.lsn(), skus: Vec::with_capacity(question.skus.len()) };
        let (mut stock, mut cells) = (Vec::new(), 0);
        for (index, sku) in question.skus.iter().enumerate() {
            if index % ATP_SKUS_AHEAD == 0 {
                let ahead = question.skus[index..].iter().take(ATP_SKUS_AHEAD);
                ahead.clone().for_each(|sku| inventory.skus.prefetch(*sku));
                ahead.for_each(|sku| inventory.prefetch_words(*sku));
            }
            self.own_sku(tenant, *sku).ok_or(Refusal::of(RefusalCode::UnknownSku, Field::Sku).at(index))?;
            let row = match nodes.kits.get(*sku) {
                None => self.atp_of(*sku, (question, due), &scope, &mut stock),
                Some(components) => {
                    let of = |part: &Component| self.atp_of(part.sku, (question, due), &scope, &mut stock);
                    let rows: Option<Vec<AtpSku>> = components.iter().map(of).collect();
                    rows.map(|rows| assembled(*sku, components, &rows))
                }
            };
            let Some(row) = row else { return Ok(None) };
            cells += row.cells.len();
            if cells > cells_max {
                let limit = i64::try_from(cells_max).unwrap_or(i64::MAX);
                return Err(Refusal::of(RefusalCode::ListTooLong, Field::Line).detail(limit));
            }
            reply.skus.push(row);
        }
        Ok(Some(reply))
    }

    /// What can be promised of a sku that is no kit; `None` where it grew again and again meanwhile.
    fn atp_of(
        &self,
        sku: SkuIx,
        (question, due): (&Atp, Option<Due>),
        scope: &ScopeFilter,
        stock: &mut Vec<CellStock>,
    ) -> Option<AtpSku> {
        if !self.stock(sku, stock) {
            return None;
        }
        let in_segment = |cell: &&CellStock| question.segment.is_none_or(|segment| segment == cell.segment);
        let mut row = AtpSku { sku, available: 0, short: 0, inbound: 0, cells: Vec::new() };
        // After the words: units that are received in between are missed rather than counted twice.
        let supply: BTreeMap<Place, u64> = match due {
            Some(due) => self.shared.supplies.read().free_of(sku, due).collect(),
            None => BTreeMap::new(),
        };
        for cell in stock.iter().filter(in_segment).filter(|cell| scope.has(cell.node)) {
            row.available += u64::from(cell.available.max(0).unsigned_abs());
            row.short += u64::from(cell.available.min(0).unsigned_abs());
            let comes = supply.get(&Place::new(cell.node, cell.segment)).copied().unwrap_or(0);
            let inbound = comes.saturating_sub(u64::from(cell.available.min(0).unsigned_abs()));
            row.inbound += inbound;
            if question.per_node && (cell.available != 0 || inbound > 0) {
                let (node, segment, available) = (cell.node, cell.segment, i64::from(cell.available));
                row.cells.push(AtpCell { node, segment, available, inbound });
            }
        }
        Some(row)
    }

    /// Calls `see` with every reservation of a tenant that is not ended; facts are left out.
    pub(crate) fn each_live_reservation(&self, tenant: Tenant, mut see: impl FnMut(&ReservationView)) {
        let reservations = &self.shared.reservations;
        for slot in 0..reservations.len() {
            match reservations.brief(slot) {
                Brief::Unused => return,
                Brief::Live(owner, view) if owner == tenant => see(&view),
                Brief::Live(..) | Brief::Other => {}
            }
        }
    }

    /// Whether a policy has orders looked at again once they are confirmed.
    #[must_use]
    pub fn has_replans(&self) -> bool {
        self.shared.policies().has_replans()
    }

    /// The next confirmed reservation of so many slots from this one on. One that changes meanwhile may be missed, or be confirmed no
    /// more.
    pub(crate) fn next_confirmed(&self, from: u32, most: u32) -> Passed {
        let reservations = &self.shared.reservations;
        for slot in from..from.saturating_add(most) {
            if slot >= reservations.len() || !reservations.slot(slot).meta().used {
                return Passed::All;
            }
            if reservations.slot(slot).meta().status == Status::Confirmed
                && let Brief::Live(tenant, view) = reservations.brief(slot)
            {
                return Passed::Found { slot, tenant, reservation: view.id };
            }
        }
        Passed::Nothing
    }

    /// Reservations of a tenant that wait for review, at most `most`, of so many slots from this one on.
    #[must_use]
    pub fn reviews_page(&self, tenant: Tenant, from: u32, slots: u32, most: usize) -> Reviews {
        let reservations = &self.shared.reservations;
        let mut page = Reviews::default();
        for slot in from..from.saturating_add(slots) {
            if page.waiting.len() >= most {
                return Reviews { next: Some(slot), ..page };
            }
            if slot >= reservations.len() || !reservations.slot(slot).meta().used {
                return page;
            }
            if reservations.slot(slot).meta().in_review
                && let Brief::Live(owner, brief) = reservations.brief(slot)
                && owner == tenant
                && let Some(view) = self.show(tenant, &brief.id).filter(|view| view.in_review)
            {
                page.waiting.push(ReviewView {
                    reservation: view.id,
                    class: view.class,
                    deadline: view.deadline,
                    units: view.rows.iter().map(|row| u64::from(row.held) + u64::from(row.awaited)).sum(),
                    value: view.order.as_ref().and_then(|order| order.value),
                    policy: view.plans.first().map_or(0, |plan| plan.policy),
                });
            }
        }
        Reviews { next: Some(from.saturating_add(slots)), ..page }
    }

    pub(crate) fn own_sku(&self, tenant: Tenant, sku: SkuIx) -> Option<SkuFacts> {
        self.sku(sku).filter(|facts| facts.tenant == tenant)
    }
}

/// What was met on the way over reservations.
pub(crate) enum Passed {
    /// A confirmed one.
    Found { slot: u32, tenant: Tenant, reservation: CommandId },
    /// None, in as many slots as were asked for.
    Nothing,
    /// There are no more.
    All,
}

/// Which nodes a question is about, as a bit per node.
struct ScopeFilter(Vec<bool>);

impl ScopeFilter {
    fn new(nodes: &NodeTable, tenant: Tenant, scope: &Scope) -> Result<Self, Refusal> {
        let active = |group: Option<&str>| {
            let is_in = |node: &crate::catalogue::Node| {
                node.tenant == tenant
                    && node.state == NodeState::Active
                    && group.is_none_or(|group| node.spec.group == group)
            };
            nodes.nodes.iter().map(is_in).collect()
        };
        let bits = match scope {
            Scope::All => active(None),
            Scope::Group(group) => {
                let bits: Vec<bool> = active(Some(group));
                let known =
                    |node: &crate::catalogue::Node| node.tenant == tenant && node.spec.group == *group;
                if !nodes.nodes.iter().any(known) {
                    return Err(Refusal::of(RefusalCode::UnknownNode, Field::Group));
                }
                bits
            }
            Scope::Nodes(listed) => {
                let mut bits = vec![false; nodes.nodes.len()];
                for (index, node) in listed.iter().enumerate() {
                    nodes
                        .get(tenant, *node)
                        .ok_or(Refusal::of(RefusalCode::UnknownNode, Field::Nodes).at(index))?;
                    bits[node.0 as usize] = true;
                }
                bits
            }
        };
        Ok(Self(bits))
    }

    fn has(&self, node: NodeIx) -> bool {
        self.0.get(node.0 as usize).copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use earmark_protocol::catalogue::SkuSpec;

    use super::*;
    use crate::State;
    use crate::rules::Capacity;
    use crate::sync::Ordering;

    #[test]
    fn a_question_about_a_sku_that_does_not_come_to_rest_is_left_to_the_committer() {
        let capacity = Capacity { skus: 1, sku_code_bytes: 64, ..Capacity::smallest() };
        let mut state = State::new(&capacity, Rules::default()).unwrap();
        let tenant = Tenant(0);
        state.skus.put(tenant, &SkuSpec { code: "S".into(), ..SkuSpec::default() });
        let (reader, skus) = (state.reader(), vec![SkuIx(0)]);
        let question = Atp { skus, scope: Scope::All, segment: None, per_node: false, by_day: None };
        let now = TimestampMs(0);
        assert!(matches!(reader.atp(tenant, &question, 1, now), Ok(Some(_))));
        let row = state.skus.skus.row(SkuIx(0)).unwrap();
        row.growths.fetch_add(1, Ordering::Relaxed);
        assert_eq!(reader.atp(tenant, &question, 1, now), Ok(None), "a growth has begun and does not end");
    }
}
