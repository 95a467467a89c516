//! The bytes of a record in the log: effects one after the other, each a tag and fixed little-endian fields, texts and
//! lists behind a 32-bit length. It says how a change is written down, never what it means.

use earmark_protocol::catalogue::NodeState;
use earmark_protocol::codec;
use earmark_protocol::ids::{CommandId, HoldClass, LineId, NodeIx, SkuIx, Tenant, TimestampMs};
use earmark_protocol::reply::Status;
use earmark_protocol::wire_error::WireError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Effect, Stage};
use crate::bytes::Bytes;
use crate::facts::Facts;
use crate::outcomes::CompactReply;
use crate::rules::Capacity;

const OPEN: u8 = 1;
const TOUCH: u8 = 2;
const WIDEN: u8 = 3;
const CLAIM: u8 = 4;
const MOVE: u8 = 5;
const SETTLE: u8 = 6;
const FACTS: u8 = 7;
const CELLS: u8 = 8;
const STOCK: u8 = 9;
const OUTCOME: u8 = 10;
const SKU: u8 = 11;
const SKU_RETIRED: u8 = 12;
const NODE: u8 = 13;
const NODE_STATE: u8 = 14;
const CAPACITY: u8 = 15;
const GRACE: u8 = 16;
const HOLD: u8 = 17;
const POLICY: u8 = 18;
const CALENDAR: u8 = 19;
const TARIFFS: u8 = 20;
const EXPIRE: u8 = 24;
const DAY: u8 = 25;
const REVIEW: u8 = 26;
const SUPPLY: u8 = 27;
const WAIT: u8 = 28;
const KIT: u8 = 29;
const SUBSTITUTES: u8 = 30;

/// The fixed part of an effect on its way into the log: put together here, appended once.
struct Fixed {
    bytes: [u8; 80],
    len: usize,
}

impl Fixed {
    #[inline(always)]
    fn new(tag: u8) -> Self {
        let mut bytes = [0; 80];
        bytes[0] = tag;
        Self { bytes, len: 1 }
    }

    // By reference: handed on by value, it would be copied whole with every field.
    #[inline(always)]
    fn put<const N: usize>(&mut self, part: [u8; N]) -> &mut Self {
        self.bytes[self.len..self.len + N].copy_from_slice(&part);
        self.len += N;
        self
    }

    #[inline(always)]
    fn onto(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.bytes[..self.len]);
    }
}

fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).expect("a record is far below 4 GiB").to_le_bytes()
}

fn put_text(text: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&length(text.len()));
    bytes.extend_from_slice(text);
}

fn put_value(value: &impl Serialize, bytes: &mut Vec<u8>) {
    let at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    codec::encode(value, bytes);
    let len = length(bytes.len() - at - 4);
    bytes[at..at + 4].copy_from_slice(&len);
}

