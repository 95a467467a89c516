//! A policy compiled: each rule as sets of nodes, taken apart by what it depends on.
//!
//! What is the same for all nodes is a *leaf*, true or false once per order or line; what is the same for all orders is
//! a set of nodes, computed once per node table; only what is left, which needs both, is asked of every node for every
//! order. Rules are the set algebra of these, so an order's nodes are found by bits and not by evaluation.

use earmark_protocol::ids::Money;

use super::check::{Comparison, Term};
use super::eval::{self, Scene};
use super::model::{Kind, Policy};
use super::schema::{Field, Needs};

/// A set of nodes, in terms of a program's leaves and node conditions.
#[derive(Clone, Debug)]
pub(crate) enum Set {
    /// All where the leaf is true, none where it is not.
    Leaf(usize),
    /// Those of a node condition.
    Nodes(usize),
    /// Those so many miles away; the side compared with is the same for all nodes.
    Miles(Comparison, Term),
    /// Those of which a condition holds.
    Mixed(Term),
    Not(Box<Set>),
    All(Vec<Set>),
    Any(Vec<Set>),
}

impl Set {
    /// Whether it depends on more than leaves and nodes.
    fn is_mixed(&self) -> bool {
        match self {
            Self::Leaf(_) | Self::Nodes(_) => false,
            Self::Miles(..) | Self::Mixed(_) => true,
            Self::Not(inner) => inner.is_mixed(),
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::is_mixed),
        }
    }
}

/// A rule that excludes nodes.
#[derive(Clone, Debug)]
pub(crate) struct Hard {
    /// Its place among all rules.
    pub(crate) rule: u16,
    /// Whom it excludes.
    pub(crate) hits: Set,
    /// Its place among the rules that can give way, and whom it excludes then.
    pub(crate) relaxed: Option<(u16, Set)>,
    pub(crate) is_mixed: bool,
}

/// A rule that makes nodes dearer.
#[derive(Clone, Debug)]
pub(crate) struct Soft {
    pub(crate) hits: Set,
    pub(crate) cost: Money,
    pub(crate) is_mixed: bool,
}

/// A compiled policy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    /// What is true or false once per order.
    pub(crate) order_leaves: Vec<Term>,
    /// What is true or false once per line.
    pub(crate) line_leaves: Vec<Term>,
    /// What is true or false of a node, whatever the order.
    pub(crate) node_terms: Vec<Term>,
    pub(crate) hard: Vec<Hard>,
    pub(crate) soft: Vec<Soft>,
    /// Who keeps back how many units of a line's sku.
    pub(crate) buffers: Vec<(Set, i64)>,
    /// Rules that can give way.
    pub(crate) fallbacks: u16,
    /// Whether hard rules, and lines of them, ask for codes and groups of skus, or for kits.
    pub(crate) asks_sku_texts: bool,
    pub(crate) asks_time: bool,
    /// Whether hard rules ask about lines.
    pub(crate) by_line: bool,
    /// Whether some condition of a hard rule needs both order and node.
    pub(crate) has_mixed: bool,
    /// Whether what a node costs extra needs both order and node.
    pub(crate) has_late_costs: bool,
    /// Added to each shipment.
    pub(crate) shipment_cost: Money,
}

/// Leaves of lines are numbered from here on.
pub(crate) const LINE_LEAVES: usize = 1 << 16;

