//! What a demo found, as one JSON object and as a page for people.

use std::fmt::{self, Write as _};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The report. Rates are shares from 0 to 1, costs are in the currency's major unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Where the orders come from.
    pub source: String,
    /// `routed`, or `plain_holds`.
    pub mode: &'static str,
    /// Seed of everything that was drawn.
    pub seed: u64,
    /// Stock of each sku as a multiple of its demand.
    pub slack: f64,
    /// The probability that a node carries a sku; `None` for the deep layout.
    pub carry: Option<f64>,
    /// Requests under way at once.
    pub in_flight: usize,
    /// Nodes.
    pub nodes: usize,
    /// Skus.
    pub skus: usize,
    /// Cells with stock.
    pub cells: usize,
    /// Units in them at the start.
    pub units_stocked: u64,
    /// Orders that were sent; plain holds count one each.
    pub orders: u64,
    /// Their lines.
    pub lines: u64,
    /// The most lines one of them had.
    pub lines_max: usize,
    /// Orders that were reserved, whole or in part.
    pub reserved_orders: u64,
    /// Orders that were refused: nothing of them was there.
    pub refused_orders: u64,
    /// Orders that were confirmed.
    pub confirmed_orders: u64,
    /// Orders that were released whole.
    pub released_orders: u64,
    /// Orders that were left to expire, and did.
    pub holds_expired: u64,
    /// Cancellations that were sent.
    pub cancellations: u64,
    /// Those among them that found units to give back.
    pub cancellations_matched: u64,
    /// Units that came back: released, cancelled.
    pub units_given_back: u64,
    /// Units that orders asked for.
    pub units_wanted: u64,
    /// Units that they got.
    pub units_reserved: u64,
    /// `units_reserved / units_wanted`.
    pub fill_rate: f64,
    /// What the stock allows: the sum over skus (cells, for plain holds) of the lesser of demand and stock, over
    /// all demand. Units that came back can be had again, so a run with slack below 1 may pass it.
    pub fill_rate_bound: f64,
    /// The same, where units that were given back or expired count as stock once more.
    pub fill_rate_bound_with_returns: f64,
    /// Units promised beyond what was there, by the client's ledger.
    pub oversold_units: u64,
    /// Cells that promised such units.
    pub oversold_cells: u64,
    /// Share of reserved orders with more than one shipment.
    pub split_rate: f64,
    /// Share of reserved orders that no single node could have served as far as they were served.
    pub forced_split_rate: f64,
    /// Mean cost of a reserved order; `None` for plain holds.
    pub cost_per_order: Option<f64>,
    /// Mean cost of the same orders with nearest-node routing; `None` for plain holds.
    pub nearest_cost_per_order: Option<f64>,
    /// Units that nearest-node routing found.
    pub nearest_units_reserved: Option<u64>,
    /// Plans whose cost is not what the client's own formula says.
    pub plans_mispriced: u64,
    /// Plain holds: cells that did not promise exactly the lesser of stock and demand.
    pub cells_not_exact: Option<u64>,
    /// Orders answered per second, all that goes with them included.
    pub orders_per_s: f64,
    /// Lines of them per second.
    pub lines_per_s: f64,
    /// Seconds from the first order to the last reply.
    pub took_s: f64,
    /// Median of a reserve, from the client's call to its return, with `in_flight` requests under way.
    pub reserve_p50_us: u64,
    /// 99 % of them were faster.
    pub reserve_p99_us: u64,
    /// 99.9 % of them were faster.
    pub reserve_p999_us: u64,
    /// Median of a quote, measured the same way; `None` where none was asked.
    pub quote_p50_us: Option<u64>,
    /// 99 % of them were faster.
    pub quote_p99_us: Option<u64>,
    /// Requests made again because the daemon had no time or others were faster.
    pub requests_repeated: u64,
    /// Cells over which the three accounts were compared.
    pub cells_compared: u64,
    /// Cells of which `atp` says something else than the ledger.
    pub cells_atp_differs: u64,
    /// Whether the daemon's digest of quantities is the ledger's.
    pub digest_agrees: bool,
    /// Whether the client's ledger, `atp` over all cells and the daemon's digest agree.
    pub accounts_agree: bool,
    /// Answers nobody would expect, all counted.
    pub surprises: u64,
    /// The first of them.
    pub surprises_told: Vec<String>,
}

impl Report {
    /// Whether all went as it must.
    #[must_use]
    pub fn holds(&self) -> bool {
        let exact = self.cells_not_exact.unwrap_or(0) == 0;
        self.accounts_agree
            && self.oversold_units == 0
            && self.plans_mispriced == 0
            && exact
            && self.surprises == 0
    }

    /// Takes the percentiles of reserves.
    pub fn reserves(&mut self, us: &Histogram<u64>) {
        self.reserve_p50_us = us.value_at_quantile(0.5);
        self.reserve_p99_us = us.value_at_quantile(0.99);
        self.reserve_p999_us = us.value_at_quantile(0.999);
    }