#[inline]
pub(super) fn write(effect: &Effect, bytes: &mut Vec<u8>) {
    match effect {
        Effect::Open { id, content, tenant, class, deadline, rows } => Fixed::new(OPEN)
            .put(id.0)
            .put(content.to_le_bytes())
            .put(deadline.0.to_le_bytes())
            .put(tenant.0.to_le_bytes())
            .put(rows.to_le_bytes())
            .put([class.0])
            .onto(bytes),
        Effect::Hold { id, content, tenant, class, deadline, cell, line, sku, place, quantity } => {
            Fixed::new(HOLD)
                .put(id.0)
                .put(content.to_le_bytes())
                .put(deadline.0.to_le_bytes())
                .put(cell.to_le_bytes())
                .put(line.0.to_le_bytes())
                .put(sku.0.to_le_bytes())
                .put(place.to_le_bytes())
                .put(quantity.to_le_bytes())
                .put(tenant.0.to_le_bytes())
                .put([class.0])
                .onto(bytes);
        }
        Effect::Touch { slot } => Fixed::new(TOUCH).put(slot.to_le_bytes()).onto(bytes),
        Effect::Expire { slot, cell, quantity } => Fixed::new(EXPIRE)
            .put(slot.to_le_bytes())
            .put(cell.to_le_bytes())
            .put(quantity.to_le_bytes())
            .onto(bytes),
        Effect::Widen { rows } => Fixed::new(WIDEN).put(rows.to_le_bytes()).onto(bytes),
        Effect::Claim { row, cell, line, sku, place, quantity, stage } => Fixed::new(CLAIM)
            .put(cell.to_le_bytes())
            .put(line.0.to_le_bytes())
            .put(sku.0.to_le_bytes())
            .put(place.to_le_bytes())
            .put(quantity.to_le_bytes())
            .put(row.to_le_bytes())
            .put([*stage as u8])
            .onto(bytes),
        Effect::Move { row, cell, from, to, quantity } => Fixed::new(MOVE)
            .put(cell.to_le_bytes())
            .put(quantity.to_le_bytes())
            .put(row.to_le_bytes())
            .put([*from as u8, *to as u8])
            .onto(bytes),
        Effect::Wait { row, line, sku, place, from, to, quantity, day } => Fixed::new(WAIT)
            .put(line.0.to_le_bytes())
            .put(sku.0.to_le_bytes())
            .put(place.to_le_bytes())
            .put(quantity.to_le_bytes())
            .put(day.to_le_bytes())
            .put(row.to_le_bytes())
            .put([*from as u8, *to as u8])
            .onto(bytes),
        Effect::Settle { status, deadline } => {
            Fixed::new(SETTLE).put(deadline.0.to_le_bytes()).put([*status as u8]).onto(bytes);
        }
        Effect::Review { waits } => Fixed::new(REVIEW).put([u8::from(*waits)]).onto(bytes),
        Effect::Facts { text } => {
            Fixed::new(FACTS).onto(bytes);
            put_text(text, bytes);
        }
        Effect::Cells { sku, places } => {
            Fixed::new(CELLS).put(sku.0.to_le_bytes()).put(length(places.len())).onto(bytes);
            bytes.extend(places.iter().flat_map(|place| place.to_le_bytes()));
        }
        Effect::Stock { sku, place, on_hand, safety, unsellable, moved, counted } => {
            let (is_counted, source, as_of) =
                counted.map_or((0, 0, 0), |(source, as_of)| (1_u8, source, as_of.0));
            Fixed::new(STOCK)
                .put(sku.0.to_le_bytes())
                .put(place.to_le_bytes())
                .put(on_hand.to_le_bytes())
                .put(safety.to_le_bytes())
                .put(unsellable.to_le_bytes())
                .put(moved.to_le_bytes())
                .put(as_of.to_le_bytes())
                .put(source.to_le_bytes())
                .put([is_counted])
                .onto(bytes);
        }
        Effect::Outcome { id, content, tenant, outcome, plan } => {
            let (kind, values) = outcome.to_words();
            Fixed::new(OUTCOME)
                .put(id.0)
                .put(content.to_le_bytes())
                .put(tenant.0.to_le_bytes())
                .put(kind[0].to_le_bytes())
                .put(kind[1].to_le_bytes())
                .put(kind[2].to_le_bytes())
                .put(values[0].to_le_bytes())
                .put(values[1].to_le_bytes())
                .put(values[2].to_le_bytes())
                .onto(bytes);
            put_text(plan, bytes);
        }
        Effect::Day { node, day, orders, lines, units } => Fixed::new(DAY)
            .put(node.0.to_le_bytes())
            .put(day.to_le_bytes())
            .put(orders.to_le_bytes())
            .put(lines.to_le_bytes())
            .put(units.to_le_bytes())
            .onto(bytes),
        Effect::Supply { sku, place, code, quantity, day } => {
            Fixed::new(SUPPLY)
                .put(sku.0.to_le_bytes())
                .put(place.to_le_bytes())
                .put(quantity.to_le_bytes())
                .put(day.to_le_bytes())
                .onto(bytes);
            put_text(code.as_bytes(), bytes);
        }
        Effect::Sku { tenant, spec } => {
            Fixed::new(SKU).put(tenant.0.to_le_bytes()).onto(bytes);
            put_value(spec, bytes);
        }
        Effect::SkuRetired { sku } => Fixed::new(SKU_RETIRED).put(sku.0.to_le_bytes()).onto(bytes),
        Effect::Node { tenant, spec } => {
            Fixed::new(NODE).put(tenant.0.to_le_bytes()).onto(bytes);
            put_value(spec, bytes);
        }
        Effect::NodeState { node, state } => {
            Fixed::new(NODE_STATE).put(node.0.to_le_bytes()).put([*state as u8]).onto(bytes);
        }
        Effect::Capacity(capacity) => {
            Fixed::new(CAPACITY).onto(bytes);
            capacity.write(bytes);
        }
        Effect::Policy { tenant, version, text } => {
            Fixed::new(POLICY).put(tenant.0.to_le_bytes()).put(version.to_le_bytes()).onto(bytes);
            put_text(text.as_bytes(), bytes);
        }
        Effect::Calendar { tenant, spec } => {
            Fixed::new(CALENDAR).put(tenant.0.to_le_bytes()).onto(bytes);
            put_value(spec, bytes);
        }
        Effect::Tariffs { tenant, version, put } => {
            Fixed::new(TARIFFS).put(tenant.0.to_le_bytes()).put(version.to_le_bytes()).onto(bytes);
            put_value(put, bytes);
        }
        Effect::Kit { kit, components } => {
            Fixed::new(KIT).put(kit.0.to_le_bytes()).onto(bytes);
            put_value(components, bytes);
        }
        Effect::Substitutes { sku, substitutes } => {
            Fixed::new(SUBSTITUTES).put(sku.0.to_le_bytes()).onto(bytes);
            put_value(substitutes, bytes);
        }
        Effect::Grace { until } => Fixed::new(GRACE).put(until.0.to_le_bytes()).onto(bytes),
    }
}

