//! Random commands about what is on its way to cells.

use earmark_protocol::command::CellQuantity;
use earmark_protocol::supply::{Receive, SupplyKey, SupplySpec};

use super::Author;

impl Author<'_> {
    /// Today or soon; now and then it is overdue.
    pub(super) fn supply_day(&mut self) -> u32 {
        self.model.first_day().max(1) - 1 + self.dice.below(6) as u32
    }

    /// What purchase orders bring.
    pub(super) fn supplies(&mut self) -> Vec<SupplySpec> {
        self.list(3, |author| {
            let known = author.supply();
            let CellQuantity { sku, node, segment, quantity } = author.cell();
            let code = format!("PO-{}", author.dice.below(3));
            let code = author.text(code);
            let key = match known {
                Some(key) if !author.dice.one_in(3) => key,
                _ => SupplyKey { sku, node, segment, code },
            };
            let SupplyKey { sku, node, segment, code } = key;
            let quantity = if author.dice.one_in(5) { 0 } else { quantity };
            SupplySpec { code, sku, node, segment, quantity, day: author.supply_day() }
        })
    }

    /// A quantity of a cell; where it may wait for supply, mostly of one to which something comes, and more than a few.
    pub(super) fn cell_to_hold(&mut self, may_wait: bool) -> CellQuantity {
        let cell = self.cell();
        match self.supply() {
            Some(SupplyKey { sku, node, segment, .. }) if may_wait && !self.dice.one_in(4) => {
                let quantity = 1 + self.dice.below(15) as u32;
                CellQuantity { sku, node, segment, quantity }
            }
            _ => cell,
        }
    }

    /// Mostly what is expected, or a part of it, or more.
    pub(super) fn receive(&mut self) -> Receive {
        let known = self.supply();
        let code = known.as_ref().map_or_else(|| "PO-0".to_owned(), |key| key.code.clone());
        let cells = self.list(2, |author| {
            let any = author.cell();
            match &known {
                Some(key) if !author.dice.one_in(4) => {
                    let (sku, node, segment) = (key.sku, key.node, key.segment);
                    CellQuantity { sku, node, segment, quantity: any.quantity }
                }
                _ => any,
            }
        });
        Receive { code, cells, closes: self.dice.one_in(4) }
    }

    /// One that is known.
    fn supply(&mut self) -> Option<SupplyKey> {
        let own = |key: &&SupplyKey| self.model.catalogue.sku(self.tenant, key.sku).is_some();
        let known: Vec<_> = self.model.supplies.keys().filter(own).cloned().collect();
        (!known.is_empty()).then(|| self.dice.pick(&known).clone())
    }
}
