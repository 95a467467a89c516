//! Which images there are, by their names, and which of them stay.

use crate::storage::{Fault, Storage};

/// What an image is called until it is whole.
pub(super) const TEMPORARY: &str = "image.tmp";
const PREFIX: &str = "image-";
const SUFFIX: &str = ".earmark";
const SET_ASIDE: &str = ".damaged";
/// As many as the largest lsn has, so that names sort as lsns do.
const DIGITS: usize = 20;

/// An image by its name alone: nothing of it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// Its file: `image-`, the lsn in 20 digits, `.earmark`.
    pub name: String,
    /// The lsn in its name.
    pub lsn: u64,
}

/// All images, the newest first.
///
/// A name that is seen after a crash of the process may not be durable yet: sync the names ([`keep`] does) before the log
/// gives up what only an older image needs.
///
/// # Errors
/// What the disk says.
pub fn images(storage: &dyn Storage) -> Result<Vec<ImageFile>, Fault> {
    let mut images: Vec<ImageFile> = storage
        .list()?
        .into_iter()
        .filter_map(|name| lsn_of(&name).map(|lsn| ImageFile { name, lsn }))
        .collect();
    images.sort_by_key(|image| std::cmp::Reverse(image.lsn));
    Ok(images)
}

/// Keeps the newest `count` images, and gives them, the newest first. Older ones are removed, and what an unfinished
/// writer left; so are images that were set aside, once `count` images are newer. No writer may be at work.
///
/// # Errors
/// What the disk says.
///
/// # Panics
/// Where `count` is 0.
pub fn keep(storage: &dyn Storage, count: usize) -> Result<Vec<ImageFile>, Fault> {
    assert!(count > 0, "without an image, the log alone would have to be kept for ever");
    // First of all, so that no older image goes before the newer one is sure to stay.
    storage.sync_names()?;
    let names = storage.list()?;
    let mut kept = images(storage)?;
    let older = kept.split_off(count.min(kept.len()));
    let oldest = kept.last().filter(|_| kept.len() == count).map(|image| image.lsn);
    let aside = names
        .iter()
        .filter(|name| set_aside_lsn(name).is_some_and(|lsn| oldest.is_some_and(|oldest| lsn < oldest)));
    let left = names.iter().filter(|name| *name == TEMPORARY);
    let going: Vec<&String> = older.iter().map(|image| &image.name).chain(aside).chain(left).collect();
    for name in &going {
        storage.remove(name)?;
    }
    if !going.is_empty() {
        storage.sync_names()?;
    }
    Ok(kept)
}

/// Gives a damaged image a name that is not an image's (`.damaged` behind it), so that it no longer counts as one of those
/// that are kept, and can be looked at.
///
/// # Errors
/// What the disk says.
pub fn set_aside(storage: &dyn Storage, name: &str) -> Result<(), Fault> {
    storage.rename(name, &format!("{name}{SET_ASIDE}"))?;
    storage.sync_names()
}

pub(super) fn image_name(lsn: u64) -> String {
    format!("{PREFIX}{lsn:0DIGITS$}{SUFFIX}")
}

/// The lsn in an image's name; none where it is not an image's.
pub(super) fn lsn_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let is_number = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

fn set_aside_lsn(name: &str) -> Option<u64> {
    lsn_of(name.strip_suffix(SET_ASIDE)?)
}
