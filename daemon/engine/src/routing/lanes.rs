//! Lanes: how far every node is from a destination zone, and in which order nodes are worth a look.
//!
//! A [`Sheet`] is the node table compiled for planning: costs, capabilities, ranks, and bands of nodes with equal
//! costs. A [`LaneSet`] has every node's miles to one zone, and each band's nodes sorted by what a unit costs from
//! there. Both are made on first use and kept in the [`LaneBook`], which all planners share; a lane set stays valid
//! while positions and costs do, so pausing a node throws nothing away. This room knows no order and no stock.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use earmark_protocol::catalogue::NodeState;
use earmark_protocol::geo::Zone;
use earmark_protocol::ids::{Tenant, TimestampMs};
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use super::price::unit_to_address;
use super::prices::Prices;
use crate::policy::PolicyTable;
use crate::promise::Timetable;
use crate::rules::Tariff;
use crate::tariff::fares::{Fares, Rows, Zones, postal_key};
use crate::tariff::{Services, Tariffs};
use crate::{NodeTable, Reader};

/// Most bands. Real networks price by the kind of node, so there are few; where there are more cost levels than
/// bands, neighbouring levels share one.
const LEVEL_BANDS_MAX: usize = 8;

/// Most bands of a lane set: where carriers price, nodes of other zones are other bands.
const BANDS_MAX: usize = 64;

/// The class of a node from where no service goes.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// Sheets of some services alone that the book keeps of a tenant, and sheets that one planner keeps at hand.
const NARROW_SHEETS_MAX: usize = 16;
const SHEETS_AT_HAND: usize = 8;

/// Locks of the book; more than planners run at once on any machine of today.
const SHELVES: usize = 64;

/// A node's own costs, in micros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Costs {
    /// Per order, unit and line.
    pub(crate) fixed: i64,
    pub(crate) unit: i64,
    pub(crate) line: i64,
}

/// A node as planning sees it. Three to a cache line: a plan looks at hundreds of them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Site {
    /// Its costs, by place in [`Sheet::levels`].
    level: u32,
    /// Its place among the tenant's nodes by code.
    pub(crate) code_rank: u32,
    /// Its place by priority, then code.
    pub(crate) rank: u32,
    pub(crate) priority: u16,
    pub(crate) capabilities: u16,
    pub(crate) band: u8,
    /// Whether it belongs to the sheet's tenant.
    pub(crate) known: bool,
    /// Whether it takes new holds.
    pub(crate) active: bool,
}

/// The least that a band's nodes cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Band {
    pub(crate) fixed: i64,
    pub(crate) line: i64,
    /// Where carriers price, the classes of its nodes: from this one up to, without, that one.
    classes: (u32, u32),
}

impl Band {
    /// Where carriers price, the classes of its nodes.
    pub(crate) fn classes(&self) -> std::ops::Range<u32> {
        self.classes.0..self.classes.1
    }
}

/// Where an order goes.
#[derive(Clone, Copy)]
pub(crate) struct To<'a> {
    pub(crate) zone: Zone,
    pub(crate) postal: &'a str,
}

/// The node table of one tenant, compiled. The place in `sites` is the handle.
pub(crate) struct Sheet {
    pub(crate) tenant: Tenant,
    /// By which services alone its shipments go; `None` for all that are offered.
    services: Option<Services>,
    pub(crate) version: u64,
    pub(crate) sites: Vec<Site>,
    /// The different costs of nodes, ascending.
    levels: Vec<Costs>,
    pub(crate) bands: Vec<Band>,
    /// Hash of all that a lane set depends on.
    geometry: u64,
    positions: Vec<earmark_protocol::geo::Position>,
    /// What carriers charge; `None` where the configured tariff does.
    pub(crate) fares: Option<Fares>,
    /// By node: its rows in the charts of the services.
    rows: Vec<Rows>,
}

impl Sheet {
    fn whose(&self) -> Whose {
        (self.tenant, self.services)
    }

