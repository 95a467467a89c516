//! From the newest image that is whole to a state in memory. A damaged one is set aside, and the one before it taken.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use earmark_engine::image::{LoadError, Loading, SCALARS};
use earmark_engine::{Capacity, Rules, State};
use earmark_snapshot::image::{BLOCK_BYTES, Cut, ImageError, ImageReader, Section, images, set_aside};
use earmark_snapshot::storage::Storage;

use super::{Stage, StoreError};

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
/// A fault; an image of a newer version. Damage is told and passed over.
pub fn load(
    storage: &dyn Storage,
    rules: &Rules,
    threads: usize,
    progress: &(dyn Fn(Stage) + Sync),
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
    let state = State::new(&smallest, rules.clone()).map_err(|error| StoreError::State {
        image: "an empty state".to_owned(),
        error: LoadError::Reserve(error),
    })?;
    Ok(Loaded { state, cut: None, bytes: 0 })
}

/// The state that this image has, loaded by so many threads.
///
/// # Errors
/// A fault; damage; an image of a newer version, or with sections that are no state of this build.
pub fn load_image(
    storage: &dyn Storage,
    name: &str,
    rules: &Rules,
    threads: usize,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<Loaded, StoreError> {
    let reader = ImageReader::open(storage, name)?;
    let no_state = |error| StoreError::State { image: name.to_owned(), error };
    let mut scalars = Vec::new();
    if let Some(section) = reader.section(SCALARS) {
        scalars.resize(usize::try_from(section.bytes()).unwrap_or(usize::MAX), 0);
        reader.load(section, &mut scalars)?;
    }
    let mut loading = Loading::begin(&scalars).map_err(no_state)?;
    let mut blocks = Vec::new();
    for (number, memory) in loading.sections() {
        let section = reader.section(number).filter(|section| section.bytes() == memory.len() as u64);
        let section = section.ok_or_else(|| no_state(LoadError::Overfull))?;
        let parts = memory.chunks_mut(BLOCK_BYTES).zip(0..);
        blocks.extend(parts.map(|(part, block)| (section, block, part)));
    }
    let (cut, bytes) = (Some(*reader.cut()), reader.file_bytes());
    load_blocks(&reader, blocks, threads, &|done| progress(Stage::Image { done, bytes }))?;
    Ok(Loaded { state: loading.finish(rules.clone()), cut, bytes })
}

type Block<'a> = (&'a Section, u64, &'a mut [u8]);

/// Blocks do not depend on each other: each thread takes the next one that nobody has.
fn load_blocks(
    reader: &ImageReader,
    blocks: Vec<Block<'_>>,
    threads: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), ImageError> {
    let blocks: Vec<Mutex<Option<Block<'_>>>> =
        blocks.into_iter().map(|block| Mutex::new(Some(block))).collect();
    let (next, loaded) = (AtomicUsize::new(0), AtomicU64::new(0));
    let work = || {
        while let Some(block) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
            let block = block.lock().ok().and_then(|mut block| block.take());
            if let Some((section, number, part)) = block {
                reader.load_block(section, number, part)?;
                let bytes = part.len() as u64;
                progress(loaded.fetch_add(bytes, Ordering::Relaxed) + bytes);
            }
        }
        Ok(())
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
