//! All that a replica of the daemon knows, and who may see it: the writer through [`State`], everyone else through
//! [`crate::Reader`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use earmark_protocol::ids::{Lsn, NodeIx, Tenant, TimestampMs};

use crate::Reader;
use crate::catalogue::nodes::{Node, NodeTable};
use crate::catalogue::skus::SkusWriter;
use crate::counts::OtherCounts;
use crate::days::Days;
use crate::facts::TextsWriter;
use crate::image::{Memory, Scalars};
use crate::inventory::{Inventory, InventoryWriter};
use crate::movements::Movements;
use crate::outcomes::Outcomes;
use crate::policy::PolicyTable;
use crate::reservations::ids::Ids;
use crate::reservations::{Reservations, ReservationsWriter};
use crate::routing::{LaneBook, PriceBook};
use crate::rules::{Capacity, Rules};
use crate::supply::Supplies;
use crate::sync::{AtomicU64, Ordering};

/// What everyone may read beside the writer.
pub(crate) struct Shared {
    pub(crate) rules: Rules,
    pub(crate) inventory: Arc<Inventory>,
    pub(crate) reservations: Arc<Reservations>,
    pub(crate) lanes: LaneBook,
    pub(crate) days: Days,
    pub(crate) supplies: Supplies,
    pub(crate) prices: PriceBook,
    nodes: Mutex<Arc<NodeTable>>,
    nodes_version: AtomicU64,
    policies: Mutex<Arc<PolicyTable>>,
    policies_version: AtomicU64,
    plan_epoch: AtomicU64,
    lsn: AtomicU64,
    begun: AtomicU64,
}

impl Shared {
    fn published_nodes(&self) -> MutexGuard<'_, Arc<NodeTable>> {
        // A holder only clones or replaces the pointer, so a poisoned lock guards a whole value.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn nodes(&self) -> Arc<NodeTable> {
        Arc::clone(&self.published_nodes())
    }

    pub(crate) fn nodes_version(&self) -> u64 {
        // Acquire: pairs with the Release store of `publish_nodes`.
        self.nodes_version.load(Ordering::Acquire)
    }

    fn published_policies(&self) -> MutexGuard<'_, Arc<PolicyTable>> {
        // As with the nodes.
        self.policies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn policies(&self) -> Arc<PolicyTable> {
        Arc::clone(&self.published_policies())
    }

    pub(crate) fn policies_version(&self) -> u64 {
        // Acquire: pairs with the Release store of `publish_policies`.
        self.policies_version.load(Ordering::Acquire)
    }

    pub(crate) fn plan_epoch(&self) -> u64 {
        // Acquire: pairs with the Release store of `bump_plan_epoch`; a plan reads nodes and skus after its epoch.
        self.plan_epoch.load(Ordering::Acquire)
    }

    pub(crate) fn lsn(&self) -> Lsn {
        // Acquire: pairs with the Release store of `set_lsn`; all that was applied up to it is seen.
        Lsn(self.lsn.load(Ordering::Acquire))
    }

    pub(crate) fn lsn_begun(&self) -> Lsn {
        // Relaxed: one who has seen a change has synchronised with the store that published it, and `begin_lsn` was
        // before that.
        Lsn(self.begun.load(Ordering::Relaxed))
    }
}

/// The state, owned by the one writer.
pub struct State {
    pub(crate) shared: Arc<Shared>,
    pub(crate) capacity: Capacity,
    pub(crate) skus: SkusWriter,
    pub(crate) nodes: Arc<NodeTable>,
    pub(crate) policies: Arc<PolicyTable>,
    pub(crate) inventory: InventoryWriter,
    pub(crate) reservations: ReservationsWriter,
    pub(crate) ids: Arc<Ids>,
    pub(crate) outcomes: Outcomes,
    pub(crate) texts: TextsWriter,
    pub(crate) movements: Movements,
    /// Counts taken of cells that more than one source counts, as many as movements are kept.
    pub(crate) other_counts: OtherCounts,
    /// Commands whose id is older than this are refused, because an outcome of that age was forgotten.
    pub(crate) forgotten_before: TimestampMs,
    pub(crate) now: TimestampMs,
}

/// The memory for a state could not be reserved.
#[derive(Debug)]
pub struct ReserveError {
    /// The settings under `[capacity]` that the memory depends on.
    pub settings: &'static [&'static str],
    /// What they said.
    pub capacity: Capacity,
    /// What the system said.
    pub cause: std::io::Error,
}

impl std::fmt::Display for ReserveError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "reserving address space for ")?;
        let numbers = self.capacity.numbers();
        for (place, (name, number)) in
            numbers.iter().filter(|(name, _)| self.settings.contains(name)).enumerate()
        {
            write!(f, "{}capacity.{name} = {number}", if place > 0 { " and " } else { "" })?;
        }
        write!(f, ": {}; lower the largest setting under [capacity], or ", self.cause)?;
        write!(f, "allow the process more address space (ulimit -v)")
    }
}

impl std::error::Error for ReserveError {}

impl State {
    /// An empty state with room for `capacity`. Memory is reserved here and touched only when it is used.
    ///
    /// # Errors
    /// When the operating system has no address space to give.
    pub fn new(capacity: &Capacity, rules: Rules) -> Result<Self, ReserveError> {
        Ok(Self::of(Memory::new(capacity)?, Scalars::new(capacity), rules))
    }

