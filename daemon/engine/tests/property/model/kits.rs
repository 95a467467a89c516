//! Kits: what they may be, how an order for them reads in components, and how often one can be promised.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::command::{Order, OrderLine};
use earmark_protocol::ids::{LineId, NodeIx, QUANTITY_MAX, Segment, SkuIx, Tenant};
use earmark_protocol::kit::{COMPONENTS_MAX, Component, KitSpec};
use earmark_protocol::query::Atp;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{AtpCell, AtpSku, Plan};

use super::catalogue::listed;
use super::stock::too_large_at;
use super::{Model, Noes, Wish, Wished, Yes};

impl Model {
    pub(super) fn put_kits(&mut self, tenant: Tenant, specs: &[KitSpec]) -> Result<Yes, Refusal> {
        let mut noes = Noes::default();
        noes.list(Field::Line, specs.len(), false, self.rules.lines_max);
        let mut after = self.catalogue.kits.clone();
        for spec in specs {
            after.remove(&spec.kit);
        }
        let others: BTreeSet<SkuIx> = after.values().flatten().map(|component| component.sku).collect();
        for spec in specs.iter().filter(|spec| !spec.components.is_empty()) {
            after.insert(spec.kit, spec.components.clone());
        }
        let mut kits = BTreeSet::new();
        for (index, KitSpec { kit, components }) in specs.iter().enumerate() {
            if self.catalogue.sku(tenant, *kit).is_none() {
                noes.at(RefusalCode::UnknownSku, Field::Sku, index);
            } else if !components.is_empty() {
                if self.stock.cells.keys().any(|(sku, ..)| sku == kit) {
                    noes.at(RefusalCode::SkuStocked, Field::Sku, index);
                }
                if others.contains(kit) {
                    noes.at(RefusalCode::KitOfKits, Field::Sku, index);
                }
            }
            if !kits.insert(*kit) {
                noes.at(RefusalCode::LineTwice, Field::Line, index);
            }
            if components.len() > COMPONENTS_MAX {
                let refusal = Refusal::of(RefusalCode::ListTooLong, Field::Component);
                noes.push(refusal.at(index).detail(COMPONENTS_MAX as i64));
            }
            let mut skus = BTreeSet::new();
            for component in components {
                match component.quantity {
                    0 => noes.at(RefusalCode::QuantityZero, Field::Quantity, index),
                    1..=QUANTITY_MAX => {}
                    _ => noes.push(too_large_at(index)),
                }
                if self.catalogue.sku(tenant, component.sku).is_none() {
                    noes.at(RefusalCode::UnknownSku, Field::Component, index);
                }
                if !skus.insert(component.sku) {
                    noes.at(RefusalCode::LineTwice, Field::Component, index);
                }
                if after.contains_key(&component.sku) {
                    noes.at(RefusalCode::KitOfKits, Field::Component, index);
                }
            }
        }
        match noes.first() {
            Some(refusal) => Err(refusal),
            None => {
                self.catalogue.kits = after;
                Ok(listed(specs.len()))
            }
        }
    }

    /// The kits of a tenant.
    pub(crate) fn kits_of(&self, tenant: Tenant) -> Vec<KitSpec> {
        let own = self.catalogue.kits.iter().filter(|(kit, _)| self.catalogue.sku(tenant, **kit).is_some());
        own.map(|(kit, components)| KitSpec { kit: *kit, components: components.clone() }).collect()
    }

    /// What a kit in sale is put together of.
    fn components(&self, sku: SkuIx) -> Option<&Vec<Component>> {
        let components = self.catalogue.kits.get(&sku)?;
        (!self.catalogue.skus[sku.0 as usize].retired).then_some(components)
    }

    /// An order's lines as they are planned, less the kits that a plan leaves out.
    pub(super) fn in_components(&self, order: &Order, left_out: &BTreeMap<LineId, u32>) -> Vec<Wished> {
        let mut wished = Vec::new();
        for line in &order.lines {
            let wish = |sku, quantity| Wished { line: line.line, sku, quantity };
            match self.components(line.sku) {
                None => wished.push(wish(line.sku, line.quantity)),
                Some(components) => {
                    let left_out = left_out.get(&line.line).copied().unwrap_or(0);
                    let kits = line.quantity.saturating_sub(left_out);
                    let parts = components.iter().map(|part| wish(part.sku, kits * part.quantity));
                    wished.extend(parts.filter(|_| kits > 0));
                }
            }
        }
        wished
    }

    /// Which line of the order a refusal means that speaks of a line as it is planned; and what is there, in kits.
    pub(super) fn of_order(&self, wish: &Wish<'_>, refusal: Refusal) -> Refusal {
        let is_of_line = matches!(refusal.field, Field::Line | Field::Sku);
        let Some(at) = refusal.index.filter(|_| is_of_line && wish.without.is_none()) else { return refusal };
        let part = wish.lines[at as usize];
        let place =
            wish.order.lines.iter().position(|line| line.line == part.line).expect("it is of the order");
        let components = self.components(wish.order.lines[place].sku).into_iter().flatten();
        let per_kit = components.filter(|one| one.sku == part.sku).map(|one| i64::from(one.quantity)).next();
        let per_kit = per_kit.filter(|_| refusal.code == RefusalCode::OutOfStock).unwrap_or(1);
        refusal.at(place).detail(refusal.detail / per_kit)
    }

