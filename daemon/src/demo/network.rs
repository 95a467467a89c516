//! The generated network: sixty nodes of all kinds at real metro positions, the skus, and addresses around the
//! metros. No stock and no orders.

use earmark_protocol::catalogue::{DayLoad, NodeKind, NodeSpec, SkuSpec, capabilities, sku_flags};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::Money;
use fastrand::Rng;

use super::metros::{METROS, Metro};

/// Group of the large fulfilment centres, which carry every sku.
pub const FC_GROUP: &str = "fc";
/// Skus of the generated network.
pub const SKUS: usize = 3_000;
/// Share of skus that need a node for large parcels.
const OVERSIZE_SHARE: f64 = 0.03;
/// Spread of addresses around a metro's core, in degrees: some 30 miles.
const ADDRESS_SPREAD_DEGREES: f64 = 0.3;

/// Metros of the large fulfilment centres: cheap land beside many people.
const FC_METROS: [&str; 6] = ["RIV", "DFW", "CHI", "ATL", "PHL", "SDF"];
/// Metros of the other distribution centres.
const DC_METROS: [&str; 14] =
    ["PHX", "SEA", "DEN", "MSP", "MCI", "HOU", "MEM", "IND", "CMH", "BWI", "CLT", "ORL", "SLC", "SAC"];
/// Metros of third parties' warehouses.
const THIRD_PARTY_METROS: [&str; 6] = ["LAS", "STL", "BNA", "BDL", "TPA", "OKC"];
/// Metros of vendors who ship for us.
const VENDOR_METROS: [&str; 6] = ["GRR", "PVD", "MKE", "RIC", "ELP", "BOI"];
/// Metros of suppliers, who stock us and ship to nobody else.
const SUPPLIER_METROS: [&str; 2] = ["OMA", "TUL"];

/// The nodes: one per metro. Metros that stand in none of the lists above have a store.
#[must_use]
pub fn nodes() -> Vec<NodeSpec> {
    METROS.iter().map(node).collect()
}

fn node(metro: &Metro) -> NodeSpec {
    let all_parcels = capabilities::SHIP | sku_flags::OVERSIZE;
    let store = capabilities::SHIP | capabilities::PICKUP;
    let is_in = |list: &[&str]| list.contains(&metro.code);
    // Costs of a shipment, a line and a unit in cents. Picking among shoppers costs more than in a warehouse, and
    // third parties and vendors charge for the order.
    let (prefix, kind, group, capabilities, cents) = if is_in(&FC_METROS) {
        ("FC", NodeKind::Dc, FC_GROUP, all_parcels, [30, 5, 3])
    } else if is_in(&DC_METROS) {
        ("DC", NodeKind::Dc, "dc", all_parcels, [45, 8, 5])
    } else if is_in(&THIRD_PARTY_METROS) {
        ("3PL", NodeKind::ThirdParty, "3pl", all_parcels, [90, 15, 6])
    } else if is_in(&VENDOR_METROS) {
        ("VENDOR", NodeKind::Vendor, "vendor", capabilities::SHIP, [150, 0, 0])
    } else if is_in(&SUPPLIER_METROS) {
        ("SUPPLIER", NodeKind::Supplier, "supplier", 0, [0, 0, 0])
    } else {
        ("STORE", NodeKind::Store, "store", store, [120, 30, 10])
    };
    let [cost_per_order, cost_per_line, cost_per_unit] = cents.map(|cents| Money(cents * 10_000));
    NodeSpec {
        code: format!("{prefix}-{}", metro.code),
        kind,
        position: position(metro.lat, metro.lon),
        time_zone: metro.time_zone.to_owned(),
        group: group.to_owned(),
        priority: 0,
        capabilities,
        cost_per_order,
        cost_per_line,
        cost_per_unit,
        calendar: String::new(),
        postal: String::new(),
        day_limit: DayLoad::default(),
        seller: String::new(),
    }
}

/// The skus, the most wanted first.
#[must_use]
pub fn skus(rng: &mut Rng) -> Vec<SkuSpec> {
    (0..SKUS)
        .map(|index| {
            // The hottest skus are small things that every node can ship.
            let is_large = index >= SKUS / 100 && rng.f64() < OVERSIZE_SHARE;
            SkuSpec {
                code: format!("SKU-{:04}", index + 1),
                weight_g: if is_large { rng.u32(8_000..30_000) } else { rng.u32(40..2_500) },
                flags: if is_large { sku_flags::OVERSIZE } else { 0 },
                group: format!("family-{:02}", index % 40),
                size_mm: [0; 3],
            }
        })
        .collect()
}

/// Addresses around metros, drawn by population.
#[derive(Clone, Debug)]
pub struct Addresses {
    reach: Vec<u64>,
}

impl Addresses {
    /// Of all metros.
    #[must_use]
    pub fn new() -> Self {
        let mut sum = 0;
        let reach = METROS.iter().map(|metro| {
            sum += u64::from(metro.thousands);
            sum
        });
        Self { reach: reach.collect() }
    }

    /// One address.
    pub fn draw(&self, rng: &mut Rng) -> Position {
        let all = self.reach.last().copied().unwrap_or_default();
        let drawn = rng.u64(0..all);
        let metro = &METROS[self.reach.partition_point(|&reach| reach <= drawn)];
        // The sum of three uniform numbers is bell-shaped enough and never far out.
        let mut around = |middle: f64| {
            let bell = rng.f64() + rng.f64() + rng.f64() - 1.5;
            middle + bell * ADDRESS_SPREAD_DEGREES
        };
        position(around(metro.lat), around(metro.lon))
    }
}

impl Default for Addresses {
    fn default() -> Self {
        Self::new()
    }
}

fn position(lat: f64, lon: f64) -> Position {
    Position::from_degrees(lat, lon).expect("metros lie on the globe, a degree from its edges")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_has_sixty_nodes_of_every_kind_and_suppliers_do_not_ship() {
        let nodes = nodes();
        assert_eq!(nodes.len(), 60);
        for (kind, at_least) in [
            (NodeKind::Dc, 20),
            (NodeKind::Store, 26),
            (NodeKind::ThirdParty, 6),
            (NodeKind::Vendor, 6),
            (NodeKind::Supplier, 2),
        ] {
            assert_eq!(nodes.iter().filter(|node| node.kind == kind).count(), at_least, "{kind:?}");
        }
        for node in &nodes {
            let ships = node.capabilities & capabilities::SHIP != 0;
            assert_eq!(ships, node.kind != NodeKind::Supplier, "{}", node.code);
        }
        assert_eq!(nodes.iter().filter(|node| node.group == FC_GROUP).count(), 6);
    }

    #[test]
    fn more_people_get_more_parcels() {
        let (addresses, mut rng) = (Addresses::new(), Rng::with_seed(1));
        let near = |metro: &Metro, drawn: &[Position]| {
            let core = position(metro.lat, metro.lon);
            drawn.iter().filter(|address| address.miles_to(core) < 40).count()
        };
        let drawn: Vec<_> = (0..20_000).map(|_| addresses.draw(&mut rng)).collect();
        let (new_york, boise) = (near(&METROS[0], &drawn), near(&METROS[59], &drawn));
        assert!(new_york > 10 * boise && boise > 20, "{new_york} and {boise}");
    }
}
