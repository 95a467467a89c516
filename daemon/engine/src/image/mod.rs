//! A state as bytes and back: its arenas as they lie in memory, and what is known of them beside. Offsets and handles,
//! no pointers, so an image means the same wherever it is loaded. It knows no file and no log.

mod scalars;
mod summary;

use std::borrow::Cow;
use std::fmt;

use earmark_protocol::wire_error::WireError;

use crate::arena::Arena;
use crate::catalogue::skus::SkuMemory;
use crate::days::{Day, Days};
use crate::facts::{self, Facts};
use crate::inventory::InventoryMemory;
use crate::movements::{Movement, Movements};
use crate::outcomes::{OutcomeRow, Outcomes};
use crate::reservations::ReservationMemory;
use crate::reservations::ids::{Ids, Remembered};
use crate::reservations::slot::Slot;
use crate::rules::{Capacity, Rules};
use crate::state::{ReserveError, State};
use crate::sync::AtomicU64;

pub(crate) use scalars::Scalars;
pub use summary::Summary;

/// The section that says what is known beside the arenas; it is read before all others.
pub const SCALARS: u32 = 1;

const SKUS: u32 = 2;
const SKU_TEXTS: u32 = 3;
const WORDS: u32 = 4;
const CELLS: u32 = 5;
const SLOTS: u32 = 6;
const ROWS: u32 = 7;
const FACTS_AT: u32 = 8;
const TICKS: u32 = 9;
const FACTS: u32 = 10;
const OUTCOMES: u32 = 11;
const MOVEMENTS: u32 = 12;

/// Names of the sections, by their number less one.
pub const SECTIONS: [&str; 12] = [
    "scalars",
    "skus",
    "sku_texts",
    "words",
    "cells",
    "slots",
    "rows",
    "facts_at",
    "ticks",
    "facts",
    "outcomes",
    "movements",
];

/// Orders of which it is read what is kept, when an image is loaded: some ten milliseconds.
const ORDERS_READ: usize = 10_000;

/// All memory of a state.
pub(crate) struct Memory {
    pub(crate) skus: SkuMemory,
    pub(crate) inventory: InventoryMemory,
    pub(crate) reservations: ReservationMemory,
    pub(crate) texts: Arena<AtomicU64>,
    pub(crate) ids: Ids,
    pub(crate) outcomes: Arena<OutcomeRow>,
    pub(crate) movements: Arena<Movement>,
    pub(crate) days: Arena<Day>,
}

impl Memory {
    pub(crate) fn new(capacity: &Capacity) -> Result<Self, ReserveError> {
        let lacks = |settings: &'static [&'static str]| {
            move |cause| ReserveError { settings, capacity: capacity.clone(), cause }
        };
        let slots = capacity.reservations.clamp(1, 1 << 30);
        let commands = capacity.commands.clamp(1, 1 << 30);
        let skus = SkuMemory::new(capacity.skus.max(1), capacity.sku_code_bytes);
        let reservations = ReservationMemory::new(slots, capacity.lines.max(1));
        let ids = Ids::new(slots as usize + commands as usize);
        Ok(Self {
            skus: skus.map_err(lacks(&["skus", "sku_code_bytes"]))?,
            inventory: InventoryMemory::new(capacity.cells.max(1)).map_err(lacks(&["cells"]))?,
            reservations: reservations.map_err(lacks(&["reservations", "lines"]))?,
            texts: facts::memory(capacity.facts_bytes).map_err(lacks(&["facts_bytes"]))?,
            ids: ids.map_err(lacks(&["reservations", "commands"]))?,
            outcomes: Outcomes::memory(commands).map_err(lacks(&["commands"]))?,
            movements: Movements::memory(capacity.movements).map_err(lacks(&["movements"]))?,
            days: Days::memory(capacity.nodes).map_err(lacks(&["nodes"]))?,
        })
    }

    /// Whether all that is in use, say these scalars, is within the arenas.
    fn has_room(&self, scalars: &Scalars) -> bool {
        let (cells, slots) = (scalars.inventory.used as usize, scalars.reservations.fresh as usize);
        let arenas = [
            (scalars.skus.len as usize, self.skus.rows.len()),
            (scalars.skus.texts_used as usize, self.skus.texts.len()),
            (cells, self.inventory.words.len()),
            (cells, self.inventory.cells.len()),
            (slots, self.reservations.slots.len()),
            (scalars.reservations.rows_used as usize, self.reservations.rows.len()),
            (slots, self.reservations.facts_at.len()),
            (facts::words_of(scalars.texts.used), self.texts.len()),
            (scalars.outcomes.0 as usize, self.outcomes.len()),
            (scalars.movements.places(self.movements.len()), self.movements.len()),
        ];
        arenas.iter().all(|(used, room)| used <= room)
    }

    /// The memory in parts: first those of which something is made that takes time.
    fn parts<'a>(&'a mut self, scalars: &'a Scalars) -> [Part<'a>; 3] {
        let (cells, slots) = (scalars.inventory.used as usize, scalars.reservations.fresh as usize);
        let movements = scalars.movements.places(self.movements.len());
        let ReservationMemory { slots: slot_arena, rows, facts_at, ticks } = &mut self.reservations;
        let every_tick = ticks.len();
        let rest = vec![
            (WORDS, self.inventory.words.bytes_mut(cells)),
            (CELLS, self.inventory.cells.bytes_mut(cells)),
            (ROWS, rows.bytes_mut(scalars.reservations.rows_used as usize)),
            (FACTS_AT, facts_at.bytes_mut(slots)),
            (TICKS, ticks.bytes_mut(every_tick)),
            (FACTS, self.texts.bytes_mut(facts::words_of(scalars.texts.used))),
            (MOVEMENTS, self.movements.bytes_mut(movements)),
        ];
        let ids = Of::Ids { slots: slot_arena, outcomes: &mut self.outcomes, ids: &self.ids };
        [Of::Skus(&mut self.skus), ids, Of::Rest(rest)].map(|of| Part { of, scalars })
    }
}

