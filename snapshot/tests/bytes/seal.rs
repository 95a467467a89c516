//! Makes checksums right again after bytes were changed, so that what they cover is looked at too.

/// Those of a segment's header and of all frames in it that are whole.
pub(crate) fn segment(bytes: &mut [u8]) {
    if bytes.len() < 4096 {
        return;
    }
    put(bytes, 60, crc32c::crc32c(&bytes[..60]));
    let log_id: [u8; 8] = bytes[16..24].try_into().expect("eight bytes");
    for at in (4096..bytes.len().saturating_sub(63)).step_by(64) {
        if &bytes[at..at + 4] != b"EFRM" {
            continue;
        }
        let length = u32::from_le_bytes(bytes[at + 44..at + 48].try_into().expect("four bytes")) as usize;
        if let Some(body) = bytes[at + 64..].get(..length) {
            put(bytes, at + 52, crc32c::crc32c(body));
        }
        let id = crc32c::crc32c(&log_id);
        put(bytes, at + 60, crc32c::crc32c_append(id, &bytes[at..at + 60]));
    }
}

/// Those of an image's header and table.
pub(crate) fn image(bytes: &mut [u8]) {
    if bytes.len() < 4096 {
        return;
    }
    let sections = u64::from(u32::from_le_bytes(bytes[80..84].try_into().expect("four bytes")));
    let blocks = u64::from_le_bytes(bytes[88..96].try_into().expect("eight bytes"));
    let end = blocks.checked_mul(4).and_then(|sums| sums.checked_add(sections * 24 + 4096));
    let end = end.and_then(|end| usize::try_from(end.checked_next_multiple_of(4096)?).ok());
    if let Some(table) = end.and_then(|end| bytes.get(4096..end)) {
        put(bytes, 104, crc32c::crc32c(table));
    }
    put(bytes, 4092, crc32c::crc32c(&bytes[..4092]));
}

fn put(bytes: &mut [u8], at: usize, checksum: u32) {
    bytes[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
}
