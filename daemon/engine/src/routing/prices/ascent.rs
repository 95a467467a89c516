//! The dual of sharing stock out among the orders of one future: each cell has a price, every order takes the plan that
//! is cheapest with the prices, and a price rises where more is taken than there is and falls where less is.
//!
//! At the best prices that is the Lagrangian bound of the problem whose plans are whole orders, so fixed costs of shipments
//! are in them, not only what a unit costs (Held, Wolfe and Crowder 1974, "Validation of subgradient optimization"). Two
//! things make the prices those of taking one unit more, which is what a plan asks for. A cell counts as a little less than
//! it has, so that the last unit has the price at which one of those who want it goes elsewhere. And a want may stay without
//! stock for a penalty beyond what it costs alone, as one that goes by a shipment of its own from wherever there is something
//! left, so that prices are bounded where all is gone.
//!
//! It is floating point, since a price is a hint; the sums are made in one order, so the same input gives the same prices.

/// Most wants of one order: the ways to share them out grow as 3 to that power.
pub(super) const WANTS_MAX: usize = 6;
const SETS: usize = 1 << WANTS_MAX;

/// The first step of a price for one unit too many, as a share of what a shipment of it costs, and by how much steps become shorter.
const STEP: f64 = 0.12;
const STEP_DECAY: f64 = 0.05;
/// A cell moves as if no more units were too many, or too few.
const EXCESS_MAX: f64 = 2.0;
/// Prices are averaged over the last two fifths of the rounds.
const AVERAGE_FROM: f64 = 0.6;

/// How a price is looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How often each order of the future comes.
    pub(super) weight: f64,
    /// So many of its dearest shipments a want without stock costs beyond what it costs alone; no unit has a higher price.
    pub(super) penalty: f64,
    /// By so many units a cell counts for less than it has.
    pub(super) margin: f64,
    pub(super) rounds: usize,
}

/// A node's offer to a want of an order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    pub(super) want: u32,
    pub(super) cell: u32,
    /// What the want costs from there, its price aside.
    pub(super) cost: f64,
}

/// A node that could serve some wants of an order, with its offers by place in [`Future::offers`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Door {
    pub(super) fixed: f64,
    /// Where what carriers charge from there begins in [`Future::fares`]; `None` where they do not price.
    pub(super) fares: Option<u32>,
    pub(super) first: u32,
    pub(super) end: u32,
}

/// An order of a future, with its doors by place in [`Future::doors`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Draw {
    pub(super) wants: u32,
    /// Units, by want; what it costs at least in a shipment of its own; and what the dearest such shipment does once, all of
    /// what carriers charge where they price.
    pub(super) units: [f64; WANTS_MAX],
    pub(super) alone: [f64; WANTS_MAX],
    pub(super) dearest: [f64; WANTS_MAX],
    pub(super) first: u32,
    pub(super) end: u32,
}

/// Orders that may come.
#[derive(Default)]
pub(super) struct Future {
    pub(super) draws: Vec<Draw>,
    pub(super) doors: Vec<Door>,
    pub(super) offers: Vec<Offer>,
    /// What carriers charge for a shipment, by set of an order's wants, one class of nodes after the other.
    pub(super) fares: Vec<f64>,
    /// The cells that are offered, each once.
    pub(super) cells: Vec<u32>,
}

impl Future {
    fn offers_of(&self, door: &Door) -> &[Offer] {
        &self.offers[door.first as usize..door.end as usize]
    }

    /// By set of wants, what carriers charge from there.
    fn fares_of(&self, door: &Door) -> &[f64] {
        door.fares.map_or(&[0.0; SETS], |first| &self.fares[first as usize..])
    }

    /// By cell, what the dearest shipment of a want costs that it is offered to.
    fn dearest(&self, cells: usize) -> Vec<f64> {
        let mut dearest = vec![0.0_f64; cells];
        for draw in &self.draws {
            let doors = &self.doors[draw.first as usize..draw.end as usize];
            for offer in doors.iter().flat_map(|door| self.offers_of(door)) {
                let of_cell = &mut dearest[offer.cell as usize];
                *of_cell = of_cell.max(draw.dearest[offer.want as usize]);
            }
        }
        dearest
    }
}

