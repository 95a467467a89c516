//! Thousands of random sequences of commands, each answer and each quantity compared.
//!
//! A failure prints the seed and the command line that plays it again. `EARMARK_SEED` plays one sequence,
//! `EARMARK_SEQUENCES` says how many others to play.

use std::sync::Mutex;

use earmark_engine::routing::Pick;
use earmark_protocol::command::{CellQuantity, Command, CommandBody, Hold};
use earmark_protocol::ids::{CommandId, HoldClass, NodeIx, Segment, SkuIx, Tenant};
use earmark_protocol::query::{Atp, Scope};
use earmark_protocol::refusal::{Field, RefusalCode};

use crate::drive::{Author, Dice, FIRST_CALENDARS, Given, Met, Pair, Setting};

/// Sequences in a normal run: as many as two cores play in some 20 seconds of an unoptimised build.
const SEQUENCES: u64 = 2_000;

/// Steps of a sequence.
const STEPS: usize = 90;

/// Refusals that are given before a command reaches the engine.
const ADMISSION: [RefusalCode; 6] = [
    RefusalCode::Overloaded,
    RefusalCode::GaveUp,
    RefusalCode::Draining,
    RefusalCode::NotAllowed,
    RefusalCode::StorageFull,
    RefusalCode::NothingKept,
];

/// What it takes quantities and costs for that no sequence has; the tests of routing see to it.
const FAR_OFF: RefusalCode = RefusalCode::CostTooLarge;

#[test]
fn the_engine_answers_as_the_naive_model_does() {
    if let Some(seed) = number_from("EARMARK_SEED") {
        play(seed);
        return;
    }
    let sequences = number_from("EARMARK_SEQUENCES").unwrap_or(SEQUENCES);
    let threads = std::thread::available_parallelism().map_or(2, |threads| threads.get() as u64);
    let met = Mutex::new(Met::default());
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let met = &met;
            scope.spawn(move || {
                for seed in (thread..sequences).step_by(threads as usize) {
                    let one = play(seed);
                    met.lock().expect("no thread panics while it holds this").and(&one);
                }
            });
        }
    });
    if sequences >= SEQUENCES {
        assert_met_everything(&met.into_inner().expect("no thread panicked"));
    }
}

/// Sequences that never come to some answer prove nothing about it.
fn assert_met_everything(met: &Met) {
    assert_eq!(met.taken, (0..=28).collect(), "every command is taken at some time");
    let is_reachable = |code: &RefusalCode| !ADMISSION.contains(code) && *code != FAR_OFF;
    let reachable = RefusalCode::ALL.iter().copied().filter(is_reachable);
    assert_eq!(met.refusals, reachable.collect(), "every refusal is given at some time");
    let capacities = Field::ALL.iter().copied().filter(|field| field.meaning().starts_with("capacity."));
    assert_eq!(met.full, capacities.collect(), "every capacity is used up at some time");
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text:?}: not a number")))
}

/// One sequence; what it met.
fn play(seed: u64) -> Met {
    let mut dice = Dice::new(seed);
    let setting = Setting::any(&mut dice);
    let replay = format!("EARMARK_SEED={seed} cargo test -p earmark-engine --test property");
    let mut game = Game { pair: Pair::new(&setting, replay), dice, past: Vec::new() };
    game.open_shop();
    for _ in 0..STEPS {
        game.step();
    }
    game.pair.compare_all();
    game.pair.assert_replay_is_equal();
    std::mem::take(&mut game.pair.met)
}

/// A sequence in play.
struct Game {
    pair: Pair,
    dice: Dice,
    past: Vec<(Tenant, Given)>,
}

impl Game {
    /// A catalogue and stock for two tenants, through the same door as everything else.
    fn open_shop(&mut self) {
        for tenant in [Tenant(0), Tenant(1)] {
            let (nodes, skus) = if tenant.0 == 0 { (5, 6) } else { (2, 2) };
            for (most, kind) in [(FIRST_CALENDARS, 0), (nodes, 1), (skus, 2)] {
                for place in 0..most {
                    let body = self.author(tenant).first(kind, place);
                    self.submit_body(tenant, body);
                }
            }
            for _ in 0..6 {
                let body = CommandBody::SetStock(self.author(tenant).stock_up());
                self.submit_body(tenant, body);
            }
            if tenant.0 == 0 {
                let body = self.author(tenant).first_kit_sku();
                self.submit_body(tenant, body);
                let body = self.author(tenant).first_kit();
                self.submit_body(tenant, body);
                let body = self.author(tenant).first_substitutes();
                self.submit_body(tenant, body);
                if self.dice.one_in(2) {
                    let body = self.author(tenant).substituting();
                    self.submit_body(tenant, body);
                }
            }
        }
    }

