//! Orders that wish a time: what it costs that a node delivers later, or that it then may not serve.
//!
//! It leans the scope as rules do, so that plans, bounds and proofs count lateness in. Without a wish, or where the policy does
//! not mind, it does nothing.

use earmark_protocol::ids::{NodeIx, TimestampMs};

use super::scope::{Leaning, Scope};
use crate::policy::Policy;
use crate::promise::days_late;

/// What lateness makes of the nodes for one order.
pub(super) struct Late {
    extra: Vec<i64>,
    extra_least: i64,
    eligible: Vec<u64>,
    /// Nodes that may not serve because they are late, and could have otherwise.
    pub(super) refused: u32,
}

impl Late {
    /// `None` where it changes nothing.
    pub(super) fn of(scope: &Scope<'_>, policy: &Policy, deliver_by: Option<TimestampMs>) -> Option<Self> {
        let wished = deliver_by.filter(|_| policy.refuses_late || policy.late_day_cost.0 > 0)?;
        let nodes = scope.sheet.sites.len();
        let mut late = Self {
            extra: scope.leaning.extra.to_vec(),
            extra_least: 0,
            eligible: scope
                .leaning
                .eligible
                .map_or_else(|| vec![u64::MAX; nodes.div_ceil(64)], <[u64]>::to_vec),
            refused: 0,
        };
        late.extra.resize(nodes, 0);
        if scope.named.is_empty() {
            (0..nodes as u32).for_each(|node| late.ask(scope, policy, wished, NodeIx(node)));
        } else {
            scope.named.iter().for_each(|node| late.ask(scope, policy, wished, *node));
        }
        late.extra_least = late.extra.iter().copied().min().unwrap_or(0);
        Some(late)
    }

    fn ask(&mut self, scope: &Scope<'_>, policy: &Policy, wished: TimestampMs, node: NodeIx) {
        let promised = scope.promised_at(node);
        if promised <= wished {
            return;
        }
        let at = node.0 as usize;
        if policy.refuses_late {
            self.refused += u32::from(scope.allows(node.0));
            if let Some(bits) = self.eligible.get_mut(at / 64) {
                *bits &= !(1 << (at % 64));
            }
        } else {
            let days = i64::try_from(days_late(promised, wished)).unwrap_or(i64::MAX);
            self.extra[at] = self.extra[at].saturating_add(policy.late_day_cost.0.saturating_mul(days));
        }
    }

    /// The scope with lateness in it.
    pub(super) fn lean<'a>(&'a self, scope: &Scope<'a>) -> Scope<'a> {
        let leaning = Leaning {
            eligible: Some(&self.eligible),
            extra: &self.extra,
            extra_least: self.extra_least,
            ..scope.leaning
        };
        Scope { leaning, ..*scope }
    }
}
