//! The simulated disk keeps what a disk promises, and breaks everything else.

use std::collections::BTreeSet;

use super::*;

fn with_file(seed: u64, bytes: u64) -> (SimulatedDisk, Box<dyn StorageFile>) {
    let disk = SimulatedDisk::new(seed);
    let file = disk.create("file", bytes).unwrap();
    file.sync().unwrap();
    disk.sync_names().unwrap();
    (disk, file)
}

/// After a write of four sectors and a power cut: which of them are there.
fn sectors_left(seed: u64) -> Vec<bool> {
    let (disk, file) = with_file(seed, 4096);
    file.write_at(&[7; 4 * 512], 512).unwrap();
    disk.crash();
    disk.restart();
    let seen = disk.seen("file").unwrap();
    assert!(seen[..512].iter().chain(&seen[5 * 512..]).all(|byte| *byte == 0), "beside the write");
    seen[512..5 * 512]
        .chunks(512)
        .map(|sector| {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is whole");
            sector[0] == 7
        })
        .collect()
}

#[test]
fn an_unsynced_write_is_lost_kept_or_torn_and_the_same_for_a_seed() {
    let left: Vec<_> = (0..200).map(sectors_left).collect();
    assert_eq!(left, (0..200).map(sectors_left).collect::<Vec<_>>());
    let kinds: BTreeSet<_> = left.into_iter().collect();
    assert_eq!(kinds.len(), 16, "every pattern of four sectors happens");
}

#[test]
fn what_is_synced_survives_and_so_do_its_neighbours() {
    for seed in 0..50 {
        let (disk, file) = with_file(seed, 2048);
        file.write_at(&[1; 700], 300).unwrap();
        file.sync().unwrap();
        assert_eq!(disk.durable("file").unwrap()[300..1000], [1; 700]);
        file.write_at(&[2; 100], 1500).unwrap();
        disk.crash();
        disk.restart();
        let seen = disk.seen("file").unwrap();
        assert_eq!((&seen[..300], &seen[300..1000]), (&[0; 300][..], &[1; 700][..]));
        assert_eq!(disk.durable("file").unwrap(), seen);
    }
}

#[test]
fn names_that_are_not_synced_happened_or_did_not_each_for_itself() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let (disk, _file) = with_file(seed, 512);
        disk.create("other", 512).unwrap().sync().unwrap();
        disk.rename("file", "renamed").unwrap();
        disk.crash();
        disk.restart();
        seen.insert(disk.list().unwrap().join(" "));
    }
    let all = ["file", "file other", "other renamed", "renamed"].map(str::to_owned);
    assert_eq!(seen, BTreeSet::from(all));
}

#[test]
fn changes_of_one_file_keep_their_order() {
    for seed in 0..200 {
        let (disk, file) = with_file(seed, 512);
        file.write_at(&[1], 0).unwrap();
        file.sync().unwrap();
        disk.rename("file", "second").unwrap();
        disk.rename("second", "third").unwrap();
        let new = disk.create("file", 512).unwrap();
        new.write_at(&[2], 0).unwrap();
        new.sync().unwrap();
        disk.crash();
        disk.restart();
        let names = disk.list().unwrap();
        let firsts: Vec<_> = names.iter().map(|name| disk.seen(name).unwrap()[0]).collect();
        assert_eq!(
            firsts.iter().filter(|first| **first == 1).count(),
            1,
            "one name for the old file: {names:?}"
        );
    }
}

#[test]
fn a_file_whose_name_survives_unsynced_may_be_empty() {
    let lengths: BTreeSet<_> = (0..100)
        .filter_map(|seed| {
            let disk = SimulatedDisk::new(seed);
            disk.create("file", 100).unwrap();
            disk.sync_names().unwrap();
            disk.crash();
            disk.restart();
            disk.seen("file").map(|seen| seen.len())
        })
        .collect();
    assert_eq!(lengths, BTreeSet::from([0, 100]));
}

#[test]
fn a_stopped_disk_answers_nothing_and_open_files_stay_closed() {
    let (disk, file) = with_file(1, 512);
    disk.crash();
    assert!(disk.is_stopped());
    assert!(disk.list().is_err() && disk.open("file").is_err() && disk.sync_names().is_err());
    assert!(file.write_at(&[1], 0).is_err());
    disk.restart();
    assert!(file.write_at(&[1], 0).is_err() && file.sync().is_err() && file.len().is_err());
    assert_eq!(disk.open("file").unwrap().len().unwrap(), 512);
}

#[test]
fn a_killed_process_leaves_all_it_wrote_and_a_crash_may_still_take_it() {
    let mut left = BTreeSet::new();
    for seed in 0..50 {
        let (disk, file) = with_file(seed, 512);
        file.write_at(&[1], 0).unwrap();
        disk.kill();
        disk.restart();
        assert_eq!(disk.seen("file").unwrap()[0], 1);
        disk.crash();
        disk.restart();
        left.insert(disk.seen("file").unwrap()[0]);
    }
    assert_eq!(left, BTreeSet::from([0, 1]));
}

