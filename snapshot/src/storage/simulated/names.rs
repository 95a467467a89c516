//! Which names a simulated directory has, and which of them are durable.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

/// Names and the files they stand for, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    seen: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    unsynced: Vec<Change>,
}

/// One creation, renaming or removal: it happens wholly or not at all.
#[derive(Clone, Debug)]
struct Change {
    sets: Vec<(String, Option<u64>)>,
    files: Vec<u64>,
}

impl Names {
    pub(super) fn get(&self, name: &str) -> Option<u64> {
        self.seen.get(name).copied()
    }

    pub(super) fn list(&self) -> Vec<String> {
        self.seen.keys().cloned().collect()
    }

    /// The files that have a name, or would have one after a power cut.
    pub(super) fn files(&self) -> BTreeSet<u64> {
        self.seen.values().chain(self.durable.values()).copied().collect()
    }

    /// The files that have a name.
    pub(super) fn named(&self) -> BTreeSet<u64> {
        self.seen.values().copied().collect()
    }

    pub(super) fn create(&mut self, name: &str, file: u64) {
        self.change(Change { sets: vec![(name.to_owned(), Some(file))], files: vec![file] });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        let Some(file) = self.get(from) else { return };
        if from == to {
            return;
        }
        let files = [Some(file), self.get(to)].into_iter().flatten().collect();
        self.change(Change { sets: vec![(from.to_owned(), None), (to.to_owned(), Some(file))], files });
    }

    pub(super) fn remove(&mut self, name: &str) {
        let files = self.get(name).into_iter().collect();
        self.change(Change { sets: vec![(name.to_owned(), None)], files });
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.durable.clone_from(&self.seen);
        self.unsynced.clear();
    }

    /// Each change since the last sync happened or did not. Those of one name or one file keep their order: where one is
    /// lost, so are the later ones.
    pub(super) fn cut_power(&mut self, rng: &mut Rng) {
        let (mut lost_names, mut lost_files) = (BTreeSet::new(), BTreeSet::new());
        for change in self.unsynced.drain(..) {
            let follows_lost = change.sets.iter().any(|(name, _)| lost_names.contains(name))
                || change.files.iter().any(|file| lost_files.contains(file));
            if follows_lost || rng.bool() {
                lost_names.extend(change.sets.into_iter().map(|(name, _)| name));
                lost_files.extend(change.files);
            } else {
                apply(&mut self.durable, &change);
            }
        }
        self.seen.clone_from(&self.durable);
    }
}

fn apply(names: &mut BTreeMap<String, u64>, change: &Change) {
    for (name, file) in &change.sets {
        match file {
            Some(file) => names.insert(name.clone(), *file),
            None => names.remove(name),
        };
    }
}
