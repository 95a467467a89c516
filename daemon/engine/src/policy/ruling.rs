//! What a policy says of the nodes for one order: who may serve which line, and what each costs on top.
//!
//! Most orders look alike to a policy: the same leaves are true of them. So the nodes are found once for each way the
//! leaves can fall out, and kept; an order costs the evaluation of its leaves and one lookup. Only conditions that need
//! both the order and a node are asked anew. A [`Ruling`] belongs to one planner; this room plans nothing.

use std::collections::HashMap;
use std::sync::Arc;

use earmark_protocol::catalogue::{NodeState, capabilities};
use earmark_protocol::ids::{Tenant, TimestampMs};
use earmark_protocol::reply::Eliminated;
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

use super::check::Term;
use super::eval::{self, LineFacts, OrderFacts, Scene, TimeFacts, Way};
use super::model::BondKind;
use super::program::{Bits, Ground, Mixed, Program, collect};
use super::table::Kept;
use crate::NodeTable;

/// Ways of falling out that one planner keeps; beyond them it begins anew.
const MEMOS_MAX: usize = 64;

/// Who may serve, and at what extra cost, whenever the leaves fall out one way.
#[derive(Debug, Default)]
struct Memo {
    eligible: Vec<u64>,
    eliminated: Vec<Eliminated>,
    /// By node, micros; empty where no node costs extra.
    extra: Vec<i64>,
    extra_least: i64,
}

/// An order and its lines, as a policy sees them.
pub(crate) struct Asked<'a> {
    pub(crate) order: OrderFacts<'a>,
    pub(crate) lines: &'a [LineFacts<'a>],
    pub(crate) table: &'a NodeTable,
    /// By node; empty for a pickup.
    pub(crate) miles: &'a [u16],
}

/// The ruling on the order at hand, and what helps with the next.
#[derive(Debug, Default)]
pub(crate) struct Ruling {
    kept: Option<Arc<Kept>>,
    tenant: Tenant,
    nodes_version: u64,
    words: usize,
    /// By node condition of the program: its nodes.
    nodes: Vec<Vec<u64>>,
    /// Nodes that could ship, and hand over, if no rule was against it.
    able: [Vec<u64>; 2],
    memos: Vec<Memo>,
    places: HashMap<Box<[u64]>, u32, Xxh3DefaultBuilder>,
    time: TimeFacts,
    time_minute: Option<u64>,
    order_leaves: Vec<u64>,
    line_leaves: Vec<u64>,
    key: Vec<u64>,
    /// By line: the rules that gave way for it, a bit each.
    relaxed: Vec<u16>,
    /// By line: its memo.
    lines: Vec<u32>,
    /// By line: its nodes, where they are not those of its memo.
    own: Vec<Vec<u64>>,
    /// Nodes that may serve some line, where lines differ.
    some: Vec<u64>,
    eliminated: Vec<Eliminated>,
    /// The same before any rule gave way, once one did.
    strictly_eliminated: Vec<Eliminated>,
    /// By node: what it costs extra, where that is not as the memo says, and the least of it.
    extra: Vec<i64>,
    extra_least: i64,
    /// Whether it is not as the memo says.
    has_own_extra: bool,
}

impl Ruling {
    /// Takes the policy in force and the nodes as they are.
    fn begin(&mut self, kept: &Arc<Kept>, tenant: Tenant, table: &NodeTable) {
        if self.is_by(kept, tenant) && self.nodes_version == table.version {
            return;
        }
        self.kept = Some(Arc::clone(kept));
        (self.tenant, self.nodes_version) = (tenant, table.version);
        self.words = table.nodes.len().div_ceil(64);
        self.time_minute = None;
        self.memos.clear();
        self.places.clear();
        let (order, line, time) = (OrderFacts::default(), LineFacts::default(), TimeFacts::default());
        let holds = |term, node: usize| {
            let node = Some(&*table.nodes[node].spec);
            eval::holds(term, &Scene { order: &order, line: &line, time: &time, node, miles: 0 })
        };
        let of = |term| collect(table.nodes.len(), self.words, |node| holds(term, node));
        self.nodes = kept.program.node_terms.iter().map(of).collect();
        self.able = [capabilities::SHIP, capabilities::PICKUP].map(|needs| {
            collect(table.nodes.len(), self.words, |node| {
                let node = &table.nodes[node];
                let is_active = node.tenant == tenant && node.state == NodeState::Active;
                is_active && node.spec.capabilities & needs != 0
            })
        });
    }

