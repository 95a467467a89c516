//! The inventory index: every sku's cells as one run, in 256 logical shards.
//!
//! Three arenas lie side by side: the directory (a row per sku, in [`crate::catalogue::skus`]) says where a sku's
//! run is; `words` has one atomic word per cell, its place and what can be promised, sorted by place; `cells` has the
//! quantities at the same index. Readers need no lock: they read a run's words and then check that the directory still
//! names that run. So a run can be reused at once: whoever read a run that moved sees it, and reads again.
//! This room holds no rules about who may take what.

pub(crate) mod cell;

use std::sync::Arc;

use earmark_protocol::ids::{NodeIx, Segment, SkuIx};
use earmark_protocol::reply::CellView;

use crate::arena::Arena;
use crate::catalogue::skus::Skus;
use crate::runs::{Extents, Runs};
use crate::sync::{AtomicU64, Ordering, fence};
pub use cell::Place;
use cell::{Cell, Quantities, word, word_available, word_place};

/// Logical shards of the inventory, always.
pub const SHARDS: usize = 256;

/// Times a reader tries before it asks the committer instead; loom tries every interleaving, so fewer tell as much.
const READ_ATTEMPTS: usize = if cfg!(loom) { 2 } else { 16 };

/// The shard of a sku: the top byte of a multiplicative hash.
#[must_use]
pub fn shard_of(sku: SkuIx) -> usize {
    (sku.0.wrapping_mul(0x9E37_79B9) >> 24) as usize
}

/// What can be promised of one cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellStock {
    /// Its node.
    pub node: NodeIx,
    /// Its segment.
    pub segment: Segment,
    /// Units; below 0 where it is short.
    pub available: i32,
}

/// Where a sku's cells lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Run {
    pub(crate) fn pack(self) -> u64 {
        u64::from(self.start) << 32 | u64::from(self.len)
    }

    pub(crate) fn unpack(word: u64) -> Self {
        Self { start: (word >> 32) as u32, len: word as u32 }
    }

    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// The arenas that everyone reads and the writer alone changes.
pub(crate) struct Inventory {
    pub(crate) skus: Arc<Skus>,
    words: Arena<AtomicU64>,
    cells: Arena<Cell>,
}

impl Inventory {
    /// Calls `read` with the words of all of a sku's cells, sorted by place. Whole or not at all: where the run moved
    /// meanwhile what was read is void and it is called again, and `None` is given when it moved again and again.
    pub(crate) fn read_run<R>(&self, sku: SkuIx, mut read: impl FnMut(&[AtomicU64]) -> R) -> Option<R> {
        let row = self.skus.row(sku)?;
        for _ in 0..READ_ATTEMPTS {
            // Acquire: pairs with the Release store at the end of `grow`, so the run's words are the ones written there.
            let growths = row.growths.load(Ordering::Acquire);
            let run = Run::unpack(row.run.load(Ordering::Acquire));
            if growths & 1 == 0 {
                let result = read(&self.words[run.range()]);
                // Acquire fence: pairs with the Release fence of `grow`. If a word read above was written by a later
                // growth that reused this run, then the count of growths that freed it is seen below.
                fence(Ordering::Acquire);
                if row.growths.load(Ordering::Relaxed) == growths {
                    return Some(result);
                }
            }
        }
        None
    }

    /// How often a sku's run moved; `None` while it does.
    pub(crate) fn moves(&self, sku: SkuIx) -> Option<u32> {
        // Acquire: pairs with the Release store at the end of `grow`, as in `read_run`.
        let growths = self.skus.row(sku)?.growths.load(Ordering::Acquire);
        (growths & 1 == 0).then_some(growths / 2)
    }

    /// All cells of a sku, sorted by node and segment, into `out`. `false` when the run moved again and again.
    pub(crate) fn stock(&self, sku: SkuIx, out: &mut Vec<CellStock>) -> bool {
        let read = self.read_run(sku, |words| {
            out.clear();
            out.extend(words.iter().map(|word| {
                let word = word.load(Ordering::Relaxed);
                let place = word_place(word);
                CellStock { node: place.node(), segment: place.segment(), available: word_available(word) }
            }));
        });
        if read.is_none() {
            out.clear();
        }
        read.is_some()
    }

