//! Configurations to try: roomy ones, and such where every capacity is used up soon.

use earmark_engine::{Capacity, Class, Rules, Tariff};
use earmark_protocol::ids::{Money, Segment};

use super::dice::Dice;
use crate::model;

/// The same configuration for both.
pub(crate) struct Setting {
    pub(crate) rules: model::Rules,
    pub(crate) capacity: Capacity,
    pub(crate) tight: bool,
}

impl Setting {
    /// Room for everything.
    pub(crate) fn roomy() -> Self {
        let capacity = Capacity {
            skus: 64,
            nodes: 32,
            cells: 4_096,
            reservations: 512,
            lines: 4_096,
            commands: 1_024,
            facts_bytes: 1 << 20,
            sku_code_bytes: 1 << 14,
            movements: 4_096,
        };
        let rules = model::Rules {
            retry_window_ms: 20_000,
            id_future_ms: 500,
            lines_max: 12,
            shipments_max: 0,
            split_lines: true,
            classes: vec![(2_000, 8_000), (6_000, 60_000), (90_000, 300_000)],
            channels: vec![vec![0], vec![1, 0], vec![2, 0, 1]],
            shipment_base: Money(8_759_000),
            per_unit: Money(423_000),
            per_unit_mile: Money(541),
        };
        Self { rules, capacity, tight: false }
    }

    /// Any: rules that differ in what routing may do, and one time in four hardly any room for something.
    pub(crate) fn any(dice: &mut Dice) -> Self {
        let mut setting = Self::roomy();
        setting.rules.shipments_max = *dice.pick(&[0, 0, 1, 2, 3]);
        setting.rules.split_lines = !dice.one_in(4);
        if dice.one_in(3) {
            (setting.rules.shipment_base, setting.rules.per_unit_mile) = (Money(0), Money(9_000));
        }
        if dice.one_in(4) {
            setting.tighten(dice);
        }
        setting
    }

    /// Leaves hardly any room in some of the capacities.
    fn tighten(&mut self, dice: &mut Dice) {
        self.tight = true;
        let capacity = &mut self.capacity;
        let mut tighten = |room: &mut u32, tight: u32| {
            if dice.one_in(2) {
                *room = tight;
            }
        };
        tighten(&mut capacity.skus, 9);
        tighten(&mut capacity.nodes, 7);
        tighten(&mut capacity.cells, 30);
        tighten(&mut capacity.reservations, 5);
        tighten(&mut capacity.lines, 8);
        tighten(&mut capacity.commands, 40);
        tighten(&mut capacity.movements, 3);
        if dice.one_in(2) {
            capacity.facts_bytes = *dice.pick(&[1_000, 2_000, 4_000]);
        }
        if dice.one_in(2) {
            capacity.sku_code_bytes = 64;
        }
    }

    pub(crate) fn limits(&self) -> model::Limits {
        model::Limits {
            skus: self.capacity.skus as usize,
            nodes: self.capacity.nodes as usize,
            cells: self.capacity.cells as usize,
            reservations: self.capacity.reservations as usize,
            commands: self.capacity.commands as usize,
            movements: self.capacity.movements as usize,
            tight: self.tight,
        }
    }

    pub(crate) fn engine_rules(&self) -> Rules {
        let rules = &self.rules;
        let class = |(place, &(lifetime_ms, lifetime_ms_max)): (usize, &(u32, u32))| Class {
            name: format!("class-{place}"),
            lifetime_ms,
            lifetime_ms_max,
        };
        Rules {
            retry_window_ms: rules.retry_window_ms,
            id_future_ms: rules.id_future_ms,
            lines_max: rules.lines_max as u32,
            shipments_max: rules.shipments_max,
            split_lines: rules.split_lines,
            classes: rules.classes.iter().enumerate().map(class).collect(),
            channels: rules
                .channels
                .iter()
                .map(|segments| segments.iter().copied().map(Segment).collect())
                .collect(),
            tariff: Tariff {
                shipment_base: rules.shipment_base,
                per_unit: rules.per_unit,
                per_unit_mile: rules.per_unit_mile,
            },
            attempt_lines_max: 2,
        }
    }
}
