//! Memory by resident size: bytes per stock cell with its index, and bytes of hot state per reservation of two lines.
//!
//! `cargo run --release -p earmark-benches --example memory -- 1 10 50` (millions of cells; Linux).

use earmark_benches::{Random, START, TENANT, filled};
use earmark_engine::{CommandRef, Decision, Submission, apply, decide};
use earmark_protocol::command::{CellQuantity, Command, CommandBody, Hold};
use earmark_protocol::ids::{HoldClass, NodeIx, Segment, SkuIx};

const NODES: u32 = 10;
const RESERVATIONS: u32 = 2 << 20;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("this example reads Linux's /proc");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("the kernel says VmRSS");
    let kib: u64 =
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("VmRSS is a number");
    kib * 1024
}

fn main() {
    for millions in std::env::args().skip(1) {
        let millions: u32 = millions.parse().expect("millions of cells, as whole numbers");
        let cells = millions * 1_000_000;
        let before = resident_bytes();
        let mut state = filled(cells, NODES, RESERVATIONS);
        let with_cells = resident_bytes();
        let (mut decision, mut random) = (Decision::default(), Random(3));
        for _ in 0..RESERVATIONS {
            let mut cell = || CellQuantity {
                sku: SkuIx(random.below(u64::from(cells / NODES)) as u32),
                node: NodeIx(random.below(u64::from(NODES)) as u32),
                segment: Segment(0),
                quantity: 1,
            };
            let cells = vec![cell(), cell()];
            let hold =
                Hold { cells, class: HoldClass(0), lifetime_ms: 0, best_effort: false, supply_by: None };
            let command = Command { id: random.id(START), give_up_ms: 0, body: CommandBody::Hold(hold) };
            let command = CommandRef::Full(&command);
            let submission = Submission { tenant: TENANT, content: 0, command, planned: None, last: false };
            decide(&state, START, &submission, &mut decision);
            apply(&mut state, &decision.record);
        }
        let with_holds = resident_bytes();
        println!(
            "{millions} M cells: {:.1} B per cell; {:.1} B per reservation of two lines",
            (with_cells - before) as f64 / f64::from(cells),
            (with_holds - with_cells) as f64 / f64::from(RESERVATIONS),
        );
    }
}
