//! Plain holds: every line of every order is a hold of its own, of one cell that is chosen beforehand. Nothing is
//! given back, so in the end each cell must have promised exactly what was there or what was wanted of it,
//! whichever is less.

use earmark_protocol::client::ClientError;
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{HoldClass, Money, Segment, TimestampMs};
use earmark_protocol::refusal::{Refusal, RefusalCode};
use fastrand::Rng;
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use tokio::task::JoinSet;

use super::drive::{LONG_MS, Surprises, histogram};
use super::ground::Ground;
use super::ledger::{Event, Ledger, Row};
use super::scenario::Scenario;

/// A hold to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The sku's place in the scenario.
    pub sku: u32,
    /// The cell.
    pub cell: u32,
    /// Units.
    pub units: u32,
}

/// What came of it.
#[derive(Debug)]
pub struct PlainDriven {
    /// All replies; orders in it are holds.
    pub ledger: Ledger,
    /// From sending a hold to its last reply, in microseconds.
    pub hold_us: Histogram<u64>,
    /// From the first hold to the last reply, in microseconds.
    pub took_us: u64,
    /// Holds that got all or some of their units.
    pub held: u64,
    /// Holds that got none.
    pub refused: u64,
    /// Units that were held.
    pub units: u64,
    /// Answers that nobody would expect.
    pub surprises: Surprises,
}

/// A hold per line; its cell is drawn among the cells of the sku. Lines of skus without any stock are left out.
#[must_use]
pub fn holds(scenario: &Scenario, seed: u64) -> Vec<Wanted> {
    let mut rng = Rng::with_seed(seed);
    let lines = scenario.orders.iter().flat_map(|order| &order.lines);
    let wanted = lines.filter_map(|line| {
        let cells = scenario.stock.cells.of(line.sku);
        let cell = (!cells.is_empty()).then(|| rng.usize(cells))?;
        Some(Wanted { sku: line.sku, cell: cell as u32, units: line.units })
    });
    wanted.collect()
}

/// Sends all holds and waits for all replies.
pub async fn drive(
    ground: &Ground,
    holds: &[Wanted],
    in_flight: usize,
    bar: &ProgressBar,
) -> Result<PlainDriven, ClientError> {
    let mut driven = PlainDriven {
        ledger: Ledger::default(),
        hold_us: histogram(),
        took_us: 0,
        held: 0,
        refused: 0,
        units: 0,
        surprises: Surprises::default(),
    };
    let started = ground.clock.moment();
    let mut tasks = JoinSet::new();
    let mut left = holds.iter().copied().zip(0..);
    loop {
        while tasks.len() < in_flight
            && let Some((wanted, place)) = left.next()
        {
            tasks.spawn(hold(ground.clone(), place, wanted));
        }
        let Some(joined) = tasks.join_next().await else { break };
        let (place, wanted, us, held) =
            joined.expect("tasks of the demo are not aborted and do not panic")?;
        bar.inc(1);
        driven.hold_us.saturating_record(us.max(1));
        match held {
            Ok((HoldOneReply::Held { lsn, deadline, .. }, units)) => {
                driven.held += 1;
                driven.units += u64::from(units);
                let at = TimestampMs(deadline.0.saturating_sub(u64::from(LONG_MS)));
                let rows = vec![Row { line: 0, cell: wanted.cell, units }];
                let event =
                    Event::Reserved { order: place, at, deadline, rows, cost: Money(0), shipments: 1 };
                driven.ledger.note(lsn, event);
            }
            Ok((HoldOneReply::Refused(refused), _)) => {
                driven.refused += 1;
                if refused.refusal.code != RefusalCode::OutOfStock {
                    driven.surprises.note(format!("hold {place} was refused: {}", refused.refusal));
                }
            }
            Err(refusal) => {
                driven.surprises.note(format!("hold {place} was refused again and again: {refusal}"))
            }
        }
    }
    driven.took_us = ground.clock.moment().us_since(started);
    driven.ledger.sort();
    Ok(driven)
}

