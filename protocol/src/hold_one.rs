//! The hot pair: hold one quantity of one cell, all or nothing, and its answer. Both have a fixed layout that is read
//! in place; `docs/protocol.md` draws it. It decides nothing: a field that means nothing is the engine's to refuse.

use serde::{Deserialize, Serialize};

use crate::command::{CellQuantity, Hold};
use crate::ids::{CommandId, HoldClass, Lsn, NodeIx, Segment, SkuIx, TimestampMs};
use crate::refusal::{Field, Refusal, RefusalCode};
use crate::reply::{Refused, Reply, Reserved, Status};
use crate::wire_error::WireError;

/// Hold one quantity of one cell. Equal to a `Hold` command of that one cell that is not best effort; its line has
/// id 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldOne {
    /// The client's id, and the reservation's.
    pub id: CommandId,
    /// Sku.
    pub sku: SkuIx,
    /// Node.
    pub node: NodeIx,
    /// Units, 1 to [`crate::ids::QUANTITY_MAX`].
    pub quantity: u32,
    /// Lifetime in milliseconds; 0 for the class's own.
    pub lifetime_ms: u32,
    /// The client gives up after this many milliseconds from arrival; 0 for never.
    pub give_up_ms: u32,
    /// Segment.
    pub segment: Segment,
    /// Hold class.
    pub class: HoldClass,
    /// None is known; what is set is refused `UnknownFlag`.
    pub flags: u8,
}

impl HoldOne {
    /// Bytes of a body.
    pub const BYTES: usize = 40;

    /// Reads a body. Offsets of the error count from its first byte.
    #[inline]
    pub fn read(body: &[u8]) -> Result<Self, WireError> {
        let body: &[u8; Self::BYTES] = exactly(body)?;
        Ok(Self {
            id: CommandId(part(body, 0)),
            sku: SkuIx(u32::from_le_bytes(part(body, 16))),
            node: NodeIx(u32::from_le_bytes(part(body, 20))),
            quantity: u32::from_le_bytes(part(body, 24)),
            lifetime_ms: u32::from_le_bytes(part(body, 28)),
            give_up_ms: u32::from_le_bytes(part(body, 32)),
            segment: Segment(u16::from_le_bytes(part(body, 36))),
            class: HoldClass(body[38]),
            flags: body[39],
        })
    }

    /// Its body.
    #[inline]
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut body = [0; Self::BYTES];
        body[0..16].copy_from_slice(&self.id.0);
        body[16..20].copy_from_slice(&self.sku.0.to_le_bytes());
        body[20..24].copy_from_slice(&self.node.0.to_le_bytes());
        body[24..28].copy_from_slice(&self.quantity.to_le_bytes());
        body[28..32].copy_from_slice(&self.lifetime_ms.to_le_bytes());
        body[32..36].copy_from_slice(&self.give_up_ms.to_le_bytes());
        body[36..38].copy_from_slice(&self.segment.0.to_le_bytes());
        body[38] = self.class.0;
        body[39] = self.flags;
        body
    }

    /// What two of one id are compared by: XXH3 (64 bit, seed 0) of its body without `id` and `give_up_ms`.
    #[inline]
    #[must_use]
    pub fn content_hash(&self) -> u64 {
        let body = self.to_bytes();
        let mut content = [0; 20];
        content[..16].copy_from_slice(&body[16..32]);
        content[16..].copy_from_slice(&body[36..]);
        xxhash_rust::xxh3::xxh3_64(&content)
    }

    /// The `Hold` command that means the same; `flags` are left behind.
    #[must_use]
    pub fn to_hold(&self) -> Hold {
        let Self { sku, node, segment, quantity, class, lifetime_ms, .. } = *self;
        let cells = vec![CellQuantity { sku, node, segment, quantity }];
        Hold { cells, class, lifetime_ms, best_effort: false, supply_by: None }
    }
}

/// The answer to a [`HoldOne`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldOneReply {
    /// The hold was made, or was made before by the same id.
    Held {
        /// Where it was decided.
        lsn: Lsn,
        /// Its status now; on a retry it may have moved on since.
        status: Status,
        /// When it expires; 0 where nothing is held any more.
        deadline: TimestampMs,
    },
    /// The answer is no. `Refusal::index` is never set: there is one cell.
    Refused(Refused),
}

impl HoldOneReply {
    /// Bytes of a body.
    pub const BYTES: usize = 32;

    /// Where it was decided; 0 where it was not worth a place in the log.
    #[must_use]
    pub fn lsn(&self) -> Lsn {
        match self {
            Self::Held { lsn, .. } => *lsn,
            Self::Refused(refused) => refused.lsn,
        }
    }

    /// A no at this place of the log; the refusal's index is left behind.
    #[must_use]
    pub fn refused(lsn: Lsn, refusal: Refusal) -> Self {
        Self::Refused(Refused { lsn, refusal: Refusal { index: None, ..refusal } })
    }