    /// Whether it is kept for this policy.
    pub(crate) fn is_by(&self, kept: &Arc<Kept>, tenant: Tenant) -> bool {
        self.tenant == tenant && self.kept.as_ref().is_some_and(|known| Arc::ptr_eq(known, kept))
    }

    /// Sets the time by the policy's clock.
    fn tell_time(&mut self, now: TimestampMs) {
        let Some(kept) = self.kept.as_ref().filter(|kept| kept.program.asks_time) else { return };
        let minute = now.0 / 60_000;
        if self.time_minute != Some(minute) {
            self.time = TimeFacts::at(now, &kept.policy.zone);
            self.time_minute = Some(minute);
        }
    }

    /// Whether a condition that is about orders alone is true of this one.
    pub(crate) fn holds(&self, condition: &Term, order: &OrderFacts<'_>) -> bool {
        eval::holds(condition, &scene(order, &LineFacts::default(), &self.time))
    }

    /// Rules on an order by the policy in force, at this time; no rule has given way yet.
    pub(crate) fn rule_by(&mut self, kept: &Arc<Kept>, tenant: Tenant, now: TimestampMs, asked: &Asked<'_>) {
        self.begin(kept, tenant, asked.table);
        self.tell_time(now);
        self.relaxed.clear();
        self.relaxed.resize(asked.lines.len(), 0);
        self.decide(asked);
    }

    /// Has the last of the rules that can and have not yet give way for these lines, and rules again. `false` where none
    /// is left for any.
    pub(crate) fn relax(&mut self, asked: &Asked<'_>, is_short: impl Fn(usize) -> bool) -> bool {
        let Some(kept) = &self.kept else { return false };
        let fallbacks = kept.program.fallbacks;
        if self.relaxed.iter().all(|relaxed| *relaxed == 0) {
            self.strictly_eliminated.clone_from(&self.eliminated);
        }
        let mut any = false;
        for (line, relaxed) in self.relaxed.iter_mut().enumerate() {
            let left = (0..fallbacks).rev().find(|rule| *relaxed >> rule & 1 == 0);
            if let Some(rule) = left.filter(|_| is_short(line)) {
                *relaxed |= 1 << rule;
                any = true;
            }
        }
        if any {
            self.decide(asked);
        }
        any
    }