/// Sections that belong together: to be filled whole, and then indexed.
pub struct Part<'a> {
    of: Of<'a>,
    scalars: &'a Scalars,
}

enum Of<'a> {
    Skus(&'a mut SkuMemory),
    Ids { slots: &'a mut Arena<Slot>, outcomes: &'a mut Arena<OutcomeRow>, ids: &'a Ids },
    Rest(Vec<(u32, &'a mut [u8])>),
}

impl Part<'_> {
    /// The sections, with their numbers.
    pub fn sections(&mut self) -> Vec<(u32, &mut [u8])> {
        let scalars = self.scalars;
        match &mut self.of {
            Of::Skus(SkuMemory { rows, texts, .. }) => vec![
                (SKUS, rows.bytes_mut(scalars.skus.len as usize)),
                (SKU_TEXTS, texts.bytes_mut(scalars.skus.texts_used as usize)),
            ],
            Of::Ids { slots, outcomes, .. } => vec![
                (SLOTS, slots.bytes_mut(scalars.reservations.fresh as usize)),
                (OUTCOMES, outcomes.bytes_mut(scalars.outcomes.0 as usize)),
            ],
            Of::Rest(sections) => {
                sections.iter_mut().map(|(number, bytes)| (*number, &mut **bytes)).collect()
            }
        }
    }

    /// Makes what no image holds, because it depends on the capacity: where codes and ids are found. Once its sections are
    /// filled; the other parts may still be on their way.
    pub fn index(self) {
        match self.of {
            Of::Skus(memory) => memory.index(self.scalars.skus.len),
            Of::Ids { slots, outcomes, ids } => {
                let slots = slots[..self.scalars.reservations.fresh as usize].iter().map(Slot::id);
                ids.insert_all(slots.zip(0..).map(|(id, slot)| (id, Remembered::Slot(slot))));
                let outcomes = outcomes[..self.scalars.outcomes.0 as usize].iter().map(OutcomeRow::id);
                ids.insert_all(outcomes.zip(0..).map(|(id, row)| (id, Remembered::Outcome(row))));
            }
            Of::Rest(_) => {}
        }
    }
}

/// A part of a state's image.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    /// Its number: [`SECTIONS`] has the names.
    pub number: u32,
    /// What lies in it.
    pub bytes: Cow<'a, [u8]>,
}

/// An image that is no state of this build.
#[derive(Debug)]
pub enum LoadError {
    /// The scalars cannot be read.
    Scalars(WireError),
    /// They say that more is in use than there is room for.
    Overfull,
    /// What is kept of an order is not what this build keeps.
    Facts(WireError),
    /// There is no memory for it.
    Reserve(ReserveError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalars(error) => write!(f, "reading what an image says of its arenas: {error}"),
            Self::Overfull => {
                write!(f, "an image says that more is in use than its own capacity has room for")
            }
            Self::Facts(error) => write!(f, "reading what an image keeps of orders: {error}"),
            Self::Reserve(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for LoadError {}

/// A state that is being loaded: its memory, to be filled with what an image holds.
pub struct Loading {
    memory: Memory,
    scalars: Scalars,
}

impl Loading {
    /// Reserves memory for the image with these scalars.
    ///
    /// # Errors
    /// Where they are none, or there is no memory.
    pub fn begin(scalars: &[u8]) -> Result<Self, LoadError> {
        let scalars = Scalars::read(scalars).map_err(LoadError::Scalars)?;
        let memory = Memory::new(&scalars.capacity).map_err(LoadError::Reserve)?;
        if !memory.has_room(&scalars) {
            return Err(LoadError::Overfull);
        }
        Ok(Self { memory, scalars })
    }

    /// All sections but the scalars, part by part: each to be filled, then indexed.
    pub fn parts(&mut self) -> [Part<'_>; 3] {
        self.memory.parts(&self.scalars)
    }

    /// The state, once every part was filled and indexed. An image is of one build, so some orders say for all whether what is
    /// kept of them can be read.
    ///
    /// # Errors
    /// Where what is kept of orders is not what this build keeps.
    pub fn finish(self, rules: Rules) -> Result<State, LoadError> {
        let state = State::of(self.memory, self.scalars, rules);
        let table = &state.reservations.table;
        let used = (0..table.len()).take_while(|slot| table.slot(*slot).meta().used);
        let mut kept = used.filter_map(|slot| table.facts_text(slot)).take(ORDERS_READ);
        kept.try_for_each(|text| Facts::check(&text)).map_err(LoadError::Facts)?;
        Ok(state)
    }
}

impl State {
    /// The state as bytes, as of its last record: the scalars, then the arenas. Nothing changes while they are in hand.
    pub fn image(&mut self) -> Vec<Section<'_>> {
        let scalars = Scalars::of(self);
        let mut bytes = Vec::new();
        scalars.write(&mut bytes);
        let scalars_section = Section { number: SCALARS, bytes: Cow::Owned(bytes) };
        let arenas = (SCALARS + 1..).zip(self.arenas(&scalars));
        let arenas = arenas.map(|(number, bytes)| Section { number, bytes: Cow::Borrowed(bytes) });
        std::iter::once(scalars_section).chain(arenas).collect()
    }

    /// The parts of the arenas that are in use.
    fn arenas(&mut self, scalars: &Scalars) -> [&[u8]; 11] {
        let [skus, sku_texts] = self.skus.skus.memory(&scalars.skus);
        let [words, cells] = self.inventory.memory();
        let [slots, rows, facts_at, ticks] = self.reservations.memory();
        let (facts, outcomes, movements) =
            (self.texts.memory(), self.outcomes.bytes(), self.movements.bytes());
        [skus, sku_texts, words, cells, slots, rows, facts_at, ticks, facts, outcomes, movements]
    }

    /// The same state in memory of another capacity, which must have room for all that is in use.
    ///
    /// # Errors
    /// When the operating system has no address space to give; the state is then as it was.
    pub(crate) fn resize(&mut self, capacity: &Capacity) -> Result<(), ReserveError> {
        let mut memory = Memory::new(capacity)?;
        let old = Scalars::of(self);
        let outcomes = self.outcomes.move_to(&mut memory.outcomes);
        self.movements.move_to(&mut memory.movements);
        let scalars = Scalars { capacity: capacity.clone(), outcomes, ..old.clone() };
        let rules = self.rules().clone();
        assert!(memory.has_room(&scalars), "the decision checked the room");
        let from = self.arenas(&old);
        for mut part in memory.parts(&scalars) {
            for (number, to) in part.sections() {
                // The two rings are moved already, because their places depend on their size.
                if number != OUTCOMES && number != MOVEMENTS {
                    to.copy_from_slice(from[(number - SKUS) as usize]);
                }
            }
            part.index();
        }
        *self = Self::of(memory, scalars, rules);
        Ok(())
    }
}