    /// Takes the percentiles of quotes.
    pub fn quotes(&mut self, us: &Histogram<u64>) {
        if !us.is_empty() {
            self.quote_p50_us = Some(us.value_at_quantile(0.5));
            self.quote_p99_us = Some(us.value_at_quantile(0.99));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, text: String| writeln!(f, "  {name:<10} {text}");
        row("orders", self.source_text())?;
        row("stock", self.stock_text())?;
        row(
            "answers",
            format!(
                "{} of {} orders reserved, {} refused; {} lines, {} in the largest",
                count(self.reserved_orders),
                count(self.orders),
                count(self.refused_orders),
                count(self.lines),
                count(self.lines_max as u64)
            ),
        )?;
        row(
            "speed",
            format!(
                "{} orders/s, {} lines/s over loopback QUIC for {:.1} s, {} requests under way, nothing on disk",
                count(self.orders_per_s as u64),
                count(self.lines_per_s as u64),
                self.took_s,
                self.in_flight
            ),
        )?;
        row(
            "reserve",
            format!(
                "p50 {}, p99 {}, p99.9 {}: from call to reply, waiting behind the others included",
                duration(self.reserve_p50_us),
                duration(self.reserve_p99_us),
                duration(self.reserve_p999_us)
            ),
        )?;
        if let (Some(p50), Some(p99)) = (self.quote_p50_us, self.quote_p99_us) {
            row("quote", format!("p50 {}, p99 {}: measured the same way", duration(p50), duration(p99)))?;
        }
        row("fill", self.fill_text())?;
        if self.mode == "routed" {
            row(
                "splits",
                format!(
                    "{} of reserved orders ship from more than one node; no single node could have served {}",
                    percent(self.split_rate),
                    percent(self.forced_split_rate)
                ),
            )?;
        }
        if let (Some(cost), Some(nearest)) = (self.cost_per_order, self.nearest_cost_per_order) {
            row(
                "cost",
                format!(
                    "{cost:.2} per order; nearest-node routing of the same orders costs {nearest:.2} ({:+.1} %)",
                    (nearest / cost - 1.0) * 100.0
                ),
            )?;
        }
        row("afterwards", self.afterwards_text())?;
        row(
            "oversold",
            format!(
                "{} units in {} cells, by the client's ledger alone",
                count(self.oversold_units),
                count(self.oversold_cells)
            ),
        )?;
        row("accounts", self.accounts_text())?;
        if self.surprises > 0 {
            row("surprises", format!("{} answers that nobody would expect:", count(self.surprises)))?;
            for told in &self.surprises_told {
                row("", told.clone())?;
            }
        }
        Ok(())
    }
}

impl Report {
    fn source_text(&self) -> String {
        format!("{}, seed {}", self.source, self.seed)
    }

    fn stock_text(&self) -> String {
        let layout = match self.carry {
            Some(carry) => format!("each node carries a sku with probability {carry}"),
            None => "deep: every sku in all fc nodes, 30 % of other warehouses, some stores".to_owned(),
        };
        format!(
            "{} units of {} skus in {} cells at {} nodes; {} × the demand; {layout}",
            count(self.units_stocked),
            count(self.skus as u64),
            count(self.cells as u64),
            count(self.nodes as u64),
            self.slack
        )
    }

    fn fill_text(&self) -> String {
        let mut text = format!(
            "{} of {} units; the stock allows {}",
            percent(self.fill_rate),
            count(self.units_wanted),
            percent(self.fill_rate_bound)
        );
        if self.fill_rate_bound_with_returns > self.fill_rate_bound {
            let _ = write!(text, ", {} with what came back", percent(self.fill_rate_bound_with_returns));
        }
        if let Some(off) = self.cells_not_exact {
            let _ = write!(text, "; {} cells off the exact lesser of stock and demand", count(off));
        }
        text
    }

    fn afterwards_text(&self) -> String {
        let mut text = format!(
            "{} orders confirmed, {} released, {} holds expired",
            count(self.confirmed_orders),
            count(self.released_orders),
            count(self.holds_expired)
        );
        if self.cancellations > 0 {
            let (matched, all) = (count(self.cancellations_matched), count(self.cancellations));
            let _ = write!(text, "; {matched} of {all} cancellations gave units back");
        }
        let _ = write!(text, "; {} units came back", count(self.units_given_back));
        text
    }

    fn accounts_text(&self) -> String {
        let cells = count(self.cells_compared);
        if self.accounts_agree {
            return format!("ledger, atp and the daemon's digest agree over {cells} cells");
        }
        let digest = if self.digest_agrees { "the same" } else { "another" };
        format!(
            "THEY DIFFER over {cells} cells: atp in {}, and the daemon's digest is {digest}",
            count(self.cells_atp_differs)
        )
    }
}

/// A number with thousands set apart.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn a_run_fails_where_accounts_differ_or_a_unit_was_sold_twice() {
        let good = Report { accounts_agree: true, ..Report::default() };
        assert!(good.holds());
        for bad in [
            Report { accounts_agree: false, ..good.clone() },
            Report { oversold_units: 1, ..good.clone() },
            Report { plans_mispriced: 1, ..good.clone() },
            Report { cells_not_exact: Some(1), ..good.clone() },
            Report { surprises: 1, ..good.clone() },
        ] {
            assert!(!bad.holds());
        }
    }
}
