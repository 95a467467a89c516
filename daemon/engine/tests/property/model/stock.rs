//! Cells and the commands that are about stock alone. A cell keeps every movement it ever saw.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::command::{AdjustStock, CellQuantity, Disposition, Restock, SetStock, Transfer};
use earmark_protocol::ids::{NodeIx, QUANTITY_MAX, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{CellView, Reply};

use super::{Decided, Model, Noes, Yes, refused_with};

/// Which cell.
pub(crate) type CellKey = (SkuIx, NodeIx, Segment);

/// A cell.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    pub(crate) on_hand: i64,
    pub(crate) held: i64,
    pub(crate) allocated: i64,
    pub(crate) safety: i64,
    pub(crate) unsellable: i64,
    /// When each source counted it last.
    counted: BTreeMap<u16, TimestampMs>,
    /// The source that counted it last, and when.
    counted_last: Option<(u16, TimestampMs)>,
    /// What changed `on_hand`, and when.
    movements: Vec<(TimestampMs, i64)>,
}

/// All cells of all tenants.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stock {
    pub(crate) cells: BTreeMap<CellKey, Cell>,
    /// When each movement of any cell was.
    movements: Vec<TimestampMs>,
    /// When each count was that another source's came after.
    further_counts: Vec<TimestampMs>,
}

impl Cell {
    /// Available to promise; below 0 where it is short.
    pub(crate) fn available(&self) -> i64 {
        self.on_hand - self.held - self.allocated - self.safety - self.unsellable
    }

    /// What readers are told is available: 32 bits of it.
    pub(crate) fn promise(&self) -> i64 {
        self.available().clamp(i64::from(i32::MIN), i64::from(i32::MAX))
    }

    /// Whether what it has can be written down.
    pub(crate) fn is_within_limits(&self) -> bool {
        let limit = i64::from(QUANTITY_MAX);
        (-limit..=limit).contains(&self.on_hand) && self.unsellable <= limit
    }

    pub(crate) fn view(&self, key: &CellKey) -> CellView {
        CellView {
            node: key.1,
            segment: key.2,
            on_hand: i32::try_from(self.on_hand).expect("on hand stays within its limit"),
            held: u32::try_from(self.held).expect("held is a quantity"),
            allocated: u32::try_from(self.allocated).expect("allocated is a quantity"),
            safety: u32::try_from(self.safety).expect("safety is a quantity"),
            unsellable: u32::try_from(self.unsellable).expect("unsellable is a quantity"),
        }
    }
}

impl Stock {
    /// Available to promise; 0 of a cell that was never stocked.
    pub(crate) fn available(&self, key: &CellKey) -> i64 {
        self.cells.get(key).map_or(0, Cell::available)
    }

    /// The cell of a reservation's row, which must exist.
    pub(crate) fn cell(&mut self, key: &CellKey) -> &mut Cell {
        self.cells.get_mut(key).expect("a reservation stands on cells that exist")
    }

    /// Changes `on_hand` and keeps the movement. Makes the cell where it is new.
    pub(crate) fn moves(&mut self, now: TimestampMs, key: CellKey, delta: i64) {
        let cell = self.cells.entry(key).or_default();
        cell.on_hand += delta;
        cell.movements.push((now, delta));
        self.movements.push(now);
    }

    /// Units that stand below what is promised, over these cells.
    pub(crate) fn short(&self, touched: &BTreeSet<CellKey>) -> u64 {
        touched.iter().map(|key| self.available(key).min(0).unsigned_abs()).sum()
    }

    /// All movements before this moment may be forgotten: there were that many since.
    fn movements_may_be_lost_before(&self, kept: usize) -> Option<TimestampMs> {
        self.movements.len().checked_sub(kept + 1).map(|newest_lost| self.movements[newest_lost])
    }

    /// All counts by further sources before this moment may be forgotten: there were that many later ones.
    fn counts_may_be_lost_before(&self, kept: usize) -> Option<TimestampMs> {
        let mut counts = self.further_counts.clone();
        counts.sort_unstable();
        counts.len().checked_sub(kept + 1).map(|newest_lost| counts[newest_lost])
    }
}

impl Model {
    /// Judges the handles of a cell that need not exist.
    pub(super) fn judge_place(
        &self,
        noes: &mut Noes,
        tenant: Tenant,
        (sku, node, segment): CellKey,
        index: Option<usize>,
    ) {
        let mut no = |code, field| {
            let refusal = Refusal::of(code, field);
            noes.push(index.map_or(refusal, |index| refusal.at(index)));
        };
        if self.catalogue.sku(tenant, sku).is_none() {
            no(RefusalCode::UnknownSku, Field::Sku);
        }
        if self.catalogue.node(tenant, node).is_none() {
            no(RefusalCode::UnknownNode, Field::Node);
        }
        if segment.0 >= Segment::LIMIT {
            no(RefusalCode::UnknownSegment, Field::Segment);
        }
        if self.catalogue.kits.contains_key(&sku) {
            no(RefusalCode::SkuIsKit, Field::Sku);
        }
    }

