//! Real files behind a wall: bytes stay in this process's memory until their file is synced, and names until the names
//! are. So kill -9 of the process is a power cut at its worst: nothing that was not synced is left. For the crash test.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::real::fault;
use super::{Attempt, DataDir, Fault, Storage, StorageFile};

/// What a file is called in the real directory until its name is synced. Left over, it is a file that a power cut took.
const HIDDEN: &str = "held-";

/// A [`DataDir`] whose disk gets nothing before it is told to sync.
///
/// It sees the files that were there when it was opened, and its own.
#[derive(Debug)]
pub struct HeldDir {
    directory: DataDir,
    names: Mutex<Names>,
}

#[derive(Debug)]
struct Names {
    seen: BTreeMap<String, Arc<Held>>,
    unsynced: Vec<Change>,
    next_hidden: u64,
}

/// What is still to be done to the real directory, in its order.
#[derive(Debug)]
enum Change {
    Rename { from: PathBuf, to: PathBuf },
    Remove(PathBuf),
}

#[derive(Debug)]
struct Held {
    real: File,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// As writers and readers see it.
    bytes: u64,
    /// Writes since the last sync, in their order.
    unsynced: Vec<(u64, Vec<u8>)>,
}

impl HeldDir {
    /// Opens a directory as [`DataDir::open`] does.
    ///
    /// # Errors
    /// As there.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Fault> {
        let directory = DataDir::open(path)?;
        let mut seen = BTreeMap::new();
        for name in directory.list()? {
            if name.starts_with(HIDDEN) {
                directory.remove(&name)?;
                continue;
            }
            let path = directory.path_of(&name);
            let real = OpenOptions::new().read(true).write(true).open(&path);
            seen.insert(name, Arc::new(Held::new(real.map_err(fault(Attempt::Open, &path))?, &path)?));
        }
        let names = Names { seen, unsynced: Vec::new(), next_hidden: 1 };
        Ok(Self { directory, names: Mutex::new(names) })
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, name: &str, held: &Arc<Held>) -> Box<dyn StorageFile> {
        Box::new(HeldFile { held: Arc::clone(held), path: self.directory.path_of(name) })
    }

    fn missing(&self, attempt: Attempt, name: &str) -> Fault {
        fault(attempt, &self.directory.path_of(name))(Errno::NOENT.into())
    }
}

impl Storage for HeldDir {
    fn place(&self) -> String {
        self.directory.place()
    }

