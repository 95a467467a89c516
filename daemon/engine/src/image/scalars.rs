//! What is known of a state beside its arenas, and its bytes: one field after the other, little-endian, lists behind a
//! 32-bit count.

use earmark_protocol::catalogue::{DayLoad, NodeState};
use earmark_protocol::codec;
use earmark_protocol::ids::{CommandId, LineId, Lsn, NodeIx, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::kit::KitSpec;
use earmark_protocol::reply::NodeDay;
use earmark_protocol::substitute::SubstituteSpec;
use earmark_protocol::supply::SupplySpec;
use earmark_protocol::wire_error::WireError;

use crate::bytes::Bytes;
use crate::catalogue::nodes::NodeTable;
use crate::catalogue::skus::SkuScalars;
use crate::counts::OtherCounts;
use crate::facts::{TextScalars, words_of};
use crate::inventory::{InventoryScalars, Place, SHARDS};
use crate::movements::MovementScalars;
use crate::policy::PolicyTable;
use crate::reservations::ReservationScalars;
use crate::rules::Capacity;
use crate::runs::Runs;
use crate::state::State;
use crate::supply::{Expected, SupplyBook, Wait};

/// All that is known of a state beside its arenas.
#[derive(Clone)]
pub(crate) struct Scalars {
    pub(crate) capacity: Capacity,
    pub(crate) lsn: Lsn,
    pub(crate) now: TimestampMs,
    pub(crate) forgotten_before: TimestampMs,
    pub(crate) plan_epoch: u64,
    pub(crate) nodes: NodeTable,
    pub(crate) policies: PolicyTable,
    pub(crate) other_counts: OtherCounts,
    /// What days of nodes are taken.
    pub(crate) days: Vec<NodeDay>,
    /// What is on its way to cells.
    pub(crate) supplies: SupplyBook,
    pub(crate) skus: SkuScalars,
    pub(crate) inventory: InventoryScalars,
    pub(crate) reservations: ReservationScalars,
    pub(crate) texts: TextScalars,
    /// Rows that are outcomes, and the row of the next one.
    pub(crate) outcomes: (u32, u32),
    pub(crate) movements: MovementScalars,
}

impl Scalars {
    /// Those of an empty state.
    pub(crate) fn new(capacity: &Capacity) -> Self {
        Self {
            capacity: capacity.clone(),
            lsn: Lsn(0),
            now: TimestampMs(0),
            forgotten_before: TimestampMs(0),
            plan_epoch: 1,
            nodes: NodeTable::default(),
            policies: PolicyTable::default(),
            other_counts: OtherCounts::default(),
            days: Vec::new(),
            supplies: SupplyBook::default(),
            skus: SkuScalars::default(),
            inventory: InventoryScalars::default(),
            reservations: ReservationScalars::default(),
            texts: TextScalars::default(),
            outcomes: (0, 0),
            movements: MovementScalars::default(),
        }
    }

    pub(crate) fn of(state: &State) -> Self {
        Self {
            capacity: state.capacity.clone(),
            lsn: state.lsn(),
            now: state.now,
            forgotten_before: state.forgotten_before,
            plan_epoch: state.plan_epoch(),
            nodes: NodeTable::clone(&state.nodes),
            policies: PolicyTable::clone(&state.policies),
            other_counts: state.other_counts.clone(),
            days: state.shared.days.of_nodes(state.nodes.handles()).collect(),
            supplies: state.shared.supplies.read().clone(),
            skus: state.skus.scalars(),
            inventory: state.inventory.scalars(),
            reservations: state.reservations.scalars(),
            texts: state.texts.scalars(),
            outcomes: state.outcomes.scalars(),
            movements: state.movements.scalars(),
        }
    }

    /// What is in use of each capacity, in the order of [`Capacity::numbers`]. Of the rings, which keep what their size
    /// allows, all that they hold now.
    pub(crate) fn in_use(&self) -> [u64; 9] {
        [
            u64::from(self.skus.len),
            self.nodes.nodes.len() as u64,
            u64::from(self.inventory.used),
            u64::from(self.reservations.fresh),
            u64::from(self.reservations.rows_used),
            u64::from(self.outcomes.0),
            self.movements.len,
            8 * words_of(self.texts.used) as u64,
            u64::from(self.skus.texts_used) * 8,
        ]
    }

    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        self.capacity.write(bytes);
        let MovementScalars { made, len, forgotten_at } = self.movements;
        let ReservationScalars { fresh, ended, live, remembered, held, rows_used, row_runs } =
            &self.reservations;
        let times = [self.lsn.0, self.now.0, self.forgotten_before.0, self.plan_epoch];
        put_all(&times, bytes);
        put_all(&[made, len, forgotten_at.0, *live, *remembered, *held, self.inventory.cells], bytes);
        let SkuScalars { len, texts_used, groups } = &self.skus;
        for word in
            [self.outcomes.0, self.outcomes.1, *fresh, ended[0], ended[1], *rows_used, *len, *texts_used]
        {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.extend_from_slice(&self.inventory.used.to_le_bytes());
        bytes.extend_from_slice(&self.texts.used.to_le_bytes());
        put_words(groups, bytes);
        self.inventory.shards.iter().chain([row_runs, &self.texts.runs]).for_each(|runs| runs.write(bytes));
        bytes.extend_from_slice(&self.nodes.version.to_le_bytes());
        put_count(self.nodes.nodes.len(), bytes);
        for node in &self.nodes.nodes {
            bytes.extend_from_slice(&node.tenant.0.to_le_bytes());
            bytes.push(node.state as u8);
            let mut spec = Vec::new();
            codec::encode(&*node.spec, &mut spec);
            put_count(spec.len(), bytes);
            bytes.extend_from_slice(&spec);
        }
        put_count(self.nodes.calendars_len(), bytes);
        for (tenant, calendar) in self.nodes.calendars() {
            bytes.extend_from_slice(&tenant.0.to_le_bytes());
            let mut spec = Vec::new();
            codec::encode(calendar, &mut spec);
            put_count(spec.len(), bytes);
            bytes.extend_from_slice(&spec);
        }
        put_count(self.nodes.tariffs.iter().len(), bytes);
        for (tenant, tariffs) in self.nodes.tariffs.iter() {
            bytes.extend_from_slice(&tenant.0.to_le_bytes());
            bytes.extend_from_slice(&tariffs.version.to_le_bytes());
            put_count(tariffs.pieces().count(), bytes);
            for piece in tariffs.pieces() {
                let mut text = Vec::new();
                codec::encode(&piece, &mut text);
                put_count(text.len(), bytes);
                bytes.extend_from_slice(&text);
            }
        }
        put_count(self.policies.iter().count(), bytes);
        for (tenant, kept) in self.policies.iter() {
            bytes.extend_from_slice(&tenant.0.to_le_bytes());
            bytes.extend_from_slice(&kept.version.to_le_bytes());
            bytes.extend_from_slice(&kept.lsn.0.to_le_bytes());
            bytes.extend_from_slice(&kept.since.0.to_le_bytes());
            put_count(kept.text.len(), bytes);
            bytes.extend_from_slice(kept.text.as_bytes());
        }
        put_count(self.other_counts.len(), bytes);
        for ((sku, place, source), as_of) in self.other_counts.iter() {
            bytes.extend_from_slice(&sku.to_le_bytes());
            bytes.extend_from_slice(&place.to_le_bytes());
            bytes.extend_from_slice(&source.to_le_bytes());
            bytes.extend_from_slice(&as_of.0.to_le_bytes());
        }
        put_count(self.days.len(), bytes);
        for NodeDay { node, day, taken } in &self.days {
            for word in [node.0, *day, taken.orders, taken.lines] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
            bytes.extend_from_slice(&taken.units.to_le_bytes());
        }
        put_count(self.supplies.len(), bytes);
        for spec in self.supplies.after(None) {
            let mut text = Vec::new();
            codec::encode(&spec, &mut text);
            put_count(text.len(), bytes);
            bytes.extend_from_slice(&text);
        }
        bytes.extend_from_slice(&self.supplies.turns().to_le_bytes());
        put_count(self.supplies.waits().len(), bytes);
        for ((slot, row), wait) in self.supplies.waits() {
            let Wait { turn, cell: (sku, place), reservation, line, awaited, backordered, day } = wait;
            bytes.extend_from_slice(&turn.to_le_bytes());
            bytes.extend_from_slice(&reservation.0);
            for word in [slot, u32::from(row), sku.0, place.0, line.0, awaited, backordered, day] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        put_count(self.nodes.kits.len(), bytes);
        self.nodes.kits.from(SkuIx(0)).for_each(|spec| put_text(&spec, bytes));
        put_count(self.nodes.substitutes.len(), bytes);
        self.nodes.substitutes.from(SkuIx(0)).for_each(|spec| put_text(&spec, bytes));
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, WireError> {
        let left = &mut Bytes::new(bytes);
        let capacity = Capacity::read(left)?;
        let (lsn, now) = (Lsn(left.u64()?), TimestampMs(left.u64()?));
        let (forgotten_before, plan_epoch) = (TimestampMs(left.u64()?), left.u64()?);
        let (made, len, forgotten_at) = (left.u64()?, left.u64()?, TimestampMs(left.u64()?));
        let movements = MovementScalars { made, len, forgotten_at };
        let (live, remembered, held, cells) = (left.u64()?, left.u64()?, left.u64()?, left.u64()?);
        let outcomes = (left.u32()?, left.u32()?);
        let (fresh, ended, rows_used) = (left.u32()?, [left.u32()?, left.u32()?], left.u32()?);
        let (sku_len, texts_used) = (left.u32()?, left.u32()?);
        let (cells_used, units_used) = (left.u32()?, left.u32()?);
        let skus = SkuScalars { len: sku_len, texts_used, groups: words(left)? };
        let shards = (0..SHARDS).map(|_| Runs::read(left)).collect::<Result<_, _>>()?;
        let inventory = InventoryScalars { used: cells_used, cells, shards };
        let row_runs = Runs::read(left)?;
        let reservations = ReservationScalars { fresh, ended, live, remembered, held, rows_used, row_runs };
        let texts = TextScalars { used: units_used, runs: Runs::read(left)? };
        let version = left.u64()?;
        let mut nodes = NodeTable::default();
        for _ in 0..left.u32()? {
            let (tenant, state) = (Tenant(left.u16()?), left.one_of(NodeState::from_number)?);
            nodes.push(tenant, state, codec::decode(left.text()?)?);
        }
        for _ in 0..left.u32()? {
            let tenant = Tenant(left.u16()?);
            nodes.put_calendar(tenant, &codec::decode(left.text()?)?);
        }
        for _ in 0..left.u32()? {
            let (tenant, version) = (Tenant(left.u16()?), left.u32()?);
            for _ in 0..left.u32()? {
                nodes.put_tariffs(tenant, version, &codec::decode(left.text()?)?);
            }
        }
        nodes.version = version;
        let mut policies = PolicyTable::default();
        for _ in 0..left.u32()? {
            let (tenant, version) = (Tenant(left.u16()?), left.u32()?);
            let (lsn, since, at) = (Lsn(left.u64()?), TimestampMs(left.u64()?), left.at() as usize);
            let text = std::str::from_utf8(left.text()?).ok();
            let put = text.and_then(|text| policies.put(tenant, version, lsn, since, text));
            put.ok_or(WireError::bad_value(at, u64::from(version)))?;
        }
        let mut other_counts = OtherCounts::default();
        for _ in 0..left.u32()? {
            let key = (left.u32()?, left.u32()?, left.u16()?);
            other_counts.keep(key, TimestampMs(left.u64()?));
        }
        let mut days = Vec::new();
        for _ in 0..left.u32()? {
            let (node, day) = (NodeIx(left.u32()?), left.u32()?);
            let taken = DayLoad { orders: left.u32()?, lines: left.u32()?, units: left.u64()? };
            days.push(NodeDay { node, day, taken });
        }
        let mut supplies = SupplyBook::default();
        for _ in 0..left.u32()? {
            let at = left.at() as usize;
            let SupplySpec { code, sku, node, segment, quantity, day } = codec::decode(left.text()?)?;
            if node.0 >= NodeIx::LIMIT || segment.0 >= Segment::LIMIT {
                return Err(WireError::bad_value(at, u64::from(node.0)));
            }
            supplies.put(sku, Place::new(node, segment), &code, Expected { quantity, day });
        }
        let (turns, mut waits) = (left.u64()?, Vec::new());
        for _ in 0..left.u32()? {
            let (turn, reservation) = (left.u64()?, CommandId(left.array()?));
            let at = (left.u32()?, left.u32()? as u16);
            let (cell, line) = ((SkuIx(left.u32()?), Place(left.u32()?)), LineId(left.u32()?));
            let (awaited, backordered, day) = (left.u32()?, left.u32()?, left.u32()?);
            waits.push((at, Wait { turn, cell, reservation, line, awaited, backordered, day }));
        }
        supplies.restore(turns, waits.into_iter());
        let version = nodes.version;
        for _ in 0..left.u32()? {
            let KitSpec { kit, components } = codec::decode(left.text()?)?;
            nodes.put_kit(kit, &components);
        }
        for _ in 0..left.u32()? {
            let SubstituteSpec { sku, substitutes } = codec::decode(left.text()?)?;
            nodes.put_substitutes(sku, &substitutes);
        }
        nodes.version = version;
        let scalars = Self {
            capacity,
            lsn,
            now,
            forgotten_before,
            plan_epoch,
            nodes,
            policies,
            other_counts,
            days,
            supplies,
            skus,
            inventory,
            reservations,
            texts,
            outcomes,
            movements,
        };
        left.end().map(|()| scalars)
    }
}

fn put_all(numbers: &[u64], bytes: &mut Vec<u8>) {
    bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
}

/// A value with its length before it.
fn put_text(value: &impl serde::Serialize, bytes: &mut Vec<u8>) {
    let mut text = Vec::new();
    codec::encode(value, &mut text);
    put_count(text.len(), bytes);
    bytes.extend_from_slice(&text);
}

fn put_count(count: usize, bytes: &mut Vec<u8>) {
    bytes
        .extend_from_slice(&u32::try_from(count).expect("all lists are bounded by [capacity]").to_le_bytes());
}

fn put_words(words: &[u32], bytes: &mut Vec<u8>) {
    put_count(words.len(), bytes);
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
}

fn words(left: &mut Bytes<'_>) -> Result<Vec<u32>, WireError> {
    let count = left.u32()? as usize;
    let words = left.slice(count.saturating_mul(4))?.chunks_exact(4);
    Ok(words.map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]])).collect())
}

