//! What is asked and changes nothing: what can be promised, and sums over all cells.

use std::cmp::Reverse;

use earmark_protocol::catalogue::NodeState;
use earmark_protocol::digest;
use earmark_protocol::ids::{CommandId, LineId, SkuIx, Tenant};
use earmark_protocol::query::{Atp, Scope};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{AtpCell, AtpReply, AtpSku, CellView, DigestReply};

use super::{CellKey, Model, Noes};

impl Model {
    /// What can be promised.
    pub(crate) fn atp(&self, tenant: Tenant, atp: &Atp) -> Result<AtpReply, Refusal> {
        let mut noes = Noes::default();
        noes.list(Field::Line, atp.skus.len(), false, self.rules.lines_max);
        for (index, &sku) in atp.skus.iter().enumerate() {
            if self.catalogue.sku(tenant, sku).is_none() {
                noes.at(RefusalCode::UnknownSku, Field::Sku, index);
            }
        }
        if let Scope::Nodes(nodes) = &atp.scope {
            noes.list(Field::Line, nodes.len(), true, self.rules.lines_max);
            for (index, &node) in nodes.iter().enumerate() {
                if self.catalogue.node(tenant, node).is_none() {
                    noes.at(RefusalCode::UnknownNode, Field::Nodes, index);
                }
            }
        }
        if let Scope::Group(group) = &atp.scope {
            let mut own = self.catalogue.nodes.iter().filter(|node| node.tenant == tenant);
            if !own.any(|node| node.spec.group == *group) {
                noes.no(RefusalCode::UnknownNode, Field::Group);
            }
        }
        if let Some(refusal) = noes.first() {
            return Err(refusal);
        }
        let skus = atp.skus.iter().map(|&sku| self.atp_of(atp, sku)).collect();
        Ok(AtpReply { lsn: self.lsn, skus })
    }

    pub(super) fn atp_of(&self, atp: &Atp, sku: SkuIx) -> AtpSku {
        if let Some(components) = self.catalogue.kits.get(&sku) {
            return self.atp_of_kit(atp, sku, components);
        }
        let mut row = AtpSku { sku, available: 0, short: 0, inbound: 0, cells: Vec::new() };
        for (&key, cell) in &self.stock.cells {
            let (of, node, segment) = key;
            let place = &self.catalogue.nodes[node.0 as usize];
            let is_in_scope = match &atp.scope {
                Scope::All => place.state == NodeState::Active,
                Scope::Nodes(nodes) => nodes.contains(&node),
                Scope::Group(group) => place.state == NodeState::Active && place.spec.group == *group,
            };
            let available = cell.promise();
            let comes = atp.by_day.map_or(0, |day| self.free_by(key, day));
            let inbound = comes.saturating_sub(available.min(0).unsigned_abs());
            if of != sku
                || !is_in_scope
                || atp.segment.is_some_and(|wanted| wanted != segment)
                || available == 0 && inbound == 0
            {
                continue;
            }
            row.available += available.max(0) as u64;
            row.short += available.min(0).unsigned_abs();
            row.inbound += inbound;
            if atp.per_node {
                row.cells.push(AtpCell { node, segment, available, inbound });
            }
        }
        row
    }

    /// Who claims a cell, in the order in which they give way: reservation, line, units, and whether they are confirmed.
    pub(crate) fn claims_on(&self, tenant: Tenant, key: CellKey) -> Vec<(CommandId, LineId, u32, bool)> {
        let mut claims = Vec::new();
        for ((_, id), reservation) in self.reservations.iter().filter(|((owner, _), _)| *owner == tenant) {
            let rows = reservation.rows.iter().filter(|row| (row.sku, row.node, row.segment) == key);
            for row in rows {
                let newest = Reverse(reservation.lsn);
                claims.push((false, reservation.class.0, newest, *id, row.line, row.held));
                claims.push((true, 0, newest, *id, row.line, row.confirmed));
            }
        }
        claims.retain(|(.., units)| *units > 0);
        // Stable: what one line has in several rows gives way row by row.
        claims
            .sort_by_key(|(confirmed, class, newest, id, line, _)| (*confirmed, *class, *newest, *id, *line));
        claims.into_iter().map(|(confirmed, _, _, id, line, units)| (id, line, units, confirmed)).collect()
    }

    /// The cells of a sku, by node and segment.
    pub(crate) fn cells(&self, sku: SkuIx) -> Vec<CellView> {
        let cells = self.stock.cells.iter().filter(|((of, _, _), _)| *of == sku);
        cells.map(|(key, cell)| cell.view(key)).collect()
    }

    /// Sums over all cells of a tenant, but for the digest of the whole state.
    pub(crate) fn quantities(&self, tenant: Tenant) -> DigestReply {
        let mut sums = DigestReply { lsn: self.lsn, ..DigestReply::default() };
        for (key, cell) in &self.stock.cells {
            if self.catalogue.sku(tenant, key.0).is_none() {
                continue;
            }
            sums.cells += 1;
            sums.on_hand += cell.on_hand;
            sums.held += cell.held as u64;
            sums.allocated += cell.allocated as u64;
            sums.unsellable += cell.unsellable as u64;
            sums.cells_short += u64::from(cell.available() < 0);
            sums.quantities = sums.quantities.wrapping_add(digest::cell(key.0, &cell.view(key)));
        }
        sums
    }
}
