//! A full disk: claims are refused `StorageFull`, what is there can still be given back and read, and it ends by itself when
//! there is room.

use std::path::Path;
use std::process::Command;

use earmark_protocol::query::Query;
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::Reply;

use super::*;

/// Skus that are counted to fill the log: a record of some hundred KiB.
const SKUS: u32 = 5_000;

/// Fills the log of a daemon whose disk has no more room for segments, then gives it room again.
async fn fills_up(process: &Process, fill: impl FnOnce(), free: impl FnOnce()) {
    let client = process.connect().await;
    shop::stock(&client, SKUS).await;
    let held = shop::holds(&client, 3).await;
    fill();
    let mut counts = 0;
    let refused = loop {
        match shop::count(&client, SKUS).await {
            None => counts += 1,
            Some(code) => break code,
        }
        assert!(counts < 1_000, "the disk is full and the log takes more and more");
    };
    assert_eq!(refused, RefusalCode::StorageFull);
    assert_eq!(shop::hold(&client).await.unwrap(), Err(RefusalCode::StorageFull));
    shop::release(&client, held[0]).await;
    assert!(shop::are_held(&client, &held[1..]).await, "and questions are answered");
    free();
    let mut again = Err(RefusalCode::StorageFull);
    for _ in 0..400 {
        again = shop::hold(&client).await.unwrap();
        if again != Err(RefusalCode::StorageFull) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    again.expect("there is room again, and nobody was needed for it");
    client.close().await;
}

#[test]
fn of_a_disk_that_says_so() {
    let (scratch, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = Disk::new(scratch.path());
    runtime().block_on(async {
        let process = Process::start_with(data.path(), |program| disk.under(program));
        fills_up(&process, || disk.fail("write", ".spare", ENOSPC), || disk.heal()).await;
        process.stop();
        let process = Process::start(data.path());
        assert_eq!(shop::digest(&process.connect().await).await.held, 3);
    });
}

/// A file system in memory of this size; `None` where one may not make it.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn mount(at: &'a Path, mib: u32) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(at);
        let is_mounted = mount.output().is_ok_and(|output| output.status.success());
        if !is_mounted {
            println!("skipped: mounting a small file system needs root");
        }
        is_mounted.then_some(Self(at))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[test]
fn of_a_small_file_system() {
    let mount = tempfile::tempdir().unwrap();
    let Some(_small) = Small::mount(mount.path(), 96) else { return };
    let (data, filler) = (mount.path().join("data"), mount.path().join("filler"));
    runtime().block_on(async {
        let process = Process::start(&data);
        let fill = || {
            let mut filler = std::fs::File::create(&filler).unwrap();
            let full = std::io::copy(&mut std::io::repeat(1), &mut filler).unwrap_err();
            assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        };
        fills_up(&process, fill, || std::fs::remove_file(&filler).unwrap()).await;
        process.stop();
        let process = Process::start(&data);
        assert_eq!(shop::digest(&process.connect().await).await.held, 3);
    });
}

#[test]
fn at_the_first_start_nothing_is_begun() {
    let mount = tempfile::tempdir().unwrap();
    let Some(_small) = Small::mount(mount.path(), 4) else { return };
    let said = Process::start_with(&mount.path().join("data"), |_| {}).ended();
    assert!(said.contains("No space left on device") && said.contains("making /"), "{said}");
}

#[test]
fn an_image_that_finds_no_room_is_refused_and_the_daemon_goes_on() {
    let (scratch, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = Disk::new(scratch.path());
    runtime().block_on(async {
        let process = Process::start_with(data.path(), |program| disk.under(program));
        let client = process.connect().await;
        shop::stock(&client, 1).await;
        disk.fail("write", "image.tmp", ENOSPC);
        let reply = client.query(Query::Snapshot).await.unwrap();
        let Reply::Refused(refused) = reply else { panic!("{reply:?}") };
        assert_eq!(refused.refusal.code, RefusalCode::StorageFull);
        shop::holds(&client, 1).await;
        disk.heal();
        let made = client.query(Query::Snapshot).await.unwrap();
        assert!(matches!(made, Reply::Snapshot(made) if made.bytes > 0), "{made:?}");
    });
}