    /// The state in this memory, which is filled and indexed.
    pub(crate) fn of(memory: Memory, scalars: Scalars, rules: Rules) -> Self {
        let Scalars {
            capacity, lsn, now, forgotten_before, plan_epoch, nodes, policies, other_counts, ..
        } = scalars;
        let skus = SkusWriter::new(memory.skus, &scalars.skus);
        let inventory = InventoryWriter::new(memory.inventory, scalars.inventory, Arc::clone(&skus.skus));
        let texts = TextsWriter::new(memory.texts, scalars.texts);
        let outcomes = Outcomes::new(memory.outcomes, scalars.outcomes);
        let ids = Arc::new(memory.ids);
        let reservations = ReservationsWriter::new(
            memory.reservations,
            scalars.reservations,
            Arc::clone(&texts.texts),
            Arc::clone(&ids),
        );
        let (nodes, policies) = (Arc::new(nodes), Arc::new(policies));
        let shared = Arc::new(Shared {
            rules,
            inventory: Arc::clone(&inventory.inventory),
            reservations: Arc::clone(&reservations.table),
            lanes: LaneBook::default(),
            days: Days::new(memory.days, &scalars.days),
            supplies: Supplies::new(scalars.supplies),
            prices: PriceBook::default(),
            nodes: Mutex::new(Arc::clone(&nodes)),
            nodes_version: AtomicU64::new(nodes.version),
            policies: Mutex::new(Arc::clone(&policies)),
            policies_version: AtomicU64::new(policies.version),
            plan_epoch: AtomicU64::new(plan_epoch),
            lsn: AtomicU64::new(lsn.0),
            begun: AtomicU64::new(lsn.0),
        });
        let movements = Movements::new(memory.movements, scalars.movements);
        Self {
            shared,
            capacity,
            skus,
            nodes,
            policies,
            inventory,
            reservations,
            ids,
            outcomes,
            texts,
            movements,
            other_counts,
            forgotten_before,
            now,
        }
    }

    /// The memory it was given.
    #[must_use]
    pub fn capacity(&self) -> &Capacity {
        &self.capacity
    }

    pub(crate) fn plan_epoch(&self) -> u64 {
        self.shared.plan_epoch()
    }

    /// A reader of this state, for other threads.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.shared))
    }

    /// The last record applied.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        self.shared.lsn()
    }

    /// The time of the last record applied.
    #[must_use]
    pub fn now(&self) -> TimestampMs {
        self.now
    }

    /// The rules it decides by.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.shared.rules
    }

    /// Commands with an id of before this time are refused as too old: the retry window, or what is left of it.
    #[must_use]
    pub fn retry_horizon(&self, now: TimestampMs) -> TimestampMs {
        self.forgotten_before.max(TimestampMs(now.0.saturating_sub(self.rules().retry_window_ms)))
    }

    /// The earliest time at which a hold may be due; `None` where nothing is held.
    #[must_use]
    pub fn next_due(&self) -> Option<TimestampMs> {
        self.reservations.next_due()
    }

    /// Names and values of levels: what is used of each capacity, and how far back retries are remembered.
    #[must_use]
    pub fn levels(&self) -> Vec<(&'static str, u64)> {
        let window_ms = self.now.0.saturating_sub(self.retry_horizon(self.now).0);
        vec![
            ("skus", u64::from(self.skus.skus.len())),
            ("nodes", self.nodes.nodes.len() as u64),
            ("cells", self.inventory.len()),
            ("supplies", self.shared.supplies.read().len() as u64),
            ("reservations_live", self.reservations.live()),
            ("reservations_remembered", self.reservations.remembered()),
            ("reservation_slots_used", u64::from(self.reservations.used())),
            ("outcomes_remembered", u64::from(self.outcomes.len())),
            ("facts_bytes_used", self.texts.used()),
            ("plan_epoch", self.shared.plan_epoch()),
            ("retry_window_ms", window_ms),
        ]
    }

    pub(crate) fn node(&self, tenant: Tenant, node: NodeIx) -> Option<&Node> {
        self.nodes.get(tenant, node)
    }

    pub(crate) fn publish_nodes(&mut self) {
        *self.shared.published_nodes() = Arc::clone(&self.nodes);
        // Release: pairs with the Acquire load of `nodes_version`.
        self.shared.nodes_version.store(self.nodes.version, Ordering::Release);
    }

    pub(crate) fn publish_policies(&mut self) {
        *self.shared.published_policies() = Arc::clone(&self.policies);
        // Release: pairs with the Acquire load of `policies_version`.
        self.shared.policies_version.store(self.policies.version, Ordering::Release);
    }

    pub(crate) fn bump_plan_epoch(&mut self) {
        let epoch = self.shared.plan_epoch.load(Ordering::Relaxed);
        // Release: pairs with the Acquire load of `plan_epoch`.
        self.shared.plan_epoch.store(epoch + 1, Ordering::Release);
    }

    /// A record is about to be applied.
    pub(crate) fn begin_lsn(&mut self, lsn: Lsn) {
        // Relaxed: it is published with whatever the record changes.
        self.shared.begun.store(lsn.0, Ordering::Relaxed);
    }

    pub(crate) fn set_lsn(&mut self, lsn: Lsn) {
        // Release: pairs with the Acquire load of `lsn`.
        self.shared.lsn.store(lsn.0, Ordering::Release);
    }
}
