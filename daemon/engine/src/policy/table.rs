//! The policies of all tenants: small, changed seldom, published whole, each version compiled once.

use std::collections::BTreeMap;
use std::sync::Arc;

use earmark_protocol::ids::{Lsn, Tenant, TimestampMs};
use earmark_protocol::reply::PolicyView;

use super::model::Policy;
use super::program::Program;

/// Versions kept of each tenant's policy, so that an explanation can name the rules an older plan was made by.
const KEPT_MAX: usize = 16;

/// One version of a tenant's policy.
#[derive(Debug)]
pub(crate) struct Kept {
    /// Its number, from 1.
    pub(crate) version: u32,
    /// Where and when it was set.
    pub(crate) lsn: Lsn,
    pub(crate) since: TimestampMs,
    pub(crate) text: String,
    pub(crate) policy: Policy,
    pub(crate) program: Program,
}

/// All policies at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct PolicyTable {
    /// Grows with every change.
    pub(crate) version: u64,
    /// By tenant: its versions, the newest last.
    tenants: BTreeMap<Tenant, Vec<Arc<Kept>>>,
}

impl PolicyTable {
    /// The version that was set last.
    pub(crate) fn newest(&self, tenant: Tenant) -> Option<&Arc<Kept>> {
        self.tenants.get(&tenant)?.last()
    }

    /// The newest version of those for which this is so.
    pub(crate) fn newest_where(
        &self,
        tenant: Tenant,
        mut is_for: impl FnMut(&Kept) -> bool,
    ) -> Option<&Arc<Kept>> {
        self.tenants.get(&tenant)?.iter().rev().find(|kept| is_for(kept))
    }

    /// Whether some version of some tenant's has orders looked at again.
    pub(crate) fn has_replans(&self) -> bool {
        self.tenants.values().flatten().any(|kept| kept.policy.replan_ms.is_some())
    }

    /// How long after they were placed orders of a tenant are looked at again, by the version that has it longest.
    pub(crate) fn replan_ms_max(&self, tenant: Tenant) -> Option<u64> {
        self.tenants.get(&tenant)?.iter().filter_map(|kept| kept.policy.replan_ms).max()
    }

    /// A version.
    pub(crate) fn version(&self, tenant: Tenant, version: u32) -> Option<&Arc<Kept>> {
        self.newest_where(tenant, |kept| kept.version == version)
    }

    /// A version as clients see it; 0 for the one that was set last.
    pub(crate) fn view(&self, tenant: Tenant, version: u32) -> Option<PolicyView> {
        let mut versions = self.tenants.get(&tenant)?.iter().rev();
        let kept = versions.find(|kept| version == 0 || kept.version == version)?;
        Some(PolicyView {
            version: kept.version,
            name: kept.policy.name.clone(),
            lsn: kept.lsn,
            since: kept.since,
            rules: kept.policy.names().map(str::to_owned).collect(),
            text: kept.text.clone(),
        })
    }

    /// Takes a policy that was checked. `None` where it cannot be read, which then was never checked.
    pub(crate) fn put(
        &mut self,
        tenant: Tenant,
        version: u32,
        lsn: Lsn,
        since: TimestampMs,
        text: &str,
    ) -> Option<()> {
        let policy = Policy::parse(text).ok()?;
        let program = Program::new(&policy);
        let kept = Kept { version, lsn, since, text: text.to_owned(), policy, program };
        let versions = self.tenants.entry(tenant).or_default();
        versions.push(Arc::new(kept));
        while versions.len() > KEPT_MAX {
            // The one that all orders obey which no newer one is for stays, however old.
            let base = versions.iter().rposition(|kept| kept.policy.is_for_all());
            versions.remove(usize::from(base == Some(0)));
        }
        self.version += 1;
        Some(())
    }

    /// All versions that are kept, by tenant, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Tenant, &Kept)> {
        self.tenants.iter().flat_map(|(tenant, versions)| versions.iter().map(|kept| (*tenant, &**kept)))
    }
}
