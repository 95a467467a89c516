//! The promise: whatever the disk does, nobody is told what is not so. Each fault happens to the real daemon, in a process of
//! its own: the disk fails, is full, or holds what nobody wrote. `docs/durability.md` has the table of faults.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod damaged;
mod disk;
mod failing;
mod full;
mod modes;
#[path = "../crash/process.rs"]
mod process;
mod refused;
mod shop;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use disk::{Disk, EIO, ENOSPC};
use process::Process;
use serde_json::Value;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Asks the command line about a directory: its exit code, and its objects, one a line.
fn earmark(arguments: &[&str], directory: &Path) -> (i32, Vec<Value>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_earmark"));
    let output =
        command.arg("--json").args(arguments).arg(directory).output().expect("the binary can be run");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let objects = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (output.status.code().expect("it ends by itself"), objects)
}

/// All files of a directory but the lock, as they are.
fn files(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let entries = entries.filter(|path| !path.ends_with("lock"));
    let mut files: Vec<_> = entries
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (path.file_name().unwrap().to_str().unwrap().to_owned(), bytes)
        })
        .collect();
    files.sort();
    files
}

/// The images of a directory, the newest first.
fn images(directory: &Path) -> Vec<String> {
    let names = files(directory).into_iter().map(|(name, _)| name);
    let mut images: Vec<_> = names.filter(|name| name.ends_with(".earmark")).collect();
    images.reverse();
    images
}

/// Changes bytes of a file.
fn change(path: &Path, change: impl FnOnce(&mut [u8])) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::write(path, bytes).unwrap();
}

/// A directory in which a daemon was killed after it had answered so many holds, one after the other.
fn killed(directory: &Path, holds: usize) -> Vec<earmark_protocol::ids::CommandId> {
    runtime().block_on(async {
        let mut process = Process::start(directory);
        let client = process.connect().await;
        shop::stock(&client, 1).await;
        let held = shop::holds(&client, holds).await;
        process.kill();
        held
    })
}
