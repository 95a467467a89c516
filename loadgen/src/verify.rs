//! `earmark-loadgen verify`: a load whose every answer is kept, compared afterwards with what the daemon has. The load
//! goes on over restarts that it is told to expect, however they come about.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use earmark_protocol::catalogue::{NodeState, SkuSpec};
use earmark_protocol::client::Client;
use earmark_protocol::command::{CommandBody, SetStock, StockCount};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{CommandId, NodeIx, Segment, SkuIx};
use earmark_protocol::query::{Query, Resolve};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Reply, ReservationView};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::account::{Entry, Fault, Told};
use crate::clock::Clock;
use crate::connect::Connect;
use crate::drive::drive;
use crate::error::Trouble;
use crate::shape::Volume;
use crate::workload::audited::Audited;
use crate::world::{self, Cell, answered, cells_of};

/// Questions that are under way at once.
const QUESTIONS_MAX: usize = 256;
/// One answered hold in so many is sent again, under the same id, and must act no second time.
const AGAIN_ONE_IN: usize = 16;
/// From one try to reach a daemon that restarts to the next.
const RETRY: Duration = Duration::from_millis(50);
/// No hold may expire before it is checked: the longest that carts may live by default.
const LIFETIME_MS: u32 = 86_400_000;
const PREPARING: &str = "preparing the stock to verify with";
const CHECKING: &str = "checking what the daemon has";

/// `earmark-loadgen verify`.
#[derive(Clone, Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    volume: Volume,
    /// Loads one after the other, each of --seconds; a load that loses the daemon ends, and the next begins once it is back
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The daemon may be restarted meanwhile, and is back within so long
    #[arg(long, value_name = "MS")]
    expect_restarts_within_ms: Option<u64>,
    /// Skus that are sold, one cell each
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    verify_skus: u32,
    /// Units of each cell: few, so that they run out
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    units: u32,
    #[command(flatten)]
    connect: Connect,
}

/// What the comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Findings {
    /// Holds that were asked for.
    asked: u64,
    /// Those that were answered, refusals included.
    answered: u64,
    refused: u64,
    /// Answered holds that are not there as they were answered.
    lost: u64,
    /// Refused holds that are there, and retries that acted a second time.
    doubled: u64,
    /// Cells that promise more than they have.
    oversold: u64,
    /// Cells whose promised units are not those of the account.
    off: u64,
    /// Pipes that were lost.
    pipes_lost: u64,
    /// Rounds that lost one.
    restarts: u64,
}

impl Findings {
    fn is_clean(&self) -> bool {
        self.lost + self.doubled + self.oversold + self.off == 0
    }
}

/// Verifies.
pub(crate) async fn verify(args: &VerifyArgs) -> Result<(String, Value, bool), Trouble> {
    let mut client = args.connect.client().await?;
    let epoch = client.hello().log_epoch;
    let (cells, before) = prepare(&client, args).await?;
    let mut findings = Findings::default();
    let mut entries: Vec<Entry> = Vec::new();
    for round in 0..args.rounds {
        let load = args.volume.load(&args.connect, args.volume.closed()?)?;
        let (cells, seed) = (Arc::clone(&cells), args.volume.seed.wrapping_add(u64::from(round) << 32));
        let audited =
            move |lane: usize| Audited::new(Arc::clone(&cells), LIFETIME_MS, seed.wrapping_add(lane as u64));
        match drive(&load, None, audited, args.volume.progress()).await {
            Ok(driven) => {
                entries.extend(driven.workloads.into_iter().flat_map(|workload| workload.entries));
                findings.pipes_lost += driven.lost.len() as u64;
                if driven.lost.is_empty() {
                    continue;
                }
                findings.restarts += 1;
                if args.expect_restarts_within_ms.is_none() {
                    return Err(Trouble::Failed(format!(
                        "putting on the load: a pipe was lost: {}; if the daemon is to be restarted meanwhile, say so \
                         with --expect-restarts-within-ms",
                        driven.lost[0]
                    )));
                }
            }
            Err(Trouble::Daemon { .. }) if args.expect_restarts_within_ms.is_some() => findings.restarts += 1,
            Err(trouble) => return Err(trouble),
        }
        client = reach(args).await?;
    }
    if client.hello().log_epoch != epoch {
        return Err(Trouble::Failed(format!(
            "{CHECKING}: it came back with another log, so all that it answered is lost"
        )));
    }
    check(&client, &cells, &before, &entries, &mut findings).await?;
    client.close().await;
    Ok((text(&findings), json!({ "seed": args.volume.seed, "findings": findings }), findings.is_clean()))
}

