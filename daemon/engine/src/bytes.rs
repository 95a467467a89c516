//! Reading little-endian fields one after the other, from bytes that may say anything.

use earmark_protocol::wire_error::WireError;

/// Bytes, and how far they were read.
pub(crate) struct Bytes<'a> {
    all: &'a [u8],
    next: usize,
}

impl<'a> Bytes<'a> {
    pub(crate) fn new(all: &'a [u8]) -> Self {
        Self { all, next: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next == self.all.len()
    }

    /// Refuses what is left.
    pub(crate) fn end(&self) -> Result<(), WireError> {
        let left = self.all.len() - self.next;
        if left == 0 { Ok(()) } else { Err(WireError::trailing(self.next, left)) }
    }

    /// How far it was read.
    pub(crate) fn at(&self) -> u64 {
        self.next as u64
    }

    pub(crate) fn slice(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let left = &self.all[self.next..];
        let Some(found) = left.get(..len) else {
            return Err(WireError::truncated(self.next, len as u64, left.len()));
        };
        self.next += len;
        Ok(found)
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let mut array = [0; N];
        array.copy_from_slice(self.slice(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// One byte that stands for one of a few things.
    pub(crate) fn one_of<T>(&mut self, from_number: impl FnOnce(u8) -> Option<T>) -> Result<T, WireError> {
        let (at, number) = (self.next, self.u8()?);
        from_number(number).ok_or_else(|| WireError::bad_value(at, u64::from(number)))
    }

    pub(crate) fn text(&mut self) -> Result<&'a [u8], WireError> {
        let len = self.u32()?;
        self.slice(len as usize)
    }
}
