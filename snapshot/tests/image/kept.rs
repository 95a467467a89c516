//! Two images are kept, the newest; what else lies in the directory is nobody's business here.

use super::*;
use earmark_snapshot::image::{images, keep, set_aside};

fn lsns(images: &[earmark_snapshot::image::ImageFile]) -> Vec<u64> {
    images.iter().map(|image| image.lsn).collect()
}

#[test]
fn the_newest_are_kept_and_other_files_stay() {
    let (_, storage) = simulated(1);
    for lsn in [3, 20, 100, 7] {
        write(&storage, cut(lsn), &small(lsn)).unwrap();
    }
    let others = ["0000000001.log", "image-12.earmark", "image-0000000000000000000x.earmark", "tokens"];
    for other in others {
        storage.create(other, 10).unwrap();
    }
    storage.create("image.tmp", 10).unwrap();
    assert_eq!(lsns(&images(&*storage).unwrap()), [100, 20, 7, 3]);
    assert_eq!(lsns(&keep(&*storage, 2).unwrap()), [100, 20]);
    let names = storage.list().unwrap();
    assert_eq!(names.len(), 2 + others.len(), "{names:?}");
    assert!(others.iter().all(|other| names.contains(&(*other).to_owned())));
}

#[test]
fn a_damaged_image_does_not_count_and_goes_when_enough_are_newer() {
    let (_, storage) = simulated(1);
    for lsn in [1, 2, 3] {
        write(&storage, cut(lsn), &small(lsn)).unwrap();
    }
    set_aside(&*storage, "image-00000000000000000003.earmark").unwrap();
    assert_eq!(lsns(&keep(&*storage, 2).unwrap()), [2, 1]);
    write(&storage, cut(4), &small(4)).unwrap();
    assert_eq!(lsns(&keep(&*storage, 2).unwrap()), [4, 2]);
    assert_eq!(storage.list().unwrap().len(), 3, "it can still be looked at");
    write(&storage, cut(5), &small(5)).unwrap();
    assert_eq!(lsns(&keep(&*storage, 2).unwrap()), [5, 4]);
    assert_eq!(storage.list().unwrap().len(), 2);
}