fn truth(number: u8) -> Option<bool> {
    (number < 2).then_some(number == 1)
}

fn value<T: DeserializeOwned>(left: &mut Bytes<'_>) -> Result<T, WireError> {
    let text = left.text()?;
    let begins = left.at() - text.len() as u64;
    codec::decode(text).map_err(|error| error.after(begins))
}

fn string(left: &mut Bytes<'_>) -> Result<String, WireError> {
    let at = left.at() as usize;
    let text = left.text()?;
    String::from_utf8(text.to_vec()).map_err(|_| WireError::bad_value(at, text.len() as u64))
}

#[inline]
pub(super) fn read(left: &mut Bytes<'_>) -> Result<Effect, WireError> {
    let (at, tag) = (left.at() as usize, left.u8()?);
    Ok(match tag {
        OPEN => {
            let (id, content, deadline) = (CommandId(left.array()?), left.u64()?, TimestampMs(left.u64()?));
            let (tenant, rows, class) = (Tenant(left.u16()?), left.u16()?, HoldClass(left.u8()?));
            Effect::Open { id, content, tenant, class, deadline, rows }
        }
        HOLD => {
            let (id, content, deadline) = (CommandId(left.array()?), left.u64()?, TimestampMs(left.u64()?));
            let (cell, line, sku) = (left.u32()?, LineId(left.u32()?), SkuIx(left.u32()?));
            let (place, quantity) = (left.u32()?, left.u32()?);
            let (tenant, class) = (Tenant(left.u16()?), HoldClass(left.u8()?));
            Effect::Hold { id, content, tenant, class, deadline, cell, line, sku, place, quantity }
        }
        TOUCH => Effect::Touch { slot: left.u32()? },
        EXPIRE => {
            let (slot, cell, quantity) = (left.u32()?, left.u32()?, left.u32()?);
            Effect::Expire { slot, cell, quantity }
        }
        WIDEN => Effect::Widen { rows: left.u16()? },
        CLAIM => {
            let (cell, line, sku) = (left.u32()?, LineId(left.u32()?), SkuIx(left.u32()?));
            let (place, quantity, row, stage) =
                (left.u32()?, left.u32()?, left.u16()?, left.one_of(Stage::from_number)?);
            Effect::Claim { row, cell, line, sku, place, quantity, stage }
        }
        MOVE => {
            let (cell, quantity, row) = (left.u32()?, left.u32()?, left.u16()?);
            Effect::Move {
                row,
                cell,
                from: left.one_of(Stage::from_number)?,
                to: left.one_of(Stage::from_number)?,
                quantity,
            }
        }
        WAIT => {
            let (line, sku, place) = (LineId(left.u32()?), SkuIx(left.u32()?), left.u32()?);
            let (quantity, day, row) = (left.u32()?, left.u32()?, left.u16()?);
            let (from, to) = (left.one_of(Stage::from_number)?, left.one_of(Stage::from_number)?);
            Effect::Wait { row, line, sku, place, from, to, quantity, day }
        }
        SETTLE => {
            let deadline = TimestampMs(left.u64()?);
            Effect::Settle { status: left.one_of(Status::from_number)?, deadline }
        }
        REVIEW => Effect::Review { waits: left.one_of(truth)? },
        FACTS => {
            let text = left.text()?.to_vec();
            Facts::check(&text)?;
            Effect::Facts { text }
        }
        CELLS => {
            let (sku, count) = (SkuIx(left.u32()?), left.u32()? as usize);
            let places = left.slice(count.saturating_mul(4))?.chunks_exact(4);
            let places = places.map(|place| u32::from_le_bytes([place[0], place[1], place[2], place[3]]));
            Effect::Cells { sku, places: places.collect() }
        }
        STOCK => {
            let (sku, place) = (SkuIx(left.u32()?), left.u32()?);
            let (on_hand, safety, unsellable) = (left.u32()?.cast_signed(), left.u32()?, left.u32()?);
            let (moved, as_of, source) = (left.u32()?.cast_signed(), TimestampMs(left.u64()?), left.u16()?);
            let is_counted = left.one_of(truth)?;
            let counted = is_counted.then_some((source, as_of));
            Effect::Stock { sku, place, on_hand, safety, unsellable, moved, counted }
        }
        OUTCOME => {
            let (id, content, tenant) = (CommandId(left.array()?), left.u64()?, Tenant(left.u16()?));
            let kind = [left.u16()?, left.u16()?, left.u16()?];
            let outcome = CompactReply::from_words(kind, [left.u64()?, left.u64()?, left.u64()?]);
            Effect::Outcome { id, content, tenant, outcome, plan: left.text()?.to_vec() }
        }
        DAY => {
            let (node, day) = (NodeIx(left.u32()?), left.u32()?);
            let (orders, lines) = (left.u32()?.cast_signed(), left.u32()?.cast_signed());
            Effect::Day { node, day, orders, lines, units: left.u64()?.cast_signed() }
        }
        SUPPLY => {
            let (sku, place, quantity, day) = (SkuIx(left.u32()?), left.u32()?, left.u32()?, left.u32()?);
            Effect::Supply { sku, place, code: string(left)?, quantity, day }
        }
        SKU => Effect::Sku { tenant: Tenant(left.u16()?), spec: value(left)? },
        SKU_RETIRED => Effect::SkuRetired { sku: SkuIx(left.u32()?) },
        NODE => Effect::Node { tenant: Tenant(left.u16()?), spec: value(left)? },
        NODE_STATE => {
            let node = NodeIx(left.u32()?);
            Effect::NodeState { node, state: left.one_of(NodeState::from_number)? }
        }
        POLICY => {
            let (tenant, version) = (Tenant(left.u16()?), left.u32()?);
            Effect::Policy { tenant, version, text: string(left)? }
        }
        CALENDAR => Effect::Calendar { tenant: Tenant(left.u16()?), spec: value(left)? },
        TARIFFS => Effect::Tariffs { tenant: Tenant(left.u16()?), version: left.u32()?, put: value(left)? },
        SUBSTITUTES => Effect::Substitutes { sku: SkuIx(left.u32()?), substitutes: value(left)? },
        KIT => Effect::Kit { kit: SkuIx(left.u32()?), components: value(left)? },
        CAPACITY => Effect::Capacity(Box::new(Capacity::read(left)?)),
        GRACE => Effect::Grace { until: TimestampMs(left.u64()?) },
        _ => return Err(WireError::bad_value(at, u64::from(tag))),
    })
}

