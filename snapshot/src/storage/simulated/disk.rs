//! The state of a simulated disk, and what each operation does to it.

use std::collections::BTreeMap;
use std::io;

use fastrand::Rng;
use rustix::io::Errno;

use super::content::{Content, SECTOR_BYTES};
use super::names::Names;
use super::plan::{Fate, Plan, Stop, Trouble};
use crate::storage::Attempt;

#[derive(Debug)]
pub(super) struct Disk {
    pub(super) seed: u64,
    pub(super) plan: Plan,
    /// Bytes that all files together may have.
    pub(super) limit: Option<u64>,
    rng: Rng,
    names: Names,
    files: BTreeMap<u64, Content>,
    next_file: u64,
    operations: u64,
    stopped: bool,
    /// Files opened in an earlier life are closed.
    life: u64,
}

/// A file that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    file: u64,
    life: u64,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            plan: Plan::default(),
            limit: None,
            rng: Rng::with_seed(seed),
            names: Names::default(),
            files: BTreeMap::new(),
            next_file: 1,
            operations: 0,
            stopped: false,
            life: 1,
        }
    }

    pub(super) fn fork(&self, seed: u64) -> Self {
        Self {
            limit: self.limit,
            names: self.names.clone(),
            files: self.files.clone(),
            next_file: self.next_file,
            ..Self::new(seed)
        }
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn stop(&mut self, stop: Stop) {
        self.stopped = true;
        self.life += 1;
        if stop == Stop::PowerCut {
            self.names.cut_power(&mut self.rng);
            self.forget_nameless();
            for content in self.files.values_mut() {
                content.cut_power(&mut self.rng);
            }
        }
    }

    pub(super) fn restart(&mut self) {
        self.stopped = false;
        self.life += 1;
        self.forget_nameless();
    }

    pub(super) fn named(&self, name: &str) -> Option<&Content> {
        self.files.get(&self.names.get(name)?)
    }

    pub(super) fn named_mut(&mut self, name: &str) -> Option<&mut Content> {
        self.files.get_mut(&self.names.get(name)?)
    }

    pub(super) fn list(&mut self) -> io::Result<Vec<String>> {
        self.undergo(Attempt::List)?;
        Ok(self.names.list())
    }

    pub(super) fn open(&mut self, name: &str) -> io::Result<Open> {
        self.undergo(Attempt::Open)?;
        Ok(Open { file: self.find(name)?, life: self.life })
    }

    pub(super) fn create(&mut self, name: &str, bytes: u64) -> io::Result<Open> {
        let stop = self.undergo(Attempt::Create)?;
        if self.names.get(name).is_some() {
            return Err(Errno::EXIST.into());
        }
        self.take_room(bytes)?;
        let file = self.next_file;
        self.next_file += 1;
        self.files.insert(file, Content::zeros(bytes));
        self.names.create(name, file);
        self.carry_out(stop)?;
        Ok(Open { file, life: self.life })
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let stop = self.undergo(Attempt::Rename)?;
        self.find(from)?;
        self.names.rename(from, to);
        self.carry_out(stop)
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        let stop = self.undergo(Attempt::Remove)?;
        self.find(name)?;
        self.names.remove(name);
        self.carry_out(stop)
    }

    pub(super) fn sync_names(&mut self) -> io::Result<()> {
        let stop = self.undergo(Attempt::Sync)?;
        self.carry_out(stop)?;
        self.names.sync();
        Ok(())
    }

    pub(super) fn len(&mut self, open: Open) -> io::Result<u64> {
        self.undergo(Attempt::Read)?;
        Ok(self.content(open)?.seen().len() as u64)
    }

    pub(super) fn read(&mut self, open: Open, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let fate = self.begin(Attempt::Read)?;
        if let Fate::Fails(trouble) = fate
            && trouble != Trouble::Short
        {
            return Err(error(trouble));
        }
        let length = bytes.len();
        let part = if fate == Fate::Happens { length } else { self.rng.usize(..length.max(1)) };
        let seen = self.content(open)?.seen();
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        match start.checked_add(part).and_then(|end| seen.get(start..end)) {
            Some(there) => bytes[..part].copy_from_slice(there),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        if part == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    pub(super) fn write(&mut self, open: Open, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fate = self.begin(Attempt::Write)?;
        let growth = self.content(open)?.growth(bytes, offset);
        self.take_room(growth)?;
        let Self { rng, files, .. } = self;
        let content = files.get_mut(&open.file).ok_or(Errno::BADF)?;
        match fate {
            Fate::Happens => content.write(bytes, offset),
            Fate::Fails(trouble) => {
                if trouble != Trouble::Full && !bytes.is_empty() {
                    let sectors = bytes.len() as u64 / SECTOR_BYTES;
                    let part = rng.u64(..=sectors) * SECTOR_BYTES;
                    content.write(&bytes[..part as usize], offset);
                }
                return Err(error(trouble));
            }
            Fate::Lost => content.write_seen_only(bytes, offset),
            Fate::Misdirected(name, elsewhere) => {
                content.write_seen_only(bytes, offset);
                if let Some(other) = self.named_mut(&name) {
                    other.write_behind(bytes, elsewhere);
                }
            }
            Fate::Stops(stop) => {
                content.write(bytes, offset);
                self.stop(stop);
                return Err(stopped());
            }
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, open: Open) -> io::Result<()> {
        let fate = self.begin(Attempt::Sync)?;
        self.content(open)?;
        let Self { rng, files, .. } = self;
        let content = files.get_mut(&open.file).ok_or(Errno::BADF)?;
        match fate {
            Fate::Fails(trouble) => {
                content.fail_sync(rng);
                Err(error(trouble))
            }
            Fate::Stops(stop) => {
                self.stop(stop);
                Err(stopped())
            }
            _ => {
                content.sync();
                Ok(())
            }
        }
    }

    /// Counts an operation and says what becomes of it.
    fn begin(&mut self, attempt: Attempt) -> io::Result<Fate> {
        if self.stopped {
            return Err(stopped());
        }
        let changes = !matches!(attempt, Attempt::List | Attempt::Open | Attempt::Read);
        self.operations += u64::from(changes);
        Ok(self.plan.fate(attempt, changes.then_some(self.operations)))
    }

    /// As `begin`, for an operation that happens or fails as a whole. Gives the stop that is to come in its midst.
    fn undergo(&mut self, attempt: Attempt) -> io::Result<Option<Stop>> {
        match self.begin(attempt)? {
            Fate::Fails(trouble) => Err(error(trouble)),
            Fate::Stops(stop) => Ok(Some(stop)),
            _ => Ok(None),
        }
    }

    fn carry_out(&mut self, stop: Option<Stop>) -> io::Result<()> {
        match stop {
            Some(stop) => {
                self.stop(stop);
                Err(stopped())
            }
            None => Ok(()),
        }
    }

    fn find(&self, name: &str) -> io::Result<u64> {
        self.names.get(name).ok_or_else(|| Errno::NOENT.into())
    }

    fn content(&self, open: Open) -> io::Result<&Content> {
        let closed = || io::Error::other("it was opened before the disk stopped");
        let content = self.files.get(&open.file).filter(|_| open.life == self.life);
        content.ok_or_else(closed)
    }

    fn take_room(&self, bytes: u64) -> io::Result<()> {
        let Some(limit) = self.limit.filter(|_| bytes > 0) else { return Ok(()) };
        let named = self.names.named();
        let used: u64 = named
            .iter()
            .filter_map(|file| self.files.get(file))
            .map(|content| content.seen().len() as u64)
            .sum();
        if used.checked_add(bytes).is_some_and(|sum| sum <= limit) {
            Ok(())
        } else {
            Err(error(Trouble::Full))
        }
    }

    /// Files without a name are gone once nobody has them open.
    fn forget_nameless(&mut self) {
        let kept = self.names.files();
        self.files.retain(|file, _| kept.contains(file));
    }
}

fn error(trouble: Trouble) -> io::Error {
    match trouble {
        Trouble::Broken => Errno::IO.into(),
        Trouble::Full => Errno::NOSPC.into(),
        Trouble::Short => io::ErrorKind::UnexpectedEof.into(),
    }
}

fn stopped() -> io::Error {
    io::Error::other("the simulated disk has stopped")
}