    fn author(&mut self, tenant: Tenant) -> Author<'_> {
        Author { dice: &mut self.dice, model: &self.pair.model, tenant, now: self.pair.now }
    }

    fn step(&mut self) {
        let tenant = Tenant(u16::from(self.dice.one_in(8)));
        match self.dice.below(24) {
            0..4 => self.pass_time(),
            4..6 => self.retry(),
            6 => self.submit_a_stale_plan(tenant),
            7 => self.ask(tenant),
            8 if self.dice.one_in(4) => self.pair.compare_all(),
            9 if self.dice.one_in(6) => {
                let grace_ms = *self.dice.pick(&[0, 100, 20_000]);
                self.pair.restart(grace_ms, self.dice.one_in(2));
            }
            _ => {
                let given = self.author(tenant).given();
                self.submit(tenant, given);
            }
        }
    }

    fn pass_time(&mut self) {
        let ms = match self.dice.below(10) {
            0 => 0,
            1..6 => self.dice.between(1, 40),
            6..9 => self.dice.between(100, 3_000),
            _ => self.dice.between(5_000, 40_000),
        };
        self.pair.now = self.pair.now.plus_ms(ms);
        let most = *self.dice.pick(&[1, 2, 1_000]);
        match self.dice.below(4) {
            0 => {}
            1 => {
                self.pair.expire(most);
            }
            _ => while self.pair.expire(most) {},
        }
    }

    fn submit_body(&mut self, tenant: Tenant, body: CommandBody) {
        let id = CommandId::new(self.pair.now, self.dice.bytes());
        self.submit(tenant, Given::Full(Command { id, give_up_ms: 0, body }));
        self.pair.now = self.pair.now.plus_ms(1);
    }

    fn submit(&mut self, tenant: Tenant, given: Given) {
        self.pair.submit(tenant, &given);
        self.past.push((tenant, given));
    }

    /// The same command once more, at any later time; or its id with another content, or by another tenant.
    fn retry(&mut self) {
        if self.past.is_empty() {
            return;
        }
        let recent = self.past.len().saturating_sub(12);
        let place = if self.dice.one_in(2) {
            self.dice.below(self.past.len())
        } else {
            recent + self.dice.below(self.past.len() - recent)
        };
        let (tenant, given) = self.past[place].clone();
        let (tenant, given) = self.author(tenant).again(given);
        let before = self.pair.digest();
        let lsn = self.pair.model.lsn;
        self.submit(tenant, given);
        if self.pair.model.lsn == lsn {
            assert_eq!(self.pair.digest(), before, "an answer without a new Lsn changes nothing");
        }
    }

    /// Plans something, lets other things happen, and submits it then.
    fn submit_a_stale_plan(&mut self, tenant: Tenant) {
        let given = loop {
            let given = self.author(tenant).given();
            if let Given::Full(Command { body: CommandBody::Reserve(_) | CommandBody::Reject(_), .. }) = given
            {
                break given;
            }
        };
        let mut draft = self.pair.plan_for_later(tenant, &given);
        draft.is_last = self.dice.one_in(3);
        for _ in 0..self.dice.below(4) {
            let other = match draft.picks() {
                picks if !picks.is_empty() && self.dice.one_in(2) => self.snatch(picks),
                _ => self.author(tenant).given(),
            };
            self.submit(tenant, other);
        }
        if self.dice.one_in(3) {
            self.pass_time();
        }
        self.pair.submit_planned(tenant, &given, draft);
        self.past.push((tenant, given));
    }

    /// Holds some of what a plan relies on.
    fn snatch(&mut self, picks: &[Pick]) -> Given {
        let Pick { sku, node, segment, .. } = *self.dice.pick(picks);
        let quantity = 1 + self.dice.below(8) as u32;
        let cell = CellQuantity { sku, node, segment, quantity };
        let hold = Hold {
            cells: vec![cell],
            class: HoldClass(2),
            lifetime_ms: 0,
            best_effort: true,
            supply_by: None,
        };
        Given::Full(Command { id: self.author(Tenant(0)).id(), give_up_ms: 0, body: CommandBody::Hold(hold) })
    }

    fn ask(&mut self, tenant: Tenant) {
        let skus: Vec<_> = (0..3).map(|_| self.author(tenant).cell().sku).collect();
        let known = |sku: &SkuIx| self.pair.model.catalogue.sku(tenant, *sku).is_some();
        let skus: Vec<_> = skus.into_iter().filter(known).collect();
        let own = |node: &NodeIx| self.pair.model.catalogue.node(tenant, *node).is_some();
        let scope = match self.dice.below(3) {
            0 => Scope::All,
            1 => Scope::Group("west".into()),
            _ => Scope::Nodes((0..8).map(NodeIx).filter(own).collect()),
        };
        let segment = self.dice.one_in(2).then(|| Segment(self.dice.below(3) as u16));
        let per_node = self.dice.one_in(2);
        let by_day = self.dice.one_in(2).then(|| self.dice.below(5) as u32);
        self.pair.compare_atp(tenant, &Atp { skus, scope, segment, per_node, by_day });
    }
}