#[cfg(test)]
mod tests {
    use earmark_protocol::catalogue::{CalendarSpec, NodeSpec, SkuSpec};
    use earmark_protocol::ids::Lsn;
    use earmark_protocol::kit::Component;
    use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

    use super::super::Record;
    use super::*;

    /// One of each kind.
    fn effects() -> Vec<Effect> {
        let (id, tenant, now) = (CommandId([7; 16]), Tenant(3), TimestampMs(5_000));
        let refusal = Refusal::of(RefusalCode::OutOfStock, Field::Line).at(4).detail(-2);
        let done = CompactReply::Done { status: Some(Status::Confirmed), deadline: now, moved: 8, short: 1 };
        let (content, place, line, sku) = (0xABCD, 0x1001, LineId(2), SkuIx(11));
        vec![
            Effect::Open { id, content, tenant, class: HoldClass(1), deadline: now, rows: 2 },
            Effect::Hold {
                id,
                content,
                tenant,
                class: HoldClass(1),
                deadline: now,
                cell: 12,
                line,
                sku,
                place,
                quantity: 5,
            },
            Effect::Touch { slot: 9 },
            Effect::Expire { slot: 9, cell: 12, quantity: 5 },
            Effect::Widen { rows: 3 },
            Effect::Claim { row: 1, cell: 12, line, sku, place, quantity: 5, stage: Stage::Held },
            Effect::Move { row: 1, cell: 12, from: Stage::Held, to: Stage::Shipped, quantity: 5 },
            Effect::Wait {
                row: 1,
                line,
                sku,
                place,
                from: Stage::Free,
                to: Stage::Awaited,
                quantity: 5,
                day: 20_000,
            },
            Effect::Settle { status: Status::Cancelled, deadline: TimestampMs(0) },
            Effect::Review { waits: true },
            Effect::Facts { text: Facts::default().to_bytes() },
            Effect::Cells { sku, places: vec![1, 2, u32::MAX] },
            Effect::Stock {
                sku,
                place,
                on_hand: -4,
                safety: 1,
                unsellable: 2,
                moved: -4,
                counted: Some((6, now)),
            },
            Effect::Stock { sku, place, on_hand: 4, safety: 0, unsellable: 0, moved: 0, counted: None },
            Effect::Outcome {
                id,
                content,
                tenant,
                outcome: CompactReply::Refused(refusal),
                plan: Vec::new(),
            },
            Effect::Outcome { id, content, tenant, outcome: done, plan: vec![4, 5] },
            Effect::Day { node: NodeIx(2), day: 20_000, orders: -1, lines: -2, units: -30 },
            Effect::Supply { sku, place, code: "é".to_owned(), quantity: 40, day: 20_000 },
            Effect::Sku { tenant, spec: Box::new(SkuSpec { code: "é".into(), ..SkuSpec::default() }) },
            Effect::SkuRetired { sku },
            Effect::Node { tenant, spec: Box::new(NodeSpec { code: "N1".into(), ..NodeSpec::default() }) },
            Effect::NodeState { node: NodeIx(2), state: NodeState::Retired },
            Effect::Policy { tenant, version: 2, text: "name = \"é\"".to_owned() },
            Effect::Calendar {
                tenant,
                spec: Box::new(CalendarSpec { code: "C1".into(), ..CalendarSpec::default() }),
            },
            Effect::Tariffs { tenant, version: 2, put: Box::default() },
            Effect::Kit { kit: sku, components: vec![Component { sku: SkuIx(7), quantity: 2 }] },
            Effect::Substitutes { sku, substitutes: vec![SkuIx(7), SkuIx(3)] },
            Effect::Capacity(Box::default()),
            Effect::Grace { until: now },
        ]
    }