/// What was found of a future.
pub(super) struct Ascent {
    /// By cell.
    pub(super) prices: Vec<f64>,
    /// What all its orders cost at least, whoever routes them.
    pub(super) bound: f64,
    /// What they would cost if no cell could run out: what is between is what shortage costs.
    pub(super) unlimited: f64,
}

/// Finds the prices of a future whose cells have this stock.
pub(super) fn ascend(future: &Future, stock: &[f64], terms: Terms) -> Ascent {
    let Terms { weight, penalty, margin, rounds } = terms;
    let dearest = future.dearest(stock.len());
    let mut price = vec![0.0_f64; stock.len()];
    let mut taken = vec![0.0_f64; stock.len()];
    let mut prices = vec![0.0_f64; stock.len()];
    let from = (rounds as f64 * AVERAGE_FROM) as usize;
    let cells = || future.cells.iter().map(|cell| *cell as usize);
    let (mut bound, mut unlimited) = (0.0_f64, f64::INFINITY);
    for round in 0..rounds {
        cells().for_each(|cell| taken[cell] = 0.0);
        let mut cost = 0.0;
        for draw in &future.draws {
            cost +=
                weight * serve(future, draw, &price, penalty, |cell, units| taken[cell] += units * weight);
        }
        // The first round is without prices, and no price makes an order cheaper.
        unlimited = unlimited.min(cost);
        bound = bound.max(cost - cells().map(|cell| price[cell] * stock[cell]).sum::<f64>());
        let step = STEP / (1.0 + round as f64 * STEP_DECAY);
        for cell in cells() {
            let excess = (taken[cell] - stock[cell] + margin).clamp(-EXCESS_MAX, EXCESS_MAX);
            let most = penalty_of(penalty, dearest[cell]);
            price[cell] = (price[cell] + step * dearest[cell] * excess).clamp(0.0, most);
            if round >= from {
                prices[cell] += price[cell] / (rounds - from) as f64;
            }
        }
    }
    Ascent { prices, bound, unlimited }
}

/// So many of the dearest shipments; as many as one likes are beyond all cost, whatever one costs.
fn penalty_of(penalty: f64, dearest: f64) -> f64 {
    penalty * dearest.max(f64::MIN_POSITIVE)
}

/// No door: the wants stay without stock.
const NONE: u32 = u32::MAX;

