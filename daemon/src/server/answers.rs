//! Questions that are answered beside the committer, from what the reader sees at once.

use earmark_protocol::ids::{Lsn, Tenant};
use earmark_protocol::query::{Atp, Query, Resolve};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{AtpReply, Refused, Reply, Resolved};

use super::shared::Shared;

/// Nodes of one page: what fills a frame, and not more than this.
const NODES_PAGE_MAX: usize = 1_000;
/// Skus of one page: what fills a frame, and not more than this.
const SKUS_PAGE_MAX: usize = 2_000;
/// Longest a node can be in a reply: three texts of 64 bytes with their lengths, and some numbers.
const NODE_BYTES_MAX: usize = 320;
/// Longest a sku can be in a reply.
const SKU_BYTES_MAX: usize = 192;
/// Skus asked of the reader at a time, so that an answer too long for a frame is seen before it fills memory.
const ATP_SKUS_AT_ONCE: usize = 64;
/// Bytes of a cell in an answer: node, segment, available.
const ATP_CELL_BYTES: usize = 14;

/// The answer to a question that needs neither a plan nor the committer.
pub(super) fn answer(shared: &Shared, tenant: Tenant, query: &Query) -> Reply {
    let reader = &shared.reader;
    let frame = shared.limits.frame_bytes_max as usize;
    let answer = match query {
        Query::Atp(question) => atp(shared, tenant, question).map(Reply::Atp),
        Query::Resolve(question) => resolve(shared, tenant, question).map(Reply::Resolved),
        Query::Nodes { from } => {
            let most = NODES_PAGE_MAX.min(frame / NODE_BYTES_MAX);
            Ok(Reply::Nodes(reader.nodes_page(tenant, *from, most)))
        }
        Query::Skus { from } => {
            let most = SKUS_PAGE_MAX.min(frame / SKU_BYTES_MAX);
            Ok(Reply::Skus(reader.skus_page(tenant, *from, most)))
        }
        Query::Stats => Ok(Reply::Stats(shared.stats())),
        Query::Quote(_) | Query::Show(_) | Query::Cells(_) | Query::Digest | Query::Snapshot => {
            unreachable!("these are planned, or asked of the committer or the snapshotter")
        }
    };
    answer.unwrap_or_else(|refusal| Reply::Refused(Refused { lsn: Lsn(0), refusal }))
}

fn atp(shared: &Shared, tenant: Tenant, question: &Atp) -> Result<AtpReply, Refusal> {
    let reader = &shared.reader;
    if question.skus.len() <= ATP_SKUS_AT_ONCE {
        return reader.atp(tenant, question);
    }
    let limit = shared.limits.lines_max;
    if question.skus.len() > limit as usize {
        return Err(Refusal::of(RefusalCode::ListTooLong, Field::Line).detail(i64::from(limit)));
    }
    let mut whole = AtpReply { lsn: reader.lsn(), skus: Vec::with_capacity(question.skus.len()) };
    let mut cells = 0;
    for (part, skus) in question.skus.chunks(ATP_SKUS_AT_ONCE).enumerate() {
        let asked = Atp { skus: skus.to_vec(), ..question.clone() };
        let answer = reader.atp(tenant, &asked).map_err(|refusal| match (refusal.field, refusal.index) {
            (Field::Sku, Some(index)) => refusal.at(part * ATP_SKUS_AT_ONCE + index as usize),
            _ => refusal,
        })?;
        cells += answer.skus.iter().map(|sku| sku.cells.len()).sum::<usize>();
        whole.skus.extend(answer.skus);
        let frame = shared.limits.frame_bytes_max;
        if cells * ATP_CELL_BYTES > frame as usize {
            return Err(Refusal::of(RefusalCode::ListTooLong, Field::Line).detail(i64::from(frame)));
        }
    }
    Ok(whole)
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