    /// Judges the handles of a cell that must have been stocked once.
    pub(super) fn judge_cell(&self, noes: &mut Noes, tenant: Tenant, key: CellKey, index: Option<usize>) {
        self.judge_place(noes, tenant, key, index);
        let is_kit = self.catalogue.kits.contains_key(&key.0);
        let known =
            self.catalogue.sku(tenant, key.0).is_some() && self.catalogue.node(tenant, key.1).is_some();
        if known && key.2.0 < Segment::LIMIT && !self.stock.cells.contains_key(&key) && !is_kit {
            let refusal = Refusal::of(RefusalCode::UnknownSegment, Field::Segment);
            noes.push(index.map_or(refusal, |index| refusal.at(index)));
        }
    }

    pub(super) fn set_stock(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        set: &SetStock,
        seen: &Reply,
    ) -> Decided {
        let as_of = set.as_of.unwrap_or(now);
        let mut noes = Noes::default();
        noes.list(Field::Line, set.counts.len(), false, self.rules.lines_max);
        if as_of > now {
            noes.push(Refusal::of(RefusalCode::TimeFromFuture, Field::AsOf).detail(now.0 as i64));
        }
        let kept = self.limits.movements;
        let is_too_old = refused_with(seen, RefusalCode::CountTooOld);
        let told = |code| match seen {
            Reply::Refused(refused) if refused.refusal.code == code => refused.refusal.index,
            _ => None,
        };
        // Counts before the one that is told are either not stale, or forgotten.
        let told_stale = told(RefusalCode::StaleCount);
        let told_too_large = told(RefusalCode::QuantityTooLarge);
        let lost = self.stock.counts_may_be_lost_before(kept);
        let lost_movements = self.stock.movements_may_be_lost_before(kept);
        // Where movements may be forgotten, what was moved since is known from some movement on.
        let is_sum_known = lost_movements.is_none_or(|lost| as_of >= lost);
        let mut cells = BTreeSet::new();
        let mut on_hands = Vec::new();
        for (index, count) in set.counts.iter().enumerate() {
            let key = (count.sku, count.node, count.segment);
            self.judge_place(&mut noes, tenant, key, Some(index));
            let cell = self.stock.cells.get(&key).cloned().unwrap_or_default();
            let too_large = |quantity: i64| quantity.unsigned_abs() > u64::from(QUANTITY_MAX);
            let (mut on_hand, mut may_be_too_large) = (i64::from(count.on_hand), false);
            for (_, delta) in cell.movements.iter().rev().filter(|(at, _)| *at > as_of) {
                on_hand += delta;
                may_be_too_large |= too_large(on_hand);
            }
            on_hands.push(on_hand);
            let is_told = told_too_large == u32::try_from(index).ok();
            if too_large(i64::from(count.on_hand))
                || too_large(i64::from(count.safety.unwrap_or(0)))
                || if is_sum_known { too_large(on_hand) } else { is_told && may_be_too_large }
            {
                noes.push(too_large_at(index));
            }
            if !cells.insert(key) {
                noes.at(RefusalCode::LineTwice, Field::Line, index);
            }
            let is_inline = cell.counted_last.is_some_and(|(source, _)| source == set.source);
            if let Some(last) = cell.counted.get(&set.source)
                && as_of < *last
                // What is forgotten is not known to be stale, only to be too old.
                && !((is_too_old || told_stale.is_some_and(|told| index < told as usize))
                    && !is_inline
                    && lost.is_some_and(|lost| *last <= lost))
            {
                noes.push(Refusal::of(RefusalCode::StaleCount, Field::AsOf).at(index).detail(last.0 as i64));
            }
        }
        if let Some(refusal) = noes.first() {
            return Ok(Err(refusal));
        }
        if is_too_old {
            let Reply::Refused(refused) = seen else { unreachable!("it is refused") };
            return match lost_movements.max(lost) {
                Some(lost) if as_of < lost => Ok(Err(refused.refusal)),
                _ => Err("all movements and counts since that count had room".into()),
            };
        }
        for (count, on_hand) in set.counts.iter().zip(on_hands) {
            let cell = self.stock.cells.entry((count.sku, count.node, count.segment)).or_default();
            cell.on_hand = on_hand;
            if let Some((source, last)) = cell.counted_last.replace((set.source, as_of))
                && source != set.source
            {
                self.stock.further_counts.push(last);
            }
            cell.counted.insert(set.source, as_of);
            if let Some(safety) = count.safety {
                cell.safety = i64::from(safety);
            }
        }
        Ok(Ok(Yes { moved: cells.len() as u64, short: self.stock.short(&cells), ..Yes::default() }))
    }

