//! What each role may do, and how urgent each kind of work is: one look at a command or question answers both.

use earmark_protocol::command::CommandBody;
use earmark_protocol::hello::Role;
use earmark_protocol::query::Query;

/// Kinds of work, the first to be shed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Questions.
    Ask,
    /// New claims on stock.
    Claim,
    /// Stock and catalogue.
    Keep,
    /// Steps of reservations that are there: what was promised is seen through.
    Finish,
}

/// The least role for a command, and what kind of work it is.
#[must_use]
pub fn command_work(body: &CommandBody) -> (Role, Work) {
    use CommandBody as C;
    match body {
        C::Hold(_) | C::Reserve(_) => (Role::Checkout, Work::Claim),
        C::Confirm(_) | C::Release(_) | C::Extend(_) | C::Amend(_) => (Role::Checkout, Work::Finish),
        C::Cancel(_)
        | C::Dispatch(_)
        | C::Ready(_)
        | C::Ship(_)
        | C::Collect(_)
        | C::Reject(_)
        | C::Approve(_)
        | C::Move(_) => (Role::Oms, Work::Finish),
        C::SetStock(_)
        | C::AdjustStock(_)
        | C::Restock(_)
        | C::Transfer(_)
        | C::PutSupplies(_)
        | C::Receive(_) => (Role::Oms, Work::Keep),
        C::PutSkus(_)
        | C::RetireSkus(_)
        | C::PutNodes(_)
        | C::SetNodeState(_)
        | C::PutCalendars(_)
        | C::SetPolicy(_)
        | C::PutTariffs(_)
        | C::PutKits(_)
        | C::PutSubstitutes(_) => (Role::Admin, Work::Keep),
    }
}

/// The least role for a question, and what kind of work it is. `Digest` holds the committer up while it walks over
/// all cells, so it is not for everyone.
#[must_use]
pub fn query_work(query: &Query) -> (Role, Work) {
    match query {
        Query::Digest | Query::Snapshot => (Role::Admin, Work::Keep),
        Query::Stats => (Role::Read, Work::Finish),
        Query::Atp(_)
        | Query::Replan { .. }
        | Query::Reviews { .. }
        | Query::Quote(_)
        | Query::Show(_)
        | Query::Resolve(_)
        | Query::Nodes { .. }
        | Query::Policy { .. }
        | Query::Calendars { .. }
        | Query::NodeDays { .. }
        | Query::Supplies { .. }
        | Query::Waiting { .. }
        | Query::Tariffs { .. }
        | Query::Skus { .. }
        | Query::Kits { .. }
        | Query::Substitutes { .. }
        | Query::Cells(_) => (Role::Read, Work::Ask),
    }
}