    /// What can be promised of one cell; `None` where there is no such cell.
    pub(crate) fn available(&self, sku: SkuIx, place: Place) -> Option<i32> {
        self.read_run(sku, |words| {
            // The lines of the run at once, not one after the other as the search gets to them.
            prefetch_run(words);
            search(words, place).ok().map(|at| word_available(words[at].load(Ordering::Relaxed)))
        })
        .flatten()
    }

    /// Whole cells of a sku under its sequence; `None` when they changed again and again.
    pub(crate) fn views(&self, sku: SkuIx) -> Option<Vec<CellView>> {
        let row = self.skus.row(sku)?;
        let mut views = Vec::new();
        for _ in 0..READ_ATTEMPTS {
            // Acquire: pairs with the Release store that ends a write to one of the sku's cells.
            let before = row.sequence.load(Ordering::Acquire);
            if before & 1 == 0 {
                views.clear();
                let run = Run::unpack(row.run.load(Ordering::Acquire));
                for at in run.range() {
                    let place = word_place(self.words[at].load(Ordering::Relaxed));
                    views.push(self.cells[at].quantities().view(place));
                }
                // Acquire fence: pairs with the Release fence that begins a write.
                fence(Ordering::Acquire);
                if row.sequence.load(Ordering::Relaxed) == before {
                    return Some(views);
                }
            }
        }
        None
    }

    /// The cell at a place. For the writer: nothing may move meanwhile.
    #[inline]
    pub(crate) fn find(&self, sku: SkuIx, place: Place) -> Option<u32> {
        let run = Run::unpack(self.skus.row(sku)?.run.load(Ordering::Relaxed));
        search(&self.words[run.range()], place).ok().map(|at| run.start + at as u32)
    }

    /// The same, where the cell probably has this index.
    #[inline]
    pub(crate) fn find_near(&self, sku: SkuIx, place: Place, hint: u32) -> Option<u32> {
        let run = Run::unpack(self.skus.row(sku)?.run.load(Ordering::Relaxed));
        let is_there = run.range().contains(&(hint as usize))
            && word_place(self.words[hint as usize].load(Ordering::Relaxed)) == place;
        if is_there { Some(hint) } else { self.find(sku, place) }
    }

    /// The places and quantities of a sku's cells. For the writer: nothing may move meanwhile.
    pub(crate) fn cells_of(&self, sku: SkuIx) -> impl Iterator<Item = (Place, Quantities)> {
        self.indices_of(sku).map(|cell| {
            let place = word_place(self.words[cell as usize].load(Ordering::Relaxed));
            (place, self.quantities(cell))
        })
    }

    /// The indices of a sku's cells. For the writer: nothing may move meanwhile.
    pub(crate) fn indices_of(&self, sku: SkuIx) -> impl Iterator<Item = u32> {
        let run =
            self.skus.row(sku).map(|row| Run::unpack(row.run.load(Ordering::Relaxed))).unwrap_or_default();
        run.start..run.start + run.len
    }

    /// The quantities of a cell. For the writer.
    pub(crate) fn quantities(&self, cell: u32) -> Quantities {
        self.cells[cell as usize].quantities()
    }

    /// What can be promised of a cell, from its word. For the writer.
    #[inline]
    pub(crate) fn available_at(&self, cell: u32) -> i32 {
        word_available(self.words[cell as usize].load(Ordering::Relaxed))
    }

    /// A cell's row. For the writer.
    pub(crate) fn cell(&self, cell: u32) -> &Cell {
        &self.cells[cell as usize]
    }

    /// Asks for the cache lines that a hold of this sku needs first.
    pub(crate) fn prefetch_words(&self, sku: SkuIx) {
        if let Some(row) = self.skus.row(sku) {
            let run = Run::unpack(row.run.load(Ordering::Relaxed));
            prefetch_run(&self.words[run.range()]);
        }
    }

    /// Asks for a cell and its word, where there is room for such a cell.
    pub(crate) fn prefetch_at(&self, cell: u32) {
        if let (Some(word), Some(cell)) = (self.words.get(cell as usize), self.cells.get(cell as usize)) {
            crate::arena::prefetch(word);
            crate::arena::prefetch(cell);
        }
    }

    /// Asks for the cell's cache line, once its word is near.
    pub(crate) fn prefetch_cell(&self, sku: SkuIx, place: Place) {
        if let Some(cell) = self.find(sku, place) {
            crate::arena::prefetch(&self.cells[cell as usize]);
        }
    }
}

