//! A directory of files, as the log and the images see a disk: the real one, one that keeps what is not synced in the
//! process's own memory, and a simulated one with faults. Nothing else in the project opens a file of the data directory.

mod fault;
#[cfg(feature = "held-writes")]
mod held;
mod lock;
mod real;
#[cfg(any(test, feature = "simulated"))]
mod simulated;

pub use fault::{Attempt, Fault};
#[cfg(feature = "held-writes")]
pub use held::HeldDir;
pub use real::DataDir;
#[cfg(any(test, feature = "simulated"))]
pub use simulated::{SimulatedDisk, Trouble};

/// A flat directory. Names are plain file names.
pub trait Storage: Send + Sync {
    /// Where it is, for messages.
    fn place(&self) -> String;

    /// The names of all files, sorted.
    ///
    /// # Errors
    /// As for every operation here: what was attempted, on which file, and what stood in the way.
    fn list(&self) -> Result<Vec<String>, Fault>;

    /// Opens a file that exists.
    ///
    /// # Errors
    /// See [`Storage::list`].
    fn open(&self, name: &str) -> Result<Box<dyn StorageFile>, Fault>;

    /// Opens a file that is read whole and once: it may come past the system's cache.
    ///
    /// # Errors
    /// See [`Storage::list`].
    fn open_to_load(&self, name: &str) -> Result<Box<dyn StorageFile>, Fault> {
        self.open(name)
    }

    /// Makes a file of this many bytes, all zero and all allocated, so that writing inside it needs no new room. Where there
    /// is no room, nothing is left behind. Its blocks have been written once, which makes each later sync of them cheaper:
    /// for files that are written in small pieces. Durable only after its sync and [`Storage::sync_names`].
    ///
    /// # Errors
    /// See [`Storage::list`]; [`Fault::is_full`] tells a full disk from a broken one. A name that is taken is an error:
    /// nothing is written over.
    fn create(&self, name: &str, bytes: u64) -> Result<Box<dyn StorageFile>, Fault>;

    /// As [`Storage::create`], but its blocks may never have been written: for files that are written once, from front to
    /// back, and would only be written twice.
    ///
    /// # Errors
    /// See [`Storage::create`].
    fn allocate(&self, name: &str, bytes: u64) -> Result<Box<dyn StorageFile>, Fault> {
        self.create(name, bytes)
    }

    /// Gives a file another name, in the place of whatever had it. Durable only after [`Storage::sync_names`].
    ///
    /// # Errors
    /// See [`Storage::list`].
    fn rename(&self, from: &str, to: &str) -> Result<(), Fault>;

    /// Takes a file away. Durable only after [`Storage::sync_names`].
    ///
    /// # Errors
    /// See [`Storage::list`].
    fn remove(&self, name: &str) -> Result<(), Fault>;

    /// Makes durable which names there are.
    ///
    /// # Errors
    /// See [`Storage::list`].
    fn sync_names(&self) -> Result<(), Fault>;
}

/// A file that is open for reading and writing at places of one's choice.
#[expect(
    clippy::len_without_is_empty,
    reason = "a length on disk, that can fail to be read; nobody asks whether it is 0"
)]
pub trait StorageFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// See [`Storage::list`].
    fn len(&self) -> Result<u64, Fault>;

    /// Fills all of `bytes` from `offset` on. A file that ends before is an error.
    ///
    /// # Errors
    /// See [`Storage::list`].
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), Fault>;

    /// Writes all of `bytes` from `offset` on.
    ///
    /// # Errors
    /// See [`Storage::list`].
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Fault>;

    /// Makes durable all that was written. After an error nothing may be assumed of what was written since the last success.
    ///
    /// # Errors
    /// See [`Storage::list`].
    fn sync(&self) -> Result<(), Fault>;
}
