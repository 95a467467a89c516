//! The data directory on a real disk. It knows files, not what is in them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FallocateFlags, OFlags};
use rustix::io::{Errno, retry_on_intr};

use super::lock::{self, Lock};
use super::{Attempt, Fault, Storage, StorageFile};

/// Large files are written past the system's cache in pieces of this size. A sync of the log meets one of them at most, and
/// not all that the cache has gathered; smaller ones were not tried, larger ones made the log's syncs several times as long.
const PIECE_BYTES: usize = 256 << 10;
/// What going past the system's cache wants memory and places to be multiples of, on the disks there are.
const ALIGNMENT: usize = 4096;
/// Where a new file can only be filled through the cache, it is synced each time so much of it was, so that its pages do
/// not pile up before a sync of the log.
const FILL_SYNC_BYTES: u64 = 16 << 20;

/// A directory of files, and the lock that makes this process its only writer.
///
/// Sub-directories and the lock file are not seen by [`Storage::list`].
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    directory: File,
    /// None: for looking only.
    lock: Option<Lock>,
}

impl DataDir {
    /// Opens the directory for this process alone, and makes it (mode 0700) where there is none. The names that are seen
    /// from then on are durable.
    ///
    /// # Errors
    /// Where another process has it ([`Attempt::Lock`]), or it cannot be made or opened.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Fault> {
        let path = path.into();
        make_directory(&path)?;
        let lock = Lock::take(&path)?;
        let directory = Self { directory: open_directory(&path)?, path, lock: Some(lock) };
        directory.sync_names()?;
        Ok(directory)
    }

    /// Opens a directory that exists for looking, also while a daemon has it: every change is refused.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn look(path: impl Into<PathBuf>) -> Result<Self, Fault> {
        let path = path.into();
        Ok(Self { directory: open_directory(&path)?, path, lock: None })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    ///
    /// # Panics
    /// Where the name would lead out of the directory, or to its lock.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        let is_plain = !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        assert!(is_plain && name != lock::NAME, "{name:?} is not the name of a file in a data directory");
        self.path.join(name)
    }

    fn changing(&self, attempt: Attempt, path: &Path) -> Result<(), Fault> {
        if self.lock.is_some() {
            return Ok(());
        }
        let refused =
            io::Error::new(io::ErrorKind::PermissionDenied, "the directory is open for looking only");
        Err(fault(attempt, path)(refused))
    }

    fn make(&self, name: &str, bytes: u64, fill: bool) -> Result<Box<dyn StorageFile>, Fault> {
        let path = self.path_of(name);
        self.changing(Attempt::Create, &path)?;
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(fault(Attempt::Create, &path))?;
        let direct = open_directly(OpenOptions::new().write(true), &path);
        if let Err(source) = take_room(&file, direct.as_ref(), bytes, fill) {
            // It would hold on to the room that is missing. Where removing fails too, the first trouble is the one to tell.
            let _ = fs::remove_file(&path);
            return Err(fault(Attempt::Create, &path)(source));
        }
        // What is filled is written in small pieces from now on, and each is synced.
        Ok(Box::new(RealFile { file, direct: direct.filter(|_| !fill), path }))
    }
}

