//! `earmark top`: what the daemon does, look by look. It asks for the counters that `stats` shows and tells how fast they
//! grow; it changes nothing and keeps nothing.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use earmark_protocol::query::Query;
use earmark_protocol::reply::Reply;
use serde_json::{Value, json};

use super::codes::query;
use super::connect::{Connection, Session};
use super::outcome::{Answer, Failure, Outcome};
use super::table::Table;
use super::text::duration_ms;

/// `earmark top`.
#[derive(Clone, Debug, Args)]
pub(super) struct TopArgs {
    /// Time between two looks
    #[arg(long, default_value = "1s", value_parser = duration_ms, value_name = "DURATION")]
    every: u32,
    /// End after so many looks; without it, at Ctrl-C
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    #[command(flatten)]
    connection: Connection,
}

/// Counters whose growth is told, beside those of refusals; all else in `stats` is a level.
const COUNTERS: [&str; 13] = [
    "commands",
    "holds_one",
    "nothing_new",
    "conflicts",
    "planned_again",
    "orders",
    "expiry_records",
    "batches",
    "log_bytes",
    "connections_opened",
    "connections_refused",
    "pipes_opened",
    "pipe_errors",
];

/// Levels that fit on one screen beside the rates.
const LEVELS: [&str; 15] = [
    "lsn",
    "lsn_durable",
    "queue",
    "queue_waits_us",
    "planner_queue",
    "planner_waits_us",
    "connections",
    "pipes",
    "outbound_bytes",
    "reservations_live",
    "outcomes_remembered",
    "retry_window_ms",
    "cells",
    "snapshot_lsn",
    "clock_away",
];

/// Counters and levels of one moment.
type Stats = BTreeMap<String, u64>;

/// Looks until it was told to stop. The last of `--count` looks is the answer; those before it are told as they come.
pub(super) async fn top(args: &TopArgs, session: &Session, as_json: bool) -> Outcome {
    let attempted = "asking for counters";
    let client = session.connect(&args.connection).await?;
    let mut looks = tokio::time::interval(Duration::from_millis(args.every.into()));
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut before: Option<Stats> = None;
    let mut told = 0;
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        let Reply::Stats(stats) = query(&client, Query::Stats, attempted).await? else {
            return Err(Failure::unexpected(attempted));
        };
        let now: Stats = stats.into_iter().collect();
        let Some(before) = before.replace(now.clone()) else { continue };
        let look = Look::between(&before, now);
        told += 1;
        if args.count == Some(told) {
            return Ok(Answer { text: look.text(), json: look.json() });
        }
        if !look.tell(as_json) {
            break;
        }
    }
    Ok(Answer { text: String::new(), json: json!({ "looks": told }) })
}

/// What two moments tell.
struct Look {
    /// Growth per second.
    rates: BTreeMap<String, f64>,
    now: Stats,
}

impl Look {
    /// A daemon that was started in between has counted from 0 since then.
    fn between(before: &Stats, now: Stats) -> Self {
        let up_ms = |stats: &Stats| stats.get("up_ms").copied().unwrap_or(0);
        let is_same_life = up_ms(&now) > up_ms(before);
        let passed_ms = if is_same_life { up_ms(&now) - up_ms(before) } else { up_ms(&now).max(1) };
        let counters =
            now.iter().filter(|(name, _)| COUNTERS.contains(&name.as_str()) || name.starts_with("refused_"));
        let rates = counters.map(|(name, value)| {
            let since = if is_same_life { before.get(name).copied().unwrap_or(0) } else { 0 };
            (name.clone(), value.saturating_sub(since) as f64 * 1_000.0 / passed_ms as f64)
        });
        Self { rates: rates.collect(), now }
    }

    /// Whether somebody still listens.
    fn tell(&self, as_json: bool) -> bool {
        let mut out = std::io::stdout().lock();
        let text = if as_json { format!("{}\n", self.json()) } else { self.text() };
        // The screen is cleared where there is one: cursor home, then everything below it.
        let clear = if !as_json && out.is_terminal() { "\x1b[H\x1b[J" } else { "" };
        write!(out, "{clear}{text}").and_then(|()| out.flush()).is_ok()
    }

    fn json(&self) -> Value {
        json!({ "up_ms": self.now.get("up_ms"), "per_s": self.rates, "stats": self.now })
    }

    fn text(&self) -> String {
        let up_s = self.now.get("up_ms").copied().unwrap_or(0) / 1_000;
        let (hours, minutes, seconds) = (up_s / 3_600, up_s / 60 % 60, up_s % 60);
        let mut table = Table::new(&["per second", ">rate", "now", ">level"]);
        let rates: Vec<_> = COUNTERS
            .iter()
            .filter_map(|name| Some((*name, *self.rates.get(*name)?)))
            .chain(self.rates.iter().map(|(name, rate)| (name.as_str(), *rate)).filter(is_refusal))
            .collect();
        let levels: Vec<_> = LEVELS.iter().filter_map(|name| Some((*name, *self.now.get(*name)?))).collect();
        for row in 0..rates.len().max(levels.len()) {
            let rate = rates.get(row).map(|(name, rate)| ((*name).to_owned(), format!("{rate:.0}")));
            let level = levels.get(row).map(|(name, level)| ((*name).to_owned(), level.to_string()));
            let (rate, level) = (rate.unwrap_or_default(), level.unwrap_or_default());
            table.row([rate.0, rate.1, level.0, level.1]);
        }
        format!("earmark, up {hours}:{minutes:02}:{seconds:02}\n{}", table.text("  "))
    }
}

/// Refusals that happen at this moment.
fn is_refusal((name, rate): &(&str, f64)) -> bool {
    name.starts_with("refused_") && *rate > 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stats(all: &[(&str, u64)]) -> Stats {
        all.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    #[test]
    fn rates_are_growth_over_the_daemons_own_time() {
        let before = stats(&[("up_ms", 1_000), ("commands", 100), ("queue", 7)]);
        let now = stats(&[("up_ms", 3_000), ("commands", 600), ("refused_OutOfStock", 10), ("queue", 9)]);
        let look = Look::between(&before, now);
        assert_eq!(look.rates["commands"], 250.0);
        assert_eq!(look.rates["refused_OutOfStock"], 5.0, "a counter that is new began at 0");
        assert!(!look.rates.contains_key("queue"), "a level has no rate");
        let text = look.text();
        assert!(text.contains("up 0:00:03") && text.contains("commands") && text.contains("queue"), "{text}");
    }

    #[test]
    fn a_daemon_that_was_started_again_counts_from_its_start() {
        let before = stats(&[("up_ms", 90_000), ("commands", 5_000)]);
        let look = Look::between(&before, stats(&[("up_ms", 500), ("commands", 100)]));
        assert_eq!(look.rates["commands"], 200.0);
    }
}
