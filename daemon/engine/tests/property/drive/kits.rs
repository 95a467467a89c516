//! Random commands about kits.

use earmark_protocol::catalogue::SkuSpec;
use earmark_protocol::command::CommandBody;
use earmark_protocol::ids::SkuIx;
use earmark_protocol::kit::{COMPONENTS_MAX, Component, KitSpec};

use super::Author;

impl Author<'_> {
    /// Mostly a sku that was never stocked, of a few that were; sometimes no kit any more.
    pub(super) fn kits(&mut self) -> Vec<KitSpec> {
        self.list(2, |author| {
            let kit = author.unstocked();
            let most = if author.dice.one_in(80) { COMPONENTS_MAX + 1 } else { 3 };
            let mut components: Vec<Component> = Vec::new();
            for _ in 0..if most > 3 { most } else { author.dice.below(most + 1) } {
                let component = Component { sku: author.cell().sku, quantity: author.units_of_component() };
                let is_new = components.iter().all(|known| known.sku != component.sku);
                if is_new || most > 3 || author.dice.one_in(20) {
                    components.push(component);
                }
            }
            KitSpec { kit, components }
        })
    }

    /// The sku of a shop's first kit.
    pub(crate) fn first_kit_sku(&mut self) -> CommandBody {
        CommandBody::PutSkus(vec![SkuSpec { code: "kit".to_owned(), ..SkuSpec::default() }])
    }

    /// A shop's first kit, of two or three of its skus.
    pub(crate) fn first_kit(&mut self) -> CommandBody {
        let skus = &self.model.catalogue.skus;
        let kit = skus.iter().position(|sku| sku.spec.code == "kit").unwrap_or(0) as u32;
        let component = |sku, quantity| Component { sku: SkuIx(sku), quantity };
        let mut components = vec![component(0, 1), component(2, 1 + self.dice.below(2) as u32)];
        components.extend(self.dice.one_in(2).then_some(component(3, 1)));
        CommandBody::PutKits(vec![KitSpec { kit: SkuIx(kit), components }])
    }

    fn units_of_component(&mut self) -> u32 {
        if self.dice.one_in(60) { [0, u32::MAX][self.dice.below(2)] } else { 1 + self.dice.below(3) as u32 }
    }

    fn unstocked(&mut self) -> SkuIx {
        let any = self.cell().sku;
        let is_stocked = |sku: SkuIx| self.model.stock.cells.keys().any(|(of, ..)| *of == sku);
        let own = (0..self.model.catalogue.skus.len() as u32).map(SkuIx).filter(|sku| {
            self.model.catalogue.sku(self.tenant, *sku).is_some_and(|sku| !sku.retired) && !is_stocked(*sku)
        });
        let own: Vec<SkuIx> = own.collect();
        if own.is_empty() || self.dice.one_in(8) { any } else { *self.dice.pick(&own) }
    }
}
