//! Watches the quotes of a CSV file as it is read: a reader of CSV ends an open quote with the file and says nothing.

use std::io::{self, Read};

/// Hands on what it reads.
pub(super) struct Quotes<R> {
    input: R,
    at: At,
    /// Bytes read so far.
    read: u64,
    /// Where the last quote opened.
    opened: u64,
    ended: bool,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    /// A field that has nothing yet.
    Start,
    /// A field without quotes, or what stands behind a closing one.
    Plain,
    /// A field inside quotes.
    Quoted,
    /// What stands behind a quote inside quotes: a second one is a quote of the text.
    Quote,
}

impl<R> Quotes<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, at: At::Start, read: 0, opened: 0, ended: false }
    }

    /// The byte of a quote that was still open when the input ended.
    pub(super) fn unclosed(&self) -> Option<u64> {
        (self.ended && self.at == At::Quoted).then_some(self.opened)
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.ended = count == 0 && !buffer.is_empty();
        for (byte, place) in buffer[..count].iter().zip(self.read..) {
            self.at = match (self.at, byte) {
                (At::Start, b'"') => {
                    self.opened = place;
                    At::Quoted
                }
                (At::Quoted, b'"') => At::Quote,
                (At::Quoted, _) | (At::Quote, b'"') => At::Quoted,
                (_, b',' | b'\n' | b'\r') => At::Start,
                _ => At::Plain,
            };
        }
        self.read += count as u64;
        Ok(count)
    }
}