#[test]
fn a_fork_holds_the_same_and_goes_its_own_way() {
    let (disk, file) = with_file(1, 512);
    file.write_at(&[1], 0).unwrap();
    let mut left = BTreeSet::new();
    for seed in 0..50 {
        let fork = disk.fork(seed);
        fork.crash();
        fork.restart();
        left.insert(fork.seen("file").unwrap()[0]);
    }
    assert_eq!(left, BTreeSet::from([0, 1]), "what was not synced was not synced there either");
    file.write_at(&[2], 0).unwrap();
    assert_eq!(disk.seen("file").unwrap()[0], 2);
}

#[test]
fn a_crash_can_be_had_at_every_operation() {
    let run = |disk: &SimulatedDisk| -> Result<(), Fault> {
        let file = disk.create("file", 1024)?;
        file.write_at(&[3; 1024], 0)?;
        file.sync()?;
        disk.rename("file", "done")?;
        disk.sync_names()?;
        disk.remove("done")
    };
    let counting = SimulatedDisk::new(1);
    run(&counting).unwrap();
    assert_eq!(counting.operations(), 6);
    for operation in 1..=6 {
        let disk = SimulatedDisk::new(operation);
        disk.crash_at(operation);
        run(&disk).unwrap_err();
        assert!(disk.is_stopped());
        assert_eq!(disk.operations(), operation);
        disk.restart();
        disk.list().unwrap();
    }
}

#[test]
fn the_nth_operation_fails_and_the_others_do_not() {
    let (disk, file) = with_file(1, 4096);
    disk.fail(Attempt::Write, 2, Trouble::Broken);
    file.write_at(&[1], 0).unwrap();
    let broken = file.write_at(&[2; 1024], 512).unwrap_err();
    assert!(!broken.is_full() && broken.to_string().contains("file at byte 512"), "{broken}");
    file.write_at(&[3], 0).unwrap();
    disk.fail(Attempt::Create, 1, Trouble::Full);
    assert!(disk.create("more", 10).err().unwrap().is_full());
    disk.fail(Attempt::Rename, 1, Trouble::Broken);
    assert!(disk.rename("file", "more").is_err());
    disk.fail(Attempt::Read, 1, Trouble::Broken);
    assert!(file.read_at(&mut [0; 8], 0).is_err());
    assert_eq!(disk.list().unwrap(), ["file"]);
}

#[test]
fn a_short_read_fills_a_part_and_fails() {
    let filled: BTreeSet<_> = (0..200)
        .map(|seed| {
            let (disk, file) = with_file(seed, 64);
            file.write_at(&[5; 64], 0).unwrap();
            disk.fail(Attempt::Read, 1, Trouble::Short);
            let mut bytes = [0; 4];
            assert!(file.read_at(&mut bytes, 8).is_err());
            bytes.iter().filter(|byte| **byte == 5).count()
        })
        .collect();
    assert_eq!(filled, BTreeSet::from([0, 1, 2, 3]));
}

#[test]
fn what_a_failed_sync_left_out_no_later_sync_makes_durable() {
    let lost = (0..50).filter(|seed| {
        let (disk, file) = with_file(*seed, 512);
        file.write_at(&[1], 0).unwrap();
        disk.fail(Attempt::Sync, 1, Trouble::Broken);
        file.sync().unwrap_err();
        assert_eq!(disk.seen("file").unwrap()[0], 1);
        file.sync().unwrap();
        disk.crash();
        disk.restart();
        disk.seen("file").unwrap()[0] == 0
    });
    assert!(lost.count() > 5);
}

#[test]
fn lost_misdirected_and_flipped_bytes_are_where_they_were_put() {
    let (disk, file) = with_file(1, 2048);
    let other = disk.create("other", 1024).unwrap();
    other.sync().unwrap();
    disk.sync_names().unwrap();
    disk.lose_write(1);
    file.write_at(&[1; 8], 0).unwrap();
    disk.misdirect_write(1, "other", 1020);
    file.write_at(&[2; 8], 8).unwrap();
    file.write_at(&[3; 8], 16).unwrap();
    file.sync().unwrap();
    assert_eq!(disk.seen("file").unwrap()[..16], [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
    disk.crash();
    disk.restart();
    let seen = disk.seen("file").unwrap();
    assert_eq!((&seen[..16], &seen[16..24]), (&[0; 16][..], &[3; 8][..]));
    assert_eq!(disk.seen("other").unwrap()[1018..], [0, 0, 2, 2, 2, 2]);
    disk.flip("file", 16, 2);
    assert_eq!(disk.seen("file").unwrap()[16], 7);
}

#[test]
fn a_full_disk_takes_nothing_more_until_something_is_removed() {
    let (disk, file) = with_file(1, 1000);
    disk.limit(Some(1500));
    assert!(disk.create("more", 501).err().unwrap().is_full());
    assert_eq!(disk.list().unwrap(), ["file"]);
    disk.create("more", 400).unwrap();
    file.write_at(&[1; 1000], 0).unwrap();
    assert!(file.write_at(&[1; 101], 1000).unwrap_err().is_full());
    disk.remove("more").unwrap();
    file.write_at(&[1; 500], 1000).unwrap();
    assert_eq!(file.len().unwrap(), 1500);
}