/// The daemon, once it is back.
async fn reach(args: &VerifyArgs) -> Result<Client, Trouble> {
    let clock = Clock::start();
    let within = Duration::from_millis(args.expect_restarts_within_ms.unwrap_or_default());
    loop {
        match args.connect.client().await {
            Ok(client) => return Ok(client),
            Err(trouble) if Duration::from_nanos(clock.now().0) >= within => return Err(trouble),
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
}

/// Where skus of its own lie: where others do, or else at the first node that sells.
async fn place(client: &Client) -> Result<Cell, Trouble> {
    match world::World::look(client, 1).await {
        Ok(world) => return Ok(world.cells[0]),
        Err(Trouble::Empty(_)) => {}
        Err(trouble) => return Err(trouble),
    }
    let nodes = client.query(Query::Nodes { from: NodeIx(0) }).await;
    let Reply::Nodes(nodes) = answered(nodes, PREPARING)? else {
        return Err(Trouble::Unexpected { attempted: PREPARING });
    };
    let first = nodes.iter().find(|view| view.state == NodeState::Active);
    let none = || {
        let remedy = "load one with `earmark-loadgen generate` or `earmark import`";
        Trouble::Empty(format!("{PREPARING}: the daemon has no node; {remedy}"))
    };
    let node = first.map(|view| view.node).ok_or_else(none)?;
    Ok(Cell { sku: SkuIx(0), node, segment: Segment(0) })
}

/// Skus of its own with few units each, and what is promised of them already.
async fn prepare(client: &Client, args: &VerifyArgs) -> Result<(Arc<[Cell]>, Vec<u64>), Trouble> {
    let at = place(client).await?;
    let codes: Vec<String> =
        (0..args.verify_skus).map(|number| format!("{}verify-{number:05}", world::OWN)).collect();
    let mut skus: Vec<SkuIx> = Vec::new();
    for list in codes.chunks(1_000) {
        let spec = |code: &String| SkuSpec { code: code.clone(), weight_g: 500, ..SkuSpec::default() };
        answered(client.command(CommandBody::PutSkus(list.iter().map(spec).collect())).await, PREPARING)?;
        let codes = Resolve { skus: list.to_vec(), nodes: Vec::new() };
        let Reply::Resolved(found) = answered(client.query(Query::Resolve(codes)).await, PREPARING)? else {
            return Err(Trouble::Unexpected { attempted: PREPARING });
        };
        skus.extend(found.skus.into_iter().flatten());
    }
    let cells: Arc<[Cell]> = skus.iter().map(|&sku| Cell { sku, ..at }).collect();
    let mut before = Vec::with_capacity(cells.len());
    for &cell in &*cells {
        before.push(quantities(client, cell).await?.promised);
    }
    let counts = cells.iter().zip(&before).map(|(cell, promised)| StockCount {
        sku: cell.sku,
        node: cell.node,
        segment: cell.segment,
        on_hand: args.units.saturating_add(u32::try_from(*promised).unwrap_or(u32::MAX)),
        safety: None,
    });
    let counts: Vec<_> = counts.collect();
    for list in counts.chunks(1_000) {
        let body = CommandBody::SetStock(SetStock { source: 0, as_of: None, counts: list.to_vec() });
        answered(client.command(body).await, PREPARING)?;
    }
    Ok((cells, before))
}

#[derive(Clone, Copy, Debug, Default)]
struct Quantities {
    on_hand: i64,
    promised: u64,
}

async fn quantities(client: &Client, cell: Cell) -> Result<Quantities, Trouble> {
    let views = cells_of(client, cell.sku).await?;
    let view = views.iter().find(|view| (view.node, view.segment) == (cell.node, cell.segment));
    Ok(view.map_or_else(Quantities::default, |view| Quantities {
        on_hand: i64::from(view.on_hand),
        promised: u64::from(view.held) + u64::from(view.allocated),
    }))
}

async fn check(
    client: &Client,
    cells: &Arc<[Cell]>,
    before: &[u64],
    entries: &[Entry],
    findings: &mut Findings,
) -> Result<(), Trouble> {
    let mut taken: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
    for entry in entries {
        let (least, most) = entry.takes();
        let sum = taken.entry(entry.cell).or_default();
        *sum = (sum.0 + least, sum.1 + most);
        findings.asked += 1;
        findings.answered += u64::from(entry.told != Told::Nothing);
        findings.refused += u64::from(entry.told == Told::Refused);
    }
    for ((cell, &promised_before), place) in cells.iter().zip(before).zip(0..) {
        let now = quantities(client, *cell).await?;
        let (least, most) = taken.get(&place).copied().unwrap_or_default();
        let is_ours = (promised_before + least..=promised_before + most).contains(&now.promised);
        findings.off += u64::from(!is_ours);
        findings.oversold += u64::from(i128::from(now.promised) > i128::from(now.on_hand));
    }
    let mut asked = JoinSet::new();
    let mut left = entries.iter().copied().enumerate();
    loop {
        while asked.len() < QUESTIONS_MAX
            && let Some((number, entry)) = left.next()
        {
            let (client, cell) = (client.clone(), cells[entry.cell as usize]);
            let again = number % AGAIN_ONE_IN == 0;
            asked.spawn(async move { check_entry(&client, cell, entry, again).await });
        }
        let Some(checked) = asked.join_next().await else { return Ok(()) };
        match checked.map_err(|error| Trouble::Failed(format!("{CHECKING}: {error}")))?? {
            Some(Fault::Lost) => findings.lost += 1,
            Some(Fault::Doubled) => findings.doubled += 1,
            None => {}
        }
    }
}

async fn check_entry(
    client: &Client,
    cell: Cell,
    entry: Entry,
    again: bool,
) -> Result<Option<Fault>, Trouble> {
    let fault = entry.compare(cell, show(client, entry.id).await?.as_ref());
    let Told::Is(lsn, _) = entry.told else { return Ok(fault) };
    if fault.is_some() || !again {
        return Ok(fault);
    }
    let Cell { sku, node, segment } = cell;
    let (id, quantity, lifetime_ms) = (entry.id, entry.quantity, LIFETIME_MS);
    let hold = HoldOne { id, sku, node, segment, quantity, lifetime_ms, ..HoldOne::default() };
    let doubled = match client.hold_one(hold).await.map_err(Trouble::daemon(CHECKING))? {
        HoldOneReply::Held { lsn: now, .. } => now != lsn,
        // A retry that comes too late is refused, and acts no second time either.
        HoldOneReply::Refused(refused) => refused.refusal.code != RefusalCode::IdTooOld,
    };
    Ok(doubled.then_some(Fault::Doubled))
}

async fn show(client: &Client, id: CommandId) -> Result<Option<ReservationView>, Trouble> {
    match client.query(Query::Show(id)).await.map_err(Trouble::daemon(CHECKING))? {
        Reply::Shown(view) => Ok(Some(*view)),
        Reply::Refused(refused) if refused.refusal.code == RefusalCode::UnknownReservation => Ok(None),
        Reply::Refused(refused) => Err(Trouble::Refused { attempted: CHECKING, refusal: refused.refusal }),
        _ => Err(Trouble::Unexpected { attempted: CHECKING }),
    }
}

fn text(findings: &Findings) -> String {
    let Findings { asked, answered, refused, lost, doubled, oversold, off, pipes_lost, restarts } = findings;
    let mut text = format!("asked: {asked}, answered: {answered}, of them refused: {refused}\n");
    let _ = writeln!(text, "lost: {lost}, doubled: {doubled}, oversold: {oversold}, cells off: {off}");
    if *restarts > 0 {
        let _ = writeln!(text, "restarts: {restarts}, with {pipes_lost} pipes");
    }
    text
}
