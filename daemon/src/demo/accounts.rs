//! After a run three accounts of the stock must agree: the client's ledger, what `atp` says of every cell, and the
//! daemon's own digest of quantities.

use std::collections::HashMap;
use std::time::Duration;

use earmark_protocol::client::ClientError;
use earmark_protocol::ids::{CommandId, NodeIx, Segment, SkuIx, TimestampMs};
use earmark_protocol::query::{Atp, Query, Scope};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Reply, Status};

use super::drive::{Surprises, brief};
use super::ground::Ground;
use super::ledger::Balance;

/// Cells asked for in one question; their answer stays well below a frame.
const CELLS_PER_QUESTION: usize = 20_000;
/// Skus asked for in one question.
const SKUS_PER_QUESTION: usize = 1_000;
/// Between two looks at a hold that is due.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long after its deadline a hold may still be seen as held before that is a fault: the daemon frees it within
/// ten milliseconds, the rest is patience with a busy machine.
const DUE_MS_MAX: u64 = 10_000;

/// How the accounts compare.
#[derive(Debug, Default)]
pub struct Accounts {
    /// Cells that were compared.
    pub cells: u64,
    /// Cells of which `atp` says something else than the ledger.
    pub atp_differs: u64,
    /// The ledger's digest.
    pub ledger_digest: u64,
    /// The daemon's.
    pub daemon_digest: u64,
    /// What could not be asked.
    pub surprises: Surprises,
}

impl Accounts {
    /// Whether all three are the same.
    #[must_use]
    pub fn agree(&self) -> bool {
        self.atp_differs == 0 && self.ledger_digest == self.daemon_digest && self.surprises.count == 0
    }
}

/// Waits until these holds have expired, and says which did.
pub async fn expired(
    ground: &Ground,
    due: &[(u32, CommandId)],
    last_deadline: TimestampMs,
    surprises: &mut Surprises,
) -> Result<Vec<u32>, ClientError> {
    let give_up = last_deadline.plus_ms(DUE_MS_MAX);
    let mut expired = Vec::with_capacity(due.len());
    for &(order, id) in due {
        loop {
            match ground.client.query(Query::Show(id)).await? {
                Reply::Shown(view) if view.status == Status::Expired => break expired.push(order),
                Reply::Refused(refused) if refused.refusal.code == RefusalCode::UnknownReservation => {
                    break expired.push(order);
                }
                Reply::Shown(view) if view.status == Status::Held => {}
                Reply::Refused(refused) if refused.refusal.code == RefusalCode::Overloaded => {}
                other => {
                    break surprises.note(format!("showing order {order} was answered {}", brief(&other)));
                }
            }
            // The client makes ids on the daemon's time.
            if ground.client.new_id().time() > give_up {
                break surprises.note(format!("order {order} is held {DUE_MS_MAX} ms after its deadline"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(expired)
}

/// Compares the ledger's balance with `atp` and the digest.
pub async fn compare(ground: &Ground, balance: &Balance) -> Result<Accounts, ClientError> {
    let stock = &ground.scenario.stock;
    let mut accounts = Accounts {
        cells: stock.cells.len() as u64,
        ledger_digest: balance.digest(stock, &ground.skus, &ground.nodes),
        ..Accounts::default()
    };
    match ground.client.query(Query::Digest).await? {
        Reply::Digest(digest) => accounts.daemon_digest = digest.quantities,
        other => accounts.surprises.note(format!("asking for the digest was answered {}", brief(&other))),
    }
    let mut first = 0;
    while first < ground.skus.len() {
        let (mut last, mut cells) = (first, 0);
        while last < ground.skus.len() && last - first < SKUS_PER_QUESTION {
            cells += stock.cells.of(last as u32).len();
            if cells > CELLS_PER_QUESTION && last > first {
                break;
            }
            last += 1;
        }
        let skus = ground.skus[first..last].to_vec();
        let question = Atp { skus, scope: Scope::All, segment: None, per_node: true, by_day: None };
        match ground.client.query(Query::Atp(question)).await? {
            Reply::Atp(reply) => {
                let mut said: HashMap<(SkuIx, NodeIx), i64> = HashMap::new();
                for sku in &reply.skus {
                    for cell in &sku.cells {
                        // Stock lies in the common pool alone; what another segment says is a difference.
                        let available = if cell.segment == Segment(0) { cell.available } else { i64::MIN };
                        said.insert((sku.sku, cell.node), available);
                    }
                }
                for sku in first..last {
                    for cell in stock.cells.of(sku as u32) {
                        let node = ground.nodes[stock.cells.node(cell) as usize];
                        let available = said.remove(&(ground.skus[sku], node)).unwrap_or_default();
                        accounts.atp_differs += u64::from(available != balance.available(stock, cell));
                    }
                }
                accounts.atp_differs += said.len() as u64;
            }
            other => accounts.surprises.note(format!("asking for atp was answered {}", brief(&other))),
        }
        first = last;
    }
    Ok(accounts)
}