    /// A node's own costs.
    #[inline]
    pub(crate) fn costs(&self, node: u32) -> &Costs {
        &self.levels[self.sites[node as usize].level as usize]
    }

    /// Whether there are as many bands as levels of cost.
    pub(crate) fn bands_are_uniform(&self) -> bool {
        self.bands.len() == self.levels.len()
    }

    fn compile((tenant, services): Whose, table: &NodeTable, tariff: &Tariff) -> Self {
        let mut hash = Xxh3DefaultBuilder::new().build_hasher();
        (tenant.0, services, tariff.per_unit_mile.0).hash(&mut hash);
        let mut sites = Vec::with_capacity(table.nodes.len());
        let mut order: Vec<u32> = Vec::new();
        for (at, node) in table.nodes.iter().enumerate() {
            let known = node.tenant == tenant;
            if known {
                order.push(at as u32);
                let spec = &*node.spec;
                let costs = (spec.cost_per_order.0, spec.cost_per_line.0, spec.cost_per_unit.0);
                (at, spec.position, spec.priority, costs, &spec.code, &spec.postal).hash(&mut hash);
            }
            sites.push(Site {
                priority: node.spec.priority,
                capabilities: node.spec.capabilities,
                known,
                active: known && node.state == NodeState::Active,
                ..Site::default()
            });
        }
        order.sort_unstable_by_key(|at| table.nodes[*at as usize].spec.code.as_str());
        for (rank, at) in order.iter().enumerate() {
            sites[*at as usize].code_rank = rank as u32;
        }
        order.sort_by_key(|at| sites[*at as usize].priority);
        for (rank, at) in order.iter().enumerate() {
            sites[*at as usize].rank = rank as u32;
        }
        let costs = |at: &u32| {
            let spec = &table.nodes[*at as usize].spec;
            Costs { fixed: spec.cost_per_order.0, unit: spec.cost_per_unit.0, line: spec.cost_per_line.0 }
        };
        let mut levels: Vec<_> = order.iter().map(costs).collect();
        levels.sort_unstable();
        levels.dedup();
        let per_band = levels.len().div_ceil(LEVEL_BANDS_MAX).max(1);
        for at in &order {
            let level = levels.binary_search(&costs(at)).expect("every node's costs are among the levels");
            let site = &mut sites[*at as usize];
            (site.level, site.band) = (level as u32, (level / per_band) as u8);
        }
        let least = |costs: &[Costs]| Band {
            fixed: costs.iter().map(|costs| costs.fixed).min().unwrap_or(0),
            line: costs.iter().map(|costs| costs.line).min().unwrap_or(0),
            classes: (0, 0),
        };
        let bands = levels.chunks(per_band).map(least).collect();
        let positions = table.nodes.iter().map(|node| node.spec.position).collect();
        let tariffs = table.tariffs.of(tenant);
        tariffs.map(|tariffs| tariffs.version).hash(&mut hash);
        let none = Tariffs::default();
        let fares = Fares::compile(tariffs.map_or(&none, |tariffs| tariffs), services);
        let rows = fares.as_ref().map_or(Vec::new(), |fares| {
            table.nodes.iter().map(|node| fares.rows(&node.spec.code, &node.spec.postal)).collect()
        });
        let (version, geometry) = (table.version, hash.finish());
        Self { tenant, services, version, sites, levels, bands, geometry, positions, fares, rows }
    }
}

/// Every node's way to one zone.
pub(crate) struct LaneSet {
    /// Whole miles, by node.
    pub(crate) miles: Box<[u16]>,
    /// The tenant's nodes, band after band, each by what a unit costs from there, then by rank.
    pub(crate) order: Box<[u32]>,
    pub(crate) bands: Box<[Band]>,
    /// Where each band ends in `order`.
    pub(crate) ends: Box<[u32]>,
    /// Where carriers price: the different zones of nodes, and by node which of them.
    pub(crate) classes: Box<[Zones]>,
    pub(crate) class: Box<[u32]>,
    geometry: u64,
}

