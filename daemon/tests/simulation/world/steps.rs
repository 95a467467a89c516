//! One life, step by step: clients, time, the daemon's threads. After each step everything is compared.

use std::collections::BTreeMap;

use earmark::store::{StoreError, load, to_the_end};
use earmark_engine::digest;
use earmark_protocol::command::{CellQuantity, Command, CommandBody, Hold, SetStock};
use earmark_protocol::ids::{CommandId, HoldClass, Tenant};
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::Reply;
use earmark_snapshot::log::{Room, Step};

use super::{End, Waiting, World};
use crate::drive::{Answer, Author, FIRST_CALENDARS, Given, compare, compare_all, compare_reservation};
use crate::life::{Asked, Decided, Life};
use crate::model::refused_with;
use crate::truth::Event;

/// A hold may expire this long after its deadline: one tick.
const TICK_MS: u64 = 10;

impl World {
    pub(super) fn live(&mut self, life: &mut Life, is_new: bool) -> End {
        let mut result = if is_new { self.open_shop(life) } else { self.ask_again(life) };
        loop {
            let error = result.err().or_else(|| life.failed().map(StoreError::Failed));
            if let Some(error) = error {
                self.story.tell(&format!("the daemon ends: {error}"));
                if self.judge_error(&error) {
                    self.story.met.refused_damage += 1;
                }
                return End::Died;
            }
            if self.disk.is_stopped() {
                self.story.met.crashes += 1;
                return End::Died;
            }
            if self.steps_left == 0 {
                compare_all(&self.truth.live, life.reader());
                return End::Done;
            }
            self.steps_left -= 1;
            if let Some(change) = self.weather.change(&mut self.dice) {
                self.story.tell(&change);
            }
            result = match self.dice.below(400) {
                0..150 => self.traffic(life),
                150..210 => self.pass_time(life),
                210..250 => self.flush(life),
                250..285 => self.prepare(life),
                285..370 => self.follow(life),
                370..385 => self.seal_idle(life),
                385..393 => {
                    compare_all(&self.truth.live, life.reader());
                    Ok(())
                }
                393..396 => match self.stop(life) {
                    Ok(true) => return End::Stopped,
                    Ok(false) => Ok(()),
                    Err(error) => Err(error),
                },
                _ => {
                    self.story.tell("the process is killed");
                    return End::Died;
                }
            };
        }
    }

    /// A catalogue and stock for two tenants, through the same door as everything else.
    fn open_shop(&mut self, life: &mut Life) -> Result<(), StoreError> {
        for tenant in [Tenant(0), Tenant(1)] {
            let (nodes, skus) = if tenant.0 == 0 { (5, 6) } else { (2, 2) };
            for (most, kind) in [(FIRST_CALENDARS, 0), (nodes, 1), (skus, 2)] {
                let bodies: Vec<_> = (0..most).map(|place| self.author(tenant).first(kind, place)).collect();
                self.hand_in_bodies(life, tenant, bodies)?;
            }
            for _ in 0..4 {
                let body = CommandBody::SetStock(SetStock { source: 0, ..self.author(tenant).stock_up() });
                self.hand_in_bodies(life, tenant, vec![body])?;
                self.clock.advance(1);
            }
        }
        Ok(())
    }

    fn hand_in_bodies(
        &mut self,
        life: &mut Life,
        tenant: Tenant,
        bodies: Vec<CommandBody>,
    ) -> Result<(), StoreError> {
        let mut commands = Vec::new();
        for body in bodies {
            let id = CommandId::new(self.now(), self.dice.bytes());
            commands.push(self.ask(life, tenant, Given::Full(Command { id, give_up_ms: 0, body })));
        }
        life.hand_in(tenant, commands);
        self.turn(life)
    }

    /// After a start, clients ask once more what they may not have had an answer to, and some that they have.
    fn ask_again(&mut self, life: &mut Life) -> Result<(), StoreError> {
        let recent = self.past[self.past.len().saturating_sub(12)..].to_vec();
        for (tenant, given) in recent {
            if !self.tick(life)? {
                return Ok(());
            }
            let asked = life.ask(tenant, given, &self.truth.live);
            life.hand_in(tenant, vec![asked]);
            self.turn(life)?;
        }
        Ok(())
    }

