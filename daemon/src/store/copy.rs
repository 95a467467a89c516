//! A copy of what a data directory holds, in memory, made by reading alone: of a stopped daemon's, or a running one's as far
//! as its log reaches.

use std::sync::Arc;

use earmark_engine::{Capacity, Rules, State};
use earmark_snapshot::image::images;
use earmark_snapshot::log::find;
use earmark_snapshot::storage::Storage;

use super::load::{load_image, load_threads, to_the_end};
use super::{Replay, StoreError};

/// Copies the newest state there is: from the newest image that is whole, and the log behind it.
///
/// # Errors
/// That for which a start would be refused.
pub fn copy(storage: &Arc<dyn Storage>, rules: &Rules) -> Result<State, StoreError> {
    let mut loaded = None;
    for image in images(&**storage)? {
        match load_image(&**storage, &image.name, rules, load_threads(), &to_the_end) {
            Ok(whole) => {
                loaded = Some(whole);
                break;
            }
            Err(StoreError::Image(error)) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    let (mut state, from) = match loaded {
        Some(loaded) => (loaded.state, loaded.cut.map(|cut| cut.position)),
        // The log's first record says what capacity it was made for.
        None => (State::new(&Capacity::smallest(), rules.clone())?, None),
    };
    let (mut replay, mut failed) = (Replay::default(), None);
    find(storage, from, &mut |frame| {
        if failed.is_none() {
            failed = replay.frame(&mut state, frame).err();
        }
    })?;
    failed.map_or(Ok(state), Err)
}