/// Asks for the cache lines that a search of these words begins with: for a short run, all of them.
#[inline]
fn prefetch_run(words: &[AtomicU64]) {
    if let [first, .., last] = words {
        crate::arena::prefetch(first);
        crate::arena::prefetch(&words[words.len() / 2]);
        crate::arena::prefetch(last);
    }
}

/// The index of a place in sorted words, or where it would go.
#[inline]
fn search(words: &[AtomicU64], place: Place) -> Result<usize, usize> {
    // The place is the upper half of a word: all words of lower places are less than this, and no others.
    let least = word(place, 0);
    let is_below = |word: &AtomicU64| word.load(Ordering::Relaxed) < least;
    let index = words.partition_point(is_below);
    match words.get(index) {
        Some(word) if word_place(word.load(Ordering::Relaxed)) == place => Ok(index),
        _ => Err(index),
    }
}

/// The writer's side: it alone changes cells and moves runs.
pub(crate) struct InventoryWriter {
    pub(crate) inventory: Arc<Inventory>,
    extents: Extents,
    shards: Vec<Runs>,
    cells: u64,
}

/// A rehearsal of growth, so that a decision knows whether all of it will fit.
pub(crate) struct GrowthTrial<'a> {
    writer: &'a InventoryWriter,
    extents: Extents,
    shards: std::collections::BTreeMap<usize, Runs>,
}

/// The memory of the inventory.
pub(crate) struct InventoryMemory {
    pub(crate) words: Arena<AtomicU64>,
    pub(crate) cells: Arena<Cell>,
}

impl InventoryMemory {
    /// Room for this many cells.
    pub(crate) fn new(cells: u32) -> std::io::Result<Self> {
        Ok(Self { words: Arena::new(cells as usize)?, cells: Arena::new(cells as usize)? })
    }
}

/// What is known of the inventory beside its memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InventoryScalars {
    /// Cells given out to shards.
    pub(crate) used: u32,
    /// Cells that exist.
    pub(crate) cells: u64,
    /// Each shard's runs.
    pub(crate) shards: Vec<Runs>,
}

impl Default for InventoryScalars {
    fn default() -> Self {
        Self { used: 0, cells: 0, shards: vec![Runs::default(); SHARDS] }
    }
}

impl InventoryWriter {
    /// The inventory in this memory.
    pub(crate) fn new(memory: InventoryMemory, scalars: InventoryScalars, skus: Arc<Skus>) -> Self {
        let InventoryMemory { words, cells } = memory;
        let capacity = cells.len() as u32;
        // An extent is a share of the whole that is small beside it, so that half-filled ones of 256 shards cost little.
        let extent = (capacity / (SHARDS as u32 * 16)).clamp(8, 4096);
        let InventoryScalars { used, shards, cells: exist } = scalars;
        let inventory = Arc::new(Inventory { skus, words, cells });
        Self { inventory, extents: Extents::new(used, capacity, extent), shards, cells: exist }
    }

    /// What is known of it beside its memory.
    pub(crate) fn scalars(&self) -> InventoryScalars {
        InventoryScalars { used: self.extents.used(), cells: self.cells, shards: self.shards.clone() }
    }

    /// Words and cells as they lie in memory.
    pub(crate) fn memory(&self) -> [&[u8]; 2] {
        let used = self.extents.used() as usize;
        [self.inventory.words.bytes(used), self.inventory.cells.bytes(used)]
    }

    /// Cells that exist.
    pub(crate) fn len(&self) -> u64 {
        self.cells
    }

