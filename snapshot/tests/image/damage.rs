//! What is not as it was written is not loaded, and nothing that stands there makes the reader panic or reserve more
//! memory than the file has bytes.

use super::*;
use earmark_snapshot::image::{ImageError, inspect};

/// A disk with one image whose bytes are these.
fn disk_with(bytes: &[u8]) -> (Arc<dyn Storage>, &'static str) {
    let (_, storage) = simulated(1);
    let name = "image-00000000000000000005.earmark";
    storage.create(name, bytes.len() as u64).unwrap().write_at(bytes, 0).unwrap();
    (storage, name)
}

fn image(sections: &Sections) -> Vec<u8> {
    let (disk, storage) = simulated(1);
    let name = write(&storage, cut(5), sections).unwrap();
    disk.seen(&name).unwrap()
}

/// Whether these are the same bytes, but for where within its last page a section ends.
fn same_pages(one: &Sections, other: &Sections) -> bool {
    let same = |one: &[u8], other: &[u8]| {
        let common = one.len().min(other.len());
        let rest = one[common..].iter().chain(&other[common..]);
        one[..common] == other[..common] && rest.count() < 4096
    };
    one.len() == other.len() && one.iter().zip(other).all(|((_, one), (_, other))| same(one, other))
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let (disk, storage) = simulated(1);
    let name = write(&storage, cut(5), &small(1)).unwrap();
    let bytes = disk.seen(&name).unwrap().len() as u64;
    for offset in 0..bytes {
        let bit = (offset % 8) as u32;
        disk.flip(&name, offset, bit);
        let error = load(&*storage, &name).unwrap_err();
        assert!(error.is_damage(), "byte {offset}: {error}");
        disk.flip(&name, offset, bit);
    }
    load(&*storage, &name).unwrap();
}

#[test]
fn an_image_that_is_cut_short_or_longer_than_it_was_is_damaged() {
    let whole = image(&small(1));
    for bytes in (0..whole.len()).step_by(97) {
        let (storage, name) = disk_with(&whole[..bytes]);
        assert!(load(&*storage, name).unwrap_err().is_damage(), "{bytes} bytes");
    }
    let (storage, name) = disk_with(&[&whole[..], &[0]].concat());
    assert!(load(&*storage, name).unwrap_err().is_damage());
}

#[test]
fn random_changes_are_found_also_where_the_checksums_were_made_right_again() {
    let good = small(1);
    let whole = image(&good);
    let mut rng = fastrand::Rng::with_seed(20);
    let mut loaded = 0;
    for round in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..rng.usize(1..4) {
            // Where the lengths are, mostly.
            let at = match rng.u8(..4) {
                0 => rng.usize(..bytes.len()),
                1 => rng.usize(..128),
                2 => 80 + rng.usize(..28),
                _ => 4096 + rng.usize(..100),
            };
            bytes[at] = match rng.u8(..3) {
                0 => rng.u8(..),
                1 => 0xff,
                _ => bytes[at] ^ 1 << rng.u32(..8),
            };
        }
        seal::image(&mut bytes);
        let (storage, name) = disk_with(&bytes);
        match load(&*storage, name) {
            // What the checksums of header and table alone vouch for may be another: the cut, ids, and where within its
            // last page a section ends. What is in the pages may not.
            Ok((_, sections)) => {
                loaded += 1;
                assert!(same_pages(&sections, &good), "round {round}");
            }
            Err(ImageError::Disk(fault)) => panic!("round {round}: {fault}"),
            Err(ImageError::Damaged { .. } | ImageError::NewerVersion { .. }) => {}
        }
        let _ = inspect(&*storage, name);
    }
    assert!(loaded > 100, "some changes are of what only the log can tell");
}

#[test]
fn lengths_that_cannot_be_are_refused_before_memory_is_taken() {
    let whole = image(&small(1));
    for (at, number) in [(80, u64::from(u32::MAX)), (88, u64::MAX), (88, u64::MAX / 4), (96, u64::MAX)] {
        let mut bytes = whole.clone();
        let width = if at == 80 { 4 } else { 8 };
        bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
        seal::image(&mut bytes);
        let (storage, name) = disk_with(&bytes);
        assert!(load(&*storage, name).unwrap_err().is_damage());
    }
}

#[test]
fn random_bytes_are_no_image() {
    let mut rng = fastrand::Rng::with_seed(3);
    for _ in 0..500 {
        let mut bytes = vec![0; rng.usize(..12_000)];
        rng.fill(&mut bytes);
        let (storage, name) = disk_with(&bytes);
        assert!(load(&*storage, name).unwrap_err().is_damage());
    }
}

#[test]
fn a_newer_version_is_refused_as_such_and_says_what_to_do() {
    let mut bytes = image(&small(1));
    bytes[8] = 2;
    seal::image(&mut bytes);
    let (storage, name) = disk_with(&bytes);
    let error = load(&*storage, name).unwrap_err();
    assert!(matches!(error, ImageError::NewerVersion { version: 2, known: 1, .. }) && !error.is_damage());
    assert!(error.to_string().ends_with("start a build that knows version 2"), "{error}");
}

#[test]
fn an_image_under_the_name_of_another_is_damaged() {
    let (_, storage) = simulated(1);
    let name = write(&storage, cut(5), &small(1)).unwrap();
    storage.rename(&name, "image-00000000000000000006.earmark").unwrap();
    let error = load(&*storage, "image-00000000000000000006.earmark").unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("says lsn 5, its name 6"), "{error}");
}

#[test]
fn every_damaged_block_is_told() {
    let (disk, storage) = simulated(1);
    let name = write(&storage, cut(5), &sections(1, &[(1, 3 << 20), (2, 50)])).unwrap();
    let sections = inspect(&*storage, &name).unwrap().sections;
    disk.flip(&name, sections[0].1 + (1 << 20) + 5, 3);
    disk.flip(&name, sections[1].1 + 60, 3);
    let seen = inspect(&*storage, &name).unwrap();
    let damaged: Vec<_> =
        seen.damaged.iter().map(|block| (block.section, block.block, block.offset)).collect();
    assert_eq!(damaged, [(1, 1, sections[0].1 + (1 << 20)), (2, 0, sections[1].1)]);
    assert!(seen.damaged[0].found.contains("block 1 of section 1 has checksum"), "{}", seen.damaged[0].found);
}

#[test]
fn a_disk_that_cannot_read_is_not_taken_for_damage() {
    use earmark_snapshot::storage::{Attempt, Trouble};
    let (disk, storage) = simulated(1);
    let name = write(&storage, cut(5), &small(1)).unwrap();
    // Length, header, table, and then for each of two blocks its bytes and, where it has some, its padding.
    for nth in 1..=6 {
        disk.fail(Attempt::Read, nth, Trouble::Broken);
        assert!(matches!(load(&*storage, &name), Err(ImageError::Disk(_))), "read {nth}");
    }
    load(&*storage, &name).unwrap();
}