impl Program {
    /// Compiles a policy.
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut program = Self::default();
        for (at, rule) in policy.rules.iter().enumerate() {
            let hits = program.set(&rule.hits());
            let mut is_mixed = hits.is_mixed();
            match rule.kind {
                Kind::Require | Kind::Exclude => {
                    let relaxed = rule.hits_relaxed().map(|relaxed| {
                        program.fallbacks += 1;
                        (program.fallbacks - 1, program.set(&relaxed))
                    });
                    is_mixed |= relaxed.as_ref().is_some_and(|(_, relaxed)| relaxed.is_mixed());
                    program.has_mixed |= is_mixed;
                    program.by_line |= rule.needs().has(Needs::LINE);
                    program.hard.push(Hard { rule: at as u16, hits, relaxed, is_mixed });
                }
                Kind::Prefer(cost) | Kind::Avoid(cost) => program.soft.push(Soft { hits, cost, is_mixed }),
            }
        }
        for buffer in &policy.buffers {
            let parts = buffer.when.iter().chain([&buffer.body]).cloned().collect();
            let nodes = program.set(&Term::And(parts));
            program.buffers.push((nodes, i64::from(buffer.units)));
        }
        program.shipment_cost = policy.shipment_cost;
        program.has_late_costs = policy.mile_cost.0 > 0 || program.soft.iter().any(|soft| soft.is_mixed);
        let fields = |asked: &[Field]| policy.terms().any(|term| asked.iter().any(|field| term.asks(*field)));
        program.asks_sku_texts = fields(&[Field::LineSku, Field::LineGroup, Field::LineKit]);
        program.asks_time = fields(&[
            Field::TimeYear,
            Field::TimeMonth,
            Field::TimeDay,
            Field::TimeWeekday,
            Field::TimeHour,
            Field::TimeMinute,
            Field::TimeDate,
        ]);
        program
    }

    fn set(&mut self, term: &Term) -> Set {
        let needs = term.needs();
        if needs.is_scalar() {
            return Set::Leaf(self.leaf(term, needs));
        }
        if needs.is_of_nodes() {
            return Set::Nodes(place(&mut self.node_terms, term));
        }
        match term {
            Term::Not(inner) => Set::Not(Box::new(self.set(inner))),
            Term::And(parts) => Set::All(self.sets(parts, Term::And)),
            Term::Or(parts) => Set::Any(self.sets(parts, Term::Or)),
            Term::Compare(comparison, a, b) => match (&**a, &**b) {
                (Term::Field(Field::NodeMiles), limit) if limit.needs().is_scalar() => {
                    Set::Miles(*comparison, limit.clone())
                }
                _ => Set::Mixed(term.clone()),
            },
            _ => Set::Mixed(term.clone()),
        }
    }

    /// The parts of a conjunction or disjunction, those of one kind taken together.
    fn sets(&mut self, parts: &[Term], join: fn(Vec<Term>) -> Term) -> Vec<Set> {
        let (mut order, mut line, mut node, mut rest) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for part in parts {
            let needs = part.needs();
            match needs {
                _ if needs.is_scalar() && needs.has(Needs::LINE) => line.push(part.clone()),
                _ if needs.is_scalar() => order.push(part.clone()),
                _ if needs.is_of_nodes() => node.push(part.clone()),
                _ => rest.push(part),
            }
        }
        let mut sets = Vec::new();
        for mut alike in [order, line, node] {
            match alike.len() {
                0 => {}
                1 => sets.push(self.set(&alike.remove(0))),
                _ => sets.push(self.set(&join(alike))),
            }
        }
        sets.extend(rest.into_iter().map(|part| self.set(part)));
        sets
    }

    fn leaf(&mut self, term: &Term, needs: Needs) -> usize {
        if needs.has(Needs::LINE) {
            LINE_LEAVES + place(&mut self.line_leaves, term)
        } else {
            place(&mut self.order_leaves, term)
        }
    }
}

/// The place of a term in a list, where it is put if it is not there yet.
fn place(terms: &mut Vec<Term>, term: &Term) -> usize {
    terms.iter().position(|known| known == term).unwrap_or_else(|| {
        terms.push(term.clone());
        terms.len() - 1
    })
}

impl Term {
    /// Whether a field stands in it.
    fn asks(&self, asked: Field) -> bool {
        match self {
            Self::Value(_) => false,
            Self::Field(field) | Self::Given(field) => *field == asked,
            Self::Not(inner) | Self::Negate(inner) | Self::Size(inner) | Self::In(inner, _) => {
                inner.asks(asked)
            }
            Self::And(parts) | Self::Or(parts) => parts.iter().any(|part| part.asks(asked)),
            Self::Compare(_, a, b) | Self::Arithmetic(_, a, b) | Self::Test(_, a, b) => {
                a.asks(asked) || b.asks(asked)
            }
            Self::Choice(parts) => parts.iter().any(|part| part.asks(asked)),
        }
    }
}

/// Some nodes, a bit each; all and none take no memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bits {
    None,
    All,
    Of(Vec<u64>),
}

/// What sets are made of for one order.
pub(crate) struct Ground<'a> {
    /// Truth of the leaves of order and line, a bit each.
    pub(crate) order: &'a [u64],
    pub(crate) line: &'a [u64],
    /// By node condition: its nodes.
    pub(crate) nodes: &'a [Vec<u64>],
    /// Words of a set.
    pub(crate) words: usize,
    /// What mixed conditions are asked of, node by node; `None` where there are none.
    pub(crate) mixed: Option<Mixed<'a>>,
}

/// What mixed conditions are asked of.
#[derive(Clone, Copy)]
pub(crate) struct Mixed<'a> {
    pub(crate) scene: Scene<'a>,
    pub(crate) table: &'a crate::NodeTable,
    /// By node; empty for a pickup.
    pub(crate) miles: &'a [u16],
}

impl Mixed<'_> {
    /// What is known with this node.
    pub(crate) fn at(&self, node: usize) -> Scene<'_> {
        let miles = self.miles.get(node).copied().unwrap_or(0);
        Scene { node: Some(&self.table.nodes[node].spec), miles: i64::from(miles), ..self.scene }
    }
}

