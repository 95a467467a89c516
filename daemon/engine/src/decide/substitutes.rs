//! Substitutes, put and taken back while traffic runs.

use std::collections::HashSet;

use earmark_protocol::ids::Tenant;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::substitute::{SUBSTITUTES_MAX, SubstituteSpec};

use super::Verdict;
use super::check::{self, First};
use super::put::done;
use crate::record::Effect;
use crate::state::State;

/// Decides what may stand for skus.
pub(crate) fn put(
    state: &State,
    tenant: Tenant,
    specs: &[SubstituteSpec],
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut first = First::default();
    first.take(check::list_len(state.rules(), specs.len(), Field::Line));
    let (reader, kits) = (state.reader(), &state.nodes.kits);
    let specs = &specs[..specs.len().min(state.rules().lines_max as usize)];
    let mut seen = HashSet::new();
    for (index, SubstituteSpec { sku, substitutes }) in specs.iter().enumerate() {
        let refuse = |code, field| Refusal::of(code, field).at(index);
        first.take(check::sku(&reader, tenant, *sku).map_err(|refusal| refusal.at(index)));
        if !seen.insert(*sku) {
            first.consider(refuse(RefusalCode::LineTwice, Field::Line));
        }
        if substitutes.len() > SUBSTITUTES_MAX {
            let refusal = refuse(RefusalCode::ListTooLong, Field::Substitute);
            first.consider(refusal.detail(SUBSTITUTES_MAX as i64));
        }
        // A sku does not stand for itself.
        let mut skus = HashSet::from([*sku]);
        for substitute in substitutes.iter().take(SUBSTITUTES_MAX) {
            if reader.own_sku(tenant, *substitute).is_none() {
                first.consider(refuse(RefusalCode::UnknownSku, Field::Substitute));
            }
            if !skus.insert(*substitute) {
                first.consider(refuse(RefusalCode::LineTwice, Field::Substitute));
            }
            if kits.get(*substitute).is_some() {
                first.consider(refuse(RefusalCode::SkuIsKit, Field::Substitute));
            }
        }
    }
    first.done()?;
    effects.extend(
        specs.iter().map(|spec| Effect::Substitutes { sku: spec.sku, substitutes: spec.substitutes.clone() }),
    );
    Ok(done(specs.len()))
}
