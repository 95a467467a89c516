//! An engine's state and a model's, compared: quantities, reservations, catalogue, who gives way.

use std::collections::BTreeMap;

use earmark_engine::{Reader, State, quantities};
use earmark_protocol::ids::{CommandId, NodeIx, SkuIx, Tenant};
use earmark_protocol::reply::DigestReply;
use earmark_protocol::supply::{SupplySpec, WaitView};

use crate::model::Model;

/// Every quantity of every cell, and the sums over them.
pub(crate) fn compare(model: &Model, reader: &Reader, state: &State) {
    model.assert_sound();
    assert_eq!(reader.lsn(), model.lsn, "the last Lsn");
    for (place, sku) in model.catalogue.skus.iter().enumerate() {
        let ix = SkuIx(place as u32);
        let cells = reader.cells(sku.tenant, ix);
        assert_eq!(cells, Some(model.cells(ix)), "the cells of sku {ix}");
    }
    for (key, cell) in &model.stock.cells {
        let seen = reader.available(key.0, key.1, key.2).map(i64::from);
        assert_eq!(seen, Some(cell.promise()), "what can be promised of {key:?}");
    }
    for tenant in [Tenant(0), Tenant(1)] {
        let seen = DigestReply { state: 0, ..quantities(state, tenant) };
        assert_eq!(seen, model.quantities(tenant), "the sums of tenant {tenant}");
    }
}

/// One reservation; an ended one may be forgotten.
pub(crate) fn compare_reservation(model: &Model, reader: &Reader, tenant: Tenant, id: CommandId) {
    let seen = reader.show(tenant, &id);
    let expected = model.view(tenant, id);
    if seen.is_none() {
        let known = model.reservations.get(&(tenant, id));
        let is_fair = known.is_none_or(|known| model.may_be_forgotten(known));
        assert!(is_fair, "reservation {id} is forgotten: {known:?}");
    } else {
        assert_eq!(seen, expected, "reservation {id}");
    }
}

/// All reservations, the catalogue, and who gives way where a cell is short.
pub(crate) fn compare_all(model: &Model, reader: &Reader) {
    for (tenant, id) in model.reservations.keys() {
        compare_reservation(model, reader, *tenant, *id);
    }
    for (place, sku) in model.catalogue.skus.iter().enumerate() {
        let ix = SkuIx(place as u32);
        assert_eq!(reader.resolve_sku(sku.tenant, &sku.spec.code), Some(ix));
        let seen = reader.skus_page(sku.tenant, ix, 1);
        assert_eq!((&seen[0].spec, seen[0].retired), (&sku.spec, sku.retired));
    }
    for (place, node) in model.catalogue.nodes.iter().enumerate() {
        let ix = NodeIx(place as u32);
        assert_eq!(reader.resolve_node(node.tenant, &node.spec.code), Some(ix));
        let seen = reader.nodes_page(node.tenant, ix, 1);
        assert_eq!((&seen[0].spec, seen[0].state), (&node.spec, node.state));
    }
    for tenant in [Tenant(0), Tenant(1)] {
        assert_eq!(reader.kits_page(tenant, SkuIx(0), usize::MAX), model.kits_of(tenant), "the kits");
        let seen = reader.substitutes_page(tenant, SkuIx(0), usize::MAX);
        assert_eq!(seen, model.substitutes_of(tenant), "the substitutes");
    }
    let days = |tenant| reader.node_days(tenant, NodeIx(0), usize::MAX);
    let seen: BTreeMap<_, _> = [0, 1]
        .into_iter()
        .flat_map(|tenant| days(Tenant(tenant)))
        .map(|of| ((of.node, of.day), of.taken))
        .collect();
    assert_eq!(seen, model.day_loads(), "what days of nodes are taken");
    for tenant in [Tenant(0), Tenant(1)] {
        let mut seen: Vec<SupplySpec> = Vec::new();
        loop {
            let page = reader.supplies_page(tenant, seen.last().map(SupplySpec::key).as_ref(), 2);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        let seen: Vec<_> = seen.iter().map(|spec| (spec.key(), (spec.quantity, spec.day))).collect();
        let own = model.supplies.iter().filter(|(key, _)| model.catalogue.sku(tenant, key.sku).is_some());
        let own: Vec<_> = own.map(|(key, expected)| (key.clone(), *expected)).collect();
        assert_eq!(seen, own, "what is on its way, of tenant {tenant}");
        let mut seen: Vec<WaitView> = Vec::new();
        loop {
            let page = reader.waiting_page(tenant, seen.last().map(|wait| wait.key), false, 3, model.now);
            if page.is_empty() {
                break;
            }
            seen.extend(page);
        }
        let is_late = |wait: &&WaitView| wait.day.is_none_or(|day| day > wait.said_day);
        let late: Vec<_> = seen.iter().filter(is_late).copied().collect();
        assert_eq!(
            reader.waiting_page(tenant, None, true, usize::MAX, model.now),
            late,
            "who is served late"
        );
        seen.iter_mut().for_each(|wait| wait.key.turn = 0);
        assert_eq!(seen, model.waiting(tenant), "who waits, of tenant {tenant}");
    }
    for (key, cell) in model.stock.cells.iter().filter(|(_, cell)| cell.available() < 0) {
        let tenant = model.catalogue.skus[key.0.0 as usize].tenant;
        let seen: Vec<_> = reader
            .claims_on(tenant, key.0, key.1, key.2)
            .into_iter()
            .map(|claim| (claim.reservation, claim.line, claim.units, claim.confirmed))
            .collect();
        assert_eq!(seen, model.claims_on(tenant, *key), "the claims on {key:?}: {cell:?}");
    }
}