    /// Begins a rehearsal.
    pub(crate) fn trial(&self) -> GrowthTrial<'_> {
        GrowthTrial { writer: self, extents: self.extents.clone(), shards: std::collections::BTreeMap::new() }
    }

    /// Makes cells at these places, which must be new, sorted and distinct: copies the run to a larger one, publishes
    /// it, and frees the old one.
    pub(crate) fn grow(&mut self, sku: SkuIx, places: &[Place]) {
        let inventory = Arc::clone(&self.inventory);
        let row = inventory.skus.row(sku).expect("a record names only skus that exist");
        let old = Run::unpack(row.run.load(Ordering::Relaxed));
        let shard = &mut self.shards[shard_of(sku)];
        let len = old.len + places.len() as u32;
        let start = shard.take(&mut self.extents, len).expect("the decision rehearsed this growth");
        let new = Run { start, len };

        let (growths, sequence) = (row.growths.load(Ordering::Relaxed), row.sequence.load(Ordering::Relaxed));
        row.growths.store(growths.wrapping_add(1), Ordering::Relaxed);
        row.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        // Release fence: pairs with the Acquire fences of readers. Whoever sees a word written below also sees that
        // this sku, and every sku whose run was freed before, has grown since.
        fence(Ordering::Release);
        let (mut from, mut added) = (old.range().peekable(), places.iter().peekable());
        for to in new.range() {
            let old_word = from.peek().map(|at| inventory.words[*at].load(Ordering::Relaxed));
            let next_is_new = match (old_word, added.peek()) {
                (Some(word), Some(place)) => **place < word_place(word),
                (None, Some(_)) => true,
                _ => false,
            };
            if next_is_new {
                let place = *added.next().expect("peeked above");
                inventory.cells[to].store(&Quantities::default());
                inventory.cells[to].movement.store(0, Ordering::Relaxed);
                inventory.cells[to].counted.store(0, Ordering::Relaxed);
                inventory.words[to].store(word(place, 0), Ordering::Relaxed);
            } else {
                let source = &inventory.cells[from.next().expect("peeked above")];
                inventory.cells[to].store(&source.quantities());
                inventory.cells[to]
                    .movement
                    .store(source.movement.load(Ordering::Relaxed), Ordering::Relaxed);
                inventory.cells[to].counted.store(source.counted.load(Ordering::Relaxed), Ordering::Relaxed);
                inventory.words[to].store(old_word.expect("peeked above"), Ordering::Relaxed);
            }
        }
        // Release stores: pair with the Acquire loads that begin a read.
        row.run.store(new.pack(), Ordering::Release);
        row.growths.store(growths.wrapping_add(2), Ordering::Release);
        row.sequence.store(sequence.wrapping_add(2), Ordering::Release);
        if old.len > 0 {
            shard.give(old.start, old.len);
        }
        self.cells += places.len() as u64;
    }

    /// Takes a run of a shard and writes a word over it, as a sku of that shard would that grows into it.
    #[cfg(all(test, loom))]
    pub(crate) fn scribble(&mut self, shard: usize, len: u32, place: Place, available: i32) {
        let start = self.shards[shard].take(&mut self.extents, len).expect("the test leaves room");
        fence(Ordering::Release);
        self.inventory.words[start as usize].store(word(place, available), Ordering::Relaxed);
    }

    /// Changes a cell's quantities and publishes what can be promised now.
    #[inline(always)]
    pub(crate) fn change(&mut self, sku: SkuIx, cell: u32, change: impl FnOnce(&mut Quantities)) {
        let row = self.inventory.skus.row(sku).expect("a record names only skus that exist");
        let sequence = row.sequence.load(Ordering::Relaxed);
        row.sequence.store(sequence.wrapping_add(1), Ordering::Relaxed);
        // Release fence: pairs with the Acquire fence of `views`, so a reader that saw a new quantity sees the odd
        // sequence too.
        fence(Ordering::Release);
        let cell_row = &self.inventory.cells[cell as usize];
        let mut quantities = cell_row.quantities();
        change(&mut quantities);
        cell_row.store(&quantities);
        let published = &self.inventory.words[cell as usize];
        let place = word_place(published.load(Ordering::Relaxed));
        published.store(word(place, quantities.available_word()), Ordering::Relaxed);
        // Release store: pairs with the Acquire load that begins `views`.
        row.sequence.store(sequence.wrapping_add(2), Ordering::Release);
    }
}

impl GrowthTrial<'_> {
    /// Whether a sku's run can grow by this many cells on top of what was rehearsed; each sku once.
    pub(crate) fn fits(&mut self, sku: SkuIx, added: usize) -> bool {
        let inventory = &self.writer.inventory;
        let old = inventory
            .skus
            .row(sku)
            .map(|row| Run::unpack(row.run.load(Ordering::Relaxed)))
            .unwrap_or_default();
        let shard = shard_of(sku);
        let runs = self.shards.entry(shard).or_insert_with(|| self.writer.shards[shard].clone());
        let Ok(added) = u32::try_from(added) else { return false };
        let fits = runs.take(&mut self.extents, old.len + added).is_some();
        if fits && old.len > 0 {
            runs.give(old.start, old.len);
        }
        fits
    }
}
