//! The naive model: what Earmark promises, told once more with plain maps and no cleverness.
//!
//! It is written from the words of the protocol and of `docs/model.md`, and imports nothing from the engine. It answers
//! every command by itself; only where the words leave a choice (which legal plan, when an ended reservation is
//! forgotten, when a capacity is full) does it look at the answer that was given, and judge whether the choice was
//! fair. It never plans, never guesses and is never fast.

mod amends;
mod awaiting;
mod carriers;
mod catalogue;
mod days;
mod holds;
mod ids;
mod kits;
mod moves;
mod orders;
mod plans;
mod prices;
mod promises;
mod queries;
mod rejects;
mod reservations;
mod stock;
mod substitutes;
mod supply;

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::command::{Command, CommandBody};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{CommandId, Lsn, Money, Tenant, TimestampMs};
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};
use earmark_protocol::reply::{Done, Plan, Refused, Reply, Reserved, Status};

pub(crate) use carriers::{TARIFFS, tariffs};
pub(crate) use catalogue::{CALENDARS, Catalogue, POLICIES, SUBSTITUTING, calendar_kinds};
pub(crate) use ids::Outcome;
pub(crate) use orders::{Wish, Wished};
pub(crate) use plans::Stale;
pub(crate) use reservations::{Reservation, open_units};
pub(crate) use stock::{CellKey, Stock};
pub(crate) use supply::{Supplies, Turn};

/// What configuration says, as far as it decides answers.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) retry_window_ms: u64,
    pub(crate) id_future_ms: u64,
    pub(crate) lines_max: usize,
    pub(crate) shipments_max: u16,
    pub(crate) split_lines: bool,
    /// The default and the longest lifetime of each class.
    pub(crate) classes: Vec<(u32, u32)>,
    /// The segments each channel draws from, in order.
    pub(crate) channels: Vec<Vec<u16>>,
    pub(crate) shipment_base: Money,
    pub(crate) per_unit: Money,
    pub(crate) per_unit_mile: Money,
}

/// The capacities that can be used up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) skus: usize,
    pub(crate) nodes: usize,
    pub(crate) cells: usize,
    pub(crate) reservations: usize,
    pub(crate) commands: usize,
    pub(crate) movements: usize,
    /// Rows, facts and texts are counted by the engine in its own units: whether they are tight at all.
    pub(crate) tight: bool,
}

/// The whole model.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) rules: Rules,
    pub(crate) limits: Limits,
    pub(crate) lsn: Lsn,
    pub(crate) catalogue: Catalogue,
    pub(crate) stock: Stock,
    pub(crate) supplies: Supplies,
    /// Who waits for supply, first come first.
    pub(crate) turns: Vec<Turn>,
    pub(crate) reservations: BTreeMap<(Tenant, CommandId), Reservation>,
    pub(crate) outcomes: BTreeMap<(Tenant, CommandId), Outcome>,
    /// The version of each tenant's policy, and whether it has large orders reviewed.
    pub(crate) policies: BTreeMap<Tenant, catalogue::Policy>,
    /// Whose shipments a carrier prices.
    pub(crate) carried: BTreeSet<Tenant>,
    /// How the command at hand was planned, where that was not right before it is decided.
    pub(crate) stale: Option<Stale>,
    /// The time of the command at hand.
    pub(crate) now: TimestampMs,
}

/// A command's yes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Yes {
    pub(crate) status: Option<Status>,
    pub(crate) deadline: TimestampMs,
    pub(crate) moved: u64,
    pub(crate) short: u64,
    pub(crate) plan: Option<Plan>,
    /// Of orders that were moved.
    pub(crate) plans: Vec<Plan>,
}

/// Yes or no; or why the answer that was given is a choice nobody was free to make.
pub(crate) type Decided = Result<Result<Yes, Refusal>, String>;

/// All that speaks against a command. The first by the order of [`RefusalCode`], then by place in the list, is given.
#[derive(Default)]
pub(crate) struct Noes(Vec<Refusal>);

impl Noes {
    pub(crate) fn push(&mut self, refusal: Refusal) {
        self.0.push(refusal);
    }

    pub(crate) fn no(&mut self, code: RefusalCode, field: Field) {
        self.push(Refusal::of(code, field));
    }

    pub(crate) fn at(&mut self, code: RefusalCode, field: Field, index: usize) {
        self.push(Refusal::of(code, field).at(index));
    }

    /// Judges the length of a list: what is empty or too long.
    pub(crate) fn list(&mut self, field: Field, length: usize, may_be_empty: bool, limit: usize) {
        if length == 0 && !may_be_empty {
            self.no(RefusalCode::EmptyList, field);
        }
        if length > limit {
            self.push(Refusal::of(RefusalCode::ListTooLong, field).detail(limit as i64));
        }
    }

