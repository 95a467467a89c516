//! What was written is what is loaded.

use super::*;
use earmark_snapshot::image::{BLOCK_BYTES, VERSION, inspect};
use earmark_snapshot::storage::DataDir;

fn large() -> Sections {
    let lengths =
        [(7, 0), (1, 3 * BLOCK_BYTES + 17), (2, BLOCK_BYTES), (3, 0), (5, 1), (6, 18 * BLOCK_BYTES), (8, 0)];
    sections(1, &lengths)
}

#[test]
fn sections_come_back_empty_short_and_of_many_blocks() {
    let scratch = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(DataDir::open(scratch.path()).unwrap());
    let written = large();
    let name = write(&storage, cut(5), &written).unwrap();
    assert_eq!(name, "image-00000000000000000005.earmark");
    assert_eq!(storage.list().unwrap(), std::slice::from_ref(&name));
    assert!(load(&*storage, &name).unwrap() == (cut(5), written));
}

#[test]
fn an_image_of_nothing_is_an_image() {
    let (_, storage) = simulated(1);
    for nothing in [vec![], sections(1, &[(1, 0)])] {
        let name = write(&storage, cut(0), &nothing).unwrap();
        assert_eq!(load(&*storage, &name).unwrap(), (cut(0), nothing));
    }
}

#[test]
fn blocks_load_in_any_order_and_on_several_threads() {
    let (_, storage) = simulated(1);
    let written = large();
    let name = write(&storage, cut(5), &written).unwrap();
    let image = ImageReader::open(&*storage, &name).unwrap();
    let section = *image.section(1).unwrap();
    assert!(image.section(4).is_none());
    assert_eq!((section.blocks(), section.block_bytes(0), section.block_bytes(3)), (4, BLOCK_BYTES, 17));
    let mut bytes = vec![0; section.bytes() as usize];
    std::thread::scope(|scope| {
        for (block, piece) in bytes.chunks_mut(BLOCK_BYTES).enumerate().rev() {
            let image = &image;
            scope.spawn(move || image.load_block(&section, block as u64, piece).unwrap());
        }
    });
    assert!(bytes == written[1].1);
}

#[test]
fn an_image_tells_what_is_in_it() {
    let (_, storage) = simulated(1);
    let name = write(&storage, cut(5), &small(1)).unwrap();
    let seen = inspect(&*storage, &name).unwrap();
    assert_eq!((seen.version, seen.cut, seen.blocks, seen.file_bytes), (VERSION, cut(5), 2, 4 * 4096));
    assert_eq!(seen.sections, [(4, 2 * 4096, 10), (1, 3 * 4096, 0), (9, 3 * 4096, 4096)]);
    assert!(seen.damaged.is_empty());
}

#[test]
fn a_writer_tells_how_far_it_is_and_never_leaves_much_unsynced() {
    let (disk, storage) = simulated(1);
    let written = sections(1, &[(1, 40 * BLOCK_BYTES)]);
    let borrowed = [(1, &written[0].1[..])];
    let mut writer = ImageWriter::create(storage, cut(5), &[(1, written[0].1.len() as u64)]).unwrap();
    let mut last = 0;
    loop {
        let progress = writer.step(&borrowed).unwrap();
        assert!(progress.written >= last && progress.written <= progress.bytes);
        last = progress.written;
        if progress.done {
            assert_eq!(progress.written, progress.bytes);
            break;
        }
        if let (Some(seen), Some(durable)) = (disk.seen("image.tmp"), disk.durable("image.tmp")) {
            let blocks =
                seen.chunks(BLOCK_BYTES).zip(durable.chunks(BLOCK_BYTES).chain(std::iter::repeat(&[][..])));
            let unsynced =
                blocks.filter(|(seen, durable)| seen != durable && seen.iter().any(|byte| *byte != 0));
            assert!(unsynced.count() <= 17, "16 blocks, which may lie across 17 of the file");
        }
    }
    assert!(writer.step(&borrowed).unwrap().done, "a step more does nothing");
}

#[test]
#[should_panic(expected = "two sections have the id 3")]
fn an_id_is_given_once() {
    let (_, storage) = simulated(1);
    let _ = ImageWriter::create(storage, cut(1), &[(3, 1), (2, 1), (3, 1)]);
}

#[test]
#[should_panic(expected = "have changed while it was written")]
fn sections_do_not_grow_while_they_are_written() {
    let (_, storage) = simulated(1);
    let mut writer = ImageWriter::create(storage, cut(1), &[(3, 1)]).unwrap();
    let _ = writer.step(&[(3, &[1, 2])]);
}
