//! What the benchmarks share: a state of a given size, filled, and holds on it.

pub mod full;
pub mod steady;

use earmark_engine::{Capacity, CommandRef, Decision, Rules, State, Submission, apply, decide};
use earmark_protocol::catalogue::{NodeKind, NodeSpec, SkuSpec, capabilities};
use earmark_protocol::command::{Command, CommandBody, SetStock, StockCount};
use earmark_protocol::geo::Position;
use earmark_protocol::hold_one::HoldOne;
use earmark_protocol::ids::{CommandId, Money, NodeIx, Segment, SkuIx, Tenant, TimestampMs};

/// When the benchmarks' world begins.
pub const START: TimestampMs = TimestampMs(1_700_000_000_000);

/// The tenant of the benchmarks.
pub const TENANT: Tenant = Tenant(0);

/// A deterministic sequence of numbers (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below a limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(limit)) >> 64) as u64
    }

    /// A fresh command id of this time.
    pub fn id(&mut self, now: TimestampMs) -> CommandId {
        let (a, b) = (self.draw().to_le_bytes(), self.draw().to_le_bytes());
        CommandId::new(now, [a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], b[0], b[1]])
    }
}

/// Decides and applies a command that must be done.
pub fn run(state: &mut State, decision: &mut Decision, random: &mut Random, body: CommandBody) {
    let command = Command { id: random.id(START), give_up_ms: 0, body };
    let command = CommandRef::Full(&command);
    let submission = Submission { tenant: TENANT, content: 0, command, planned: None, last: true };
    decide(state, START, &submission, decision);
    assert!(
        !format!("{:?}", decision.outcome).contains("Refused"),
        "filling the benchmark's world was refused: {:?}",
        decision.outcome
    );
    apply(state, &decision.record);
}

/// A policy of 50 rules over orders, lines, time and nodes, which leave the benchmarks' plans as they are: none of their
/// nodes is hit, so that a plan under it differs from one without by what rules cost alone.
#[must_use]
pub fn fifty_rules() -> String {
    let rule = |n: usize| {
        let (when, body) = match n % 5 {
            0 | 1 => (format!("order.units > {n}"), format!("exclude = 'node.group == \"g{n}\"'")),
            2 => (
                format!("line.weight_g > {n}00 || line.hazmat"),
                format!(
                    "exclude = 'node.code.startsWith(\"X{n}\") && node.cold'\notherwise = 'node.priority < {n}'"
                ),
            ),
            3 => (
                format!("order.value < {n}.50 || order.lines > {n}"),
                format!("avoid = 'node.kind == \"vendor\" && node.priority > {n}'\ncost = \"{n}.25\""),
            ),
            _ => (
                format!("time.hour < {}", n % 24),
                format!("avoid = 'node.group in [\"a{n}\", \"b{n}\"]'\ncost = {n}"),
            ),
        };
        format!("[[rule]]\nname = \"rule {n}\"\nwhen = '{when}'\n{body}\n")
    };
    "name = \"fifty rules\"\ntime_zone = \"America/New_York\"\n".to_owned()
        + &(0..50).map(rule).collect::<String>()
}

/// A state with `nodes` nodes and as many skus as make `cells` cells, each sku at every node.
#[must_use]
pub fn filled(cells: u32, nodes: u32, reservations: u32) -> State {
    let skus = cells / nodes;
    let capacity = Capacity {
        skus: skus + 1,
        nodes: nodes + 1,
        cells: cells + cells / 8 + 65_536,
        reservations,
        lines: 1 << 20,
        commands: 1 << 20,
        facts_bytes: 1 << 30,
        sku_code_bytes: u64::from(skus) * 24 + 4096,
        movements: 1 << 10,
    };
    let mut state = State::new(&capacity, Rules::default()).expect("the benchmark's memory");
    let (mut decision, mut random) = (Decision::default(), Random(1));
    let specs = (0..nodes).map(|node| NodeSpec {
        code: format!("N{node:05}"),
        kind: NodeKind::Dc,
        position: Position { lat_udeg: 40_000_000, lon_udeg: -90_000_000 + node as i32 },
        time_zone: "America/Chicago".to_owned(),
        capabilities: capabilities::ALL,
        cost_per_order: Money(0),
        ..NodeSpec::default()
    });
    for page in specs.collect::<Vec<_>>().chunks(5000) {
        run(&mut state, &mut decision, &mut random, CommandBody::PutNodes(page.to_vec()));
    }
    for page in (0..skus).collect::<Vec<_>>().chunks(1000) {
        let specs = page.iter().map(|sku| SkuSpec { code: format!("S{sku:07}"), ..SkuSpec::default() });
        run(&mut state, &mut decision, &mut random, CommandBody::PutSkus(specs.collect()));
        let at = |sku: u32, node: u32| StockCount {
            sku: SkuIx(sku),
            node: NodeIx(node),
            segment: Segment(0),
            on_hand: 1 << 30,
            safety: None,
        };
        let counts: Vec<_> = page.iter().flat_map(|sku| (0..nodes).map(move |node| at(*sku, node))).collect();
        for counts in counts.chunks(nodes as usize * 100) {
            let set = SetStock { source: 0, as_of: None, counts: counts.to_vec() };
            run(&mut state, &mut decision, &mut random, CommandBody::SetStock(set));
        }
    }
    state
}

/// Holds of one unit on random cells.
#[must_use]
pub fn holds(random: &mut Random, now: TimestampMs, count: usize, skus: u32, nodes: u32) -> Vec<HoldOne> {
    let one = |_| HoldOne {
        id: random.id(now),
        sku: SkuIx(random.below(u64::from(skus)) as u32),
        node: NodeIx(random.below(u64::from(nodes)) as u32),
        quantity: 1,
        lifetime_ms: 60_000,
        ..HoldOne::default()
    };
    (0..count).map(one).collect()
}
