//! Calendars of nodes, added and changed while traffic runs.

use std::collections::HashSet;

use earmark_protocol::catalogue::CalendarSpec;
use earmark_protocol::ids::Tenant;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use super::Verdict;
use super::check::{self, First};
use super::put::{done, text};
use crate::promise::check_calendar;
use crate::record::Effect;
use crate::state::State;

/// Decides calendars added or changed.
pub(crate) fn put(
    state: &State,
    tenant: Tenant,
    specs: &[CalendarSpec],
    effects: &mut Vec<Effect>,
) -> Result<Verdict, Refusal> {
    let mut first = First::default();
    first.take(check::list_len(state.rules(), specs.len(), Field::Line));
    let mut seen = HashSet::new();
    for (index, spec) in specs.iter().enumerate().take(state.rules().lines_max as usize) {
        first.take(text(&spec.code, false, Field::Code).map_err(|refusal| refusal.at(index)));
        if let Err((place, _)) = check_calendar(spec) {
            let refusal = Refusal::of(RefusalCode::CalendarInvalid, Field::Calendar).at(index);
            first.consider(refusal.detail(i64::from(place)));
        }
        if !seen.insert(spec.code.as_str()) {
            first.consider(Refusal::of(RefusalCode::LineTwice, Field::Code).at(index));
        }
    }
    first.done()?;
    let new = specs.iter().filter(|spec| state.nodes.calendar(tenant, &spec.code).is_none()).count();
    // More calendars than nodes are of no use.
    if state.nodes.calendars_len() + new > state.capacity.nodes as usize {
        return Err(Refusal::of(RefusalCode::CapacityReached, Field::CapacityNodes));
    }
    effects.extend(specs.iter().map(|spec| Effect::Calendar { tenant, spec: Box::new(spec.clone()) }));
    Ok(done(specs.len()))
}