    pub(crate) fn first(&self) -> Option<Refusal> {
        self.0.iter().copied().min_by_key(|no| (no.code, no.index, no.field))
    }
}

impl Model {
    pub(crate) fn new(rules: Rules, limits: Limits) -> Self {
        Self {
            rules,
            limits,
            lsn: Lsn(0),
            catalogue: Catalogue::default(),
            stock: Stock::default(),
            supplies: Supplies::new(),
            turns: Vec::new(),
            reservations: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            policies: BTreeMap::new(),
            carried: BTreeSet::new(),
            stale: None,
            now: TimestampMs(0),
        }
    }

    /// Decides a command at `now`. `seen` is the answer that was given.
    ///
    /// # Errors
    /// Why `seen` cannot be an answer to this command at this time.
    pub(crate) fn submit(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        content: u64,
        command: &Command,
        seen: &Reply,
    ) -> Result<Reply, String> {
        if let Some(reply) = self.answer_by_id(now, tenant, content, command.id, seen)? {
            return Ok(reply);
        }
        let decided = if refused_with(seen, RefusalCode::CapacityReached) {
            self.judge_capacity(now, tenant, command, seen)?
        } else {
            self.decide(now, tenant, command, seen)?
        };
        self.lsn.0 += 1;
        let reply = self.word(command, decided);
        self.remember(tenant, content, command.id, &reply);
        Ok(reply)
    }

    /// The same for a hold of one cell in its own form.
    pub(crate) fn submit_one(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        one: &HoldOne,
        seen: &HoldOneReply,
    ) -> Result<HoldOneReply, String> {
        let seen = Reply::from(*seen);
        let content = one.content_hash();
        let command = Command { id: one.id, give_up_ms: 0, body: CommandBody::Hold(one.to_hold()) };
        if one.flags == 0 {
            return self.submit(now, tenant, content, &command, &seen).map(|reply| word_one(&reply));
        }
        if let Some(reply) = self.answer_by_id(now, tenant, content, one.id, &seen)? {
            return Ok(word_one(&reply));
        }
        self.lsn.0 += 1;
        let refusal = Refusal::of(RefusalCode::UnknownFlag, Field::Flags);
        let reply = Reply::Refused(Refused { lsn: self.lsn, refusal });
        self.remember(tenant, content, one.id, &reply);
        Ok(word_one(&reply))
    }

    fn word(&self, command: &Command, decided: Result<Yes, Refusal>) -> Reply {
        let lsn = self.lsn;
        match decided {
            Err(refusal) => Reply::Refused(Refused { lsn, refusal }),
            Ok(yes) if matches!(command.body, CommandBody::Hold(_) | CommandBody::Reserve(_)) => {
                Reply::Reserved(Reserved {
                    lsn,
                    status: Status::Held,
                    deadline: yes.deadline,
                    plan: yes.plan,
                })
            }
            Ok(Yes { status, deadline, moved, short, plan, plans }) => {
                let plans = plan.into_iter().chain(plans).collect();
                Reply::Done(Done { lsn, status, deadline, moved, short, plans })
            }
        }
    }

    fn decide(&mut self, now: TimestampMs, tenant: Tenant, command: &Command, seen: &Reply) -> Decided {
        self.now = now;
        match &command.body {
            CommandBody::Hold(hold) => Ok(self.hold(now, tenant, command.id, hold)),
            CommandBody::Reserve(reserve) => self.reserve(now, tenant, command.id, reserve, seen),
            CommandBody::Confirm(_)
            | CommandBody::Release(_)
            | CommandBody::Cancel(_)
            | CommandBody::Dispatch(_)
            | CommandBody::Ready(_)
            | CommandBody::Ship(_)
            | CommandBody::Collect(_) => self.step(now, tenant, &command.body, seen),
            CommandBody::Extend(extend) => self.extend(now, tenant, extend, seen),
            CommandBody::Approve(id) => self.approve(now, tenant, *id, seen),
            CommandBody::Amend(amend) => self.amend(now, tenant, amend, seen),
            CommandBody::Reject(reject) => self.reject(now, tenant, reject, seen),
            CommandBody::SetStock(set) => self.set_stock(now, tenant, set, seen),
            CommandBody::AdjustStock(adjust) => Ok(self.adjust_stock(now, tenant, adjust)),
            CommandBody::Restock(restock) => Ok(self.restock(now, tenant, restock)),
            CommandBody::Transfer(transfer) => Ok(self.transfer(now, tenant, transfer)),
            CommandBody::PutSkus(specs) => Ok(self.put_skus(tenant, specs)),
            CommandBody::RetireSkus(skus) => Ok(self.retire_skus(tenant, skus)),
            CommandBody::PutNodes(specs) => Ok(self.put_nodes(tenant, specs)),
            CommandBody::SetNodeState(set) => Ok(self.set_node_state(tenant, set)),
            CommandBody::PutCalendars(specs) => Ok(self.put_calendars(tenant, specs)),
            CommandBody::SetPolicy(set) => Ok(self.set_policy(tenant, set)),
            CommandBody::PutTariffs(put) => Ok(self.put_tariffs(tenant, put)),
            CommandBody::PutSupplies(specs) => Ok(self.put_supplies(tenant, specs)),
            CommandBody::Receive(receive) => Ok(self.receive(now, tenant, receive)),
            CommandBody::PutKits(specs) => Ok(self.put_kits(tenant, specs)),
            CommandBody::PutSubstitutes(specs) => Ok(self.put_substitutes(tenant, specs)),
            CommandBody::Move(wanted) => self.move_orders(now, tenant, wanted, seen),
        }
    }

