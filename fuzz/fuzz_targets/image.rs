//! An image, its checksums made right or not; and what is said of its arenas.

#![no_main]

use earmark_engine::image::Summary;
use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "of logs there are none here")]
#[path = "../../snapshot/tests/bytes/read.rs"]
mod read;
#[allow(dead_code, reason = "of logs there are none here")]
#[path = "../../snapshot/tests/bytes/seal.rs"]
mod seal;
#[path = "../../snapshot/tests/bytes/shelf.rs"]
mod shelf;

use shelf::Shelf;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let _ = Summary::read(bytes);
    let mut image = bytes.to_vec();
    if choice & 1 == 1 && image.len() >= 4096 {
        image[..8].copy_from_slice(b"earmarki");
        image[8..16].copy_from_slice(&[1, 0, 0, 0, 0, 0, 16, 0]);
        let length = image.len() as u64;
        image[96..104].copy_from_slice(&length.to_le_bytes());
    }
    if choice & 2 == 2 {
        seal::image(&mut image);
    }
    let lsn = image.get(16..24).map_or(0, |lsn| u64::from_le_bytes(lsn.try_into().expect("eight bytes")));
    let mut shelf = Shelf::default();
    shelf.put(&format!("image-{lsn:020}.earmark"), image);
    read::image(&shelf);
});