    fn author(&mut self, tenant: Tenant) -> Author<'_> {
        let now = self.now();
        Author { dice: &mut self.dice, model: &self.truth.live, tenant, now }
    }

    fn ask(&mut self, life: &mut Life, tenant: Tenant, given: Given) -> Asked {
        self.past.push((tenant, given.clone()));
        life.ask(tenant, given, &self.truth.live)
    }

    /// Some clients send some commands each. Some plans are kept back, and handed in some batches later.
    fn traffic(&mut self, life: &mut Life) -> Result<(), StoreError> {
        if !self.tick(life)? {
            return Ok(());
        }
        for _ in 0..=self.dice.below(3) {
            let tenant = Tenant(u16::from(self.dice.one_in(8)));
            let mut commands = Vec::new();
            for _ in 0..=self.dice.below(4) {
                let (whose, given) = self.some_command(tenant);
                let asked = self.ask(life, whose, given);
                if asked.planned.is_some() && self.dice.one_in(3) {
                    self.late.push(asked);
                } else if asked.tenant == tenant {
                    commands.push(asked);
                } else {
                    life.hand_in(asked.tenant, vec![asked]);
                }
            }
            life.hand_in(tenant, commands);
        }
        while !self.late.is_empty() && self.dice.one_in(3) {
            let asked = self.late.swap_remove(self.dice.below(self.late.len()));
            life.hand_in(asked.tenant, vec![asked]);
        }
        self.turn(life)
    }

    /// A new command, one that was sent before, or one that takes what a late plan relies on.
    fn some_command(&mut self, tenant: Tenant) -> (Tenant, Given) {
        if self.dice.one_in(7) && !self.past.is_empty() {
            let recent = self.past.len().saturating_sub(30);
            let (tenant, given) = self.past[recent + self.dice.below(self.past.len() - recent)].clone();
            return self.author(tenant).again(given);
        }
        if self.dice.one_in(6)
            && let Some(Asked { tenant, planned: Some(Ok(proposal)), .. }) = self.late.first()
            && let Some(pick) = proposal.picks.first()
        {
            let (tenant, quantity) = (*tenant, 1 + self.dice.below(8) as u32);
            let cell = CellQuantity { sku: pick.sku, node: pick.node, segment: pick.segment, quantity };
            let hold = Hold {
                cells: vec![cell],
                class: HoldClass(2),
                lifetime_ms: 0,
                best_effort: true,
                supply_by: None,
            };
            let id = self.author(tenant).id();
            return (tenant, Given::Full(Command { id, give_up_ms: 0, body: CommandBody::Hold(hold) }));
        }
        (tenant, self.author(tenant).given())
    }

    /// Ends the turn, as often as it takes until all is decided. Plans that no longer fit are made again meanwhile.
    fn turn(&mut self, life: &mut Life) -> Result<(), StoreError> {
        for _ in 0..100 {
            life.turn();
            self.look(life);
            if life.queued() == 0 || life.failed().is_some() {
                return Ok(());
            }
            if life.flush()? == Step::Postponed && !life.prepare()? {
                // Nothing more goes in: what waits at the committer has no answer.
                self.disk.kill();
                return Ok(());
            }
            self.look(life);
        }
        panic!("the committer does not come to an end");
    }

    /// Lets holds expire, by themselves and all that are due: so that it is known in which order things happened, the
    /// committer is not backed up then. Whether it could be helped.
    fn tick(&mut self, life: &mut Life) -> Result<bool, StoreError> {
        loop {
            let before = life.reader().lsn();
            if !self.expire_some(life)? {
                return Ok(false);
            }
            // Records of expiries may have backed it up: then the rest must not wait for the next commands.
            let is_held_up = life.is_backed_up() || life.room() == Room::None;
            if !is_held_up || life.reader().lsn() == before {
                return Ok(true);
            }
        }
    }

    fn expire_some(&mut self, life: &mut Life) -> Result<bool, StoreError> {
        while life.is_backed_up() {
            if life.flush()? == Step::Postponed && !life.prepare()? {
                return Ok(false);
            }
            self.look(life);
        }
        let has_room = life.room() != Room::None || life.prepare()?;
        let before = life.reader().lsn();
        life.tick();
        let (now, live) = (self.now(), &self.truth.live);
        if life.reader().lsn() == before {
            let late = live.due(now, TICK_MS);
            assert!(late.is_empty() || !has_room, "{late:?} should have expired by {now}");
            return Ok(true);
        }
        let is_expired = |(tenant, id): &(Tenant, CommandId)| {
            let view = life.reader().show(*tenant, id).expect("what was held is known");
            view.rows.iter().all(|row| row.held + row.awaited == 0)
        };
        // A record has the holds of one tick.
        let mut by_tick = BTreeMap::<u64, Vec<_>>::new();
        for key in live.due(now, 0).into_iter().filter(is_expired) {
            by_tick.entry(live.reservations[&key].expires.0.div_ceil(TICK_MS)).or_default().push(key);
        }
        for expired in by_tick.into_values() {
            self.story.tell(&format!("{now} expired {expired:?}"));
            self.story.met.expired += expired.len() as u64;
            self.truth.happened(now, Event::Expired(expired));
        }
        self.look(life);
        Ok(true)
    }

    fn pass_time(&mut self, life: &mut Life) -> Result<(), StoreError> {
        let ms = match self.dice.below(10) {
            0..6 => self.dice.between(1, 40),
            6..9 => self.dice.between(100, 3_000),
            _ => self.dice.between(5_000, 30_000),
        };
        self.clock.advance(ms);
        self.tick(life).map(|_| ())
    }

    fn flush(&mut self, life: &mut Life) -> Result<(), StoreError> {
        life.flush()?;
        self.look(life);
        Ok(())
    }

    fn prepare(&mut self, life: &mut Life) -> Result<(), StoreError> {
        let is_ready = life.prepare()?;
        assert!(is_ready || self.weather.is_full, "the disk has room for another segment");
        Ok(())
    }

    fn seal_idle(&mut self, life: &mut Life) -> Result<(), StoreError> {
        if life.seal_idle()? {
            self.story.met.seals += 1;
            self.truth.prove(self.durable);
        }
        Ok(())
    }

    fn follow(&mut self, life: &mut Life) -> Result<(), StoreError> {
        for _ in 0..=self.dice.below(6) {
            let Some(made) = life.follow()? else { continue };
            self.story.tell(&format!("made {made:?}"));
            assert!(made.lsn <= self.durable, "an image of what is not durable");
            self.story.met.images += 1;
            self.story.met.images_further += u64::from(life.went_on && made.bytes > 0);
            let loaded = load(&*self.storage, &self.rules, 1, &to_the_end)?;
            let lsn = loaded.cut.map_or(0, |cut| cut.lsn);
            let is_spoilt = self.weather.has_lied || self.weather.has_spoilt;
            assert!(lsn == made.lsn || is_spoilt, "the newest image is not the one just made");
            self.truth.assert_digest(lsn, digest(&loaded.state), "an image");
        }
        Ok(())
    }

    fn stop(&mut self, life: &mut Life) -> Result<bool, StoreError> {
        self.late.clear();
        let is_stopped = life.stop()?;
        self.look(life);
        if is_stopped {
            self.story.tell("stopped");
            self.story.met.stops += 1;
            self.truth.prove(self.durable);
            assert_eq!(self.durable, self.truth.lsn(), "a clean stop leaves nothing behind");
        }
        Ok(is_stopped)
    }

    /// Takes in what was decided and what became durable, and compares.
    pub(super) fn look(&mut self, life: &mut Life) {
        let now = self.now();
        let mut touched = Vec::new();
        for Decided { tenant, given, answer, plan, waits_for } in life.decided() {
            self.story.tell(&format!("{now} tenant {tenant}: {given:?}\n  = {answer:?}"));
            let id = given.id();
            if is_storage_full(&answer) {
                assert!(life.room() != Room::Plenty, "the log has room");
                self.story.met.storage_full += 1;
                continue;
            }
            let reservation = given.reservation();
            let stale = plan.filter(|(seen, ..)| *seen < self.truth.live.lsn);
            self.story.met.stale_plans += u64::from(stale.is_some());
            let stale = stale.map(|(_, then, is_last)| (then, is_last));
            self.story.met.commands += 1;
            self.waiting.push_back(Waiting { lsn: waits_for, tenant, id, answer: answer.clone() });
            self.truth.happened(now, Event::Command { tenant, given: Box::new(given), answer, stale });
            touched.push((tenant, reservation));
        }
        // Not before: what a planner sees now, the model has to have seen too.
        life.plan_again(&self.truth.live);
        life.state(|state| {
            let reader = state.reader();
            compare(&self.truth.live, &reader, state);
            for (tenant, id) in touched {
                compare_reservation(&self.truth.live, &reader, tenant, id);
            }
            let digest = digest(state);
            self.truth.digest_is(digest);
            self.story.note(digest);
        });
        self.story.note(self.disk.operations());
        let durable = life.durable();
        if durable > self.durable {
            // What was written last is proven by what is written behind it.
            self.truth.prove(self.durable);
            self.durable = durable;
        }
        let passed = life.passed();
        while self.waiting.front().is_some_and(|waiting| waiting.lsn.0 <= passed)
            && let Some(told) = self.waiting.pop_front()
        {
            self.truth.told(told.tenant, told.id, &told.answer);
        }
    }
}

fn is_storage_full(answer: &Answer) -> bool {
    let answer = match answer {
        Answer::One(reply) => &Reply::from(*reply),
        Answer::Full(reply) => reply,
    };
    refused_with(answer, RefusalCode::StorageFull)
}
