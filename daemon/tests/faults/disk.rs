//! A disk that fails when it is told to, between the real daemon and the system: `disk.c`, loaded before the C library.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The error of a disk that is broken, and of one that is full.
pub(crate) const EIO: i32 = 5;
pub(crate) const ENOSPC: i32 = 28;

pub(crate) struct Disk {
    library: PathBuf,
    orders: PathBuf,
}

impl Disk {
    /// Compiles it into this directory. Earmark's dependencies need a C compiler, so there is one.
    pub(crate) fn new(scratch: &Path) -> Self {
        let disk = Self { library: scratch.join("disk.so"), orders: scratch.join("orders") };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/disk.c");
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let mut compile = Command::new(compiler);
        compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&disk.library).arg(source).arg("-ldl");
        assert!(compile.status().is_ok_and(|status| status.success()), "a C compiler compiles disk.c");
        disk
    }

    /// Puts it between a program and its files.
    pub(crate) fn under(&self, program: &mut Command) {
        program.env("LD_PRELOAD", &self.library).env("EARMARK_FAULT", &self.orders);
    }

    /// From now on this call (`write`, `read`, `sync`, `open`, `rename`, `remove`) fails on files with this in their path.
    pub(crate) fn fail(&self, call: &str, part: &str, errno: i32) {
        let new = self.orders.with_extension("new");
        std::fs::write(&new, format!("{call} {part} {errno}")).unwrap();
        std::fs::rename(new, &self.orders).unwrap();
    }

    /// From now on nothing fails.
    pub(crate) fn heal(&self) {
        std::fs::remove_file(&self.orders).unwrap();
    }
}
