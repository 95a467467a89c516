//! The table of nodes: small, changed seldom, published whole.

use std::collections::HashMap;
use std::sync::Arc;

use earmark_protocol::catalogue::{NodeSpec, NodeState};
use earmark_protocol::ids::{NodeIx, Tenant};
use earmark_protocol::reply::NodeView;

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
    by_code: Arc<HashMap<(Tenant, String), NodeIx>>,
}

impl NodeTable {
    /// A node of a tenant by its handle.
    #[must_use]
    pub fn get(&self, tenant: Tenant, node: NodeIx) -> Option<&Node> {
        self.nodes.get(node.0 as usize).filter(|found| found.tenant == tenant)
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

    pub(crate) fn set_state(&mut self, node: NodeIx, state: NodeState) {
        self.version += 1;
        self.nodes[node.0 as usize].state = state;
    }
}