impl LaneSet {
    fn compute(sheet: &Sheet, to: To<'_>, tariff: &Tariff) -> Self {
        let centre = to.zone.centre();
        let mut miles = vec![0_u16; sheet.sites.len()].into_boxed_slice();
        let mut zones: Vec<(Zones, u32)> = Vec::new();
        for (at, _) in sheet.sites.iter().enumerate().filter(|(_, site)| site.known) {
            // Half the earth's circumference is 12,437 miles.
            miles[at] = sheet.positions[at].miles_to(centre) as u16;
            if let Some(fares) = &sheet.fares {
                zones.push((fares.zones(&sheet.rows[at], u32::from(miles[at]), to.postal), at as u32));
            }
        }
        let (classes, class) = classify(&zones, sheet);
        // Nodes of other classes are in other bands, as far as there are bands for that.
        let chunks = classes.len().clamp(1, BANDS_MAX / sheet.bands.len().max(1));
        let per_chunk = classes.len().div_ceil(chunks).max(1);
        let mut keys: Vec<(u32, i64, u32, u32)> = Vec::with_capacity(sheet.sites.len());
        for (at, site) in sheet.sites.iter().enumerate().filter(|(_, site)| site.known) {
            let costs = sheet.costs(at as u32);
            let (chunk, unit) = match class.get(at) {
                Some(&NOWHERE) => continue,
                Some(class) => (*class as usize / per_chunk, costs.unit),
                None => (0, unit_to_address(tariff, costs.unit, u32::from(miles[at]))),
            };
            let band = usize::from(site.band) * chunks + chunk;
            keys.push((band as u32, unit, site.rank, at as u32));
        }
        keys.sort_unstable();
        let first_of = |chunk: usize| (chunk * per_chunk).min(classes.len()) as u32;
        let of_level = |level: Band, chunk| Band { classes: (first_of(chunk), first_of(chunk + 1)), ..level };
        let bands = sheet.bands.iter().flat_map(|level| (0..chunks).map(|chunk| of_level(*level, chunk)));
        let bands: Box<[_]> = bands.collect();
        let end = |band: usize| keys.partition_point(|key| key.0 as usize <= band) as u32;
        let ends = (0..bands.len()).map(end).collect();
        let order = keys.iter().map(|key| key.3).collect();
        Self { miles, order, bands, ends, classes, class, geometry: sheet.geometry }
    }

    /// Whether each band has nodes of one class at most.
    pub(crate) fn bands_have_one_class(&self) -> bool {
        self.bands.iter().all(|band| band.classes().len() <= 1)
    }

    fn bytes(&self) -> usize {
        let of_nodes = size_of_val(&*self.miles) + size_of_val(&*self.order) + size_of_val(&*self.class);
        let of_bands = size_of_val(&*self.bands) + size_of_val(&*self.ends) + size_of_val(&*self.classes);
        size_of::<Self>() + of_nodes + of_bands
    }
}

/// The different zones of nodes' ways, sorted, and by node which of them it has.
fn classify(zones: &[(Zones, u32)], sheet: &Sheet) -> (Box<[Zones]>, Box<[u32]>) {
    if sheet.fares.is_none() {
        return (Box::default(), Box::default());
    }
    let goes = |zones: &Zones| zones.iter().any(|zone| *zone > 0);
    let mut classes: Vec<_> = zones.iter().map(|way| way.0).filter(goes).collect();
    classes.sort_unstable();
    classes.dedup();
    let mut class = vec![NOWHERE; sheet.sites.len()].into_boxed_slice();
    for (zones, node) in zones {
        class[*node as usize] = classes.binary_search(zones).map_or(NOWHERE, |place| place as u32);
    }
    (classes.into(), class)
}

/// Whose sheet, and of which services alone.
type Whose = (Tenant, Option<Services>);

/// What a lane set is kept by: whose it is, the zone, and what of the postal code services' zones depend on.
type Key = (Whose, Zone, u128);

fn key(sheet: &Sheet, to: To<'_>) -> Key {
    let postal = sheet.fares.as_ref().map_or(0, |fares| postal_key(to.postal, fares.postal_len));
    (sheet.whose(), to.zone, postal)
}