impl Storage for DataDir {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn list(&self) -> Result<Vec<String>, Fault> {
        let fault = fault(Attempt::List, &self.path);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(&fault)? {
            let entry = entry.map_err(&fault)?;
            if !entry.file_type().map_err(&fault)?.is_file() {
                continue;
            }
            // A name that is not text is none of ours.
            if let Ok(name) = entry.file_name().into_string()
                && name != lock::NAME
            {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn open(&self, name: &str) -> Result<Box<dyn StorageFile>, Fault> {
        let path = self.path_of(name);
        let file = OpenOptions::new().read(true).write(self.lock.is_some()).open(&path);
        Ok(Box::new(RealFile { file: file.map_err(fault(Attempt::Open, &path))?, direct: None, path }))
    }

    fn open_to_load(&self, name: &str) -> Result<Box<dyn StorageFile>, Fault> {
        let path = self.path_of(name);
        let file = File::open(&path).map_err(fault(Attempt::Open, &path))?;
        let direct = open_directly(OpenOptions::new().read(true), &path);
        Ok(Box::new(RealFile { file, direct, path }))
    }

    fn create(&self, name: &str, bytes: u64) -> Result<Box<dyn StorageFile>, Fault> {
        self.make(name, bytes, true)
    }

    fn allocate(&self, name: &str, bytes: u64) -> Result<Box<dyn StorageFile>, Fault> {
        self.make(name, bytes, false)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        let (from, to) = (self.path_of(from), self.path_of(to));
        self.changing(Attempt::Rename, &from)?;
        fs::rename(&from, &to).map_err(fault(Attempt::Rename, &from))
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        let path = self.path_of(name);
        self.changing(Attempt::Remove, &path)?;
        fs::remove_file(&path).map_err(fault(Attempt::Remove, &path))
    }

    fn sync_names(&self) -> Result<(), Fault> {
        self.changing(Attempt::Sync, &self.path)?;
        self.directory.sync_all().map_err(fault(Attempt::Sync, &self.path))
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    /// The same file, past the system's cache.
    direct: Option<File>,
    path: PathBuf,
}

impl StorageFile for RealFile {
    fn len(&self) -> Result<u64, Fault> {
        Ok(self.file.metadata().map_err(fault(Attempt::Read, &self.path))?.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), Fault> {
        let read = match &self.direct {
            Some(direct) => read_past_cache(&self.file, direct, bytes, offset),
            None => self.file.read_exact_at(bytes, offset),
        };
        read.map_err(|source| fault(Attempt::Read, &self.path)(source).at(offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Fault> {
        let written = match &self.direct {
            Some(direct) => write_past_cache(&self.file, direct, bytes, offset),
            None => self.file.write_all_at(bytes, offset),
        };
        written.map_err(|source| fault(Attempt::Write, &self.path)(source).at(offset))
    }

    fn sync(&self) -> Result<(), Fault> {
        self.file.sync_data().map_err(fault(Attempt::Sync, &self.path))
    }
}

pub(super) fn fault(attempt: Attempt, path: &Path) -> impl Fn(io::Error) -> Fault {
    move |source| Fault::new(attempt, path.display().to_string(), source)
}

/// Reads whole pages from the disk to where they belong, and all else through the system's cache: that saves a copy of them,
/// and whatever the cache would have dropped for them. It does not ask the cache first: a question without waiting has the
/// system read ahead, and then most is read twice and copied.
fn read_past_cache(file: &File, direct: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let (pages, rest) = bytes.split_at_mut(pages_of(bytes, offset));
    match direct.read_exact_at(pages, offset) {
        // A disk that wants a larger alignment.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => file.read_exact_at(pages, offset)?,
        read => read?,
    }
    file.read_exact_at(rest, offset + pages.len() as u64)
}

/// Writes whole pages from where they lie to the disk, in pieces, and all else through the system's cache. No page goes both
/// ways, where each is written once.
fn write_past_cache(file: &File, direct: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    let (pages, rest) = bytes.split_at(pages_of(bytes, offset));
    for (piece, at) in pages.chunks(PIECE_BYTES).zip((offset..).step_by(PIECE_BYTES)) {
        match direct.write_all_at(piece, at) {
            // A disk that wants a larger alignment.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => file.write_all_at(piece, at)?,
            written => written?,
        }
    }
    file.write_all_at(rest, offset + pages.len() as u64)
}

/// How many of these bytes may go past the system's cache from or to this place in a file.
fn pages_of(bytes: &[u8], offset: u64) -> usize {
    let is_aligned = offset.is_multiple_of(ALIGNMENT as u64) && bytes.as_ptr().align_offset(ALIGNMENT) == 0;
    if is_aligned { bytes.len() / ALIGNMENT * ALIGNMENT } else { 0 }
}

/// A file once more, past the system's cache. Some file systems know no such thing; then everything goes through it.
fn open_directly(options: &mut OpenOptions, path: &Path) -> Option<File> {
    options.custom_flags(OFlags::DIRECT.bits() as i32).open(path).ok()
}

fn open_directory(path: &Path) -> Result<File, Fault> {
    File::open(path).map_err(fault(Attempt::Open, path))
}

/// Makes the directory and those above it, and makes their names durable.
fn make_directory(path: &Path) -> Result<(), Fault> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.is_dir()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(fault(Attempt::Create, path))?;
    for made in missing {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        open_directory(above)?.sync_all().map_err(fault(Attempt::Sync, above))?;
    }
    Ok(())
}

/// Gives a new file its length. A full disk is found out first, before anything is written.
fn take_room(file: &File, direct: Option<&File>, bytes: u64, fill: bool) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    match retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes)) {
        Ok(()) if !fill => Ok(()),
        // Some file systems cannot take room ahead; written zeros take it there.
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => fill_with_zeros(file, direct, bytes),
        Err(error) => Err(error.into()),
    }
}

fn fill_with_zeros(file: &File, direct: Option<&File>, bytes: u64) -> io::Result<()> {
    let memory = vec![0; PIECE_BYTES + ALIGNMENT];
    let start = memory.as_ptr().align_offset(ALIGNMENT);
    let zeros = &memory[start..start + PIECE_BYTES];
    let mut offset = 0;
    while offset < bytes {
        let piece = &zeros[..(bytes - offset).min(PIECE_BYTES as u64) as usize];
        match direct {
            Some(direct) => {
                write_past_cache(file, direct, piece, offset)?;
                keep_in_cache(file, offset, piece.len());
            }
            None => file.write_all_at(piece, offset)?,
        }
        offset += piece.len() as u64;
        if direct.is_none() && offset.is_multiple_of(FILL_SYNC_BYTES) {
            file.sync_data()?;
        }
    }
    Ok(())
}

/// Has the system read what was written past its cache: the log writes parts of pages, and each would have to wait until the
/// rest of its page was read. It is advice; where it is not taken, that is slower and nothing else.
fn keep_in_cache(file: &File, offset: u64, bytes: usize) {
    let _ = rustix::fs::fadvise(file, offset, NonZeroU64::new(bytes as u64), Advice::WillNeed);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_directory_is_made_for_its_owner_alone_and_so_are_its_files() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a/b");
        let storage = DataDir::open(&path).unwrap();
        storage.create("one", 100).unwrap();
        assert_eq!((mode(&path), mode(&path.join("one"))), (0o700, 0o600));
        assert_eq!(mode(&path.join("lock")), 0o600);
    }

    #[test]
    fn a_file_is_made_at_its_full_length_allocated_and_zero() {
        let scratch = tempfile::tempdir().unwrap();
        let storage = DataDir::open(scratch.path()).unwrap();
        let bytes = 3 * PIECE_BYTES as u64 + 5;
        for (name, file) in [
            ("filled", storage.create("filled", bytes).unwrap()),
            ("taken", storage.allocate("taken", bytes).unwrap()),
        ] {
            file.sync().unwrap();
            assert_eq!(file.len().unwrap(), bytes);
            let mut read = vec![1; bytes as usize];
            file.read_at(&mut read, 0).unwrap();
            assert!(read.iter().all(|byte| *byte == 0));
            assert!(fs::metadata(scratch.path().join(name)).unwrap().blocks() * 512 >= bytes);
        }
        assert!(storage.create("filled", 1).is_err(), "nothing is written over");
        assert_eq!(storage.create("empty", 0).unwrap().len().unwrap(), 0);
    }

    #[test]
    fn a_file_that_is_loaded_reads_the_same_from_the_cache_and_past_it_wherever_it_goes() {
        let scratch = tempfile::tempdir().unwrap();
        let storage = DataDir::open(scratch.path()).unwrap();
        let bytes: Vec<u8> = (0..5 * ALIGNMENT + 100).map(|at| (at / 7) as u8).collect();
        let written = storage.create("one", bytes.len() as u64).unwrap();
        written.write_at(&bytes, 0).unwrap();
        written.sync().unwrap();
        let file = storage.open_to_load("one").unwrap();
        let mut memory = vec![0; bytes.len() + ALIGNMENT];
        let page = memory.as_ptr().align_offset(ALIGNMENT);
        for is_cached in [true, false] {
            for (to, offset, length) in
                [(page, 0, bytes.len()), (page, ALIGNMENT, 300), (page + 1, 0, 9_000), (page, 3, 9_000)]
            {
                if !is_cached {
                    let named = File::open(scratch.path().join("one")).unwrap();
                    rustix::fs::fadvise(&named, 0, None, Advice::DontNeed).unwrap();
                }
                memory.fill(0);
                file.read_at(&mut memory[to..to + length], offset as u64).unwrap();
                assert_eq!(memory[to..to + length], bytes[offset..offset + length]);
            }
        }
        let beyond = file.read_at(&mut memory[page..page + 2 * ALIGNMENT], 4 * ALIGNMENT as u64).unwrap_err();
        assert!(beyond.to_string().contains("/one at byte 16384"), "{beyond}");
    }

    #[test]
    fn a_file_that_is_written_once_holds_what_was_written_wherever_it_came_from() {
        let scratch = tempfile::tempdir().unwrap();
        let storage = DataDir::open(scratch.path()).unwrap();
        let length = 2 * PIECE_BYTES + ALIGNMENT + 100;
        let memory: Vec<u8> = (0..length + ALIGNMENT).map(|at| (at / 7) as u8).collect();
        let page = memory.as_ptr().align_offset(ALIGNMENT);
        for (name, from, offset) in
            [("aligned", page, ALIGNMENT), ("memory", page + 1, 0), ("place", page, 3)]
        {
            let file = storage.allocate(name, 1 << 20).unwrap();
            file.write_at(&memory[from..from + length], offset as u64).unwrap();
            file.sync().unwrap();
            let whole = fs::read(scratch.path().join(name)).unwrap();
            assert_eq!(whole.len(), 1 << 20);
            assert_eq!(whole[offset..offset + length], memory[from..from + length], "{name}");
            assert!(whole[..offset].iter().chain(&whole[offset + length..]).all(|byte| *byte == 0), "{name}");
        }
    }

    #[test]
    fn what_does_not_fit_leaves_nothing_behind() {
        let scratch = tempfile::tempdir().unwrap();
        let storage = DataDir::open(scratch.path()).unwrap();
        // More than any file system holds; some say that the file is too big instead of the disk full.
        assert!(storage.create("huge", 1 << 62).is_err());
        assert_eq!(storage.list().unwrap(), [""; 0]);
    }

    #[test]
    fn files_are_written_and_read_in_place_listed_renamed_and_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let storage = DataDir::open(scratch.path()).unwrap();
        fs::create_dir(scratch.path().join("a directory")).unwrap();
        let file = storage.create("b", 4096).unwrap();
        file.write_at(b"stock", 1000).unwrap();
        file.sync().unwrap();
        storage.create("a", 10).unwrap();
        assert_eq!(storage.list().unwrap(), ["a", "b"]);
        storage.rename("b", "a").unwrap();
        storage.sync_names().unwrap();
        let mut read = [0; 5];
        storage.open("a").unwrap().read_at(&mut read, 1000).unwrap();
        assert_eq!(&read, b"stock");
        let short = storage.open("a").unwrap().read_at(&mut read, 4094).unwrap_err();
        assert!(short.to_string().contains("/a at byte 4094"), "{short}");
        storage.remove("a").unwrap();
        assert_eq!(storage.list().unwrap(), [""; 0]);
        assert_eq!(storage.open("a").err().unwrap().attempt(), Attempt::Open);
    }

    #[test]
    fn a_second_daemon_is_told_who_has_the_directory() {
        let scratch = tempfile::tempdir().unwrap();
        let first = DataDir::open(scratch.path()).unwrap();
        let refused = DataDir::open(scratch.path()).unwrap_err();
        assert_eq!(refused.attempt(), Attempt::Lock);
        let holder = format!("another daemon (process {})", std::process::id());
        assert!(refused.to_string().contains(&holder), "{refused}");
        drop(first);
        DataDir::open(scratch.path()).unwrap();
    }

    #[test]
    fn one_may_look_while_a_daemon_has_the_directory_and_change_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let daemon = DataDir::open(scratch.path()).unwrap();
        daemon.create("one", 8).unwrap();
        let looking = DataDir::look(scratch.path()).unwrap();
        assert_eq!(looking.list().unwrap(), ["one"]);
        let file = looking.open("one").unwrap();
        file.read_at(&mut [0; 8], 0).unwrap();
        assert!(file.write_at(&[1], 0).is_err());
        assert!(looking.create("two", 8).is_err() && looking.remove("one").is_err());
        assert!(looking.rename("one", "two").is_err() && looking.sync_names().is_err());
        assert_eq!(daemon.list().unwrap(), ["one"]);
    }

    #[test]
    #[should_panic(expected = "is not the name of a file")]
    fn a_name_does_not_lead_out_of_the_directory() {
        let scratch = tempfile::tempdir().unwrap();
        let _ = DataDir::open(scratch.path()).unwrap().remove("../lock");
    }
}
