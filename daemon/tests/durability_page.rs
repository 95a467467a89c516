//! `docs/durability.md` is true: each row of its tables of bytes is compared with what the code writes. Where the layout has
//! changed on purpose, `EARMARK_WRITE_PAGE=1 cargo test -p earmark --test durability_page` writes the column `here` anew; the
//! rows themselves are for a person to change.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use earmark_engine::{Capacity, CompactReply, Effect, Record, Stage};
use earmark_protocol::catalogue::{CalendarSpec, NodeSpec, NodeState, SkuSpec};
use earmark_protocol::ids::{CommandId, HoldClass, LineId, Money, NodeIx, SkuIx, Tenant, TimestampMs};
use earmark_protocol::kit::Component;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::Status;
use earmark_protocol::tariff::{CurrencyRate, PutTariffs};
use earmark_snapshot::image::{Cut, ImageWriter};
use earmark_snapshot::log::{FRAME_HEADER_BYTES, LogOptions, Position, Recovery, SEGMENT_HEADER_BYTES};
use earmark_snapshot::storage::{DataDir, Storage};
use earmark_snapshot::{Batch, Gate};

const MARK: &str = "<!-- bytes: ";

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/durability.md")
}

/// One of each kind, by its name on the page.
fn effects() -> Vec<(&'static str, Effect)> {
    let (id, tenant, sku, place) = (CommandId([7; 16]), Tenant(3), SkuIx(11), 0x1001);
    let (content, deadline) = (0x1122_3344_5566_7788, TimestampMs(1_700_000_900_000));
    let refusal = Refusal::of(RefusalCode::OutOfStock, Field::Line).at(4).detail(-2);
    let counted = Some((6, TimestampMs(1_700_000_000_000)));
    let stage = Stage::Held;
    let rates = vec![CurrencyRate { currency: "EUR".to_owned(), rate: Money(1_080_000) }];
    let put = PutTariffs { rates, ..PutTariffs::default() };
    let effects = vec![
        Effect::Open { id, content, tenant, class: HoldClass(1), deadline, rows: 2 },
        Effect::Hold {
            id,
            content,
            tenant,
            class: HoldClass(1),
            deadline,
            cell: 12,
            line: LineId(2),
            sku,
            place,
            quantity: 5,
        },
        Effect::Touch { slot: 9 },
        Effect::Expire { slot: 9, cell: 12, quantity: 5 },
        Effect::Day { node: NodeIx(2), day: 20_784, orders: -1, lines: -2, units: -5 },
        Effect::Widen { rows: 3 },
        Effect::Claim { row: 1, cell: 12, line: LineId(2), sku, place, quantity: 5, stage },
        Effect::Move { row: 1, cell: 12, from: stage, to: Stage::Confirmed, quantity: 5 },
        Effect::Wait {
            row: 1,
            line: LineId(2),
            sku,
            place,
            from: Stage::Free,
            to: Stage::Awaited,
            quantity: 5,
            day: 20_784,
        },
        Effect::Settle { status: Status::Confirmed, deadline: TimestampMs(0) },
        Effect::Review { waits: true },
        // No order, and no plan.
        Effect::Facts { text: vec![0; 9] },
        Effect::Cells { sku, places: vec![place, place + 1] },
        Effect::Stock { sku, place, on_hand: 40, safety: 1, unsellable: 2, moved: -4, counted },
        Effect::Outcome { id, content, tenant, outcome: CompactReply::Refused(refusal), plan: Vec::new() },
        Effect::Supply { sku, place, code: "PO-7".to_owned(), quantity: 40, day: 20_784 },
        Effect::Sku { tenant, spec: Box::new(SkuSpec { code: "MUG".into(), ..SkuSpec::default() }) },
        Effect::SkuRetired { sku },
        Effect::Node { tenant, spec: Box::new(NodeSpec { code: "CHI".into(), ..NodeSpec::default() }) },
        Effect::NodeState { node: NodeIx(2), state: NodeState::Paused },
        Effect::Calendar {
            tenant,
            spec: Box::new(CalendarSpec { code: "weekdays".into(), ..CalendarSpec::default() }),
        },
        Effect::Policy { tenant, version: 4, text: "name = 'a'".to_owned() },
        Effect::Tariffs { tenant, version: 4, put: Box::new(put) },
        Effect::Kit { kit: sku, components: vec![Component { sku: SkuIx(12), quantity: 2 }] },
        Effect::Substitutes { sku, substitutes: vec![SkuIx(12), SkuIx(3)] },
        Effect::Capacity(Box::new(Capacity::smallest())),
        Effect::Grace { until: deadline },
    ];
    effects.into_iter().map(|effect| (name_of(&effect), effect)).collect()
}

