//! From the newest image that is whole to a state in memory. A damaged one is set aside, and the one before it taken.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use earmark_engine::image::{LoadError, Loading, SCALARS};
use earmark_engine::{Capacity, Rules, State};
use earmark_snapshot::image::{BLOCK_BYTES, Cut, ImageReader, Section, images, set_aside};
use earmark_snapshot::storage::Storage;

use super::{Stage, StoreError};

/// How many threads load an image: while most have the disk read, others clear memory and compare checksums.
#[must_use]
pub fn load_threads() -> usize {
    const PER_CORE: usize = 4;
    PER_CORE * std::thread::available_parallelism().map_or(1, usize::from)
}

/// Told how far loading is after each piece of it; says whether to go on.
pub type Progress<'a> = &'a (dyn Fn(Stage) -> ControlFlow<()> + Sync);

/// Goes on to the end, and tells nobody.
pub fn to_the_end(_: Stage) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// A state as an image had it.
pub struct Loaded {
    /// The state.
    pub state: State,
    /// What moment it is of; `None` where there is no image: the state is empty, and the log is read from its start.
    pub cut: Option<Cut>,
    /// Bytes of the image.
    pub bytes: u64,
}

/// The newest state that an image has, loaded by so many threads; an empty one where there is no image.
///
/// # Errors
/// A fault; an image of a newer version; that it was given up. Damage is told and passed over.
pub fn load(
    storage: &dyn Storage,
    rules: &Rules,
    threads: usize,
    progress: Progress<'_>,
) -> Result<Loaded, StoreError> {
    for image in images(storage)? {
        match load_image(storage, &image.name, rules, threads, progress) {
            Ok(loaded) => return Ok(loaded),
            Err(StoreError::Image(error)) if error.is_damage() => {
                tracing::error!(%error, "an image is damaged; it is set aside, and the one before it is taken");
                set_aside(storage, &image.name)?;
            }
            Err(error) => return Err(error),
        }
    }
    // The log's first record says what capacity it was made for.
    let smallest = Capacity::smallest();
    let state = State::new(&smallest, rules.clone())?;
    Ok(Loaded { state, cut: None, bytes: 0 })
}

/// The state that this image has, loaded by so many threads.
///
/// # Errors
/// A fault; damage; an image of a newer version, or with sections that are no state of this build; that it was given up.
pub fn load_image(
    storage: &dyn Storage,
    name: &str,
    rules: &Rules,
    threads: usize,
    progress: Progress<'_>,
) -> Result<Loaded, StoreError> {
    let reader = ImageReader::open(storage, name)?;
    let no_state = |error| StoreError::state(name, error);
    let mut scalars = Vec::new();
    if let Some(section) = reader.section(SCALARS) {
        scalars.resize(usize::try_from(section.bytes()).unwrap_or(usize::MAX), 0);
        reader.load(section, &mut scalars)?;
    }
    let mut loading = Loading::begin(&scalars).map_err(no_state)?;
    let (bytes, done) = (reader.file_bytes(), AtomicU64::new(0));
    let progress = |more: u64| {
        let done = done.fetch_add(more, Ordering::Relaxed) + more;
        match progress(Stage::Image { done, bytes }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(StoreError::GivenUp),
        }
    };
    std::thread::scope(|scope| -> Result<(), StoreError> {
        for mut part in loading.parts() {
            let mut blocks = Vec::new();
            for (number, memory) in part.sections() {
                let section = reader.section(number).filter(|section| section.bytes() == memory.len() as u64);
                let section = section.ok_or_else(|| no_state(LoadError::Overfull))?;
                let pieces = memory.chunks_mut(BLOCK_BYTES).zip(0..);
                blocks.extend(pieces.map(|(piece, block)| (section, block, piece)));
            }
            load_blocks(&reader, blocks, threads, &progress)?;
            if threads < 2 {
                part.index();
            } else {
                // It takes the processor, and the next part the disk.
                scope.spawn(move || part.index());
            }
        }
        Ok(())
    })?;
    let state = loading.finish(rules.clone()).map_err(no_state)?;
    Ok(Loaded { state, cut: Some(*reader.cut()), bytes })
}

type Block<'a> = (&'a Section, u64, &'a mut [u8]);

/// Blocks do not depend on each other: each thread takes the next one that nobody has.
fn load_blocks(
    reader: &ImageReader,
    blocks: Vec<Block<'_>>,
    threads: usize,
    progress: &(dyn Fn(u64) -> Result<(), StoreError> + Sync),
) -> Result<(), StoreError> {
    let blocks = Mutex::new(blocks.into_iter());
    let work = || {
        loop {
            let block = blocks.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((section, number, piece)) = block else { return Ok(()) };
            reader.load_block(section, number, piece)?;
            progress(piece.len() as u64)?;
        }
    };
    if threads < 2 {
        return work();
    }
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let others = helpers.into_iter().map(|helper| helper.join().unwrap_or(Ok(())));
        others.fold(own, Result::and)
    })
}
