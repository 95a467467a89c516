//! A disk in memory: what is not synced can be lost in a crash, sector by sector; operations can be made to fail.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use super::dice::Dice;
use crate::log::lock;
use crate::storage::{Attempt, Fault, Storage, StorageFile};

const SECTOR: usize = 512;

#[derive(Clone, Default)]
pub(crate) struct Disk {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Clone, Default)]
struct Inner {
    contents: Vec<Content>,
    names: BTreeMap<String, usize>,
    /// The names after each change since they were synced, the synced ones first.
    names_since: Vec<BTreeMap<String, usize>>,
    /// Operations that change something, so far.
    changes: u64,
    /// From this one on, all fail.
    halts_at: Option<u64>,
    /// These fail.
    failing: Vec<(Attempt, io::ErrorKind)>,
    /// Bytes that all files may have.
    capacity: Option<u64>,
}

#[derive(Clone)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<(usize, Vec<u8>)>,
}

impl Disk {
    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.clone())
    }

    /// What a power cut leaves: of each write that was not synced any sectors, of the changes of names the first few.
    pub(crate) fn crash(&self, dice: &mut Dice) -> Self {
        let mut inner = lock(&self.inner).clone();
        for content in &mut inner.contents {
            for (offset, bytes) in std::mem::take(&mut content.pending) {
                let mut at = 0;
                while at < bytes.len() {
                    let end = bytes.len().min((offset + at) / SECTOR * SECTOR + SECTOR - offset);
                    if dice.coin() {
                        content.durable[offset + at..offset + end].copy_from_slice(&bytes[at..end]);
                    }
                    at = end;
                }
            }
            content.now.clone_from(&content.durable);
        }
        if !inner.names_since.is_empty() {
            let kept = dice.below(inner.names_since.len() as u64) as usize;
            inner.names = inner.names_since.swap_remove(kept);
        }
        inner.names_since.clear();
        inner.halts_at = None;
        inner.failing.clear();
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// A copy of what is there now, as if all were synced.
    pub(crate) fn copy(&self) -> Self {
        let mut inner = lock(&self.inner).clone();
        for content in &mut inner.contents {
            content.pending.clear();
            content.durable.clone_from(&content.now);
        }
        inner.names_since.clear();
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    pub(crate) fn changes(&self) -> u64 {
        lock(&self.inner).changes
    }

    pub(crate) fn fail(&self, attempt: Attempt, kind: io::ErrorKind) {
        lock(&self.inner).failing.push((attempt, kind));
    }

    pub(crate) fn set_capacity(&self, bytes: Option<u64>) {
        lock(&self.inner).capacity = bytes;
    }

    pub(crate) fn names(&self) -> Vec<String> {
        lock(&self.inner).names.keys().cloned().collect()
    }
}

impl Inner {
    fn check(&mut self, attempt: Attempt, name: &str) -> Result<(), Fault> {
        let changes = matches!(
            attempt,
            Attempt::Create | Attempt::Write | Attempt::Sync | Attempt::Rename | Attempt::Remove
        );
        let halted = self.halts_at.is_some_and(|at| self.changes >= at);
        self.changes += u64::from(changes);
        let failing = self.failing.iter().find(|(failing, _)| *failing == attempt).map(|(_, kind)| *kind);
        match failing.or(halted.then_some(io::ErrorKind::Other)) {
            Some(kind) => Err(Fault::new(attempt, name, kind.into())),
            None => Ok(()),
        }
    }

    fn place(&self, attempt: Attempt, name: &str) -> Result<usize, Fault> {
        let missing = || Fault::new(attempt, name, io::ErrorKind::NotFound.into());
        self.names.get(name).copied().ok_or_else(missing)
    }

    fn before_names_change(&mut self) {
        if self.names_since.is_empty() {
            self.names_since.push(self.names.clone());
        }
    }
}

impl Storage for Disk {
    fn place(&self) -> String {
        "a disk in memory".to_owned()
    }

    fn list(&self) -> Result<Vec<String>, Fault> {
        Ok(self.names())
    }

    fn open(&self, name: &str) -> Result<Box<dyn StorageFile>, Fault> {
        let place = lock(&self.inner).place(Attempt::Open, name)?;
        Ok(Box::new(File { disk: self.clone(), name: name.to_owned(), place }))
    }

    fn create(&self, name: &str, bytes: u64) -> Result<Box<dyn StorageFile>, Fault> {
        let mut inner = lock(&self.inner);
        inner.check(Attempt::Create, name)?;
        let used: usize = inner.names.values().map(|place| inner.contents[*place].now.len()).sum();
        if inner.capacity.is_some_and(|capacity| used as u64 + bytes > capacity) {
            return Err(Fault::new(Attempt::Create, name, io::ErrorKind::StorageFull.into()));
        }
        assert!(!inner.names.contains_key(name), "{name} is there");
        inner.before_names_change();
        let place = inner.contents.len();
        let content = vec![0; bytes as usize];
        inner.contents.push(Content { now: content.clone(), durable: content, pending: Vec::new() });
        inner.names.insert(name.to_owned(), place);
        let names = inner.names.clone();
        inner.names_since.push(names);
        drop(inner);
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        let mut inner = lock(&self.inner);
        inner.check(Attempt::Rename, from)?;
        let place = inner.place(Attempt::Rename, from)?;
        inner.before_names_change();
        inner.names.remove(from);
        inner.names.insert(to.to_owned(), place);
        let names = inner.names.clone();
        inner.names_since.push(names);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        let mut inner = lock(&self.inner);
        inner.check(Attempt::Remove, name)?;
        inner.place(Attempt::Remove, name)?;
        inner.before_names_change();
        inner.names.remove(name);
        let names = inner.names.clone();
        inner.names_since.push(names);
        Ok(())
    }

    fn sync_names(&self) -> Result<(), Fault> {
        let mut inner = lock(&self.inner);
        inner.check(Attempt::Sync, "names")?;
        inner.names_since.clear();
        Ok(())
    }
}

struct File {
    disk: Disk,
    name: String,
    place: usize,
}

impl StorageFile for File {
    fn len(&self) -> Result<u64, Fault> {
        Ok(lock(&self.disk.inner).contents[self.place].now.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), Fault> {
        let mut inner = lock(&self.disk.inner);
        inner.check(Attempt::Read, &self.name)?;
        let from = inner.contents[self.place].now.get(offset as usize..).unwrap_or_default();
        let short = || Fault::new(Attempt::Read, &*self.name, io::ErrorKind::UnexpectedEof.into()).at(offset);
        bytes.copy_from_slice(from.get(..bytes.len()).ok_or_else(short)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Fault> {
        let mut inner = lock(&self.disk.inner);
        inner.check(Attempt::Write, &self.name)?;
        let content = &mut inner.contents[self.place];
        let offset = offset as usize;
        content.now[offset..offset + bytes.len()].copy_from_slice(bytes);
        content.pending.push((offset, bytes.to_vec()));
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        let mut inner = lock(&self.disk.inner);
        inner.check(Attempt::Sync, &self.name)?;
        let content = &mut inner.contents[self.place];
        content.pending.clear();
        content.durable.clone_from(&content.now);
        Ok(())
    }
}
