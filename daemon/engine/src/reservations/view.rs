//! Reservations as those who read them see them.

use earmark_protocol::ids::{Lsn, Tenant};
use earmark_protocol::reply::ReservationView;

use super::slot::{Head, RowValue};
use crate::facts::Facts;

/// A slot, as one who passes over all of them sees it.
pub(crate) enum Brief {
    /// Neither this slot nor any after it was ever used.
    Unused,
    /// A reservation that is not ended, and its tenant.
    Live(Tenant, Box<ReservationView>),
    /// Another one, or one that changes again and again.
    Other,
}

/// A reservation of these parts.
pub(super) fn view_of(head: &Head, rows: &[RowValue], text: &[u8]) -> ReservationView {
    let Facts { order, plans } = if text.is_empty() { Facts::default() } else { Facts::from_bytes(text) };
    ReservationView {
        id: head.id,
        lsn: Lsn(head.lsn),
        status: head.meta.status,
        class: head.meta.class,
        deadline: head.deadline,
        rows: rows.iter().map(RowValue::view).collect(),
        order,
        plans,
        in_review: head.meta.in_review,
    }
}