/// Cells whose promised units are not exactly the lesser of stock and demand.
#[must_use]
pub fn cells_off(scenario: &Scenario, holds: &[Wanted], promised: &[u32]) -> u64 {
    let exact = lesser(scenario, holds);
    exact.zip(promised).filter(|(exact, promised)| *exact != u64::from(**promised)).count() as u64
}

/// Units that the stock allows: the lesser of stock and demand, over all cells.
#[must_use]
pub fn allowed(scenario: &Scenario, holds: &[Wanted]) -> u64 {
    lesser(scenario, holds).sum()
}

/// The lesser of stock and demand of each cell.
fn lesser(scenario: &Scenario, holds: &[Wanted]) -> impl Iterator<Item = u64> {
    let mut demand = vec![0_u64; scenario.stock.units.len()];
    for wanted in holds {
        demand[wanted.cell as usize] += u64::from(wanted.units);
    }
    let stock = &scenario.stock.units;
    demand.into_iter().zip(stock).map(|(wanted, &units)| wanted.min(u64::from(units)))
}

type Held = Result<(HoldOneReply, u32), Refusal>;

/// Holds as much of a cell as there is: where not all can be had, what the refusal says is left is asked for.
/// Nothing is given back meanwhile, so each round asks for less, and the last takes all or finds nothing.
async fn hold(ground: Ground, place: u32, wanted: Wanted) -> Result<(u32, Wanted, u64, Held), ClientError> {
    let mut request = HoldOne {
        sku: ground.skus[wanted.sku as usize],
        node: ground.nodes[ground.scenario.stock.cells.node(wanted.cell as usize) as usize],
        quantity: wanted.units,
        lifetime_ms: LONG_MS,
        segment: Segment(0),
        class: HoldClass(0),
        ..HoldOne::default()
    };
    let started = ground.clock.moment();
    let held = loop {
        request.id = ground.client.new_id();
        let reply = ground.client.hold_one(request).await?;
        let HoldOneReply::Refused(refused) = reply else { break Ok((reply, request.quantity)) };
        match u32::try_from(refused.refusal.detail) {
            _ if refused.refusal.code == RefusalCode::Overloaded => tokio::task::yield_now().await,
            Ok(left) if refused.refusal.code == RefusalCode::OutOfStock && left > 0 => {
                if left >= request.quantity {
                    break Err(refused.refusal);
                }
                request.quantity = left;
            }
            _ => break Ok((reply, 0)),
        }
    };
    Ok((place, wanted, ground.clock.moment().us_since(started), held))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::generated;
    use crate::demo::stock::StockRule;

    #[test]
    fn every_line_of_a_stocked_sku_becomes_a_hold_of_one_of_its_cells() {
        let scenario = generated::scenario(100, StockRule::Deep, 0.5, 3);
        let holds = holds(&scenario, 4);
        let lines: Vec<_> = scenario.orders.iter().flat_map(|order| &order.lines).collect();
        let stocked = lines.iter().filter(|line| scenario.stock.of_sku(line.sku) > 0).count();
        assert_eq!(holds.len(), stocked);
        assert!(holds.iter().all(|hold| scenario.stock.cells.of(hold.sku).contains(&(hold.cell as usize))));
        assert_eq!(holds, super::holds(&scenario, 4));
    }

    #[test]
    fn a_cell_that_promised_a_unit_too_few_or_too_many_is_found() {
        let scenario = generated::scenario(30, StockRule::Deep, 0.5, 3);
        let holds = holds(&scenario, 4);
        let mut promised = vec![0; scenario.stock.units.len()];
        for hold in &holds {
            let cell = hold.cell as usize;
            promised[cell] = (promised[cell] + hold.units).min(scenario.stock.units[cell]);
        }
        assert_eq!(cells_off(&scenario, &holds, &promised), 0);
        let cell = holds[0].cell as usize;
        for wrong in [promised[cell] - 1, promised[cell] + 1] {
            let mut promised = promised.clone();
            promised[cell] = wrong;
            assert_eq!(cells_off(&scenario, &holds, &promised), 1);
        }
    }
}
