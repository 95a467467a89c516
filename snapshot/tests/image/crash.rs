//! Whatever happens while an image is written, those before it stay, and it is whole or not there.

use super::*;
use earmark_snapshot::image::{BLOCK_BYTES, images, keep};
use earmark_snapshot::storage::{Attempt, Trouble};

fn state(lsn: u64) -> Sections {
    sections(lsn, &[(1, 5000), (2, 0), (3, 700)])
}

/// A disk with images at lsn 1 and 2.
fn with_two(seed: u64) -> (SimulatedDisk, Arc<dyn Storage>) {
    let (disk, storage) = simulated(seed);
    for lsn in [1, 2] {
        write(&storage, cut(lsn), &state(lsn)).unwrap();
    }
    (disk, storage)
}

/// Every image is what was written at its lsn.
fn check(storage: &dyn Storage) -> Vec<u64> {
    let images = images(storage).unwrap();
    for image in &images {
        let loaded = load(storage, &image.name).unwrap_or_else(|error| panic!("{error}"));
        assert!(loaded == (cut(image.lsn), state(image.lsn)), "{} holds something else", image.name);
    }
    images.iter().map(|image| image.lsn).collect()
}

/// Writes the image at lsn 3 and clears away what is older, as the daemon does.
fn next(storage: &Arc<dyn Storage>) -> Result<(), Fault> {
    write(storage, cut(3), &state(3))?;
    keep(&**storage, 2).map(|_| ())
}

fn operations_of_next() -> u64 {
    let (disk, storage) = with_two(0);
    let before = disk.operations();
    next(&storage).unwrap();
    assert_eq!(check(&*storage), [3, 2]);
    disk.operations() - before
}

#[test]
fn a_crash_at_any_operation_leaves_the_two_newest_whole() {
    let count = operations_of_next();
    assert!(count > 8, "{count}");
    for operation in 1..=count {
        for seed in 0..40 {
            let (disk, storage) = with_two(seed);
            disk.crash_at(disk.operations() + operation);
            next(&storage).unwrap_err();
            disk.restart();
            let left = check(&*storage);
            assert!(
                [&[2, 1][..], &[3, 2, 1], &[3, 2]].contains(&&left[..]),
                "operation {operation}, seed {seed}: {left:?}"
            );
            // The next start clears up, and the next image is written as ever.
            keep(&*storage, 2).unwrap();
            assert!(!storage.list().unwrap().contains(&"image.tmp".to_owned()));
            next(&storage).unwrap();
            assert_eq!(check(&*storage), [3, 2]);
        }
    }
}

#[test]
fn a_killed_process_leaves_no_image_that_a_later_crash_could_take() {
    for operation in 1..=operations_of_next() {
        for seed in 0..40 {
            let (disk, storage) = with_two(seed);
            disk.kill_at(disk.operations() + operation);
            next(&storage).unwrap_err();
            disk.restart();
            let kept: Vec<_> = keep(&*storage, 2).unwrap().iter().map(|image| image.lsn).collect();
            disk.crash();
            disk.restart();
            assert_eq!(check(&*storage), kept, "operation {operation}, seed {seed}");
        }
    }
}

#[test]
fn a_fault_at_any_operation_leaves_the_images_before() {
    for attempt in [Attempt::Create, Attempt::Write, Attempt::Sync, Attempt::Rename, Attempt::Remove] {
        for nth in 1.. {
            let (disk, storage) = with_two(nth);
            disk.fail(attempt, nth, Trouble::Broken);
            if next(&storage).is_ok() {
                break;
            }
            let left = check(&*storage);
            assert!(left.contains(&2), "{attempt:?} {nth}: {left:?}");
            disk.crash();
            disk.restart();
            assert!(check(&*storage).contains(&2));
        }
    }
}

#[test]
fn a_full_disk_is_found_before_anything_is_written_and_nothing_is_left() {
    let (disk, storage) = with_two(1);
    let used: usize = storage.list().unwrap().iter().map(|name| disk.seen(name).unwrap().len()).sum();
    disk.limit(Some(used as u64 + 4096));
    assert!(write(&storage, cut(3), &state(3)).unwrap_err().is_full());
    assert_eq!(check(&*storage), [2, 1]);
    assert_eq!(storage.list().unwrap().len(), 2);
    disk.limit(None);
    next(&storage).unwrap();
}

#[test]
fn an_image_that_is_given_up_leaves_nothing() {
    let (_, storage) = with_two(1);
    let memory = vec![7; 2 * BLOCK_BYTES];
    let mut writer = ImageWriter::create(Arc::clone(&storage), cut(3), &[(1, memory.len() as u64)]).unwrap();
    assert!(!writer.step(&[(1, &memory)]).unwrap().done);
    writer.abandon().unwrap();
    assert_eq!(storage.list().unwrap().len(), 2);
}

#[cfg(feature = "held-writes")]
#[test]
fn on_real_files_too_a_power_cut_after_any_step_leaves_whole_images() {
    use earmark_snapshot::storage::HeldDir;
    let scratch = tempfile::tempdir().unwrap();
    let open = || -> Arc<dyn Storage> { Arc::new(HeldDir::open(scratch.path()).unwrap()) };
    let storage = open();
    for lsn in [1, 2] {
        write(&storage, cut(lsn), &state(lsn)).unwrap();
    }
    drop(storage);
    let sections = state(3);
    let lengths: Vec<_> = sections.iter().map(|(id, bytes)| (*id, bytes.len() as u64)).collect();
    let borrowed: Vec<_> = sections.iter().map(|(id, bytes)| (*id, &bytes[..])).collect();
    for steps in 0.. {
        let storage = open();
        assert_eq!(check(&*storage), [2, 1], "before {steps} steps");
        let mut writer = ImageWriter::create(Arc::clone(&storage), cut(3), &lengths).unwrap();
        let done = (0..steps).any(|_| writer.step(&borrowed).unwrap().done);
        drop((writer, storage));
        if done {
            break;
        }
    }
    assert_eq!(check(&*open()), [3, 2, 1]);
}
