//! Kits, put and taken back while traffic runs.

use std::collections::HashSet;

use earmark_protocol::ids::{SkuIx, Tenant};
use earmark_protocol::kit::{COMPONENTS_MAX, KitSpec};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use super::Verdict;
use super::check::{self, First};
use super::put::done;
use crate::record::Effect;
use crate::state::State;

/// Decides what kits are put together of. A kit has no cells and its components are no kits, so one look says of any sku
/// where its units lie.
pub(crate) fn put(
    state: &State,
    tenant: Tenant,
    specs: &[KitSpec],
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut first = First::default();
    first.take(check::list_len(state.rules(), specs.len(), Field::Line));
    let (reader, kits) = (state.reader(), &state.nodes.kits);
    let specs = &specs[..specs.len().min(state.rules().lines_max as usize)];
    let put: HashSet<SkuIx> = specs.iter().map(|spec| spec.kit).collect();
    let made: HashSet<SkuIx> =
        specs.iter().filter(|spec| !spec.components.is_empty()).map(|spec| spec.kit).collect();
    let is_kit = |sku: SkuIx| made.contains(&sku) || !put.contains(&sku) && kits.get(sku).is_some();
    // A component of a kit that stays as it is was stocked, or can be: it does not become a kit.
    let others = if made.is_empty() { None } else { Some(kits.from(SkuIx(0))) };
    let others = others.into_iter().flatten().filter(|other| !put.contains(&other.kit));
    let components: HashSet<SkuIx> =
        others.flat_map(|other| other.components).map(|component| component.sku).collect();
    let mut seen = HashSet::new();
    for (index, KitSpec { kit, components: of_kit }) in specs.iter().enumerate() {
        let at = |refusal: Refusal| refusal.at(index);
        let own = first.take(check::sku(&reader, tenant, *kit).map_err(at));
        if !seen.insert(*kit) {
            first.consider(at(Refusal::of(RefusalCode::LineTwice, Field::Line)));
        }
        if of_kit.len() > COMPONENTS_MAX {
            let refusal = Refusal::of(RefusalCode::ListTooLong, Field::Component);
            first.consider(at(refusal.detail(COMPONENTS_MAX as i64)));
        }
        if own.is_some() && !of_kit.is_empty() {
            if state.inventory.inventory.cells_of(*kit).next().is_some() {
                first.consider(at(Refusal::of(RefusalCode::SkuStocked, Field::Sku)));
            }
            if components.contains(kit) {
                first.consider(at(Refusal::of(RefusalCode::KitOfKits, Field::Sku)));
            }
        }
        let mut parts = HashSet::new();
        for component in of_kit.iter().take(COMPONENTS_MAX) {
            let refuse = |code| at(Refusal::of(code, Field::Component));
            first.take(check::quantity(component.quantity).map_err(at));
            if reader.own_sku(tenant, component.sku).is_none() {
                first.consider(refuse(RefusalCode::UnknownSku));
            }
            if !parts.insert(component.sku) {
                first.consider(refuse(RefusalCode::LineTwice));
            }
            if is_kit(component.sku) {
                first.consider(refuse(RefusalCode::KitOfKits));
            }
        }
    }
    first.done()?;
    effects
        .extend(specs.iter().map(|spec| Effect::Kit { kit: spec.kit, components: spec.components.clone() }));
    Ok(done(specs.len()))
}
