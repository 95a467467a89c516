//! Questions that are answered beside the committer, from what the reader sees at once.

use earmark_protocol::ids::{Lsn, Tenant};
use earmark_protocol::kit::COMPONENTS_MAX;
use earmark_protocol::query::{Query, Resolve};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Refused, Reply, Resolved};
use earmark_protocol::substitute::SUBSTITUTES_MAX;
use earmark_protocol::tariff::ServiceSpec;

use super::shared::Shared;

/// Nodes of one page: what fills a frame, and not more than this.
const NODES_PAGE_MAX: usize = 1_000;
/// Skus of one page: what fills a frame, and not more than this.
const SKUS_PAGE_MAX: usize = 2_000;
/// Longest a node can be in a reply: five texts of 64 bytes and one of 16 with their lengths, and some numbers.
const NODE_BYTES_MAX: usize = 512;
/// Days of nodes of one page, but for those of its last node.
const NODE_DAYS_PAGE_MAX: usize = 10_000;
/// Bytes of a node's day in a reply, and of all days of one node.
const NODE_DAY_BYTES: usize = 24;
const NODE_DAYS_BYTES_MAX: usize = 64 * NODE_DAY_BYTES;
/// Longest a calendar can be in a reply: a text, and 400 dates of 11 bytes.
const CALENDAR_BYTES_MAX: usize = 4_600;
/// Longest a sku can be in a reply.
const SKU_BYTES_MAX: usize = 200;
/// Kits of one page: what fills a frame, and not more than this; and the longest one can be in a reply.
const KITS_PAGE_MAX: usize = 2_000;
const KIT_BYTES_MAX: usize = 8 + 8 * COMPONENTS_MAX;
/// Skus with substitutes of one page: what fills a frame, and not more than this; and the longest one can be in a reply.
const SUBSTITUTES_PAGE_MAX: usize = 5_000;
const SUBSTITUTE_BYTES_MAX: usize = 16 + 4 * SUBSTITUTES_MAX;
/// Supplies of one page: what fills a frame, and not more than this.
const SUPPLIES_PAGE_MAX: usize = 5_000;
/// Longest a supply can be in a reply: a text of 64 bytes with its length, and some numbers.
const SUPPLY_BYTES_MAX: usize = 96;
/// Bytes of one who waits in a reply.
const WAIT_BYTES: usize = 64;
/// Reservations that wait for review on one page: what fills a frame, and not more than this; bytes of one; and slots that are passed
/// for a page, some hundred microseconds.
const REVIEWS_PAGE_MAX: usize = 256;
const REVIEW_BYTES: usize = 64;
const REVIEW_SLOTS: u32 = 16_384;
/// Longest a service can be in a reply, its zones aside: four texts of 64 bytes with their lengths, and some numbers;
/// and bytes of a zone, its steps aside, and of a step.
const SERVICE_BYTES: usize = 384;
const ZONE_BYTES: usize = 12;
const STEP_BYTES: usize = 12;

/// The answer to a question that needs neither a plan nor the committer.
pub(super) fn answer(shared: &Shared, tenant: Tenant, query: &Query) -> Reply {
    let reader = &shared.reader;
    let frame = shared.limits.frame_bytes_max as usize;
    let answer = match query {
        Query::Resolve(question) => resolve(shared, tenant, question).map(Reply::Resolved),
        Query::Nodes { from } => {
            let most = NODES_PAGE_MAX.min(frame / NODE_BYTES_MAX);
            Ok(Reply::Nodes(reader.nodes_page(tenant, *from, most)))
        }
        Query::Skus { from } => {
            let most = SKUS_PAGE_MAX.min(frame / SKU_BYTES_MAX);
            Ok(Reply::Skus(reader.skus_page(tenant, *from, most)))
        }
        Query::Kits { from } => {
            let most = KITS_PAGE_MAX.min(frame / KIT_BYTES_MAX).max(1);
            Ok(Reply::Kits(reader.kits_page(tenant, *from, most)))
        }
        Query::Substitutes { from } => {
            let most = SUBSTITUTES_PAGE_MAX.min(frame / SUBSTITUTE_BYTES_MAX).max(1);
            Ok(Reply::Substitutes(reader.substitutes_page(tenant, *from, most)))
        }
        Query::Tariffs { from } => {
            let mut room = frame / 2;
            let mut is_first = true;
            let takes = |spec: &ServiceSpec| {
                let steps: usize = spec.zones.iter().map(|zone| zone.steps.len()).sum();
                let bytes = SERVICE_BYTES + spec.zones.len() * ZONE_BYTES + steps * STEP_BYTES;
                let fits = std::mem::take(&mut is_first) || bytes <= room;
                room = room.saturating_sub(bytes);
                fits
            };
            Ok(Reply::Tariffs(Box::new(reader.tariffs(tenant, *from, takes))))
        }
        Query::Policy { version } => Ok(Reply::Policy(reader.policy(tenant, *version))),
        Query::Calendars { after } => {
            let most = (frame / CALENDAR_BYTES_MAX).max(1);
            Ok(Reply::Calendars(reader.nodes().calendars_page(tenant, after, most)))
        }
        Query::NodeDays { from } => {
            let room = frame.saturating_sub(2 * NODE_DAYS_BYTES_MAX) / NODE_DAY_BYTES;
            Ok(Reply::NodeDays(reader.node_days(tenant, *from, NODE_DAYS_PAGE_MAX.min(room).max(1))))
        }
        Query::Supplies { after } => {
            let most = SUPPLIES_PAGE_MAX.min(frame / SUPPLY_BYTES_MAX);
            Ok(Reply::Supplies(reader.supplies_page(tenant, after.as_ref(), most)))
        }
        Query::Waiting { after, late } => {
            let most = SUPPLIES_PAGE_MAX.min(frame / WAIT_BYTES);
            Ok(Reply::Waiting(reader.waiting_page(tenant, *after, *late, most, shared.clock.now())))
        }
        Query::Reviews { from } => {
            let most = REVIEWS_PAGE_MAX.min(frame / REVIEW_BYTES).max(1);
            Ok(Reply::Reviews(reader.reviews_page(tenant, *from, REVIEW_SLOTS, most)))
        }
        Query::Stats => Ok(Reply::Stats(shared.stats())),
        Query::Atp(_)
        | Query::Quote(_)
        | Query::Replan { .. }
        | Query::Show(_)
        | Query::Cells(_)
        | Query::Digest
        | Query::Snapshot => {
            unreachable!("these are planned, or may be for the committer or the snapshotter")
        }
    };
    answer.unwrap_or_else(|refusal| Reply::Refused(Refused { lsn: Lsn(0), refusal }))
}

fn resolve(shared: &Shared, tenant: Tenant, question: &Resolve) -> Result<Resolved, Refusal> {
    let limit = shared.limits.lines_max;
    if question.skus.len().max(question.nodes.len()) > limit as usize {
        return Err(Refusal::of(RefusalCode::ListTooLong, Field::Code).detail(i64::from(limit)));
    }
    let reader = &shared.reader;
    Ok(Resolved {
        skus: question.skus.iter().map(|code| reader.resolve_sku(tenant, code)).collect(),
        nodes: question.nodes.iter().map(|code| reader.resolve_node(tenant, code)).collect(),
    })
}
