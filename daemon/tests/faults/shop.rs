//! One sku at one node, and holds of it.

use earmark_protocol::catalogue::{NodeSpec, SkuSpec, capabilities};
use earmark_protocol::client::{Client, ClientError};
use earmark_protocol::command::{CellQuantity, CommandBody, Hold, SetStock, Step, StockCount};
use earmark_protocol::ids::{CommandId, HoldClass, NodeIx, Segment, SkuIx};
use earmark_protocol::query::Query;
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{DigestReply, Reply, Status};

/// More than any test holds.
const ON_HAND: u32 = 1_000_000;

/// Puts so many skus, at one node; the first is the one that is held.
pub(crate) async fn stock(client: &Client, skus: u32) {
    let node = NodeSpec {
        code: "node".to_owned(),
        time_zone: "UTC".to_owned(),
        capabilities: capabilities::SHIP,
        ..NodeSpec::default()
    };
    let sku = |number| SkuSpec { code: format!("sku-{number}"), ..SkuSpec::default() };
    done(client, CommandBody::PutNodes(vec![node])).await;
    done(client, CommandBody::PutSkus((0..skus).map(sku).collect())).await;
    assert_eq!(count(client, skus).await, None);
}

async fn done(client: &Client, body: CommandBody) {
    let reply = client.command(body).await.expect("the daemon answers");
    assert!(matches!(reply, Reply::Done(_)), "{reply:?}");
}

/// Counts so many skus. The refusal, if it is one.
pub(crate) async fn count(client: &Client, skus: u32) -> Option<RefusalCode> {
    let count = |sku| StockCount {
        sku: SkuIx(sku),
        node: NodeIx(0),
        segment: Segment(0),
        on_hand: ON_HAND,
        safety: None,
    };
    let counts = (0..skus).map(count).collect();
    let body = CommandBody::SetStock(SetStock { source: 0, as_of: None, counts });
    match client.command(body).await.expect("the daemon answers") {
        Reply::Done(_) => None,
        Reply::Refused(refused) => Some(refused.refusal.code),
        other => panic!("{other:?}"),
    }
}

/// Holds a unit: the reservation, or the refusal.
pub(crate) async fn hold(client: &Client) -> Result<Result<CommandId, RefusalCode>, ClientError> {
    let cell = CellQuantity { sku: SkuIx(0), node: NodeIx(0), segment: Segment(0), quantity: 1 };
    let hold =
        Hold { cells: vec![cell], class: HoldClass(2), lifetime_ms: 0, best_effort: false, supply_by: None };
    let id = client.new_id();
    match client.command_as(id, CommandBody::Hold(hold)).await? {
        Reply::Reserved(_) => Ok(Ok(id)),
        Reply::Refused(refused) => Ok(Err(refused.refusal.code)),
        other => panic!("{other:?}"),
    }
}

/// Holds so many units, one after the other.
pub(crate) async fn holds(client: &Client, count: usize) -> Vec<CommandId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(hold(client).await.expect("the daemon answers").expect("there is stock"));
    }
    ids
}

/// Gives a unit back.
pub(crate) async fn release(client: &Client, reservation: CommandId) {
    let step = Step { reservation, lines: Vec::new(), best_effort: false };
    done(client, CommandBody::Release(step)).await;
}

/// Whether all of these are held.
pub(crate) async fn are_held(client: &Client, ids: &[CommandId]) -> bool {
    for id in ids {
        let shown = client.query(Query::Show(*id)).await.expect("the daemon answers");
        if !matches!(shown, Reply::Shown(view) if view.status == Status::Held) {
            return false;
        }
    }
    true
}

pub(crate) async fn digest(client: &Client) -> DigestReply {
    match client.query(Query::Digest).await.expect("the daemon answers") {
        Reply::Digest(digest) => digest,
        other => panic!("{other:?}"),
    }
}