impl Capacity {
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        put_all(&self.numbers().map(|(_, number)| number), bytes);
    }

    pub(crate) fn read(left: &mut Bytes<'_>) -> Result<Self, WireError> {
        let small = |left: &mut Bytes<'_>| {
            let (at, number) = (left.at() as usize, left.u64()?);
            u32::try_from(number).map_err(|_| WireError::bad_value(at, number))
        };
        Ok(Self {
            skus: small(left)?,
            nodes: small(left)?,
            cells: small(left)?,
            reservations: small(left)?,
            lines: small(left)?,
            commands: small(left)?,
            movements: small(left)?,
            facts_bytes: left.u64()?,
            sku_code_bytes: left.u64()?,
        })
    }
}

impl Runs {
    fn write(&self, bytes: &mut Vec<u8>) {
        let (open, free) = self.parts();
        open.iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        put_count(free.len(), bytes);
        free.iter().for_each(|class| put_words(class, bytes));
    }

    fn read(left: &mut Bytes<'_>) -> Result<Self, WireError> {
        let open = [left.u32()?, left.u32()?];
        let mut free = Vec::new();
        for _ in 0..left.u32()? {
            free.push(words(left)?);
        }
        Ok(Self::of(open, free))
    }
}

#[cfg(test)]
mod tests {
    use earmark_protocol::ids::{Money, ServiceIx};
    use earmark_protocol::tariff::{ChartRow, CurrencyRate, PutTariffs, ServiceSpec, ZoneTo};