/// Finds the cheapest plan of an order at these prices, says what it takes from which cell, and returns its cost and price.
fn serve(future: &Future, draw: &Draw, price: &[f64], penalty: f64, mut take: impl FnMut(usize, f64)) -> f64 {
    let sets = 1_usize << draw.wants;
    // By set of wants: its cheapest shipment.
    let mut shipment = [(f64::INFINITY, NONE); SETS];
    for want in 0..draw.wants as usize {
        shipment[1 << want] = (draw.alone[want] + penalty_of(penalty, draw.dearest[want]), NONE);
    }
    let mut costs = [0.0_f64; WANTS_MAX];
    let mut sums = [0.0_f64; SETS];
    for at in draw.first..draw.end {
        let door = &future.doors[at as usize];
        let mut able = 0;
        for offer in future.offers_of(door) {
            let want = offer.want as usize;
            able |= 1_usize << want;
            costs[want] = offer.cost + draw.units[want] * price[offer.cell as usize];
        }
        let fares = future.fares_of(door);
        sums[0] = door.fixed;
        // All parts of `able`, the smaller first.
        let mut set = 0_usize;
        loop {
            set = set.wrapping_sub(able) & able;
            if set == 0 {
                break;
            }
            let lowest = set & set.wrapping_neg();
            sums[set] = sums[set ^ lowest] + costs[lowest.trailing_zeros() as usize];
            let cost = sums[set] + fares[set];
            if cost < shipment[set].0 {
                shipment[set] = (cost, at);
            }
        }
    }
    // By set: what sharing it out costs, and the shipment that has its lowest want.
    let mut cover = [(0.0_f64, 0_usize); SETS];
    for set in 1..sets {
        let lowest = set & set.wrapping_neg();
        let others = set ^ lowest;
        let (mut best, mut part) = ((f64::INFINITY, 0), others);
        loop {
            let first = part | lowest;
            let cost = shipment[first].0 + cover[set ^ first].0;
            if cost < best.0 {
                best = (cost, first);
            }
            if part == 0 {
                break;
            }
            part = (part - 1) & others;
        }
        cover[set] = best;
    }
    let mut left = sets - 1;
    while left > 0 {
        let (_, first) = cover[left];
        left ^= first;
        if let Some(door) = future.doors.get(shipment[first].1 as usize) {
            let serves = |offer: &&Offer| first >> offer.want & 1 == 1;
            for offer in future.offers_of(door).iter().filter(serves) {
                take(offer.cell as usize, draw.units[offer.want as usize]);
            }
        }
    }
    cover[sets - 1].0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHIPMENT: f64 = 12.0;
    const PENALTY: f64 = 20.0;

    /// A future of orders of one unit of one sku; by order, what it costs from each cell.
    fn future(orders: &[&[f64]]) -> Future {
        let mut future = Future::default();
        for costs in orders {
            let first = future.doors.len() as u32;
            let alone = costs.iter().copied().fold(f64::INFINITY, f64::min) + 5.0;
            for (cell, cost) in (0..).zip(*costs) {
                let at = future.offers.len() as u32;
                future.offers.push(Offer { want: 0, cell, cost: *cost });
                future.doors.push(Door { fixed: 5.0, fares: None, first: at, end: at + 1 });
            }
            let end = future.doors.len() as u32;
            future.draws.push(Draw {
                wants: 1,
                units: [1.0; WANTS_MAX],
                alone: [alone; WANTS_MAX],
                dearest: [SHIPMENT; WANTS_MAX],
                first,
                end,
            });
        }
        future.cells = (0..orders[0].len() as u32).collect();
        future
    }

    fn prices(future: &Future, stock: &[f64]) -> Vec<f64> {
        let terms = Terms { weight: 1.0, penalty: PENALTY / SHIPMENT, margin: 0.3, rounds: 100 };
        ascend(future, stock, terms).prices
    }

    #[test]
    fn a_future_costs_no_less_than_the_bound() {
        let future = future(&[&[1.0, 2.0], &[1.0, 7.0]]);
        let terms = Terms { weight: 1.0, penalty: f64::INFINITY, margin: 0.0, rounds: 400 };
        let Ascent { bound, unlimited, .. } = ascend(&future, &[1.0, 5.0], terms);
        assert!((12.5..=13.0 + 1e-9).contains(&bound), "{bound}");
        assert_eq!(unlimited, 12.0, "both from the first cell");
    }

    #[test]
    fn plentiful_stock_has_no_price() {
        assert_eq!(prices(&future(&[&[1.0, 2.0], &[2.0, 1.0]]), &[3.0, 3.0]), [0.0, 0.0]);
    }

    #[test]
    fn the_last_unit_is_worth_what_going_elsewhere_costs() {
        let prices = prices(&future(&[&[1.0, 4.0]]), &[1.0, 5.0]);
        assert!((prices[0] - 3.0).abs() < 0.5 && prices[1] == 0.0, "{prices:?}");
    }

    #[test]
    fn what_two_want_goes_to_the_one_who_would_lose_more() {
        let prices = prices(&future(&[&[1.0, 2.0], &[1.0, 7.0]]), &[1.0, 5.0]);
        assert!((1.0..=6.5).contains(&prices[0]) && prices[1] == 0.0, "{prices:?}");
    }

    #[test]
    fn prices_are_bounded_where_all_is_gone() {
        let prices = prices(&future(&[&[1.0], &[1.0], &[1.0]]), &[1.0]);
        assert!(prices[0] > 5.0 && prices[0] <= PENALTY, "{prices:?}");
    }
}
