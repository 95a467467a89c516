//! The look at what is there after a kill, and the settling of what was left open: then all is known.

use earmark_protocol::client::Client;
use earmark_protocol::command::CommandBody;
use earmark_protocol::ids::{CommandId, TimestampMs};
use earmark_protocol::query::Query;
use earmark_protocol::reply::{Reply, ReservationView};

use super::book::{Book, Entry, Faults, Told};
use super::load::{may_be_refused, refusal};
use super::shape::Shape;
use super::stock::Stock;

/// One reservation in so many is asked for again with its id, though it was answered.
const RETRIES: u32 = 10;
/// While it is younger than this: well within the window in which retries are remembered.
const RETRY_MS: u64 = 300_000;
/// One reservation in so many is looked at again later, though it has ended.
const ENDED: u32 = 20;

/// Compares the book with what is there, and sends again what was not answered.
pub(crate) async fn check(client: &Client, book: &mut Book) {
    let Book { entries, stock, faults, .. } = &mut *book;
    for entry in entries {
        let view = show(client, entry.id).await;
        entry.compare(view.as_deref(), client.new_id().time(), faults);
        if matches!(entry.told, Told::Nothing) && view.is_none() && entry.is_short() {
            // Made now, it would expire while the cells are looked at. Nobody asks for it any more.
            entry.told = Told::Undecided;
        } else if matches!(entry.told, Told::Nothing) {
            ask_again(client, entry, view.as_deref(), faults).await;
        } else if let Some(view) = view {
            if entry.pending.is_some() {
                step_again(client, entry, &view, stock, faults).await;
            } else {
                agree(entry, &view);
            }
            if fastrand::u32(..RETRIES) == 0 {
                retry(client, entry, faults).await;
            }
        }
    }
    for (id, body) in std::mem::take(&mut stock.pending) {
        match answer(client, id, body.clone()).await {
            Reply::Done(done) => stock.done(done.lsn, &body),
            Reply::Refused(refused) => assert!(may_be_refused(refused), "{body:?}: {refused:?}"),
            other => panic!("{other:?}"),
        }
    }
    cells(client, book).await;
    // What has ended and is agreed on is of little more interest.
    let is_open = |entry: &Entry| matches!(&entry.told, Told::Is { shape, .. } if !shape.status.is_final());
    book.entries.retain(|entry| is_open(entry) || fastrand::u32(..ENDED) == 0);
}

async fn answer(client: &Client, id: CommandId, body: CommandBody) -> Reply {
    client.command_as(id, body).await.expect("the daemon answers")
}

async fn show(client: &Client, id: CommandId) -> Option<Box<ReservationView>> {
    match client.query(Query::Show(id)).await.expect("the daemon answers") {
        Reply::Shown(view) => Some(view),
        Reply::Refused(_) => None,
        other => panic!("{other:?}"),
    }
}

/// What was compared is taken as known: it may have expired, and the start has lengthened what is held.
fn agree(entry: &mut Entry, view: &ReservationView) {
    if let Told::Is { shape, deadline, .. } = &mut entry.told {
        (*shape, *deadline) = (Shape::of(view), view.deadline);
    }
}

/// The reservation whose making was not answered.
async fn ask_again(
    client: &Client,
    entry: &mut Entry,
    before: Option<&ReservationView>,
    faults: &mut Faults,
) {
    let reply = answer(client, entry.id, entry.asked.clone()).await;
    let after = show(client, entry.id).await;
    match (reply, after) {
        (Reply::Reserved(reserved), Some(after)) => {
            entry.made(reserved.clone());
            entry.compare(Some(&after), client.new_id().time(), faults);
            if before.is_some_and(|before| *before != *after) || reserved.lsn != after.lsn {
                faults.double(&format_args!("{entry:?} was {before:?} and is {after:?}"));
            }
            agree(entry, &after);
        }
        (Reply::Refused(refused), None) if before.is_none() => entry.told = refusal(refused),
        (reply, after) => {
            faults.lose(&format_args!("{entry:?} was {before:?}, is answered {reply:?} and is {after:?}"));
        }
    }
}

/// The step that was not answered.
async fn step_again(
    client: &Client,
    entry: &mut Entry,
    before: &ReservationView,
    stock: &mut Stock,
    faults: &mut Faults,
) {
    let Some((id, body)) = entry.pending.clone() else { return };
    let text = format!("{entry:?}");
    let reply = answer(client, id, body).await;
    let after = show(client, entry.id).await;
    let Some(after) = after else {
        return faults.lose(&format_args!("{text} was {before:?} and is not there"));
    };
    match reply {
        Reply::Done(done) => {
            if let Some((was, is)) = entry.stepped(&done, faults) {
                stock.shipped(done.lsn, &was, &is);
            }
            entry.compare(Some(&after), client.new_id().time(), faults);
        }
        Reply::Refused(refused) => {
            let is_expected = entry.may_be_refused(refused);
            entry.pending = None;
            if !is_expected || Shape::of(&after) != Shape::of(before) {
                faults.lose(&format_args!("{text} was {before:?}, is answered {refused:?} and is {after:?}"));
            }
        }
        other => panic!("{other:?}"),
    }
    agree(entry, &after);
}

/// Asks once more for what was answered long ago: the answer is the same, and nothing is done.
async fn retry(client: &Client, entry: &Entry, faults: &mut Faults) {
    let TimestampMs(now) = client.new_id().time();
    if now.saturating_sub(entry.id.time().0) > RETRY_MS {
        return;
    }
    let reply = answer(client, entry.id, entry.asked.clone()).await;
    let is_same = match (&entry.told, &reply) {
        (Told::Is { lsn, plan, shape, .. }, Reply::Reserved(reserved)) => {
            (*lsn, plan.as_deref(), shape.status) == (reserved.lsn, reserved.plan.as_ref(), reserved.status)
        }
        (Told::Refused, Reply::Refused(refused)) => refused.lsn.0 != 0,
        _ => false,
    };
    if !is_same {
        faults.double(&format_args!("{entry:?} is answered {reply:?} the second time"));
    }
}

/// Every cell: what is on hand, held and allocated is what the answers say.
async fn cells(client: &Client, book: &mut Book) {
    let wanted = book.cells();
    let on_hand = book.stock.on_hand();
    let faults = &mut book.faults;
    for sku in book.skus.iter().chain(&book.counted) {
        let Reply::Cells(cells) = client.query(Query::Cells(*sku)).await.expect("the daemon answers") else {
            panic!("no cells")
        };
        for cell in cells {
            let (held, allocated) = wanted.get(&(*sku, cell.node)).copied().unwrap_or_default();
            let (is_held, is_allocated) = (u64::from(cell.held), u64::from(cell.allocated));
            if is_held < held || is_allocated < allocated {
                faults.lose(&format_args!("of {sku:?}: {cell:?}, told {held} held, {allocated} allocated"));
            }
            if is_held > held || is_allocated > allocated {
                faults.double(&format_args!("of {sku:?}: {cell:?}, told {held} held, {allocated} allocated"));
            }
            let count = on_hand.get(&(*sku, cell.node)).copied().unwrap_or_default();
            if i64::from(cell.on_hand) != count {
                faults.lose(&format_args!("of {sku:?}: {cell:?}, told {count} on hand"));
            }
            let promised = i64::from(cell.held) + i64::from(cell.allocated);
            faults.oversold += u64::try_from(promised - i64::from(cell.on_hand)).unwrap_or(0);
        }
    }
}
