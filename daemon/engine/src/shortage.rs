//! Who claims a cell that promises more than it has, in the order in which they give way.

use std::cmp::Reverse;

use earmark_protocol::ids::{CommandId, HoldClass, LineId, Lsn, NodeIx, Segment, SkuIx, Tenant};

use crate::Reader;

/// Units of a cell that a reservation's line claims, all in one kind of stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellClaim {
    /// The reservation.
    pub reservation: CommandId,
    /// Where it was made.
    pub lsn: Lsn,
    /// Its hold class.
    pub class: HoldClass,
    /// The line.
    pub line: LineId,
    /// Units.
    pub units: u32,
    /// Whether they are confirmed; else they are held. What a node works on already is no claim that can give way.
    pub confirmed: bool,
}

impl Reader {
    /// All cells that promise more than they have. It looks at every cell, beside the writer.
    #[must_use]
    pub fn cells_short(&self) -> Vec<(Tenant, SkuIx, NodeIx, Segment)> {
        let (mut short, mut cells) = (Vec::new(), Vec::new());
        for sku in (0..).map(SkuIx).map_while(|sku| Some((sku, self.sku(sku)?))) {
            let (sku, facts) = sku;
            cells.clear();
            if self.stock(sku, &mut cells) {
                let of_sku = cells.iter().filter(|cell| cell.available < 0);
                short.extend(of_sku.map(|cell| (facts.tenant, sku, cell.node, cell.segment)));
            }
        }
        short
    }

    /// Who claims a cell, in the order in which they give way: holds before confirmed units, holds by their class's place
    /// in the configuration, and the newest first. It looks at every reservation, beside the writer: some milliseconds per
    /// million. Reservations that change meanwhile may be missing; ask again while the cell is short.
    #[must_use]
    pub fn claims_on(&self, tenant: Tenant, sku: SkuIx, node: NodeIx, segment: Segment) -> Vec<CellClaim> {
        let mut claims = Vec::new();
        self.each_live_reservation(tenant, |view| {
            for row in &view.rows {
                if (row.sku, row.node, row.segment) != (sku, node, segment) {
                    continue;
                }
                for (units, confirmed) in [(row.held, false), (row.confirmed, true)] {
                    if units > 0 {
                        let (reservation, lsn, class) = (view.id, view.lsn, view.class);
                        claims.push(CellClaim { reservation, lsn, class, line: row.line, units, confirmed });
                    }
                }
            }
        });
        claims.sort_by_key(|claim| {
            let class = if claim.confirmed { HoldClass(0) } else { claim.class };
            (claim.confirmed, class, Reverse(claim.lsn), claim.line)
        });
        claims
    }
}
