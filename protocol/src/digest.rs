//! The digest of quantities: a client that kept its own account can compute it too.
//!
//! It is the wrapping sum, over all cells, of [`cell`]: XXH3 (64 bit, seed 0) of the cell's handles and quantities,
//! so the order of cells does not matter.

use crate::ids::SkuIx;
use crate::reply::CellView;

/// One cell's part of the digest: XXH3 of 30 bytes, little-endian: sku u32, node u32, segment u16, on_hand i32,
/// held u32, allocated u32, safety u32, unsellable u32. A cell whose quantities are all 0 counts 0.
#[must_use]
pub fn cell(sku: SkuIx, cell: &CellView) -> u64 {
    if cell.on_hand == 0 && (cell.held | cell.allocated | cell.safety | cell.unsellable) == 0 {
        return 0;
    }
    let mut bytes = [0_u8; 30];
    bytes[0..4].copy_from_slice(&sku.0.to_le_bytes());
    bytes[4..8].copy_from_slice(&cell.node.0.to_le_bytes());
    bytes[8..10].copy_from_slice(&cell.segment.0.to_le_bytes());
    bytes[10..14].copy_from_slice(&cell.on_hand.to_le_bytes());
    for (place, quantity) in [cell.held, cell.allocated, cell.safety, cell.unsellable].into_iter().enumerate()
    {
        bytes[14 + place * 4..18 + place * 4].copy_from_slice(&quantity.to_le_bytes());
    }
    xxhash_rust::xxh3::xxh3_64(&bytes)
}
