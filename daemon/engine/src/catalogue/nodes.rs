//! The table of nodes with their calendars, and what else plans are made by: small, changed seldom, published whole.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use earmark_protocol::catalogue::{CalendarSpec, NodeSpec, NodeState};
use earmark_protocol::ids::{NodeIx, SkuIx, Tenant};
use earmark_protocol::kit::Component;
use earmark_protocol::reply::NodeView;
use earmark_protocol::tariff::PutTariffs;

use super::kits::Kits;
use super::substitutes::Substitutes;
use crate::tariff::TariffTable;

/// A node as planners and the committer see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Whose it is.
    pub tenant: Tenant,
    /// Whether it takes part.
    pub state: NodeState,
    /// The rest.
    pub spec: Arc<NodeSpec>,
}

/// All nodes at one version. The place in `nodes` is the handle.
#[derive(Clone, Debug, Default)]
pub struct NodeTable {
    /// Grows with every change.
    pub version: u64,
    /// The nodes of all tenants.
    pub nodes: Vec<Node>,
    /// What carriers charge, published together with the nodes: a plan prices by both.
    pub(crate) tariffs: Arc<TariffTable>,
    /// What kits are put together of.
    pub(crate) kits: Arc<Kits>,
    /// What may stand for skus.
    pub(crate) substitutes: Arc<Substitutes>,
    by_code: Arc<HashMap<(Tenant, String), NodeIx>>,
    calendars: Arc<BTreeMap<(Tenant, String), CalendarSpec>>,
}

impl NodeTable {
    /// A node of a tenant by its handle.
    #[must_use]
    pub fn get(&self, tenant: Tenant, node: NodeIx) -> Option<&Node> {
        self.nodes.get(node.0 as usize).filter(|found| found.tenant == tenant)
    }

    /// The handles of all nodes.
    pub(crate) fn handles(&self) -> impl Iterator<Item = NodeIx> + use<> {
        (0..self.nodes.len() as u32).map(NodeIx)
    }

    /// The node of a code.
    #[must_use]
    pub fn find(&self, tenant: Tenant, code: &str) -> Option<NodeIx> {
        self.by_code.get(&(tenant, code.to_owned())).copied()
    }

    /// A node as clients see it.
    #[must_use]
    pub fn view(&self, tenant: Tenant, node: NodeIx) -> Option<NodeView> {
        let found = self.get(tenant, node)?;
        Some(NodeView { node, state: found.state, spec: NodeSpec::clone(&found.spec) })
    }

    pub(crate) fn put(&mut self, tenant: Tenant, spec: &NodeSpec) {
        self.version += 1;
        match self.find(tenant, &spec.code) {
            Some(node) => self.nodes[node.0 as usize].spec = Arc::new(spec.clone()),
            None => self.push(tenant, NodeState::Active, spec.clone()),
        }
    }

    /// A node behind all others.
    pub(crate) fn push(&mut self, tenant: Tenant, state: NodeState, spec: NodeSpec) {
        let node = NodeIx(u32::try_from(self.nodes.len()).expect("capacity.nodes is checked"));
        Arc::make_mut(&mut self.by_code).insert((tenant, spec.code.clone()), node);
        self.nodes.push(Node { tenant, state, spec: Arc::new(spec) });
    }

    /// The calendar of a code.
    #[must_use]
    pub fn calendar(&self, tenant: Tenant, code: &str) -> Option<&CalendarSpec> {
        self.calendars.get(&(tenant, code.to_owned()))
    }

    /// At most `most` calendars of a tenant, by code, after this one.
    #[must_use]
    pub fn calendars_page(&self, tenant: Tenant, after: &str, most: usize) -> Vec<CalendarSpec> {
        let from = (Bound::Excluded((tenant, after.to_owned())), Bound::Unbounded);
        let page = self.calendars.range(from).take_while(|((of, _), _)| *of == tenant);
        page.take(most).map(|(_, spec)| spec.clone()).collect()
    }

    /// The calendars of all tenants.
    pub(crate) fn calendars(&self) -> impl Iterator<Item = (Tenant, &CalendarSpec)> {
        self.calendars.iter().map(|((tenant, _), spec)| (*tenant, spec))
    }

    /// How many calendars there are.
    pub(crate) fn calendars_len(&self) -> usize {
        self.calendars.len()
    }

    pub(crate) fn put_calendar(&mut self, tenant: Tenant, spec: &CalendarSpec) {
        self.version += 1;
        Arc::make_mut(&mut self.calendars).insert((tenant, spec.code.clone()), spec.clone());
    }

    /// Takes a tenant's tariffs, which are of this version afterwards.
    pub(crate) fn put_tariffs(&mut self, tenant: Tenant, version: u32, put: &PutTariffs) {
        self.version += 1;
        Arc::make_mut(&mut self.tariffs).put(tenant, version, put);
    }

    pub(crate) fn put_kit(&mut self, kit: SkuIx, components: &[Component]) {
        self.version += 1;
        Arc::make_mut(&mut self.kits).put(kit, components);
    }

    pub(crate) fn put_substitutes(&mut self, sku: SkuIx, substitutes: &[SkuIx]) {
        self.version += 1;
        Arc::make_mut(&mut self.substitutes).put(sku, substitutes);
    }

    pub(crate) fn set_state(&mut self, node: NodeIx, state: NodeState) {
        self.version += 1;
        self.nodes[node.0 as usize].state = state;
    }
}