    fn bytes_of(effects: Vec<Effect>) -> Vec<u8> {
        let mut bytes = Vec::new();
        Record { effects, ..Record::default() }.encode(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_written_is_read_back_and_every_cut_is_noticed() {
        let bytes = bytes_of(effects());
        let read = Record::decode(Lsn(4), TimestampMs(9), &bytes).expect("all of it");
        assert_eq!(read, Record { lsn: Lsn(4), now: TimestampMs(9), effects: effects() });
        let ends: Vec<usize> = (0..=effects().len())
            .map(|count| bytes_of(effects().into_iter().take(count).collect()).len())
            .collect();
        for len in 0..bytes.len() {
            let cut = Record::decode(Lsn(4), TimestampMs(9), &bytes[..len]);
            assert_eq!(cut.is_ok(), ends.contains(&len), "cut at {len}");
        }
    }

    #[test]
    fn what_another_build_kept_of_an_order_is_refused() {
        for text in [vec![1, 2, 3], [Facts::default().to_bytes(), vec![0]].concat()] {
            let bytes = bytes_of(vec![Effect::Facts { text }]);
            assert!(Record::decode(Lsn(4), TimestampMs(9), &bytes).is_err());
        }
    }

    #[test]
    fn a_plain_hold_is_fifty_six_bytes() {
        let hold = effects().into_iter().filter(|effect| matches!(effect, Effect::Hold { .. })).collect();
        let expected = "11 07070707070707070707070707070707 cdab000000000000 8813000000000000\
                        0c000000 02000000 0b000000 01100000 05000000 0300 01";
        let hex: String = bytes_of(hold).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected.replace(' ', ""));
        assert_eq!(hex.len() / 2, 56);
    }

    #[test]
    fn bytes_that_are_no_record_are_refused_and_never_a_panic() {
        let whole = bytes_of(effects());
        for seed in 0..20_000 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut bytes = whole.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                bytes[at] = random.u8(..);
            }
            bytes.truncate(random.usize(..=whole.len()));
            let _ = Record::decode(Lsn(1), TimestampMs(1), &bytes);
        }
        assert_eq!(
            Record::decode(Lsn(1), TimestampMs(1), &[99]),
            Err(WireError::bad_value(0, 99)),
            "an unknown tag"
        );
        let endless = [&[CELLS, 1, 0, 0, 0][..], &[0xFF; 4]].concat();
        assert!(Record::decode(Lsn(1), TimestampMs(1), &endless).is_err());
    }
}