    use super::*;

    #[test]
    fn scalars_that_are_cut_or_changed_are_refused_or_read_and_never_a_panic() {
        let mut whole = Vec::new();
        Scalars::new(&Capacity::default()).write(&mut whole);
        assert!(Scalars::read(&whole).is_ok());
        for len in 0..whole.len() {
            assert!(Scalars::read(&whole[..len]).is_err(), "cut at {len}");
        }
        for seed in 0..5_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            let _ = Scalars::read(&bytes);
        }
    }

    #[test]
    fn tariffs_are_kept_with_their_handles() {
        let service = |code: &str| ServiceSpec { code: code.to_owned(), ..ServiceSpec::default() };
        let row = ChartRow {
            chart: "post".to_owned(),
            origin: "606".to_owned(),
            zones: vec![ZoneTo { to: "1".to_owned(), zone: 5 }],
        };
        let put = PutTariffs {
            rates: vec![CurrencyRate { currency: "EUR".to_owned(), rate: Money(7) }],
            charts: vec![row],
            services: vec![service("z"), service("a")],
        };
        let mut scalars = Scalars::new(&Capacity::default());
        scalars.nodes.put_tariffs(Tenant(3), 1, &put);
        scalars.nodes.put_tariffs(Tenant(3), 2, &PutTariffs { services: vec![service("b")], ..put });
        let mut bytes = Vec::new();
        scalars.write(&mut bytes);
        let read = Scalars::read(&bytes).expect("it is whole").nodes;
        let view = |table: &NodeTable| {
            table.tariffs.of(Tenant(3)).expect("it has some").view(ServiceIx(0), |_| true)
        };
        assert_eq!(view(&read), view(&scalars.nodes));
        let codes: Vec<_> = view(&read).services.into_iter().map(|view| view.spec.code).collect();
        assert_eq!((codes, view(&read).version), (vec!["z".into(), "a".into(), "b".into()], 2));
        assert_eq!((view(&read).charts[0].pairs, read.version), (1, scalars.nodes.version));
    }

    #[test]
    fn policies_are_kept_by_version() {
        let mut scalars = Scalars::new(&Capacity::default());
        for version in 1..=20 {
            let text = format!("name = \"{version}\"\n[[rule]]\nname = \"a\"\nexclude = 'node.cold'\n");
            let (lsn, since) = (Lsn(u64::from(version)), TimestampMs(7));
            scalars.policies.put(Tenant(3), version, lsn, since, &text).expect("it is sound");
        }
        let mut bytes = Vec::new();
        scalars.write(&mut bytes);
        let read = Scalars::read(&bytes).expect("it is whole").policies;
        for version in 0..=20 {
            assert_eq!(read.view(Tenant(3), version), scalars.policies.view(Tenant(3), version));
        }
        assert_eq!((read.view(Tenant(3), 4), read.iter().count()), (None, 16), "the last 16 are kept");
    }
}
