//! Codes at the command line, handles on the wire: looks up one for the other.

use std::collections::{BTreeSet, HashMap};

use earmark_protocol::client::Client;
use earmark_protocol::command::{Delivery, Order};
use earmark_protocol::ids::{NodeIx, ServiceIx, SkuIx};
use earmark_protocol::query::Query;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{NodeView, Plan, Reply, ReservationView};

use super::outcome::Failure;
use super::tariff::{service_name, tariffs};
use crate::data::load;

/// Handles of codes; an unknown one is a refusal that names it.
pub(super) async fn handles(
    client: &Client,
    skus: &[&str],
    nodes: &[&str],
) -> Result<(Vec<SkuIx>, Vec<NodeIx>), Failure> {
    let (sku_handles, node_handles) = load::resolve(client, skus, nodes).await?;
    let known_skus = known(skus, sku_handles, RefusalCode::UnknownSku, Field::Sku)?;
    let known_nodes = known(nodes, node_handles, RefusalCode::UnknownNode, Field::Node)?;
    Ok((known_skus, known_nodes))
}

/// The handle of one node.
pub(super) async fn node(client: &Client, code: &str) -> Result<NodeIx, Failure> {
    let (_, nodes) = handles(client, &[], &[code]).await?;
    nodes.first().copied().ok_or_else(|| Failure::unexpected("looking up a node"))
}

fn known<T>(
    codes: &[&str],
    handles: Vec<Option<T>>,
    code: RefusalCode,
    field: Field,
) -> Result<Vec<T>, Failure> {
    let attempted = "looking up codes";
    let place = handles.iter().position(Option::is_none);
    if let Some(place) = place {
        let named = codes.get(place).copied();
        return Err(Failure::refusal(attempted, &Refusal::of(code, field), named));
    }
    Ok(handles.into_iter().flatten().collect())
}

/// Codes of the handles that stand in an answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    skus: HashMap<SkuIx, String>,
    nodes: HashMap<NodeIx, String>,
    services: HashMap<ServiceIx, String>,
    sellers: HashMap<NodeIx, String>,
}

/// Handles that need names.
#[derive(Clone, Debug, Default)]
pub(super) struct Unnamed {
    skus: BTreeSet<SkuIx>,
    nodes: BTreeSet<NodeIx>,
    has_services: bool,
}

impl Unnamed {
    /// Those of a plan.
    pub(super) fn plan(&mut self, plan: &Plan) {
        for shipment in &plan.shipments {
            self.nodes.insert(shipment.node);
            self.has_services |= shipment.carriage.is_some();
            self.skus.extend(shipment.lines.iter().map(|line| line.sku));
        }
        self.skus.extend(plan.substituted.iter().flat_map(|line| [line.ordered, line.sent]));
    }

    /// Those of an order.
    pub(super) fn order(&mut self, order: &Order) {
        self.skus.extend(order.lines.iter().map(|line| line.sku));
        self.nodes.extend(&order.nodes);
        if let Delivery::Pickup { node } | Delivery::ToStore { node } = order.delivery {
            self.nodes.insert(node);
        }
    }

    /// Those of a reservation.
    pub(super) fn reservation(&mut self, view: &ReservationView) {
        for row in &view.rows {
            self.skus.insert(row.sku);
            self.nodes.insert(row.node);
        }
        view.order.iter().for_each(|order| self.order(order));
        view.plans.iter().for_each(|plan| self.plan(plan));
    }

    /// Those of a cell.
    pub(super) fn cell(&mut self, sku: SkuIx, node: NodeIx) {
        self.skus.insert(sku);
        self.nodes.insert(node);
    }

    /// A sku.
    pub(super) fn sku(&mut self, sku: SkuIx) {
        self.skus.insert(sku);
    }

    /// A node.
    pub(super) fn node(&mut self, node: NodeIx) {
        self.nodes.insert(node);
    }
}

