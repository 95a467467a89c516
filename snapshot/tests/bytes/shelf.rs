//! Files that are given, to be read and no more: what a disk may hold, whoever wrote it.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind};
use std::sync::Arc;

use earmark_snapshot::storage::{Attempt, Fault, Storage, StorageFile};

/// A directory of these files.
#[derive(Clone, Default)]
pub(crate) struct Shelf(BTreeMap<String, Arc<Vec<u8>>>);

impl Shelf {
    /// Puts a file there.
    pub(crate) fn put(&mut self, name: &str, bytes: Vec<u8>) {
        self.0.insert(name.to_owned(), Arc::new(bytes));
    }
}

fn no(attempt: Attempt, kind: ErrorKind) -> Fault {
    Fault::new(attempt, "a shelf", Error::from(kind))
}

impl Storage for Shelf {
    fn place(&self) -> String {
        "a shelf".to_owned()
    }

    fn list(&self) -> Result<Vec<String>, Fault> {
        Ok(self.0.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> Result<Box<dyn StorageFile>, Fault> {
        let file = self.0.get(name).ok_or_else(|| no(Attempt::Open, ErrorKind::NotFound))?;
        Ok(Box::new(Book(Arc::clone(file))))
    }

    fn create(&self, _: &str, _: u64) -> Result<Box<dyn StorageFile>, Fault> {
        Err(no(Attempt::Create, ErrorKind::ReadOnlyFilesystem))
    }

    fn rename(&self, _: &str, _: &str) -> Result<(), Fault> {
        Err(no(Attempt::Rename, ErrorKind::ReadOnlyFilesystem))
    }

    fn remove(&self, _: &str) -> Result<(), Fault> {
        Err(no(Attempt::Remove, ErrorKind::ReadOnlyFilesystem))
    }

    fn sync_names(&self) -> Result<(), Fault> {
        Err(no(Attempt::Sync, ErrorKind::ReadOnlyFilesystem))
    }
}

struct Book(Arc<Vec<u8>>);

impl StorageFile for Book {
    fn len(&self) -> Result<u64, Fault> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), Fault> {
        let from = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)?.get(..bytes.len()));
        bytes.copy_from_slice(from.ok_or_else(|| no(Attempt::Read, ErrorKind::UnexpectedEof))?);
        Ok(())
    }

    fn write_at(&self, _: &[u8], _: u64) -> Result<(), Fault> {
        Err(no(Attempt::Write, ErrorKind::ReadOnlyFilesystem))
    }

    fn sync(&self) -> Result<(), Fault> {
        Err(no(Attempt::Sync, ErrorKind::ReadOnlyFilesystem))
    }
}
