//! A small shop for tests that need a certain situation: two nodes, two skus, stock for both.

use earmark_protocol::catalogue::{NodeSpec, SkuSpec, capabilities};
use earmark_protocol::command::{
    CellQuantity, Command, CommandBody, Delivery, Hold, Order, OrderLine, Reserve, SetStock, Step, StockCount,
};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Channel, CommandId, HoldClass, LineId, NodeIx, Segment, SkuIx, Tenant};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Reply, RowView};

use super::{Answer, Given, Pair, Setting};
use crate::model::refused_with;

/// The shop, with engine and model behind it.
pub(crate) struct Scene {
    pub(crate) pair: Pair,
    ids: u32,
}

impl Scene {
    /// Opens it: nodes 0 and 1, skus 0 and 1, twenty units of each everywhere.
    pub(crate) fn open() -> Self {
        Self::open_with(&Setting::roomy())
    }

    /// The same shop in another configuration.
    pub(crate) fn open_with(setting: &Setting) -> Self {
        let replay = "cargo test -p earmark-engine --test property".into();
        let mut scene = Self { pair: Pair::new(setting, replay), ids: 0 };
        let node = |place: i32| NodeSpec {
            code: format!("node-{place}"),
            position: Position { lat_udeg: 41_000_000 + place * 2_000_000, lon_udeg: -87_000_000 },
            time_zone: "UTC".into(),
            capabilities: capabilities::SHIP | capabilities::PICKUP,
            ..NodeSpec::default()
        };
        let sku = |place: u32| SkuSpec { code: format!("sku-{place}"), ..SkuSpec::default() };
        scene.submit(Tenant(0), CommandBody::PutNodes(vec![node(0), node(1)]));
        scene.submit(Tenant(0), CommandBody::PutSkus(vec![sku(0), sku(1)]));
        let count = |place: u32| StockCount {
            sku: SkuIx(place / 2),
            node: NodeIx(place % 2),
            segment: Segment(0),
            on_hand: 20,
            safety: None,
        };
        let counts = (0..4).map(count).collect();
        scene.submit(Tenant(0), CommandBody::SetStock(SetStock { source: 0, as_of: None, counts }));
        scene
    }

    /// An id of now that was not used before.
    pub(crate) fn id(&mut self) -> CommandId {
        self.ids += 1;
        let mut random = [7; 10];
        random[6..].copy_from_slice(&self.ids.to_be_bytes());
        CommandId::new(self.pair.now, random)
    }

    /// A command with a new id.
    pub(crate) fn given(&mut self, body: CommandBody) -> Given {
        Given::Full(Command { id: self.id(), give_up_ms: 0, body })
    }

    pub(crate) fn submit(&mut self, tenant: Tenant, body: CommandBody) -> Answer {
        let given = self.given(body);
        self.pair.submit(tenant, &given)
    }

    /// A hold of some units of sku 0 at node 0.
    pub(crate) fn hold(quantity: u32) -> CommandBody {
        let cell = CellQuantity { sku: SkuIx(0), node: NodeIx(0), segment: Segment(0), quantity };
        CommandBody::Hold(Hold {
            cells: vec![cell],
            class: HoldClass(0),
            lifetime_ms: 0,
            best_effort: false,
            supply_by: None,
        })
    }

    /// An order of some units of both skus.
    pub(crate) fn reserve(quantity: u32) -> CommandBody {
        let position = Position { lat_udeg: 41_000_000, lon_udeg: -87_000_000 };
        let line = |sku| OrderLine { line: LineId(sku), sku: SkuIx(sku), quantity };
        let order = Order {
            channel: Channel(0),
            delivery: Delivery::Ship { position, postal: String::new(), home: false },
            nodes: Vec::new(),
            shipments_max: 0,
            value: None,
            deliver_by_ms: None,
            sellers: Vec::new(),
            substitutable: Vec::new(),
            supply_by: None,
            lines: vec![line(0), line(1)],
        };
        CommandBody::Reserve(Reserve { order, class: HoldClass(0), lifetime_ms: 0, best_effort: false })
    }

    /// A reservation of some units of one cell, all of them in this stage.
    pub(crate) fn reservation_in(&mut self, stage: &str, quantity: u32) -> CommandId {
        let given = self.given(Self::hold(quantity));
        self.pair.submit(Tenant(0), &given);
        let reservation = given.id();
        let step = || Step { reservation, lines: Vec::new(), best_effort: false };
        let way: &[CommandBody] = &[
            CommandBody::Confirm(step()),
            CommandBody::Dispatch(step()),
            CommandBody::Ready(step()),
            CommandBody::Collect(step()),
        ];
        let stages = ["held", "confirmed", "dispatched", "ready", "shipped"];
        let steps = stages.iter().position(|known| *known == stage).expect("a stage of a row");
        for body in &way[..steps] {
            self.submit(Tenant(0), body.clone());
        }
        reservation
    }

    /// The first row of a reservation.
    pub(crate) fn row(&self, reservation: CommandId) -> RowView {
        self.pair.model.reservations[&(Tenant(0), reservation)].rows[0]
    }

    pub(crate) fn is_refused(&self, answer: &Answer, code: RefusalCode) -> bool {
        matches!(answer, Answer::Full(reply @ Reply::Refused(_)) if refused_with(reply, code))
    }
}