    /// Whether some rule could give way.
    pub(crate) fn can_relax(&self) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.program.fallbacks > 0)
    }

    fn decide(&mut self, asked: &Asked<'_>) {
        let Some(kept) = self.kept.clone() else { return };
        let program = &kept.program;
        truths(
            &program.order_leaves,
            &scene(&asked.order, &LineFacts::default(), &self.time),
            &mut self.order_leaves,
        );
        self.lines.clear();
        self.own.clear();
        self.eliminated.clear();
        let by_line = program.by_line || self.relaxed.iter().any(|relaxed| *relaxed != self.relaxed[0]);
        let lines = if by_line { asked.lines.len() } else { asked.lines.len().min(1) };
        for at in 0..lines {
            let line = &asked.lines[at];
            truths(&program.line_leaves, &scene(&asked.order, line, &self.time), &mut self.line_leaves);
            let memo = self.memo(program, asked, self.relaxed[at]);
            self.lines.push(memo);
            if program.has_mixed {
                let own = self.mixed(program, asked, line, memo, self.relaxed[at]);
                self.own.push(own);
            } else {
                let (eliminated, memos) = (&mut self.eliminated, &self.memos);
                most(eliminated, &memos[memo as usize].eliminated);
            }
        }
        self.has_own_extra = program.has_late_costs && self.add_late_costs(&kept, asked);
        self.some.clear();
        if self.differ() {
            self.some.resize(self.words, 0);
            for at in 0..lines {
                let bits = if program.has_mixed {
                    &self.own[at]
                } else {
                    &self.memos[self.lines[at] as usize].eligible
                };
                self.some.iter_mut().zip(bits).for_each(|(some, bits)| *some |= bits);
            }
        }
    }

    /// The memo of the leaves as they fell out.
    fn memo(&mut self, program: &Program, asked: &Asked<'_>, relaxed: u16) -> u32 {
        self.key.clear();
        self.key.extend_from_slice(&self.order_leaves);
        self.key.extend_from_slice(&self.line_leaves);
        self.key.push(u64::from(relaxed) << 1 | u64::from(asked.order.delivery == Way::Pickup));
        if let Some(place) = self.places.get(self.key.as_slice()) {
            return *place;
        }
        if self.memos.len() >= MEMOS_MAX && self.lines.is_empty() {
            self.memos.clear();
            self.places.clear();
        }
        let ground = Ground {
            order: &self.order_leaves,
            line: &self.line_leaves,
            nodes: &self.nodes,
            words: self.words,
            mixed: None,
        };
        let mut memo = Memo { eligible: vec![u64::MAX; self.words], ..Memo::default() };
        charge(&mut memo.extra, asked.table.nodes.len(), &Bits::All, program.shipment_cost.0);
        let able = &self.able[usize::from(asked.order.delivery == Way::Pickup)];
        for hard in program.hard.iter().filter(|hard| !hard.is_mixed) {
            let set = match &hard.relaxed {
                Some((rule, set)) if relaxed >> rule & 1 == 1 => set,
                _ => &hard.hits,
            };
            strike(&mut memo.eligible, &mut memo.eliminated, able, hard.rule, &ground.bits(set));
        }
        for soft in program.soft.iter().filter(|soft| !soft.is_mixed) {
            charge(&mut memo.extra, asked.table.nodes.len(), &ground.bits(&soft.hits), soft.cost.0);
        }
        memo.extra_least = memo.extra.iter().copied().min().unwrap_or(0);
        let place = self.memos.len() as u32;
        self.memos.push(memo);
        self.places.insert(self.key.clone().into_boxed_slice(), place);
        place
    }

    /// The nodes of a memo that conditions which need both order and node leave.
    fn mixed(
        &mut self,
        program: &Program,
        asked: &Asked<'_>,
        line: &LineFacts<'_>,
        memo: u32,
        relaxed: u16,
    ) -> Vec<u64> {
        let scene = scene(&asked.order, line, &self.time);
        let ground = Ground {
            order: &self.order_leaves,
            line: &self.line_leaves,
            nodes: &self.nodes,
            words: self.words,
            mixed: Some(Mixed { scene, table: asked.table, miles: asked.miles }),
        };
        let memo = &self.memos[memo as usize];
        let mut eligible = memo.eligible.clone();
        let mut eliminated = memo.eliminated.clone();
        let able = &self.able[usize::from(asked.order.delivery == Way::Pickup)];
        for hard in program.hard.iter().filter(|hard| hard.is_mixed) {
            let set = match &hard.relaxed {
                Some((rule, set)) if relaxed >> rule & 1 == 1 => set,
                _ => &hard.hits,
            };
            strike(&mut eligible, &mut eliminated, able, hard.rule, &ground.bits(set));
        }
        most(&mut self.eliminated, &eliminated);
        eligible
    }

    /// What nodes cost extra where that depends on the order and the node together. `false` where no node costs more than the
    /// memo says.
    fn add_late_costs(&mut self, kept: &Kept, asked: &Asked<'_>) -> bool {
        let none = LineFacts::default();
        let ground = Ground {
            order: &self.order_leaves,
            line: &[],
            nodes: &self.nodes,
            words: self.words,
            mixed: Some(Mixed {
                scene: scene(&asked.order, &none, &self.time),
                table: asked.table,
                miles: asked.miles,
            }),
        };
        let mixed = kept.program.soft.iter().filter(|soft| soft.is_mixed);
        let mut hits =
            mixed.map(|soft| (ground.bits(&soft.hits), soft.cost.0)).filter(|(bits, _)| *bits != Bits::None);
        let (mile, first) = (kept.policy.mile_cost.0, hits.next());
        if mile == 0 && first.is_none() {
            return false;
        }
        let nodes = asked.table.nodes.len();
        self.extra.clear();
        self.extra.extend_from_slice(&self.memos[self.lines[0] as usize].extra);
        self.extra.resize(nodes, 0);
        if mile > 0 {
            let by_miles = self.extra.iter_mut().zip(asked.miles);
            by_miles.for_each(|(extra, miles)| {
                *extra = extra.saturating_add(mile.saturating_mul(i64::from(*miles)))
            });
        }
        first.into_iter().chain(hits).for_each(|(bits, cost)| charge(&mut self.extra, nodes, &bits, cost));
        self.extra_least = self.extra.iter().copied().min().unwrap_or(0);
        true
    }

    /// By line: nodes, a bit each, that keep back so many units of it. Empty where the policy has nobody do that.
    pub(crate) fn buffers(&self, asked: &Asked<'_>) -> Vec<Vec<(Vec<u64>, i64)>> {
        let Some(kept) = self.kept.as_ref().filter(|kept| !kept.program.buffers.is_empty()) else {
            return Vec::new();
        };
        let (mut leaves, program) = (Vec::new(), &kept.program);
        let of_line = |line| {
            let scene = scene(&asked.order, line, &self.time);
            truths(&program.line_leaves, &scene, &mut leaves);
            let ground = Ground {
                order: &self.order_leaves,
                line: &leaves,
                nodes: &self.nodes,
                words: self.words,
                mixed: Some(Mixed { scene, table: asked.table, miles: asked.miles }),
            };
            let of_rule = |(nodes, units): &(_, i64)| match ground.bits(nodes) {
                Bits::None => None,
                Bits::All => Some((vec![u64::MAX; self.words], *units)),
                Bits::Of(words) => Some((words, *units)),
            };
            program.buffers.iter().filter_map(of_rule).collect()
        };
        asked.lines.iter().map(of_line).collect()
    }

    /// Lines that go together, and by rule lines that never leave from a node that other lines leave from, by the rules in force
    /// for the order.
    pub(crate) fn bonds(&self, asked: &Asked<'_>) -> (Vec<Vec<usize>>, Vec<[Vec<usize>; 2]>) {
        let (mut together, mut apart) = (Vec::new(), Vec::new());
        let Some(kept) = &self.kept else { return (together, apart) };
        let is_in_force =
            |when: &Option<Term>| when.as_ref().is_none_or(|when| self.holds(when, &asked.order));
        for bond in kept.policy.bonds.iter().filter(|bond| is_in_force(&bond.when)) {
            let lines = |term: &Term| -> Vec<usize> {
                let is_one =
                    |at: &usize| eval::holds(term, &scene(&asked.order, &asked.lines[*at], &self.time));
                (0..asked.lines.len()).filter(is_one).collect()
            };
            match &bond.kind {
                BondKind::Together(term) => together.push(lines(term)),
                BondKind::Apart(term, from) => apart.push([lines(term), lines(from)]),
            }
        }
        // A line that is alone of its rule is a group, too: it leaves whole or not at all.
        together.retain(|group: &Vec<usize>| !group.is_empty());
        // A line is not kept apart from itself.
        let is_pair = |[lines, from]: &[Vec<usize>; 2]| {
            !(lines.is_empty() || from.is_empty() || lines.len() == 1 && lines == from)
        };
        apart.retain(is_pair);
        (together, apart)
    }

    /// The nodes that may serve a line.
    pub(crate) fn nodes_of(&self, line: usize) -> &[u64] {
        let line = if self.lines.len() > 1 { line } else { 0 };
        match self.own.get(line) {
            Some(own) => own,
            None => &self.memos[self.lines[line] as usize].eligible,
        }
    }

    /// The nodes that may serve some line.
    pub(crate) fn eligible(&self) -> &[u64] {
        if self.differ() { &self.some } else { self.nodes_of(0) }
    }

    /// Whether lines may be served by different nodes.
    pub(crate) fn differ(&self) -> bool {
        self.lines.len() > 1 && (!self.own.is_empty() || self.lines.iter().any(|memo| *memo != self.lines[0]))
    }

    /// By node: what a shipment from there costs extra, in micros, and the least of it. Nothing for all where it is
    /// empty.
    pub(crate) fn extra(&self) -> (&[i64], i64) {
        if self.has_own_extra {
            return (&self.extra, self.extra_least);
        }
        let memo = &self.memos[self.lines[0] as usize];
        (&memo.extra, memo.extra_least)
    }

    /// How many nodes each rule excluded that none before it did; of lines that differ, for the line it hit hardest. Behind that,
    /// whether it gave way.
    pub(crate) fn eliminated(&self) -> Vec<Eliminated> {
        let mut eliminated = self.eliminated.clone();
        tell_gave_way(&mut eliminated, self.gave_way());
        eliminated
    }

    /// The rules that excluded nodes, and gave way for some line.
    pub(crate) fn gave_way(&self) -> impl Iterator<Item = u16> {
        let hard = self.kept.iter().flat_map(|kept| &kept.program.hard);
        let gave_way = hard.filter(move |hard| {
            let place = hard.relaxed.as_ref().map(|(place, _)| *place);
            place.is_some_and(|place| self.relaxed.iter().any(|relaxed| relaxed >> place & 1 == 1))
        });
        let excluded = move |rule: &u16| self.strictly_eliminated.iter().any(|strict| strict.rule == *rule);
        gave_way.map(|hard| hard.rule).filter(excluded)
    }
}

