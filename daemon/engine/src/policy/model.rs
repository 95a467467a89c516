//! A policy as it was written: settings and rules, before anything is known of nodes and orders.

use std::collections::BTreeMap;

use earmark_protocol::ids::{Money, TimestampMs};
use jiff::tz::TimeZone;

use super::check::Term;
use super::reach::Reach;
use super::schema::Needs;
use super::services::ServiceName;
use crate::promise::{Transit, day_at};

/// What a move has to save where the policy does not say it, in micros: what a picking list that is printed anew may cost.
const REPLAN_SAVES: Money = Money(500_000);

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Which orders it is for.
    pub(crate) reach: Reach,
    /// What `time` is told in.
    pub(crate) zone: TimeZone,
    /// Most shipments of an order that names no limit of its own.
    pub(crate) shipments_max: Option<u16>,
    /// Whether a line may be split over nodes where none has enough.
    pub(crate) split_lines: Option<bool>,
    /// Which orders may have more than one shipment; all where it is not said.
    pub(crate) split_when: Option<Term>,
    pub(crate) unfillable: Unfillable,
    /// Which orders are refused whole where some of them cannot be had, and of which what there is is held.
    pub(crate) refuse_when: Option<Term>,
    pub(crate) partial_when: Option<Term>,
    /// Which orders wait for review before they can be confirmed.
    pub(crate) review_when: Option<Term>,
    /// Added to each shipment.
    pub(crate) shipment_cost: Money,
    /// Added to each shipment for each mile of its way.
    pub(crate) mile_cost: Money,
    /// Added to each shipment for each day or part of one that it is later than the order wishes.
    pub(crate) late_day_cost: Money,
    /// Whether nodes that would be late may not serve.
    pub(crate) refuses_late: bool,
    /// Whether a shipment waits for a day of its node that has room; else a node whose next day is full may not serve.
    pub(crate) waits_for_days: bool,
    /// How far goods travel in a day, and whether on weekends.
    pub(crate) transit_miles_per_day: Option<u16>,
    pub(crate) transit_weekends: bool,
    /// For how long after it was placed an order that is confirmed is looked at again, and what a move has to save.
    pub(crate) replan_ms: Option<u64>,
    pub(crate) replan_saves: Money,
    pub(crate) rules: Vec<Rule>,
    /// Which lines go together, and which never do.
    pub(crate) bonds: Vec<Bond>,
    /// What nodes keep back.
    pub(crate) buffers: Vec<Buffer>,
    /// By which services orders go.
    pub(crate) upgrades: Vec<Upgrade>,
    /// Where the value of each setting stands in the text.
    pub(crate) said_at: BTreeMap<&'static str, usize>,
}

/// What becomes of an order some of which cannot be had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unfillable {
    /// It is refused, unless its client takes what there is.
    #[default]
    Reject,
    /// What there is is held.
    Partial,
    /// Substitutes are sent for its lines that may have them; what cannot be had then is refused.
    Substitute,
    /// What is not in stock waits for supply that is expected within so many days; what cannot be had then is refused.
    Backorder(u16),
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            name: String::new(),
            reach: Reach::default(),
            zone: TimeZone::UTC,
            shipments_max: None,
            split_lines: None,
            split_when: None,
            unfillable: Unfillable::default(),
            refuse_when: None,
            partial_when: None,
            review_when: None,
            shipment_cost: Money(0),
            mile_cost: Money(0),
            late_day_cost: Money(0),
            refuses_late: false,
            waits_for_days: true,
            transit_miles_per_day: None,
            transit_weekends: false,
            replan_ms: None,
            replan_saves: REPLAN_SAVES,
            rules: Vec::new(),
            bonds: Vec::new(),
            buffers: Vec::new(),
            upgrades: Vec::new(),
            said_at: BTreeMap::new(),
        }
    }
}

impl Policy {
    /// The conditions that are about orders alone, each with the name of its setting.
    pub(crate) fn order_conditions(&self) -> impl Iterator<Item = (&'static str, &Term)> {
        let all = [
            ("split_when", &self.split_when),
            ("refuse_when", &self.refuse_when),
            ("partial_when", &self.partial_when),
            ("review_when", &self.review_when),
        ];
        all.into_iter().filter_map(|(name, term)| Some((name, term.as_ref()?)))
    }

    /// Whether what there is of an order is held where the rest cannot be had. `asked` is what its client says; `holds`
    /// says whether a condition is true of the order.
    pub(crate) fn takes_part(&self, asked: bool, mut holds: impl FnMut(&Term) -> bool) -> bool {
        let mut says = |condition: &Option<Term>| condition.as_ref().is_some_and(&mut holds);
        !says(&self.refuse_when)
            && (asked || self.unfillable == Unfillable::Partial || says(&self.partial_when))
    }

    /// Whether substitutes are sent for lines that may have them.
    pub(crate) fn substitutes(&self) -> bool {
        self.unfillable == Unfillable::Substitute
    }

    /// The last day, since 1970, on which supply that an order waits for may come, where its client names none and now is this
    /// time; days begin by the policy's clock. `holds` says whether a condition is true of the order.
    pub(crate) fn waits_until(&self, now: TimestampMs, holds: impl FnMut(&Term) -> bool) -> Option<u32> {
        let Unfillable::Backorder(days) = self.unfillable else { return None };
        let is_refused = self.refuse_when.as_ref().is_some_and(holds);
        (!is_refused).then(|| day_at(now, &self.zone).saturating_add(u32::from(days)))
    }

