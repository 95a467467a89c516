//! A log of one to three segments. The first byte says where they part and whether checksums are made right.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code, reason = "of images there are none here")]
#[path = "../../snapshot/tests/bytes/read.rs"]
mod read;
#[allow(dead_code, reason = "of images there are none here")]
#[path = "../../snapshot/tests/bytes/seal.rs"]
mod seal;
#[path = "../../snapshot/tests/bytes/shelf.rs"]
mod shelf;

use shelf::Shelf;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let mut shelf = Shelf::default();
    let parts = usize::from(choice % 3) + 1;
    for (place, part) in bytes.chunks(bytes.len().div_ceil(parts).max(1)).enumerate() {
        // Headers that are right but for what the fuzzer wants, and then its bytes.
        let mut segment = vec![0; 4096];
        let number = place as u64 + 1;
        segment[..8].copy_from_slice(b"EARMKLOG");
        segment[8] = 1;
        segment[16..24].copy_from_slice(&[7; 8]);
        segment[24..32].copy_from_slice(&number.to_le_bytes());
        segment.extend_from_slice(part);
        let length = segment.len() as u64;
        segment[32..40].copy_from_slice(&length.to_le_bytes());
        if choice & 128 == 0 {
            for frame in segment[4096..].chunks_mut(64).filter(|frame| frame.first() == Some(&b'E')) {
                let magic = frame.len().min(4);
                frame[..magic].copy_from_slice(&b"EFRM"[..magic]);
            }
        }
        seal::segment(&mut segment);
        shelf.put(&format!("{number:010}.log"), segment);
    }
    read::log(&shelf);
});