impl Ground<'_> {
    /// The nodes of a set.
    pub(crate) fn bits(&self, set: &Set) -> Bits {
        let whole = |truth: bool| if truth { Bits::All } else { Bits::None };
        match set {
            Set::Leaf(leaf) if *leaf >= LINE_LEAVES => whole(is_set(self.line, *leaf - LINE_LEAVES)),
            Set::Leaf(leaf) => whole(is_set(self.order, *leaf)),
            Set::Nodes(at) => Bits::Of(self.nodes[*at].clone()),
            Set::Not(inner) => match self.bits(inner) {
                Bits::None => Bits::All,
                Bits::All => Bits::None,
                Bits::Of(mut words) => {
                    words.iter_mut().for_each(|word| *word = !*word);
                    Bits::Of(words)
                }
            },
            Set::All(parts) => self.fold(parts, Bits::All, Bits::None, |a, b| a & b),
            Set::Any(parts) => self.fold(parts, Bits::None, Bits::All, |a, b| a | b),
            Set::Miles(comparison, limit) => match self.mixed {
                Some(mixed) => miles(*comparison, limit, &mixed, self.words),
                None => Bits::None,
            },
            Set::Mixed(term) => match self.mixed {
                Some(mixed) => {
                    let holds = |node| eval::holds(term, &mixed.at(node));
                    Bits::Of(collect(mixed.table.nodes.len(), self.words, holds))
                }
                None => Bits::None,
            },
        }
    }

    /// Joins sets, until nothing can change any more. Parts that are the same for all nodes stand first.
    fn fold(&self, parts: &[Set], start: Bits, end: Bits, join: fn(u64, u64) -> u64) -> Bits {
        let mut joined = start.clone();
        for part in parts {
            let bits = match (part, &joined, self.mixed) {
                // What needs order and node is asked of those nodes alone that are left.
                (Set::Mixed(term), Bits::Of(left), Some(mixed)) if end == Bits::None => {
                    let holds = |node| is_set(left, node) && eval::holds(term, &mixed.at(node));
                    Bits::Of(collect(mixed.table.nodes.len(), self.words, holds))
                }
                _ => self.bits(part),
            };
            if bits == end {
                return end;
            }
            joined = match (joined, bits) {
                (joined, bits) if bits == start => joined,
                (joined, bits) if joined == start => bits,
                (Bits::Of(mut a), Bits::Of(b)) => {
                    a.iter_mut().zip(b).for_each(|(a, b)| *a = join(*a, b));
                    Bits::Of(a)
                }
                (joined, _) => joined,
            };
        }
        joined
    }
}

/// Whether a bit is set.
pub(crate) fn is_set(words: &[u64], at: usize) -> bool {
    words.get(at / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
}

/// The bits of which something holds.
pub(crate) fn collect(len: usize, words: usize, mut holds: impl FnMut(usize) -> bool) -> Vec<u64> {
    let mut bits = vec![0_u64; words];
    for (word, bits) in bits.iter_mut().enumerate().take(len.div_ceil(64)) {
        for at in 0..(len - word * 64).min(64) {
            *bits |= u64::from(holds(word * 64 + at)) << at;
        }
    }
    bits
}

/// Column by column: one comparison per node, without branches.
fn miles(comparison: Comparison, limit: &Term, mixed: &Mixed<'_>, words: usize) -> Bits {
    let Some(limit) = eval::number(limit, &mixed.scene) else { return Bits::None };
    if mixed.miles.is_empty() {
        return if 0.0_f64.partial_cmp(&limit).is_some_and(|order| comparison.takes(order)) {
            Bits::All
        } else {
            Bits::None
        };
    }
    // Miles are whole and below 2^16, so each comparison is one with a whole number of this range.
    let (whole, is_whole) = (limit.floor().clamp(-1.0, 65_536.0) as i32, limit.floor() == limit);
    match comparison {
        Comparison::AtMost => column(mixed.miles, words, |miles| miles <= whole),
        Comparison::More => column(mixed.miles, words, |miles| miles > whole),
        Comparison::Less if is_whole => column(mixed.miles, words, |miles| miles < whole),
        Comparison::Less => column(mixed.miles, words, |miles| miles <= whole),
        Comparison::AtLeast if is_whole => column(mixed.miles, words, |miles| miles >= whole),
        Comparison::AtLeast => column(mixed.miles, words, |miles| miles > whole),
        Comparison::Equal => column(mixed.miles, words, |miles| is_whole && miles == whole),
        Comparison::Unequal => column(mixed.miles, words, |miles| !is_whole || miles != whole),
    }
}

fn column(miles: &[u16], words: usize, holds: impl Fn(i32) -> bool) -> Bits {
    let mut bits: Vec<u64> = miles
        .chunks(64)
        .map(|chunk| {
            chunk.iter().rev().fold(0, |word, miles| word << 1 | u64::from(holds(i32::from(*miles))))
        })
        .collect();
    bits.resize(words, 0);
    Bits::Of(bits)
}
