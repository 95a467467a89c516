//! A state as bytes and back: its arenas as they lie in memory, and what is known of them beside. Offsets and handles,
//! no pointers, so an image means the same wherever it is loaded. It knows no file and no log.

mod scalars;
mod summary;

use std::borrow::Cow;
use std::fmt;

use earmark_protocol::wire_error::WireError;

use crate::arena::Arena;
use crate::catalogue::skus::SkuMemory;
use crate::facts;
use crate::inventory::InventoryMemory;
use crate::movements::{Movement, Movements};
use crate::outcomes::{OutcomeRow, Outcomes};
use crate::reservations::ReservationMemory;
use crate::reservations::ids::Ids;
use crate::rules::{Capacity, Rules};
use crate::state::{ReserveError, State};
use crate::sync::AtomicU64;

pub(crate) use scalars::Scalars;
pub use summary::Summary;

/// The section that says what is known beside the arenas; it is read before all others.
pub const SCALARS: u32 = 1;

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

/// All memory of a state.
pub(crate) struct Memory {
    pub(crate) skus: SkuMemory,
    pub(crate) inventory: InventoryMemory,
    pub(crate) reservations: ReservationMemory,
    pub(crate) texts: Arena<AtomicU64>,
    pub(crate) ids: Ids,
    pub(crate) outcomes: Arena<OutcomeRow>,
    pub(crate) movements: Arena<Movement>,
}

impl Memory {
    pub(crate) fn new(capacity: &Capacity) -> Result<Self, ReserveError> {
        let reserve = || {
            let slots = capacity.reservations.clamp(1, 1 << 30);
            let commands = capacity.commands.clamp(1, 1 << 30);
            Ok(Self {
                skus: SkuMemory::new(capacity.skus.max(1), capacity.sku_code_bytes)?,
                inventory: InventoryMemory::new(capacity.cells.max(1))?,
                reservations: ReservationMemory::new(slots, capacity.lines.max(1))?,
                texts: facts::memory(capacity.facts_bytes)?,
                ids: Ids::new(slots as usize + commands as usize)?,
                outcomes: Outcomes::memory(commands)?,
                movements: Movements::memory(capacity.movements)?,
            })
        };
        reserve().map_err(|source| ReserveError { source, capacity: capacity.clone() })
    }

    /// The parts of the arenas that are in use, in the order of [`SECTIONS`]; `None` where there is no such room.
    fn sections(&mut self, scalars: &Scalars) -> Option<[&mut [u8]; 11]> {
        fn part<T: crate::arena::Plain>(arena: &mut Arena<T>, used: usize) -> Option<&mut [u8]> {
            (used <= arena.len()).then(|| arena.bytes_mut(used))
        }
        let (cells, slots) = (scalars.inventory.used as usize, scalars.reservations.fresh as usize);
        let movements = scalars.movements.places(self.movements.len());
        let ticks = self.reservations.ticks.len();
        Some([
            part(&mut self.skus.rows, scalars.skus.len as usize)?,
            part(&mut self.skus.texts, scalars.skus.texts_used as usize)?,
            part(&mut self.inventory.words, cells)?,
            part(&mut self.inventory.cells, cells)?,
            part(&mut self.reservations.slots, slots)?,
            part(&mut self.reservations.rows, scalars.reservations.rows_used as usize)?,
            part(&mut self.reservations.facts_at, slots)?,
            part(&mut self.reservations.ticks, ticks)?,
            part(&mut self.texts, facts::words_of(scalars.texts.used))?,
            part(&mut self.outcomes, scalars.outcomes.0 as usize)?,
            part(&mut self.movements, movements)?,
        ])
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
        let mut memory = Memory::new(&scalars.capacity).map_err(LoadError::Reserve)?;
        memory.sections(&scalars).ok_or(LoadError::Overfull)?;
        Ok(Self { memory, scalars })
    }

    /// All sections but the scalars, with their numbers: to be filled whole.
    pub fn sections(&mut self) -> Vec<(u32, &mut [u8])> {
        let sections = self.memory.sections(&self.scalars).into_iter().flatten();
        (SCALARS + 1..).zip(sections).collect()
    }

    /// The state.
    #[must_use]
    pub fn finish(self, rules: Rules) -> State {
        State::of(self.memory, self.scalars, rules)
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
        let to = memory.sections(&scalars).expect("the decision checked the room");
        // The two rings come last: they are moved already, because their places depend on their size.
        for (to, from) in to.into_iter().zip(self.arenas(&old)).take(9) {
            to.copy_from_slice(from);
        }
        *self = Self::of(memory, scalars, rules);
        Ok(())
    }
}
