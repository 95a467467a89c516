//! The lock of a data directory: one daemon at a time. It is let go with the process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{Attempt, Fault};

/// The file that is locked. It holds the process id of its holder, for the message that others get.
pub(super) const NAME: &str = "lock";

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "open for the lock on it alone")] File);

impl Lock {
    /// Takes the lock of this directory.
    ///
    /// # Errors
    /// Where another has it: who, and what to do.
    pub(super) fn take(directory: &Path) -> Result<Self, Fault> {
        let path = directory.join(NAME);
        let fault = |source| Fault::new(Attempt::Lock, path.display().to_string(), source);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = file.map_err(fault)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(fault(held_by(&mut file))),
            Err(TryLockError::Error(source)) => return Err(fault(source)),
        }
        file.set_len(0).map_err(fault)?;
        writeln!(file, "{}", std::process::id()).map_err(fault)?;
        Ok(Self(file))
    }
}

fn held_by(file: &mut File) -> io::Error {
    // What stands there is for the message alone: unreadable, or not there yet, is no further trouble.
    let mut text = String::new();
    let read = file.take(20).read_to_string(&mut text);
    let holder = match (read, text.trim().parse::<u32>()) {
        (Ok(_), Ok(id)) => format!("another daemon (process {id})"),
        _ => "another daemon".to_owned(),
    };
    io::Error::new(
        io::ErrorKind::WouldBlock,
        format!("{holder} has this data directory; stop it, or give this one a directory of its own"),
    )
}