    /// The kits that a plan leaves out, by line, and the plan without them.
    pub(super) fn kits_left_out(&self, order: &Order, plan: &Plan) -> (BTreeMap<LineId, u32>, Plan) {
        let is_kit = |line: LineId| {
            order.lines.iter().any(|own| own.line == line && self.components(own.sku).is_some())
        };
        let (of_kits, unfilled): (Vec<_>, Vec<_>) =
            plan.unfilled.iter().copied().partition(|left| is_kit(left.line));
        let left_out = of_kits.into_iter().map(|left| (left.line, left.quantity)).collect();
        (left_out, Plan { unfilled, ..plan.clone() })
    }

    /// Whether an order of which something can be had may be refused for this: none of its kits can be had whole, and nothing
    /// else.
    pub(super) fn may_lack_kits(&self, wish: &Wish<'_>, refusal: Refusal) -> bool {
        let kits = || wish.order.lines.iter().any(|line| self.components(line.sku).is_some());
        let is_of_line =
            matches!(refusal.field, Field::Line | Field::Sku) && refusal.code >= RefusalCode::SkuRetired;
        let limit = self.shipments_max(wish);
        let of_limit = Refusal::of(RefusalCode::TooManyShipments, Field::Shipments).detail(limit as i64);
        let is_known = is_of_line || refusal == of_limit;
        if wish.without.is_some() || !wish.best_effort || !kits() || !is_known {
            return false;
        }
        let mut noes = Noes::default();
        self.judge_named_nodes(&mut noes, wish);
        let none_of = |line: &OrderLine| match self.components(line.sku) {
            None => self.served(wish, line.sku, 1) == 0,
            Some(components) => components.iter().any(|component| {
                let units = i64::from(component.quantity);
                self.served(wish, component.sku, units) < units
            }),
        };
        let limited = limit < usize::MAX;
        noes.first().is_none() && (limited || wish.order.lines.iter().all(none_of))
    }

    /// Of each kit's line of which something is left out, one more kit is too much for some component.
    pub(super) fn judge_kits_left_out(
        &self,
        wish: &Wish<'_>,
        rest: &Wish<'_>,
        left_out: &BTreeMap<LineId, u32>,
    ) -> Result<(), String> {
        for line in wish.order.lines.iter().filter(|line| left_out.contains_key(&line.line)) {
            let components = self.components(line.sku).expect("only kits are left out so");
            let is_short = components.iter().any(|component| {
                let rest = rest.lines.iter().filter(|part| part.sku == component.sku);
                let taken: i64 = rest.map(|part| i64::from(part.quantity)).sum();
                let wanted = taken + i64::from(component.quantity);
                self.served(wish, component.sku, wanted) < wanted
            });
            if !is_short {
                return Err(format!("one more kit of {line:?} can be had"));
            }
        }
        Ok(())
    }

    /// How often a kit can be promised, where this is what can be of its components.
    pub(super) fn atp_of_kit(&self, atp: &Atp, kit: SkuIx, components: &[Component]) -> AtpSku {
        let each = Atp { per_node: true, ..atp.clone() };
        let rows: Vec<(u64, AtpSku)> = components
            .iter()
            .map(|component| (u64::from(component.quantity), self.atp_of(&each, component.sku)))
            .collect();
        let least = |of: &dyn Fn(&AtpSku) -> u64| rows.iter().map(|(per, row)| of(row) / per).min();
        let sums = [least(&|row| row.available), least(&|row| row.available + row.inbound)];
        let places: BTreeSet<(NodeIx, Segment)> =
            rows.iter().flat_map(|(_, row)| &row.cells).map(|cell| (cell.node, cell.segment)).collect();
        let cells = places.into_iter().filter_map(|(node, segment)| {
            let of = |row: &AtpSku| {
                let cell = row.cells.iter().find(|cell| (cell.node, cell.segment) == (node, segment));
                cell.map_or((0, 0), |cell| (cell.available.max(0) as u64, cell.inbound))
            };
            let available = least(&|row| of(row).0)?;
            let inbound = least(&|row| of(row).0 + of(row).1)? - available;
            let cell = AtpCell { node, segment, available: available as i64, inbound };
            (available + inbound > 0).then_some(cell)
        });
        let cells = if atp.per_node { cells.collect() } else { Vec::new() };
        let [available, with_inbound] = sums.map(|sum| sum.expect("a kit has components"));
        AtpSku { sku: kit, available, short: 0, inbound: with_inbound - available, cells }
    }
}