    pub(super) fn adjust_stock(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        adjust: &AdjustStock,
    ) -> Result<Yes, Refusal> {
        let mut noes = Noes::default();
        noes.list(Field::Line, adjust.changes.len(), false, self.rules.lines_max);
        let mut cells = BTreeSet::new();
        for (index, change) in adjust.changes.iter().enumerate() {
            let key = (change.sku, change.node, change.segment);
            self.judge_place(&mut noes, tenant, key, Some(index));
            if change.delta == 0 {
                noes.at(RefusalCode::QuantityZero, Field::Quantity, index);
            }
            let on_hand = self.stock.cells.get(&key).map_or(0, |cell| cell.on_hand) + i64::from(change.delta);
            if on_hand.unsigned_abs() > u64::from(QUANTITY_MAX) {
                noes.push(too_large_at(index));
            }
            if !cells.insert(key) {
                noes.at(RefusalCode::LineTwice, Field::Line, index);
            }
        }
        if let Some(refusal) = noes.first() {
            return Err(refusal);
        }
        for change in &adjust.changes {
            self.stock.moves(now, (change.sku, change.node, change.segment), i64::from(change.delta));
        }
        let moved = adjust.changes.iter().map(|change| u64::from(change.delta.unsigned_abs())).sum();
        Ok(Yes { moved, short: self.stock.short(&cells), ..Yes::default() })
    }

    pub(super) fn restock(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        restock: &Restock,
    ) -> Result<Yes, Refusal> {
        let key = key_of(&restock.cell);
        let mut noes = Noes::default();
        self.judge_place(&mut noes, tenant, key, None);
        let on_hand = self.stock.cells.get(&key).map_or(0, |cell| cell.on_hand);
        judge_quantity(&mut noes, restock.cell.quantity, on_hand);
        let unsellable = self.stock.cells.get(&key).map_or(0, |cell| cell.unsellable);
        if restock.disposition == Disposition::Unsellable {
            judge_quantity(&mut noes, restock.cell.quantity, unsellable);
        }
        if let Some(refusal) = noes.first() {
            return Err(refusal);
        }
        let quantity = i64::from(restock.cell.quantity);
        self.stock.moves(now, key, quantity);
        if restock.disposition == Disposition::Unsellable {
            self.stock.cell(&key).unsellable += quantity;
        }
        let short = self.stock.short(&BTreeSet::from([key]));
        Ok(Yes { moved: u64::from(restock.cell.quantity), short, ..Yes::default() })
    }

    pub(super) fn transfer(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        transfer: &Transfer,
    ) -> Result<Yes, Refusal> {
        let (from, quantity) = (key_of(&transfer.from), i64::from(transfer.from.quantity));
        let to = (from.0, transfer.to_node, transfer.to_segment);
        let mut noes = Noes::default();
        self.judge_cell(&mut noes, tenant, from, None);
        self.judge_place(&mut noes, tenant, to, None);
        let there = if from == to { None } else { self.stock.cells.get(&to) };
        judge_quantity(&mut noes, transfer.from.quantity, there.map_or(0, |cell| cell.on_hand));
        if from == to {
            noes.no(RefusalCode::LineTwice, Field::Node);
        }
        let available = self.stock.available(&from);
        if available < quantity {
            noes.push(Refusal::of(RefusalCode::OutOfStock, Field::Quantity).detail(available.max(0)));
        }
        if let Some(refusal) = noes.first() {
            return Err(refusal);
        }
        self.stock.moves(now, from, -quantity);
        self.stock.moves(now, to, quantity);
        let short = self.stock.short(&BTreeSet::from([from, to]));
        Ok(Yes { moved: u64::from(transfer.from.quantity), short, ..Yes::default() })
    }
}

/// The cell a quantity is of.
pub(super) fn key_of(cell: &CellQuantity) -> CellKey {
    (cell.sku, cell.node, cell.segment)
}

fn judge_quantity(noes: &mut Noes, quantity: u32, there: i64) {
    if quantity == 0 {
        noes.no(RefusalCode::QuantityZero, Field::Quantity);
    }
    if quantity > QUANTITY_MAX || there + i64::from(quantity) > i64::from(QUANTITY_MAX) {
        noes.push(
            Refusal::of(RefusalCode::QuantityTooLarge, Field::Quantity).detail(i64::from(QUANTITY_MAX)),
        );
    }
}

/// A quantity over the limit, at this place of a list.
pub(super) fn too_large_at(index: usize) -> Refusal {
    Refusal::of(RefusalCode::QuantityTooLarge, Field::Quantity).at(index).detail(i64::from(QUANTITY_MAX))
}
