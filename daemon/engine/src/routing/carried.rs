//! Which nodes carry a sku at all, a bit per node.
//!
//! Stock changes with every hold; which nodes have a cell of a sku hardly ever does. So the bits are kept from order
//! to order, as long as the sku's run of cells does not move. They are small enough to stay near the processor, where
//! the cells themselves are not: a plan looks at the bits of many nodes, and reads the cells of the few it chooses.
//! A bit says nothing about how much there is.

use earmark_protocol::ids::{NodeIx, Segment, SkuIx};

use crate::Reader;
use crate::inventory::Place;
use crate::inventory::cell::{word_available, word_place};
use crate::sync::Ordering;

/// Bytes that one planner keeps: the bits of 8,000 skus over 3,223 nodes.
const BYTES_MAX: usize = 5 << 20;

/// Nodes of one word.
const NODES: usize = 64;

/// The bits of the skus that were asked for last.
#[derive(Default)]
pub(crate) struct Carried {
    /// Words of bits per sku.
    words: usize,
    /// Whose bits lie in which row, and the moves of its run they are of.
    rows: Vec<Option<(SkuIx, u32)>>,
    bits: Vec<u64>,
    /// By row and word: the place in the run of the first cell of its nodes.
    starts: Vec<u32>,
}

impl Carried {
    /// Makes room for this many nodes, and forgets all bits if it had less.
    pub(crate) fn resize(&mut self, nodes: usize) {
        let words = nodes.div_ceil(NODES).max(1);
        if words > self.words {
            // Room for nodes to come, so that adding one by one does not forget all each time.
            self.words = words + words / 8;
            let rows = (BYTES_MAX / (self.words * 12)).max(64);
            // Fresh zeroed memory: a planner that plans little touches little of it.
            self.rows = vec![None; rows];
            self.bits = vec![0; rows * self.words];
            self.starts = vec![0; rows * self.words];
        }
    }

    fn row(&self, sku: SkuIx) -> usize {
        sku.0 as usize % self.rows.len()
    }

    /// The bits of a sku. `None` where the sku is unknown or grows right now.
    pub(crate) fn bits(&mut self, reader: &Reader, sku: SkuIx) -> Option<&[u64]> {
        let moves = reader.moves(sku)?;
        let row = self.row(sku);
        let range = row * self.words..(row + 1) * self.words;
        if self.rows[row] != Some((sku, moves)) {
            self.rows[row] = None;
            let (bits, starts) = (&mut self.bits[range.clone()], &mut self.starts[range.clone()]);
            reader.read_words(sku, |words| {
                bits.fill(0);
                starts.fill(0);
                for (at, word) in words.iter().enumerate() {
                    let node = word_place(word.load(Ordering::Relaxed)).node().0 as usize;
                    // Nodes beyond the room came after the caller's table, so they are no candidates yet.
                    if let Some(bits) = bits.get_mut(node / NODES) {
                        if *bits == 0 {
                            starts[node / NODES] = at as u32;
                        }
                        *bits |= 1 << (node % NODES);
                    }
                }
            })?;
            // If it moved since, the bits may be newer than their number says: they are read again next time.
            self.rows[row] = Some((sku, moves));
        }
        Some(&self.bits[range])
    }

    /// The bits of the nodes that can promise so many units of a sku over some segments, into a row as long as those of
    /// [`Carried::bits`]. How many depends on the node. `false` where there is none.
    pub(crate) fn enough(
        reader: &Reader,
        sku: SkuIx,
        segments: &[Segment],
        units: impl Fn(u32) -> i64,
        row: &mut [u64],
    ) -> bool {
        let read = reader.read_words(sku, |words| {
            row.fill(0);
            let mut any = false;
            if let [segment] = segments {
                // One cell per node: nothing to add up.
                for word in words {
                    let word = word.load(Ordering::Relaxed);
                    let (place, there) = (word_place(word), i64::from(word_available(word).max(0)));
                    let node = place.node().0;
                    if there >= units(node)
                        && place.segment() == *segment
                        && let Some(bits) = row.get_mut(node as usize / NODES)
                    {
                        any = true;
                        *bits |= 1 << (node as usize % NODES);
                    }
                }
                return any;
            }
            let (mut node, mut there) = (0, 0);
            for word in words {
                let word = word.load(Ordering::Relaxed);
                let place = word_place(word);
                if place.node().0 != node {
                    (node, there) = (place.node().0, 0);
                }
                if segments.contains(&place.segment()) {
                    there += i64::from(word_available(word).max(0));
                    let bits = row.get_mut(node as usize / NODES).filter(|_| there >= units(node));
                    any |= bits.is_some();
                    bits.into_iter().for_each(|bits| *bits |= 1 << (node as usize % NODES));
                }
            }
            any
        });
        read.unwrap_or(false)
    }

    /// What a node can promise of a sku over some segments.
    pub(crate) fn available(&self, reader: &Reader, sku: SkuIx, node: NodeIx, segments: &[Segment]) -> i64 {
        let row = self.row(sku);
        let near = self.rows[row].is_some_and(|(of, _)| of == sku) && (node.0 as usize / NODES) < self.words;
        let start = if near { self.starts[row * self.words + node.0 as usize / NODES] as usize } else { 0 };
        let first = Place::new(node, Segment(0));
        let read = reader.read_words(sku, |words| {
            let at = |at: usize| words[at].load(Ordering::Relaxed);
            // The start is a hint: the run may have moved since. It is good if the node's cells cannot be before it.
            let start = if start < words.len() && word_place(at(start)) <= first { start } else { 0 };
            let end = if near { (start + NODES * segments.len()).min(words.len()) } else { words.len() };
            let (mut low, mut high) = (start, end);
            if end < words.len() && word_place(at(end - 1)) < first {
                (low, high) = (end, words.len());
            }
            while low < high {
                let middle = low.midpoint(high);
                if word_place(at(middle)) < first { low = middle + 1 } else { high = middle }
            }
            let of_node = words[low..].iter().map(|word| word.load(Ordering::Relaxed));
            let of_node = of_node.take_while(|word| word_place(*word).node() == node);
            let drawn = of_node.filter(|word| segments.contains(&word_place(*word).segment()));
            drawn.map(|word| i64::from(word_available(word).max(0))).sum()
        });
        read.unwrap_or(0)
    }
}