    /// The names of all its rules: those that can exclude nodes first, since plans say them by their places.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let rules = self.rules.iter().map(|rule| rule.name.as_str());
        let bonds = self.bonds.iter().map(|bond| bond.name.as_str());
        let buffers = self.buffers.iter().map(|buffer| buffer.name.as_str());
        let upgrades = self.upgrades.iter().map(|upgrade| upgrade.name.as_str());
        rules.chain(bonds).chain(buffers).chain(upgrades)
    }

    /// The places among [`Policy::names`] of rules about services.
    pub(crate) fn upgrade_places(&self) -> impl Iterator<Item = u16> + use<> {
        (self.rules.len() + self.bonds.len() + self.buffers.len()) as u16..
    }

    /// The conditions that are asked of nodes and lines, and those about orders that are beside them.
    pub(crate) fn terms(&self) -> impl Iterator<Item = &Term> {
        let rules = self.rules.iter().flat_map(|rule| {
            [Some(&rule.body), rule.when.as_ref(), rule.otherwise.as_ref()].into_iter().flatten()
        });
        let bonds = self.bonds.iter().flat_map(|bond| bond.lines().into_iter().chain(&bond.when));
        let buffers = self
            .buffers
            .iter()
            .flat_map(|buffer| [Some(&buffer.body), buffer.when.as_ref()].into_iter().flatten());
        rules.chain(bonds).chain(buffers).chain(self.order_conditions().map(|(_, term)| term))
    }

    /// How fast goods travel, where it says so.
    pub(crate) fn transit(&self) -> Option<Transit> {
        let weekends = self.transit_weekends;
        self.transit_miles_per_day.map(|miles_per_day| Transit { miles_per_day, weekends })
    }
}

/// A rule about lines of one order.
#[derive(Clone, Debug)]
pub(crate) struct Bond {
    pub(crate) name: String,
    /// Where its condition stands in the text.
    pub(crate) body_at: usize,
    /// For which orders and times it is in force; always where it is not said.
    pub(crate) when: Option<Term>,
    pub(crate) kind: BondKind,
}

/// What a rule says of lines.
#[derive(Clone, Debug)]
pub(crate) enum BondKind {
    /// Those of which this is true leave from one node, all or none.
    Together(Term),
    /// None of which the first is true leaves from a node from which another one leaves of which the second is.
    Apart(Term, Term),
}

/// A rule about units that nodes keep back from routed orders.
#[derive(Clone, Debug)]
pub(crate) struct Buffer {
    pub(crate) name: String,
    /// Where its condition stands in the text.
    pub(crate) body_at: usize,
    /// For which orders, lines and times it is in force; always where it is not said.
    pub(crate) when: Option<Term>,
    /// Which nodes keep something back.
    pub(crate) body: Term,
    /// Of each sku.
    pub(crate) units: u16,
}

/// A rule about the services by which the shipments of an order go.
#[derive(Clone, Debug)]
pub(crate) struct Upgrade {
    pub(crate) name: String,
    /// Where its services stand in the text.
    pub(crate) body_at: usize,
    /// For which orders and times it is in force; always where it is not said.
    pub(crate) when: Option<Term>,
    /// By these alone.
    pub(crate) services: Vec<ServiceName>,
    /// By these, too, where what goes by the others alone is too little.
    pub(crate) otherwise: Vec<ServiceName>,
}

/// A rule about nodes.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    /// Where its condition stands in the text.
    pub(crate) body_at: usize,
    pub(crate) kind: Kind,
    /// For which orders, lines and times it is in force; always where it is not said.
    pub(crate) when: Option<Term>,
    /// Which nodes it speaks of.
    pub(crate) body: Term,
    /// Which nodes it lets in after all where it leaves too little stock.
    pub(crate) otherwise: Option<Term>,
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only these nodes.
    Require,
    /// Not these nodes.
    Exclude,
    /// A shipment from any other node costs this much more.
    Prefer(Money),
    /// A shipment from these nodes costs this much more.
    Avoid(Money),
}

impl Kind {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::Exclude => "exclude",
            Self::Prefer(_) => "prefer",
            Self::Avoid(_) => "avoid",
        }
    }
}

impl Bond {
    /// The conditions of lines that have to be there for it to matter.
    pub(crate) fn lines(&self) -> Vec<&Term> {
        match &self.kind {
            BondKind::Together(lines) => vec![lines],
            BondKind::Apart(lines, from) => vec![lines, from],
        }
    }
}

impl Rule {
    /// Whether it excludes nodes and does not only make them dearer.
    pub(crate) fn is_hard(&self) -> bool {
        matches!(self.kind, Kind::Require | Kind::Exclude)
    }

    /// The nodes it hits: those it excludes, or makes dearer. A preference is a dislike of all others.
    pub(crate) fn hits(&self) -> Term {
        let body = self.body.clone();
        let of_nodes = match self.kind {
            Kind::Require | Kind::Prefer(_) => Term::Not(Box::new(body)),
            Kind::Exclude | Kind::Avoid(_) => body,
        };
        match &self.when {
            Some(when) => Term::And(vec![when.clone(), of_nodes]),
            None => of_nodes,
        }
    }

    /// The nodes it hits where it has to give way.
    pub(crate) fn hits_relaxed(&self) -> Option<Term> {
        let otherwise = self.otherwise.clone()?;
        Some(Term::And(vec![self.hits(), Term::Not(Box::new(otherwise))]))
    }

    /// What it depends on.
    pub(crate) fn needs(&self) -> Needs {
        let of = |term: &Option<Term>| term.as_ref().map_or(Needs::default(), Term::needs);
        self.body.needs() | of(&self.when) | of(&self.otherwise)
    }
}