    /// A capacity was said to be full: fair only if nothing that comes before speaks against the command, and if the
    /// capacity really cannot hold what the command adds.
    fn judge_capacity(
        &mut self,
        now: TimestampMs,
        tenant: Tenant,
        command: &Command,
        seen: &Reply,
    ) -> Decided {
        let Reply::Refused(refused) = seen else { return Err("a full capacity is a refusal".into()) };
        let mut after = self.clone();
        if let Err(refusal) = after.decide(now, tenant, command, seen)? {
            return Ok(Err(refusal));
        }
        let fair = match refused.refusal.field {
            Field::CapacitySkus => after.catalogue.skus.len() > self.limits.skus,
            Field::CapacityNodes => {
                after.catalogue.nodes.len() > self.limits.nodes
                    || after.catalogue.calendars.len() > self.limits.nodes
            }
            Field::CapacityCells => {
                after.stock.cells.len().max(after.supplies.len()) > self.limits.cells || self.limits.tight
            }
            Field::CapacityReservations => after.live() > self.limits.reservations,
            Field::CapacityLines | Field::CapacityFacts | Field::CapacityCodes => self.limits.tight,
            field => return Err(format!("{} is no capacity", field.meaning())),
        };
        if fair {
            Ok(Err(refused.refusal))
        } else {
            Err(format!("{} is not used up", refused.refusal.field.meaning()))
        }
    }

    /// Reservations that have not ended.
    pub(crate) fn live(&self) -> usize {
        self.reservations.values().filter(|reservation| !reservation.status().is_final()).count()
    }

    /// What must hold between any two commands.
    ///
    /// # Panics
    /// Where it does not.
    pub(crate) fn assert_sound(&self) {
        let mut held = BTreeMap::<CellKey, (u64, u64)>::new();
        for reservation in self.reservations.values() {
            for row in &reservation.rows {
                let sums = held.entry((row.sku, row.node, row.segment)).or_default();
                sums.0 += u64::from(row.held);
                sums.1 += u64::from(row.confirmed) + u64::from(row.dispatched) + u64::from(row.ready);
            }
        }
        for (key, cell) in &self.stock.cells {
            let (held, allocated) = held.get(key).copied().unwrap_or_default();
            assert_eq!(
                (cell.held, cell.allocated),
                (held as i64, allocated as i64),
                "promises of cell {key:?}"
            );
        }
        assert!(self.catalogue.skus.len() <= self.limits.skus, "more skus than their capacity");
        assert!(self.catalogue.nodes.len() <= self.limits.nodes, "more nodes than their capacity");
        assert!(self.live() <= self.limits.reservations, "more reservations than their capacity");
        let cells = self.stock.cells.len().max(self.supplies.len());
        assert!(cells <= self.limits.cells, "more cells, or supplies of them, than their capacity");
    }
}

/// The answer to a hold of one cell, in its own form.
fn word_one(reply: &Reply) -> HoldOneReply {
    match reply {
        Reply::Reserved(Reserved { lsn, status, deadline, .. }) => {
            HoldOneReply::Held { lsn: *lsn, status: *status, deadline: *deadline }
        }
        Reply::Refused(refused) => HoldOneReply::refused(refused.lsn, refused.refusal),
        reply => panic!("a hold is reserved or refused: {reply:?}"),
    }
}

/// Whether this answer is a refusal with this code.
pub(crate) fn refused_with(reply: &Reply, code: RefusalCode) -> bool {
    matches!(reply, Reply::Refused(refused) if refused.refusal.code == code)
}

/// The plan an answer carries.
pub(crate) fn plan_of(reply: &Reply) -> Option<&Plan> {
    match reply {
        Reply::Reserved(reserved) => reserved.plan.as_ref(),
        Reply::Done(done) => done.plans.first(),
        _ => None,
    }
}
