//! A record of the log. What is read is written again to the same bytes.

#![no_main]

use earmark_engine::Record;
use earmark_protocol::ids::{Lsn, TimestampMs};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = Record::decode(Lsn(1), TimestampMs(1), bytes) else { return };
    let mut written = Vec::new();
    record.encode(&mut written);
    let again = Record::decode(Lsn(1), TimestampMs(1), &written).expect("what was written can be read");
    assert_eq!(again, record);
});