    fn list(&self) -> Result<Vec<String>, Fault> {
        Ok(self.names().seen.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> Result<Box<dyn StorageFile>, Fault> {
        match self.names().seen.get(name) {
            Some(held) => Ok(self.file(name, held)),
            None => Err(self.missing(Attempt::Open, name)),
        }
    }

    fn create(&self, name: &str, bytes: u64) -> Result<Box<dyn StorageFile>, Fault> {
        let path = self.directory.path_of(name);
        let mut names = self.names();
        if names.seen.contains_key(name) {
            return Err(fault(Attempt::Create, &path)(Errno::EXIST.into()));
        }
        let hidden = self.directory.path_of(&format!("{HIDDEN}{}", names.next_hidden));
        names.next_hidden += 1;
        let real = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&hidden);
        let real = real.map_err(fault(Attempt::Create, &path))?;
        // Room is taken, but the length is not durable before a sync.
        if let Err(source) = take_room(&real, bytes) {
            let _ = fs::remove_file(&hidden);
            return Err(fault(Attempt::Create, &path)(source));
        }
        let held = Arc::new(Held { real, state: Mutex::new(State { bytes, unsynced: Vec::new() }) });
        let file = self.file(name, &held);
        names.seen.insert(name.to_owned(), held);
        names.unsynced.push(Change::Rename { from: hidden, to: path });
        Ok(file)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        let mut names = self.names();
        let held = names.seen.remove(from).ok_or_else(|| self.missing(Attempt::Rename, from))?;
        names.seen.insert(to.to_owned(), held);
        let (from, to) = (self.directory.path_of(from), self.directory.path_of(to));
        names.unsynced.push(Change::Rename { from, to });
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        let mut names = self.names();
        names.seen.remove(name).ok_or_else(|| self.missing(Attempt::Remove, name))?;
        names.unsynced.push(Change::Remove(self.directory.path_of(name)));
        Ok(())
    }

    fn sync_names(&self) -> Result<(), Fault> {
        let mut names = self.names();
        // A kill in the midst leaves the first of them done: unsynced names may be there.
        for change in names.unsynced.drain(..) {
            match change {
                Change::Rename { from, to } => fs::rename(&from, &to).map_err(fault(Attempt::Sync, &from))?,
                Change::Remove(path) => fs::remove_file(&path).map_err(fault(Attempt::Sync, &path))?,
            }
        }
        self.directory.sync_names()
    }
}

impl Held {
    fn new(real: File, path: &Path) -> Result<Self, Fault> {
        let bytes = real.metadata().map_err(fault(Attempt::Open, path))?.len();
        Ok(Self { real, state: Mutex::new(State { bytes, unsynced: Vec::new() }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.state();
        let end = offset + into.len() as u64;
        if end > state.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // What the real file does not have yet is zero.
        into.fill(0);
        let durable = self.real.metadata()?.len().clamp(offset, end) - offset;
        self.real.read_exact_at(&mut into[..durable as usize], offset)?;
        for (start, bytes) in &state.unsynced {
            let (from, to) = ((*start).max(offset), (start + bytes.len() as u64).min(end));
            if from < to {
                let piece = &bytes[(from - start) as usize..(to - start) as usize];
                into[(from - offset) as usize..(to - offset) as usize].copy_from_slice(piece);
            }
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8], offset: u64) {
        let mut state = self.state();
        state.bytes = state.bytes.max(offset + bytes.len() as u64);
        state.unsynced.push((offset, bytes.to_vec()));
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        if self.real.metadata()?.len() < state.bytes {
            self.real.set_len(state.bytes)?;
        }
        // A kill in the midst leaves the first of them written: a torn write, as a disk leaves it.
        for (offset, bytes) in state.unsynced.drain(..) {
            self.real.write_all_at(&bytes, offset)?;
        }
        self.real.sync_data()
    }
}

#[derive(Debug)]
struct HeldFile {
    held: Arc<Held>,
    path: PathBuf,
}

impl StorageFile for HeldFile {
    fn len(&self) -> Result<u64, Fault> {
        Ok(self.held.state().bytes)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), Fault> {
        let read = self.held.read(bytes, offset);
        read.map_err(|source| fault(Attempt::Read, &self.path)(source).at(offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Fault> {
        self.held.write(bytes, offset);
        Ok(())
    }

    fn sync(&self) -> Result<(), Fault> {
        self.held.sync().map_err(fault(Attempt::Sync, &self.path))
    }
}

fn take_room(real: &File, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(real, FallocateFlags::KEEP_SIZE, 0, bytes) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(scratch: &tempfile::TempDir, name: &str) -> Option<Vec<u8>> {
        fs::read(scratch.path().join(name)).ok()
    }

    /// What kill -9 leaves: the next opening of the same directory.
    fn killed(held: HeldDir) -> HeldDir {
        let path = held.directory.path().to_owned();
        drop(held);
        HeldDir::open(path).unwrap()
    }

    #[test]
    fn what_is_not_synced_is_not_in_the_real_file() {
        let scratch = tempfile::tempdir().unwrap();
        let held = HeldDir::open(scratch.path()).unwrap();
        let file = held.create("one", 4096).unwrap();
        held.sync_names().unwrap();
        assert_eq!(real(&scratch, "one").unwrap().len(), 0, "not even its length");
        file.sync().unwrap();
        file.write_at(b"hold", 1000).unwrap();
        file.write_at(b"!", 1002).unwrap();
        assert_eq!(real(&scratch, "one").unwrap(), [0; 4096]);
        let mut seen = [9; 8];
        held.open("one").unwrap().read_at(&mut seen, 998).unwrap();
        assert_eq!(&seen, b"\0\0ho!d\0\0", "every hand on the file sees what was written");
        file.sync().unwrap();
        assert_eq!(&real(&scratch, "one").unwrap()[998..1006], b"\0\0ho!d\0\0");
        file.write_at(b"lost", 0).unwrap();
        let held = killed(held);
        held.open("one").unwrap().read_at(&mut seen, 0).unwrap();
        assert_eq!(seen, [0; 8]);
    }

    #[test]
    fn names_are_in_the_real_directory_when_they_are_synced() {
        let scratch = tempfile::tempdir().unwrap();
        let held = HeldDir::open(scratch.path()).unwrap();
        for name in ["a", "b", "c"] {
            let file = held.create(name, 1).unwrap();
            file.write_at(name.as_bytes(), 0).unwrap();
            file.sync().unwrap();
        }
        assert_eq!(real(&scratch, "a"), None);
        held.sync_names().unwrap();
        held.rename("a", "b").unwrap();
        held.remove("c").unwrap();
        held.create("d", 1).unwrap();
        assert_eq!(held.list().unwrap(), ["b", "d"]);
        let held = killed(held);
        assert_eq!(held.list().unwrap(), ["a", "b", "c"], "nothing of it has happened");
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 4, "with the lock, and nothing hidden");
        held.rename("a", "b").unwrap();
        held.rename("b", "d").unwrap();
        held.sync_names().unwrap();
        assert_eq!(killed(held).list().unwrap(), ["c", "d"]);
        assert_eq!(real(&scratch, "d").unwrap(), b"a");
    }

    #[test]
    fn a_removed_file_can_still_be_read_and_synced_by_who_has_it_open() {
        let scratch = tempfile::tempdir().unwrap();
        let held = HeldDir::open(scratch.path()).unwrap();
        let file = held.create("one", 4).unwrap();
        held.remove("one").unwrap();
        held.sync_names().unwrap();
        file.write_at(b"gone", 0).unwrap();
        file.sync().unwrap();
        let mut seen = [0; 4];
        file.read_at(&mut seen, 0).unwrap();
        assert_eq!(&seen, b"gone");
        assert!(
            held.open("one").is_err() && held.remove("one").is_err() && held.rename("one", "two").is_err()
        );
        assert_eq!(held.list().unwrap(), [""; 0]);
    }

    #[test]
    fn no_room_leaves_nothing_and_a_name_is_given_once() {
        let scratch = tempfile::tempdir().unwrap();
        let held = HeldDir::open(scratch.path()).unwrap();
        assert!(held.create("huge", 1 << 62).is_err());
        held.create("one", 1).unwrap();
        assert!(held.create("one", 1).is_err());
        assert_eq!(held.list().unwrap(), ["one"]);
        assert!(HeldDir::open(scratch.path()).is_err(), "the directory is locked");
    }
}
