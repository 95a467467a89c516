//! The lock-free readers under loom: every interleaving of a reader with the writer, up to a bound on preemptions.
//!
//! The source that ships is what runs here, with loom's atomics. Run by
//! `RUSTFLAGS="--cfg loom" cargo test -p earmark-engine --release --lib loom`.

use std::sync::Arc;

use earmark_protocol::catalogue::SkuSpec;
use earmark_protocol::ids::{CommandId, HoldClass, LineId, Lsn, SkuIx, Tenant, TimestampMs};
use earmark_protocol::reply::Status;

use crate::catalogue::skus::{SkuMemory, SkuScalars, SkusWriter};
use crate::facts::{self, TextScalars, TextsWriter};
use crate::inventory::{InventoryMemory, InventoryScalars, InventoryWriter, Place, shard_of};
use crate::record::Stage;
use crate::reservations::ids::Ids;
use crate::reservations::slot::RowValue;
use crate::reservations::{Opening, ReservationMemory, ReservationScalars, ReservationsWriter};
use crate::supply::Supplies;

const TENANT: Tenant = Tenant(0);

fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    builder.check(model);
}

/// An inventory with skus `0..skus`.
fn inventory(skus: u32) -> InventoryWriter {
    let mut writer = SkusWriter::new(SkuMemory::new(skus, 64 * 8).unwrap(), &SkuScalars::default());
    for sku in 0..skus {
        writer.put(TENANT, &SkuSpec { code: format!("S{sku}"), ..SkuSpec::default() });
    }
    let memory = InventoryMemory::new(16).unwrap();
    InventoryWriter::new(memory, InventoryScalars::default(), Arc::clone(&writer.skus))
}

#[test]
fn loom_a_whole_cell_is_never_torn() {
    check(3, || {
        let mut writer = inventory(1);
        writer.grow(SkuIx(0), &[Place(1)]);
        let inventory = Arc::clone(&writer.inventory);
        let reader = loom::thread::spawn(move || {
            if let Some(views) = inventory.views(SkuIx(0)) {
                assert_eq!(views.len(), 1);
                assert_eq!(views[0].on_hand.unsigned_abs(), views[0].held, "the writer changes both at once");
            }
        });
        writer.change(SkuIx(0), 0, |quantities| {
            quantities.on_hand += 1;
            quantities.held += 1;
        });
        reader.join().unwrap();
    });
}

#[test]
fn loom_a_run_that_moves_and_is_reused_is_never_read_as_anothers() {
    // Two skus of one shard, so that the second takes the run that the first left.
    let second =
        (1..4096).find(|sku| shard_of(SkuIx(*sku)) == shard_of(SkuIx(0))).expect("256 shards repeat soon");
    check(3, move || {
        // Only the two rows matter; the table between them would be as large as the second's handle.
        let mut writer = inventory(1);
        writer.grow(SkuIx(0), &[Place(1)]);
        writer.change(SkuIx(0), 0, |quantities| quantities.on_hand = 5);
        let inventory = Arc::clone(&writer.inventory);
        let reader = loom::thread::spawn(move || {
            let mut stock = Vec::new();
            if inventory.stock(SkuIx(0), &mut stock) {
                assert!(matches!(stock.len(), 1..=3), "{stock:?}");
                assert_eq!(Place::new(stock[0].node, stock[0].segment), Place(1));
                assert_eq!(stock[0].available, 5, "a cell keeps its quantities when its run moves");
                for cell in &stock[1..] {
                    assert!(Place::new(cell.node, cell.segment) > Place(1), "cells are sorted: {stock:?}");
                    assert_eq!(cell.available, 0, "a new cell is empty");
                }
            }
        });
        writer.grow(SkuIx(0), &[Place(2)]);
        // The run that was left is free now; scribble over it as another sku of the shard would.
        writer.scribble(shard_of(SkuIx(second)), 1, Place(9), 77);
        reader.join().unwrap();
    });
}

/// A table of one reservation with one row, which lies in its slot.
fn reservations() -> (ReservationsWriter, u32, CommandId) {
    let ids = Arc::new(Ids::new(4).unwrap());
    let texts = TextsWriter::new(facts::memory(64 * 4).unwrap(), TextScalars::default());
    let memory = ReservationMemory::new(2, 16).unwrap();
    let mut writer =
        ReservationsWriter::new(memory, ReservationScalars::default(), Arc::clone(&texts.texts), ids);
    let id = CommandId::new(TimestampMs(1_000), [1; 10]);
    let (class, deadline) = (HoldClass(0), TimestampMs(5_000));
    let opening = Opening { id, content: 7, tenant: TENANT, class, deadline, lsn: Lsn(1), rows: 1, cell: 0 };
    let (slot, _) = writer.open(&opening);
    writer.row(slot, 0).store(&row_in(Stage::Held));
    writer.end(slot);
    (writer, slot, id)
}

/// Four units in a stage.
fn row_in(stage: Stage) -> RowValue {
    let mut value = RowValue::empty(LineId(0), SkuIx(0), Place(1));
    value.move_units(Stage::Free, stage, 4);
    value
}

#[test]
fn loom_a_reservation_is_seen_before_or_after_a_step_never_between() {
    check(3, || {
        let (mut writer, slot, id) = reservations();
        let table = Arc::clone(&writer.table);
        let reader = loom::thread::spawn(move || {
            if let Some(view) = table.view(TENANT, &id, &Supplies::default()) {
                let stages = (view.rows[0].held, view.rows[0].confirmed);
                assert_eq!(view.rows.len(), 1);
                assert_eq!(stages, if view.status == Status::Held { (4, 0) } else { (0, 4) });
            }
        });
        writer.begin(slot);
        writer.row(slot, 0).store(&row_in(Stage::Confirmed));
        writer.settle(slot, Status::Confirmed, TimestampMs(5_000));
        writer.end(slot);
        reader.join().unwrap();
    });
}

#[test]
fn loom_rows_that_move_are_read_where_they_are() {
    check(3, || {
        let (mut writer, slot, id) = reservations();
        let table = Arc::clone(&writer.table);
        let reader = loom::thread::spawn(move || {
            if let Some(view) = table.view(TENANT, &id, &Supplies::default()) {
                assert!(matches!(view.rows.len(), 1 | 2));
                assert_eq!(view.rows[0].held, 4, "a row keeps its units when it moves");
                assert!(view.rows[1..].iter().all(|row| row.held == 0), "a new row is empty: {view:?}");
            }
        });
        writer.begin(slot);
        writer.widen(slot, 1);
        writer.end(slot);
        reader.join().unwrap();
    });
}