impl Names {
    /// Asks the daemon's catalogue for the names of all these, a page at a time.
    pub(super) async fn of(client: &Client, mut unnamed: Unnamed) -> Result<Self, Failure> {
        let attempted = "looking up the names of skus and nodes";
        let mut names = Self::default();
        while let Some(from) = unnamed.skus.pop_first() {
            let Reply::Skus(page) = query(client, Query::Skus { from }, attempted).await? else {
                return Err(Failure::unexpected(attempted));
            };
            for sku in page {
                unnamed.skus.remove(&sku.sku);
                names.skus.insert(sku.sku, sku.spec.code);
            }
        }
        while let Some(from) = unnamed.nodes.pop_first() {
            let Reply::Nodes(page) = query(client, Query::Nodes { from }, attempted).await? else {
                return Err(Failure::unexpected(attempted));
            };
            for node in page {
                unnamed.nodes.remove(&node.node);
                names.sellers.insert(node.node, node.spec.seller);
                names.nodes.insert(node.node, node.spec.code);
            }
        }
        if unnamed.has_services {
            let services = tariffs(client, "looking up the names of services").await?.services;
            names.services = services.iter().map(|view| (view.service, service_name(&view.spec))).collect();
        }
        Ok(names)
    }

    /// A sku's code.
    #[must_use]
    pub(super) fn sku(&self, sku: SkuIx) -> String {
        self.skus.get(&sku).cloned().unwrap_or_else(|| format!("sku #{sku}"))
    }

    /// A node's code.
    #[must_use]
    pub(super) fn node(&self, node: NodeIx) -> String {
        self.nodes.get(&node).cloned().unwrap_or_else(|| format!("node #{node}"))
    }

    /// The seller of a node; empty for none.
    #[must_use]
    pub(super) fn seller(&self, node: NodeIx) -> &str {
        self.sellers.get(&node).map_or("", String::as_str)
    }

    /// A service's name, CARRIER/SERVICE.
    #[must_use]
    pub(super) fn service(&self, service: ServiceIx) -> String {
        self.services.get(&service).cloned().unwrap_or_else(|| format!("service #{service}"))
    }
}

/// All nodes of the tenant.
pub(super) async fn all_nodes(client: &Client) -> Result<Vec<NodeView>, Failure> {
    let behind = |last: Option<&NodeView>| Query::Nodes { from: node_behind(last.map(|last| last.node)) };
    all_pages(client, "listing nodes", behind, |reply| match reply {
        Reply::Nodes(page) => Some(page),
        _ => None,
    })
    .await
}

/// The first node that may stand behind this one in a list.
#[must_use]
pub(super) fn node_behind(node: Option<NodeIx>) -> NodeIx {
    node.map_or(NodeIx(0), |node| NodeIx(node.0 + 1))
}

/// The first sku that may stand behind this one in a list.
#[must_use]
pub(super) fn sku_behind(sku: Option<SkuIx>) -> SkuIx {
    sku.map_or(SkuIx(0), |sku| SkuIx(sku.0 + 1))
}

/// A whole list, asked for page by page until one is empty: `behind` asks for what stands behind the last row so far, `page`
/// takes the rows out of the answer.
pub(super) async fn all_pages<T>(
    client: &Client,
    attempted: &str,
    behind: impl Fn(Option<&T>) -> Query,
    page: impl Fn(Reply) -> Option<Vec<T>>,
) -> Result<Vec<T>, Failure> {
    let mut rows = Vec::new();
    loop {
        match page(query(client, behind(rows.last()), attempted).await?) {
            Some(more) if more.is_empty() => return Ok(rows),
            Some(more) => rows.extend(more),
            None => return Err(Failure::unexpected(attempted)),
        }
    }
}

/// Asks; a refusal is a failure.
pub(super) async fn query(client: &Client, query: Query, attempted: &str) -> Result<Reply, Failure> {
    match client.query(query).await.map_err(|error| Failure::client(attempted, &error))? {
        Reply::Refused(refused) => Err(Failure::refusal(attempted, &refused.refusal, None)),
        reply => Ok(reply),
    }
}
