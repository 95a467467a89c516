//! Random commands about substitutes.

use earmark_protocol::command::{CommandBody, OrderLine, SetPolicy};
use earmark_protocol::ids::{LineId, SkuIx};
use earmark_protocol::substitute::{SUBSTITUTES_MAX, SubstituteSpec};

use super::Author;
use crate::model::SUBSTITUTING;

impl Author<'_> {
    /// Some of what may stand for some skus; sometimes nothing any more.
    pub(super) fn substitutes(&mut self) -> Vec<SubstituteSpec> {
        self.list(2, |author| {
            let most = if author.dice.one_in(60) { SUBSTITUTES_MAX + 1 } else { author.dice.below(4) };
            let mut substitutes: Vec<SkuIx> = Vec::new();
            for _ in 0..most {
                let sku = author.sku();
                if most > SUBSTITUTES_MAX || author.dice.one_in(30) || !substitutes.contains(&sku) {
                    substitutes.push(sku);
                }
            }
            let sku = author.sku();
            if !author.dice.one_in(20) {
                substitutes.retain(|substitute| *substitute != sku);
            }
            SubstituteSpec { sku, substitutes }
        })
    }

    /// For which of an order's lines substitutes may be sent.
    pub(super) fn substitutable(&mut self, lines: &[OrderLine]) -> Vec<LineId> {
        if self.dice.one_in(2) {
            return Vec::new();
        }
        let kits = &self.model.catalogue.kits;
        let is_kit = |line: &OrderLine| kits.contains_key(&line.sku);
        let any = self.dice.one_in(30);
        let mut own: Vec<LineId> =
            lines.iter().filter(|line| any || !is_kit(line)).map(|line| line.line).collect();
        if !any {
            own.dedup();
        }
        if self.dice.one_in(40) {
            own.push(LineId(self.dice.below(5) as u32));
        }
        own
    }

    /// A shop's first substitutes: each of its first skus may stand for the one before.
    pub(crate) fn first_substitutes(&mut self) -> CommandBody {
        let skus = [(0, vec![1, 2]), (1, vec![2, 0]), (2, vec![3])];
        let spec = |(sku, by): (u32, Vec<u32>)| SubstituteSpec {
            sku: SkuIx(sku),
            substitutes: by.into_iter().map(SkuIx).collect(),
        };
        CommandBody::PutSubstitutes(skus.map(spec).to_vec())
    }

    /// The policy that has them sent.
    pub(crate) fn substituting(&mut self) -> CommandBody {
        CommandBody::SetPolicy(SetPolicy { text: SUBSTITUTING.to_owned() })
    }
}
