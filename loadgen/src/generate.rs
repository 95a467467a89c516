//! A catalogue and stock to put load on, drawn from a seed and sent to the daemon. Codes are numbered, so sending it
//! again changes nothing but the counts.

use clap::Args;
use earmark_protocol::catalogue::{NodeKind, NodeSpec, SkuSpec, capabilities};
use earmark_protocol::client::Client;
use earmark_protocol::command::{CommandBody, SetStock, StockCount};
use earmark_protocol::geo::Position;
use earmark_protocol::ids::{Money, NodeIx, QUANTITY_MAX, Segment, SkuIx};
use earmark_protocol::query::{Query, Resolve};
use earmark_protocol::reply::Reply;
use fastrand::Rng;
use serde_json::{Value, json};

use crate::connect::Connect;
use crate::error::Trouble;
use crate::world::answered;

/// Elements of one command: well below the frame's limit, and a bounded pause for the committer.
const LIST_MAX: usize = 4_000;
/// Where nodes stand: the contiguous United States, more or less.
const LATITUDES: (f64, f64) = (30.0, 48.0);
const LONGITUDES: (f64, f64) = (-122.0, -72.0);
const SENDING: &str = "sending the catalogue";

/// `earmark-loadgen generate`.
#[derive(Clone, Debug, Args)]
pub(crate) struct GenerateArgs {
    /// Skus
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    skus: u32,
    /// Nodes
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    nodes: u32,
    /// Nodes that stock a sku
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    nodes_per_sku: u32,
    /// Units in each cell
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=i64::from(QUANTITY_MAX)))]
    units: u32,
    /// Seed of where nodes stand and which of them stock a sku
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    connect: Connect,
}

/// Sends it.
pub(crate) async fn generate(args: &GenerateArgs) -> Result<Value, Trouble> {
    let client = args.connect.client().await?;
    let mut rng = Rng::with_seed(args.seed);
    let nodes = put_nodes(&client, args.nodes, &mut rng).await?;
    let skus = put_skus(&client, args.skus).await?;
    let per_sku = args.nodes_per_sku.min(args.nodes) as usize;
    let mut counts = Vec::with_capacity(LIST_MAX);
    let mut cells = 0_u64;
    for sku in skus {
        let first = rng.usize(..nodes.len());
        let carrying = nodes.iter().cycle().skip(first).take(per_sku);
        counts.extend(carrying.map(|&node| StockCount {
            sku,
            node,
            segment: Segment(0),
            on_hand: args.units,
            safety: None,
        }));
        cells += per_sku as u64;
        if counts.len() + per_sku > LIST_MAX {
            set_stock(&client, std::mem::take(&mut counts)).await?;
        }
    }
    if !counts.is_empty() {
        set_stock(&client, counts).await?;
    }
    client.close().await;
    Ok(json!({
        "skus": args.skus, "nodes": args.nodes, "cells": cells, "units_per_cell": args.units, "seed": args.seed,
    }))
}

async fn put_nodes(client: &Client, nodes: u32, rng: &mut Rng) -> Result<Vec<NodeIx>, Trouble> {
    let within = |(low, high): (f64, f64), rng: &mut Rng| low + (high - low) * rng.f64();
    let specs: Vec<_> = (0..nodes)
        .map(|number| NodeSpec {
            code: format!("node-{number:05}"),
            kind: NodeKind::Dc,
            position: Position::from_degrees(within(LATITUDES, rng), within(LONGITUDES, rng))
                .expect("the bounds are on the globe"),
            time_zone: "America/Chicago".to_owned(),
            capabilities: capabilities::SHIP | capabilities::PICKUP,
            cost_per_order: Money(0),
            ..NodeSpec::default()
        })
        .collect();
    let codes: Vec<_> = specs.iter().map(|spec| spec.code.clone()).collect();
    for list in specs.chunks(LIST_MAX) {
        answered(client.command(CommandBody::PutNodes(list.to_vec())).await, SENDING)?;
    }
    let mut handles = Vec::with_capacity(codes.len());
    for list in codes.chunks(LIST_MAX) {
        handles.extend(resolve(client, Resolve { skus: Vec::new(), nodes: list.to_vec() }).await?.1);
    }
    Ok(handles)
}

async fn put_skus(client: &Client, skus: u32) -> Result<Vec<SkuIx>, Trouble> {
    let codes: Vec<_> = (0..skus).map(|number| format!("sku-{number:08}")).collect();
    let mut handles = Vec::with_capacity(codes.len());
    for list in codes.chunks(LIST_MAX) {
        let spec = |code: &String| SkuSpec { code: code.clone(), weight_g: 500, ..SkuSpec::default() };
        answered(client.command(CommandBody::PutSkus(list.iter().map(spec).collect())).await, SENDING)?;
        handles.extend(resolve(client, Resolve { skus: list.to_vec(), nodes: Vec::new() }).await?.0);
    }
    Ok(handles)
}

async fn set_stock(client: &Client, counts: Vec<StockCount>) -> Result<(), Trouble> {
    let body = CommandBody::SetStock(SetStock { source: 0, as_of: None, counts });
    answered(client.command(body).await, "sending stock").map(drop)
}

async fn resolve(client: &Client, codes: Resolve) -> Result<(Vec<SkuIx>, Vec<NodeIx>), Trouble> {
    let Reply::Resolved(found) = answered(client.query(Query::Resolve(codes)).await, SENDING)? else {
        return Err(Trouble::Unexpected { attempted: SENDING });
    };
    let skus = found.skus.into_iter().collect::<Option<_>>();
    let nodes = found.nodes.into_iter().collect::<Option<_>>();
    skus.zip(nodes).ok_or(Trouble::Unexpected { attempted: SENDING })
}