#[derive(Default)]
struct Shelf {
    sets: HashMap<Key, Arc<LaneSet>, Xxh3DefaultBuilder>,
    /// Oldest first.
    ages: VecDeque<Key>,
    bytes: usize,
}

/// The lanes of one daemon: computed on first use, shared by all planners, bounded.
///
/// One book belongs to one `State`: it trusts the node table's version.
pub struct LaneBook {
    sheets: RwLock<HashMap<Whose, Arc<Sheet>, Xxh3DefaultBuilder>>,
    shelves: Vec<Mutex<Shelf>>,
    shelf_bytes_max: usize,
}

impl Default for LaneBook {
    /// A book of 256 MiB: 13,000 zones of 3,223 nodes, which is all of the United States.
    fn default() -> Self {
        Self::new(256 << 20)
    }
}

impl LaneBook {
    /// An empty book that keeps at most about this many bytes; the oldest lanes go first.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let shelves = (0..SHELVES).map(|_| Mutex::default()).collect();
        Self { sheets: RwLock::default(), shelves, shelf_bytes_max: bytes_max / SHELVES }
    }

    /// Bytes of the lanes it keeps now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shelves.iter().map(|shelf| lock(shelf).bytes).sum()
    }

    /// The tenant's nodes, compiled from this table.
    fn sheet(&self, whose: Whose, table: &NodeTable, tariff: &Tariff) -> Arc<Sheet> {
        let known = |sheets: &HashMap<Whose, Arc<Sheet>, _>| {
            sheets.get(&whose).filter(|sheet| sheet.version == table.version).cloned()
        };
        if let Some(sheet) = known(&self.sheets.read().unwrap_or_else(PoisonError::into_inner)) {
            return sheet;
        }
        // Compiled under the lock: planners that come meanwhile would only do the same work.
        let mut sheets = self.sheets.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(sheet) = known(&sheets) {
            return sheet;
        }
        let sheet = Arc::new(Sheet::compile(whose, table, tariff));
        // A planner that was slow with an old table must not take the newer sheet away from the others.
        if sheets.get(&whose).is_none_or(|kept| kept.version < sheet.version) {
            let is_narrow = |other: &Whose| other.0 == whose.0 && other.1.is_some();
            if is_narrow(&whose)
                && sheets.keys().filter(|other| is_narrow(other)).count() == NARROW_SHEETS_MAX
            {
                sheets.retain(|other, _| !is_narrow(other));
            }
            sheets.insert(whose, Arc::clone(&sheet));
        }
        sheet
    }

    /// The lanes to a zone.
    fn lanes(&self, sheet: &Sheet, to: To<'_>, tariff: &Tariff) -> Arc<LaneSet> {
        let key = key(sheet, to);
        let shelf = &self.shelves[hash(key) as usize % SHELVES];
        if let Some(set) = lock(shelf).sets.get(&key).filter(|set| set.geometry == sheet.geometry) {
            return Arc::clone(set);
        }
        let set = Arc::new(LaneSet::compute(sheet, to, tariff));
        let mut shelf = lock(shelf);
        let shelf = &mut *shelf;
        shelf.bytes += set.bytes();
        match shelf.sets.insert(key, Arc::clone(&set)) {
            Some(stale) => shelf.bytes -= stale.bytes(),
            None => shelf.ages.push_back(key),
        }
        while shelf.bytes > self.shelf_bytes_max
            && let Some(oldest) = shelf.ages.pop_front()
        {
            shelf.bytes -= shelf.sets.remove(&oldest).map_or(0, |set| set.bytes());
        }
        set
    }
}