    /// Reads a body. Offsets of the error count from its first byte.
    #[inline]
    pub fn read(body: &[u8]) -> Result<Self, WireError> {
        let body: &[u8; Self::BYTES] = exactly(body)?;
        let lsn = Lsn(u64::from_le_bytes(part(body, 0)));
        let deadline = TimestampMs(u64::from_le_bytes(part(body, 8)));
        let detail = i64::from_le_bytes(part(body, 16));
        let code = u16::from_le_bytes(part(body, 24));
        let field = u16::from_le_bytes(part(body, 26));
        if let Some(at) = body[29..].iter().position(|byte| *byte != 0) {
            return Err(WireError::reserved(29 + at, u64::from(body[29 + at])));
        }
        // What the other kind of answer says must be silent, so that the bytes of an answer are unique.
        let silent: &[(usize, u64)] = match code {
            0 => &[(16, detail as u64), (26, u64::from(field))],
            _ => &[(8, deadline.0), (28, u64::from(body[28]))],
        };
        if let Some((at, have)) = silent.iter().find(|(_, have)| *have != 0) {
            return Err(WireError::reserved(*at, *have));
        }
        if code == 0 {
            let status = Status::from_number(body[28]);
            let status = status.ok_or_else(|| WireError::bad_value(28, u64::from(body[28])))?;
            return Ok(Self::Held { lsn, status, deadline });
        }
        let bad = |at, number| WireError::bad_value(at, u64::from(number));
        let code = RefusalCode::from_number(code).ok_or_else(|| bad(24, code))?;
        let field = Field::from_number(field).ok_or_else(|| bad(26, field))?;
        Ok(Self::refused(lsn, Refusal::of(code, field).detail(detail)))
    }

    /// Its body.
    #[inline]
    #[must_use]
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let mut body = [0; Self::BYTES];
        body[0..8].copy_from_slice(&self.lsn().0.to_le_bytes());
        match self {
            Self::Held { status, deadline, .. } => {
                body[8..16].copy_from_slice(&deadline.0.to_le_bytes());
                body[28] = *status as u8;
            }
            Self::Refused(Refused { refusal, .. }) => {
                body[16..24].copy_from_slice(&refusal.detail.to_le_bytes());
                body[24..26].copy_from_slice(&refusal.code.number().to_le_bytes());
                body[26..28].copy_from_slice(&refusal.field.number().to_le_bytes());
            }
        }
        body
    }
}

impl From<HoldOneReply> for Reply {
    fn from(reply: HoldOneReply) -> Self {
        match reply {
            HoldOneReply::Held { lsn, status, deadline } => {
                Self::Reserved(Reserved { lsn, status, deadline, plan: None })
            }
            HoldOneReply::Refused(refused) => Self::Refused(refused),
        }
    }
}

/// The body, where it has the length of its layout.
#[inline]
fn exactly<const N: usize>(body: &[u8]) -> Result<&[u8; N], WireError> {
    body.try_into().map_err(|_| {
        if body.len() > N {
            WireError::trailing(N, body.len() - N)
        } else {
            WireError::truncated(0, N as u64, body.len())
        }
    })
}

/// `N` bytes of a body from here on.
#[inline]
fn part<const N: usize, const BODY: usize>(body: &[u8; BODY], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&body[at..at + N]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold() -> HoldOne {
        HoldOne {
            id: CommandId([9; 16]),
            sku: SkuIx(1),
            node: NodeIx(2),
            quantity: 3,
            lifetime_ms: 4,
            give_up_ms: 5,
            segment: Segment(6),
            class: HoldClass(7),
            flags: 8,
        }
    }

    #[test]
    fn a_hold_reads_back_and_its_hash_is_that_of_its_content_bytes() {
        let body = hold().to_bytes();
        assert_eq!(HoldOne::read(&body), Ok(hold()));
        let content: Vec<u8> = [&body[16..32], &body[36..40]].concat();
        assert_eq!(hold().content_hash(), xxhash_rust::xxh3::xxh3_64(&content));
        let retry = HoldOne { id: CommandId([1; 16]), give_up_ms: 99, ..hold() };
        assert_eq!(retry.content_hash(), hold().content_hash());
        assert_ne!(HoldOne { quantity: 4, ..hold() }.content_hash(), hold().content_hash());
    }

    #[test]
    fn a_body_of_another_length_is_an_error() {
        let body = [hold().to_bytes().as_slice(), &[0]].concat();
        assert_eq!(HoldOne::read(&body), Err(WireError::trailing(40, 1)));
        assert_eq!(HoldOne::read(&body[..39]), Err(WireError::truncated(0, 40, 39)));
        assert_eq!(HoldOneReply::read(&[]), Err(WireError::truncated(0, 32, 0)));
    }

    #[test]
    fn every_refusal_goes_to_the_wire_and_back_without_its_index() {
        for code in RefusalCode::ALL {
            for field in Field::ALL {
                let refusal = Refusal::of(*code, *field).detail(-5);
                let reply = HoldOneReply::refused(Lsn(3), refusal.at(0));
                assert_eq!(HoldOneReply::read(&reply.to_bytes()), Ok(reply));
                assert_eq!(Reply::from(reply), Reply::Refused(Refused { lsn: Lsn(3), refusal }));
            }
        }
    }

    #[test]
    fn numbers_of_a_reply_that_mean_nothing_are_named_with_their_place() {
        let held = HoldOneReply::Held { lsn: Lsn(1), status: Status::Held, deadline: TimestampMs(2) };
        let change = |at: usize, value: u8| {
            let mut body = held.to_bytes();
            body[at] = value;
            HoldOneReply::read(&body)
        };
        assert_eq!(change(28, 8).unwrap().lsn(), Lsn(1));
        assert_eq!(change(28, 9), Err(WireError::bad_value(28, 9)));
        assert_eq!(change(16, 4), Err(WireError::reserved(16, 4)), "detail of a hold that was made");
        assert_eq!(change(24, 70), Err(WireError::reserved(8, 2)), "deadline of a refusal");
        let mut refused =
            HoldOneReply::refused(Lsn(1), Refusal::of(RefusalCode::Expired, Field::Id)).to_bytes();
        refused[24] = 9;
        assert_eq!(HoldOneReply::read(&refused), Err(WireError::bad_value(24, 9)));
        assert_eq!(change(30, 1), Err(WireError::reserved(30, 1)));
    }
}