/// Says of these rules that they gave way, behind what they excluded.
pub(crate) fn tell_gave_way(eliminated: &mut Vec<Eliminated>, rules: impl IntoIterator<Item = u16>) {
    for rule in rules {
        let told = Eliminated { rule, nodes: Eliminated::GAVE_WAY };
        if !eliminated.contains(&told) {
            eliminated.push(told);
        }
    }
    eliminated.sort_by_key(|told| told.rule);
}

fn scene<'a>(order: &'a OrderFacts<'a>, line: &'a LineFacts<'a>, time: &'a TimeFacts) -> Scene<'a> {
    Scene { order, line, time, node: None, miles: 0 }
}

/// Which of some conditions hold, a bit each.
fn truths(terms: &[Term], scene: &Scene<'_>, bits: &mut Vec<u64>) {
    bits.clear();
    bits.resize(terms.len().div_ceil(64), 0);
    for (at, term) in terms.iter().enumerate() {
        bits[at / 64] |= u64::from(eval::holds(term, scene)) << (at % 64);
    }
}

/// Strikes out nodes and counts those of them that could have delivered.
fn strike(eligible: &mut [u64], eliminated: &mut Vec<Eliminated>, able: &[u64], rule: u16, hits: &Bits) {
    if *hits == Bits::None {
        return;
    }
    let mut nodes = 0;
    for (at, (eligible, able)) in eligible.iter_mut().zip(able).enumerate() {
        let hit = match hits {
            Bits::Of(words) => words[at],
            _ => u64::MAX,
        };
        nodes += (*eligible & able & hit).count_ones();
        *eligible &= !hit;
    }
    if nodes > 0 {
        eliminated.push(Eliminated { rule, nodes });
    }
}

/// Makes nodes dearer.
fn charge(extra: &mut Vec<i64>, nodes: usize, hits: &Bits, cost: i64) {
    if *hits == Bits::None || cost == 0 {
        return;
    }
    extra.resize(nodes, 0);
    for (at, extra) in extra.chunks_mut(64).enumerate() {
        let mut left = match hits {
            Bits::Of(words) => words[at],
            _ => u64::MAX,
        };
        while left != 0 {
            if let Some(extra) = extra.get_mut(left.trailing_zeros() as usize) {
                *extra = extra.saturating_add(cost);
            }
            left &= left - 1;
        }
    }
}

/// Takes over what is more, rule by rule.
fn most(kept: &mut Vec<Eliminated>, other: &[Eliminated]) {
    for new in other {
        match kept.iter_mut().find(|known| known.rule == new.rule) {
            Some(known) => known.nodes = known.nodes.max(new.nodes),
            None => kept.push(*new),
        }
    }
    kept.sort_unstable_by_key(|eliminated| eliminated.rule);
}