fn lock(shelf: &Mutex<Shelf>) -> MutexGuard<'_, Shelf> {
    // A shelf is whole between any two calls that could panic.
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hash(key: Key) -> u64 {
    let zone = u64::from(key.1.row.cast_unsigned()) << 16 | u64::from(key.1.column.cast_unsigned());
    let postal = (key.2 as u64 ^ (key.2 >> 64) as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    let (Tenant(tenant), services) = key.0;
    let services = services.map_or(0, |Services(bits)| !u64::from(bits));
    ((zone << 16 | u64::from(tenant)) ^ postal ^ services).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40
}

/// Lane sets that one planner keeps at hand.
const AT_HAND: usize = 1024;

/// What a planner has at hand of a [`LaneBook`], so that steady work takes no lock.
#[derive(Default)]
pub(crate) struct Bookmark {
    table: Option<Arc<NodeTable>>,
    sheets: Vec<Arc<Sheet>>,
    policies: Option<Arc<PolicyTable>>,
    timetable: Option<Arc<Timetable>>,
    prices: Option<(u64, Arc<Prices>)>,
    sets: Vec<Option<AtHand>>,
}

#[derive(Clone)]
struct AtHand {
    key: Key,
    set: Arc<LaneSet>,
}

impl Bookmark {
    /// All nodes.
    pub(crate) fn table(&mut self, reader: &Reader) -> Arc<NodeTable> {
        match &self.table {
            Some(table) if table.version == reader.nodes_version() => Arc::clone(table),
            _ => Arc::clone(self.table.insert(reader.nodes())),
        }
    }

    /// All policies.
    pub(crate) fn policies(&mut self, reader: &Reader) -> Arc<PolicyTable> {
        match &self.policies {
            Some(table) if table.version == reader.policies_version() => Arc::clone(table),
            _ => Arc::clone(self.policies.insert(reader.policies())),
        }
    }

    /// What stock is worth to the future.
    pub(crate) fn prices(&mut self, reader: &Reader) -> Arc<Prices> {
        let version = reader.prices().version();
        match &self.prices {
            Some((known, prices)) if *known == version => Arc::clone(prices),
            _ => Arc::clone(&self.prices.insert((version, reader.prices().newest())).1),
        }
    }

    /// When what is ordered now leaves the tenant's nodes.
    pub(crate) fn timetable(
        &mut self,
        tenant: Tenant,
        table: &NodeTable,
        now: TimestampMs,
    ) -> Arc<Timetable> {
        let known = self.timetable.take().filter(|known| known.is_of(tenant, table));
        let timetable = match known {
            Some(known) if known.is_right_at(now) => known,
            Some(known) => Arc::new(known.later(now)),
            None => Arc::new(Timetable::new(tenant, table, now)),
        };
        Arc::clone(self.timetable.insert(timetable))
    }

    /// The tenant's nodes, with the ways of these services alone where it is said.
    pub(crate) fn sheet(
        &mut self,
        book: &LaneBook,
        whose: Whose,
        table: &NodeTable,
        tariff: &Tariff,
    ) -> Arc<Sheet> {
        let known = self.sheets.iter().position(|sheet| sheet.whose() == whose);
        if let Some(sheet) = known.map(|at| &self.sheets[at]).filter(|sheet| sheet.version == table.version) {
            return Arc::clone(sheet);
        }
        if let Some(stale) = known.or((self.sheets.len() == SHEETS_AT_HAND).then_some(0)) {
            self.sheets.remove(stale);
        }
        let sheet = book.sheet(whose, table, tariff);
        self.sheets.push(Arc::clone(&sheet));
        sheet
    }

    /// The lanes to a zone.
    pub(crate) fn lanes(
        &mut self,
        book: &LaneBook,
        sheet: &Sheet,
        to: To<'_>,
        tariff: &Tariff,
    ) -> Arc<LaneSet> {
        self.sets.resize(AT_HAND, None);
        let key = key(sheet, to);
        let place = &mut self.sets[hash(key) as usize / SHELVES % AT_HAND];
        match place {
            Some(at_hand) if at_hand.key == key && at_hand.set.geometry == sheet.geometry => {
                Arc::clone(&at_hand.set)
            }
            _ => {
                let set = book.lanes(sheet, to, tariff);
                *place = Some(AtHand { key, set: Arc::clone(&set) });
                set
            }
        }
    }
}
