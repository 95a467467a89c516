//! A disk in memory that behaves as badly as a disk may, and the same for the same seed: a power cut loses, keeps or
//! tears what was not synced, writes go astray, bits flip, room runs out. It knows nothing of logs and images.

mod content;
mod disk;
mod names;
mod plan;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::plan::Trouble;

use self::disk::{Disk, Open};
use self::plan::{Fate, Stop};
use super::{Attempt, Fault, Storage, StorageFile};

/// A simulated disk. Clones are hands on the same disk: one goes to the code under test, one stays with the test.
///
/// Operations that change something (create, write, sync, rename, remove, sync of names) are counted, so that a test can
/// stop at each of them in turn. What the disk does by chance comes from its seed alone.
///
/// ```
/// use earmark_snapshot::storage::{SimulatedDisk, Storage};
///
/// let disk = SimulatedDisk::new(7);
/// let file = disk.create("counts", 4096)?;
/// disk.sync_names()?;
/// file.write_at(b"kept", 0)?;
/// file.sync()?;
/// file.write_at(b"lost", 512)?;
/// disk.crash();
/// assert!(file.read_at(&mut [0; 4], 0).is_err());
/// disk.restart();
/// let mut read = [0; 4];
/// disk.open("counts")?.read_at(&mut read, 0)?;
/// assert_eq!(&read, b"kept");
/// # Ok::<(), earmark_snapshot::storage::Fault>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimulatedDisk {
    disk: Arc<Mutex<Disk>>,
}

impl SimulatedDisk {
    /// An empty disk without a limit.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { disk: Arc::new(Mutex::new(Disk::new(seed))) }
    }

    /// Another disk that holds the same, synced or not, and goes its own way from there. Nothing is planned on it.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        Self { disk: Arc::new(Mutex::new(self.lock().fork(seed))) }
    }

    /// Operations so far that change something, those that failed among them.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.lock().operations()
    }

    /// Have the power cut in the midst of this operation, counted as by [`SimulatedDisk::operations`].
    pub fn crash_at(&self, operation: u64) {
        self.lock().plan.stop_at(operation, Stop::PowerCut);
    }

    /// As [`SimulatedDisk::crash_at`], but the process is killed only: see [`SimulatedDisk::kill`].
    pub fn kill_at(&self, operation: u64) {
        self.lock().plan.stop_at(operation, Stop::Kill);
    }

    /// Cuts the power. Each write since its file's last sync is kept, lost, or torn into sectors of 512 bytes; each name
    /// given, changed or taken since the last sync of names is so or is not. All calls fail until
    /// [`SimulatedDisk::restart`], and for good on files that are open now.
    pub fn crash(&self) {
        self.lock().stop(Stop::PowerCut);
    }

    /// Kills the process: as [`SimulatedDisk::crash`], but all that was written is still seen after the restart. It is no
    /// more durable than before: a crash may follow.
    pub fn kill(&self) {
        self.lock().stop(Stop::Kill);
    }

    /// Whether the disk has stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lock().is_stopped()
    }

    /// The disk works again. What is planned stays planned.
    pub fn restart(&self) {
        self.lock().restart();
    }

    /// Have the nth operation of this sort from now on fail; 1 is the next. [`Attempt::Sync`] is both that of a file and
    /// that of the names.
    ///
    /// # Panics
    /// Where `nth` is 0, here and below.
    pub fn fail(&self, attempt: Attempt, nth: u64, trouble: Trouble) {
        self.lock().plan.add(attempt, nth, Fate::Fails(trouble));
    }

    /// Have the disk claim the nth write from now on, and never do it: it is seen until the power is cut.
    pub fn lose_write(&self, nth: u64) {
        self.lock().plan.add(Attempt::Write, nth, Fate::Lost);
    }

    /// Have the disk do the nth write from now on in this file at this offset instead. Where it was meant to be, it is seen
    /// until the power is cut. What lies beyond the other file's end is dropped.
    pub fn misdirect_write(&self, nth: u64, name: &str, offset: u64) {
        self.lock().plan.add(Attempt::Write, nth, Fate::Misdirected(name.to_owned(), offset));
    }

    /// Flips one bit (0 to 7) of a stored byte.
    ///
    /// # Panics
    /// Where there is no such file or byte: the test is wrong.
    pub fn flip(&self, name: &str, offset: u64, bit: u32) {
        let mut disk = self.lock();
        let content = disk.named_mut(name).unwrap_or_else(|| panic!("no file {name}"));
        assert!(offset < content.seen().len() as u64, "{name} has no byte {offset}");
        content.flip(offset, bit);
    }

    /// Bytes that all files together may have; what would be more is [`Trouble::Full`].
    pub fn limit(&self, bytes: Option<u64>) {
        self.lock().limit = bytes;
    }

    /// What a reader of this file sees.
    #[must_use]
    pub fn seen(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().named(name).map(|content| content.seen().to_vec())
    }

    /// What of this file is durable for certain.
    #[must_use]
    pub fn durable(&self, name: &str) -> Option<Vec<u8>> {
        self.lock().named(name).map(|content| content.durable().to_vec())
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, name: &str, open: Open) -> Box<dyn StorageFile> {
        Box::new(SimulatedFile { disk: self.clone(), name: name.to_owned(), open })
    }
}

fn fault(attempt: Attempt, name: &str) -> impl Fn(io::Error) -> Fault {
    move |source| Fault::new(attempt, name, source)
}

impl Storage for SimulatedDisk {
    fn place(&self) -> String {
        format!("simulated disk (seed {})", self.lock().seed)
    }

    fn list(&self) -> Result<Vec<String>, Fault> {
        self.lock().list().map_err(fault(Attempt::List, "the directory"))
    }

    fn open(&self, name: &str) -> Result<Box<dyn StorageFile>, Fault> {
        let open = self.lock().open(name).map_err(fault(Attempt::Open, name))?;
        Ok(self.file(name, open))
    }

    fn create(&self, name: &str, bytes: u64) -> Result<Box<dyn StorageFile>, Fault> {
        let open = self.lock().create(name, bytes).map_err(fault(Attempt::Create, name))?;
        Ok(self.file(name, open))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.lock().rename(from, to).map_err(fault(Attempt::Rename, from))
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        self.lock().remove(name).map_err(fault(Attempt::Remove, name))
    }

    fn sync_names(&self) -> Result<(), Fault> {
        self.lock().sync_names().map_err(fault(Attempt::Sync, "the directory"))
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    name: String,
    open: Open,
}

impl StorageFile for SimulatedFile {
    fn len(&self) -> Result<u64, Fault> {
        self.disk.lock().len(self.open).map_err(fault(Attempt::Read, &self.name))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), Fault> {
        let read = self.disk.lock().read(self.open, bytes, offset);
        read.map_err(|source| fault(Attempt::Read, &self.name)(source).at(offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Fault> {
        let written = self.disk.lock().write(self.open, bytes, offset);
        written.map_err(|source| fault(Attempt::Write, &self.name)(source).at(offset))
    }

    fn sync(&self) -> Result<(), Fault> {
        self.disk.lock().sync(self.open).map_err(fault(Attempt::Sync, &self.name))
    }
}
