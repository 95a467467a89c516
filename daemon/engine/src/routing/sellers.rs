//! Lines that a seller sells: which nodes may serve each want for that.

use earmark_protocol::command::{Order, SellerLines};
use earmark_protocol::ids::Tenant;

use super::demand::Demand;
use crate::NodeTable;

/// By want: a bit per node that may serve it. Empty where no line is a seller's. Lines that are not of the order are left
/// aside: an order whose lines are routed again has some of them.
pub(super) fn by_want(order: &Order, demand: &Demand, table: &NodeTable, tenant: Tenant) -> Vec<Vec<u64>> {
    if order.sellers.is_empty() {
        return Vec::new();
    }
    let all = vec![u64::MAX; table.nodes.len().div_ceil(64)];
    let mut by_want = vec![all.clone(); demand.wants.len()];
    for SellerLines { seller, lines } in &order.sellers {
        let mut own = vec![0; all.len()];
        for (node, found) in table.nodes.iter().enumerate() {
            let is_own = found.tenant == tenant && found.spec.seller == *seller;
            own[node / 64] |= u64::from(is_own) << (node % 64);
        }
        for line in order.lines.iter().filter(|line| lines.contains(&line.line)) {
            if let Some(bits) = demand.find(line.sku).and_then(|want| by_want.get_mut(want)) {
                bits.clone_from(&own);
            }
        }
    }
    by_want
}

/// The same, of those nodes alone that rules leave of each want; where rules tell wants apart.
pub(super) fn within(sold: &[&[u64]], ruled: &[&[u64]]) -> Vec<Vec<u64>> {
    let both = |(want, sold): (usize, &&[u64])| match ruled.get(want) {
        Some(ruled) => sold.iter().zip(*ruled).map(|(sold, ruled)| sold & ruled).collect(),
        None => sold.to_vec(),
    };
    sold.iter().enumerate().map(both).collect()
}

/// As a scope has them.
pub(super) fn bits(by_want: &[Vec<u64>]) -> Vec<&[u64]> {
    by_want.iter().map(Vec::as_slice).collect()
}