/// A new kind of effect has to get a name, and with it a table.
fn name_of(effect: &Effect) -> &'static str {
    match effect {
        Effect::Open { .. } => "open",
        Effect::Hold { .. } => "hold",
        Effect::Touch { .. } => "touch",
        Effect::Expire { .. } => "expire",
        Effect::Day { .. } => "day",
        Effect::Widen { .. } => "widen",
        Effect::Claim { .. } => "claim",
        Effect::Move { .. } => "move",
        Effect::Wait { .. } => "wait",
        Effect::Settle { .. } => "settle",
        Effect::Review { .. } => "review",
        Effect::Facts { .. } => "facts",
        Effect::Cells { .. } => "cells",
        Effect::Stock { .. } => "stock",
        Effect::Outcome { .. } => "outcome",
        Effect::Supply { .. } => "supply",
        Effect::Sku { .. } => "sku",
        Effect::SkuRetired { .. } => "sku retired",
        Effect::Node { .. } => "node",
        Effect::NodeState { .. } => "node state",
        Effect::Calendar { .. } => "calendar",
        Effect::Policy { .. } => "policy",
        Effect::Tariffs { .. } => "tariffs",
        Effect::Kit { .. } => "kit",
        Effect::Substitutes { .. } => "substitutes",
        Effect::Capacity(_) => "capacity",
        Effect::Grace { .. } => "grace",
    }
}

fn bytes_of(effects: Vec<Effect>) -> Vec<u8> {
    let mut bytes = Vec::new();
    Record { effects, ..Record::default() }.encode(&mut bytes);
    bytes
}

/// A log of one record, and an image of two sections, as they lie on a disk.
fn on_disk() -> (Vec<u8>, Vec<u8>) {
    let directory = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(DataDir::open(directory.path()).unwrap());
    let options = LogOptions { segment_bytes: 16 << 10, frame_bytes: 4 << 10, ..LogOptions::default() };
    let log_id = 0x1122_3344_5566_7788;
    let (_gate, mut acknowledgers) = Gate::new(1);
    let recovery = Recovery::open(Arc::clone(&storage), options, None, log_id).unwrap();
    let (mut log, _) = recovery.resume(acknowledgers.remove(0)).unwrap();
    log.record(|bytes| bytes.extend_from_slice(&bytes_of(vec![Effect::SkuRetired { sku: SkuIx(11) }])));
    log.seal(Batch { first: 1, last: 1, time_ms: 1_700_000_000_000 });
    log.flush().unwrap();
    let position = Position { segment: 1, offset: 4288, next_lsn: 2, epoch: 7, previous: 9, log_id };
    let cut = Cut { lsn: 1, time_ms: 1_700_000_000_000, position };
    let mut writer = ImageWriter::create(storage, cut, &[(1, 5), (2, 0)]).unwrap();
    while !writer.step(&[(1, b"first"), (2, b"")]).unwrap().done {}
    let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
    (read("0000000001.log"), read("image-00000000000000000001.earmark"))
}

/// What each table of the page is about.
fn real() -> Vec<(String, Vec<u8>)> {
    let (log, image) = on_disk();
    let frames = SEGMENT_HEADER_BYTES as usize;
    let mut real = vec![
        ("segment".to_owned(), log[..frames].to_vec()),
        ("frame".to_owned(), log[frames + FRAME_HEADER_BYTES..frames + 3 * FRAME_HEADER_BYTES].to_vec()),
        ("image".to_owned(), image[..4096].to_vec()),
        ("image table".to_owned(), image[4096..4096 + 2 * 24 + 4].to_vec()),
    ];
    let effects = effects().into_iter();
    real.extend(effects.map(|(name, effect)| (format!("effect {name}"), bytes_of(vec![effect]))));
    real
}

/// A row of a table: its first byte, how many, and the bytes.
struct Row {
    line: usize,
    at: usize,
    bytes: usize,
    here: String,
}

/// The rows of the table behind a mark.
fn rows(lines: &[&str], name: &str) -> Vec<Row> {
    let mark = format!("{MARK}{name} -->");
    let at = lines.iter().position(|line| *line == mark).unwrap_or_else(|| panic!("no table {mark}"));
    let body = at + 4;
    let table = lines[body..].iter().take_while(|line| line.starts_with('|')).enumerate();
    let row = |(place, line): (usize, &&str)| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let number = |text: &str| text.replace(',', "").parse().unwrap_or_else(|_| panic!("{line}"));
        Row { line: body + place, at: number(cells[0]), bytes: number(cells[1]), here: cells[3].to_owned() }
    };
    table.map(row).collect()
}

fn hex(bytes: &[u8]) -> String {
    if bytes.len() > 8 && bytes.iter().all(|byte| *byte == 0) {
        return "zeros".to_owned();
    }
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("`{}`", digits.join(" "))
}

#[test]
fn every_byte_is_as_documented() {
    let text = std::fs::read_to_string(page()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let mut written: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut wrong = Vec::new();
    let real = real();
    for (name, real) in &real {
        let mut next = 0;
        for Row { line, at, bytes, here } in rows(&lines, name) {
            assert_eq!(at, next, "{name}: a row begins where the one before ends: {}", lines[line]);
            next += bytes;
            let found = real.get(at..next).map_or("nothing".to_owned(), hex);
            if here != found {
                wrong.push(format!("{name}: byte {at} is {found}, the page says {here}"));
                written[line] = written[line].replacen(&format!("| {here} |"), &format!("| {found} |"), 1);
            }
        }
        assert_eq!(next, real.len(), "{name}: the table is as long as what is written");
    }
    let tables = lines.iter().filter(|line| line.starts_with(MARK)).count();
    assert_eq!(tables, real.len(), "every table is compared");
    if std::env::var_os("EARMARK_WRITE_PAGE").is_some() {
        std::fs::write(page(), written.join("\n") + "\n").unwrap();
    } else {
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
