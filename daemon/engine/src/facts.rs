//! The cold arena: what is kept of an order beside its quantities — destination, wish, plans.
//!
//! A text of bytes per reservation or outcome, in the codec of the wire. It knows nothing of what the bytes mean but
//! for [`Facts`], the form they are kept in.

use std::sync::Arc;

use earmark_protocol::codec;
use earmark_protocol::command::Order;
use earmark_protocol::reply::Plan;
use earmark_protocol::wire_error::WireError;
use serde::{Deserialize, Serialize};

use crate::arena::Arena;
use crate::runs::{Extents, Runs, class_size};
use crate::sync::{AtomicU64, Ordering};

/// What is kept of a reservation beside its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The order, where it was routed.
    pub order: Option<Order>,
    /// The first plan, then one for each time lines were routed again.
    pub plans: Vec<Plan>,
}

impl Facts {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode(self, &mut bytes);
        bytes
    }

    /// The day of each row, 0 for none: rows stand in the order of the lines of all shipments of all plans.
    pub(crate) fn days(&self) -> Vec<u32> {
        self.plans.iter().flat_map(days_of).collect()
    }

    /// Those that these bytes are; nothing where they are none, as they may be while they are written. What is kept was checked
    /// when it was read.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        codec::decode(bytes).unwrap_or_default()
    }

    /// Whether these bytes are facts of this build. No text is none as well.
    ///
    /// # Errors
    /// What is wrong with them: another build kept more or less of an order.
    pub(crate) fn check(bytes: &[u8]) -> Result<(), WireError> {
        if bytes.is_empty() { Ok(()) } else { codec::decode::<Self>(bytes).map(drop) }
    }
}

/// The day of each row that a plan makes.
pub(crate) fn days_of(plan: &Plan) -> impl Iterator<Item = u32> {
    plan.shipments.iter().flat_map(|shipment| std::iter::repeat_n(shipment.ship_day, shipment.lines.len()))
}

/// Words of a unit: a run's places are counted in units, so 32 bits of them reach 256 GiB.
const UNIT_WORDS: usize = 8;

/// Where a text lies: its first unit above its length in bytes; 0 for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextAt(pub(crate) u64);

impl TextAt {
    fn start(self) -> usize {
        (self.0 >> 32) as usize * UNIT_WORDS
    }

    fn len(self) -> usize {
        self.0 as u32 as usize
    }
}

/// The arena, read by everyone under the sequence of whoever owns a text.
pub(crate) struct Texts {
    words: Arena<AtomicU64>,
}

impl Texts {
    /// The bytes of a text. Beside the writer they may tear; readers validate with their slot's sequence.
    pub(crate) fn read(&self, at: TextAt) -> Vec<u8> {
        let words = at.len().div_ceil(8);
        let Some(words) = self.words.get(at.start()..at.start() + words) else { return Vec::new() };
        let mut bytes: Vec<u8> =
            words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect();
        bytes.truncate(at.len());
        bytes
    }
}

/// The writer's side.
pub(crate) struct TextsWriter {
    pub(crate) texts: Arc<Texts>,
    extents: Extents,
    runs: Runs,
}

fn units(len: usize) -> u32 {
    u32::try_from(len.div_ceil(8 * UNIT_WORDS)).unwrap_or(u32::MAX)
}

/// Memory for this many bytes of texts.
pub(crate) fn memory(bytes: u64) -> std::io::Result<Arena<AtomicU64>> {
    let units = u32::try_from(bytes / (8 * UNIT_WORDS as u64)).unwrap_or(u32::MAX).max(2);
    Arena::new(units as usize * UNIT_WORDS)
}

/// Words of the first `units` units.
pub(crate) fn words_of(units: u32) -> usize {
    units as usize * UNIT_WORDS
}

/// What is known of the texts beside their memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextScalars {
    /// Units given out.
    pub(crate) used: u32,
    /// Free runs of units.
    pub(crate) runs: Runs,
}

impl TextsWriter {
    /// The texts in this memory.
    pub(crate) fn new(words: Arena<AtomicU64>, scalars: TextScalars) -> Self {
        let units = (words.len() / UNIT_WORDS) as u32;
        let texts = Arc::new(Texts { words });
        // Unit 0 is never given out: a text at 0 is no text.
        Self { texts, extents: Extents::new(scalars.used.max(1), units, 64), runs: scalars.runs }
    }

    /// What is known of them beside their memory.
    pub(crate) fn scalars(&self) -> TextScalars {
        TextScalars { used: self.extents.used(), runs: self.runs.clone() }
    }

    /// The texts as they lie in memory.
    pub(crate) fn memory(&self) -> &[u8] {
        self.texts.words.bytes(words_of(self.extents.used()))
    }

    /// Whether texts of these lengths fit together.
    pub(crate) fn fits(&self, lens: &[usize]) -> bool {
        let needed = lens.iter().filter(|len| **len > 0).map(|len| units(*len));
        match needed.clone().count() {
            0 => true,
            1 => needed.clone().all(|units| self.runs.fits(&self.extents, units)),
            // Two texts could want the same freed run, so they are asked to fit into fresh room.
            _ => {
                needed.map(|units| u64::from(self.extents.fresh_for(class_size(units)))).sum::<u64>()
                    <= self.extents.fresh()
            }
        }
    }

    /// Bytes given out so far.
    pub(crate) fn used(&self) -> u64 {
        u64::from(self.extents.used()) * 8 * UNIT_WORDS as u64
    }

    /// Keeps a text.
    pub(crate) fn keep(&mut self, bytes: &[u8]) -> TextAt {
        if bytes.is_empty() {
            return TextAt(0);
        }
        let start =
            self.runs.take(&mut self.extents, units(bytes.len())).expect("the decision checked the room");
        for (place, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0_u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.texts.words[start as usize * UNIT_WORDS + place]
                .store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
        TextAt(u64::from(start) << 32 | bytes.len() as u64)
    }

    /// Gives a text's room back.
    pub(crate) fn forget(&mut self, at: TextAt) {
        if at.0 != 0 {
            self.runs.give((at.0 >> 32) as u32, class_size(units(at.len())));
        }
    }
}
