//! Rules that cannot do what was meant: those that never match, leave no node, or only repeat another.
//!
//! A condition is taken apart into conjunctions of what each field must be: an interval, a set of values. What does not
//! fit that form is kept as it stands and compares with itself alone. So nothing here is guessed: a warning is a proof,
//! and silence means nothing.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::check::{Comparison, Constant, Term};
use super::eval::{self, LineFacts, OrderFacts, Scene, TimeFacts};
use super::model::{Kind, Policy, Rule, Upgrade};
use super::read::{Finding, Severity, finding};
use super::schema::{Field, Type};
use super::services::{are_apart, are_within};

/// Most conjunctions that a condition is taken apart into; of a condition with more nothing is said.
const CONJUNCTIONS_MAX: usize = 128;
/// Whole numbers of an interval up to this long are looked at one by one.
const POINTS_MAX: f64 = 64.0;
/// Numbers beyond this are not whole in a double.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Warnings about a policy, in the order of its text.
pub(crate) fn warnings(text: &str, policy: &Policy) -> Vec<Finding> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let said_at = |name: &str| policy.said_at.get(name).copied().unwrap_or_default();
    let only = policy.reach.only_when.iter().map(|term| ("only_when", term));
    for (name, _) in policy.order_conditions().chain(only).filter(|(_, term)| is_never(term)) {
        let does = match name {
            "split_when" => "no order may be split; write shipments_max = 1",
            "only_when" => "this version is for no order",
            _ => "it is about no order; leave it away",
        };
        found.push((said_at(name), format!("{name} is never true: {does}")));
    }
    let minds_lateness = [("late", policy.refuses_late), ("late_day", policy.late_day_cost.0 > 0)];
    for (name, _) in minds_lateness.into_iter().filter(|(_, minds)| *minds && policy.transit().is_none()) {
        let reason = format!(
            "{name} is about nothing that is shipped, which never is late; say transit_miles_per_day"
        );
        found.push((said_at(name), reason));
    }
    let hits: Vec<_> = policy.rules.iter().map(|rule| conjunctions(&rule.hits())).collect();
    for (rule, hits) in policy.rules.iter().zip(&hits) {
        if let Some(warning) = alone(rule, hits.as_deref()) {
            found.push((rule.body_at, warning));
        }
    }
    found.extend(none_left(policy, &found));
    for (at, rule) in policy.rules.iter().enumerate() {
        let shadow = policy.rules.iter().enumerate().find(|(other_at, other)| {
            let covers = |a: usize, b: usize| match (&hits[a], &hits[b]) {
                (Some(a), Some(b)) if !a.is_empty() => implies(a, b),
                _ => false,
            };
            // A rule that gives way excludes nothing for certain. Of two equal rules the later one is the repetition.
            let is_firm = other.is_hard() && other.otherwise.is_none() && *other_at != at;
            is_firm && covers(at, *other_at) && !(at < *other_at && rule.is_hard() && covers(*other_at, at))
        });
        if let Some((_, other)) = shadow {
            let does = if rule.is_hard() { "excludes" } else { "makes dearer" };
            let warning =
                format!("{:?} does nothing: rule {:?} excludes all that it {does}", rule.name, other.name);
            found.push((rule.body_at, warning));
        }
    }
    let never =
        |when: &Option<Term>, body: &Term| is_never(&Term::And(when.iter().chain([body]).cloned().collect()));
    for bond in policy.bonds.iter().filter(|bond| bond.lines().iter().any(|lines| never(&bond.when, lines))) {
        found.push((
            bond.body_at,
            format!("{:?} can never match: no line is ever what it is about", bond.name),
        ));
    }
    for buffer in policy.buffers.iter().filter(|buffer| never(&buffer.when, &buffer.body)) {
        found.push((
            buffer.body_at,
            format!("{:?} can never match: no node is ever what it is about", buffer.name),
        ));
    }
    let upgrades = policy.upgrades.iter().enumerate();
    found.extend(
        upgrades.filter_map(|(at, upgrade)| Some((upgrade.body_at, of_services(policy, at, upgrade)?))),
    );
    found.sort();
    found.into_iter().map(|(at, reason)| finding(text, at, Severity::Warning, reason)).collect()
}

/// The first rule beside which those before it leave no node; rules that were warned of already are left aside.
fn none_left(policy: &Policy, found: &[(usize, String)]) -> Option<(usize, String)> {
    let firm = policy.rules.iter().filter(|rule| rule.is_hard() && rule.otherwise.is_none());
    let mut left = Vec::new();
    firm.filter(|rule| found.iter().all(|(at, _)| *at != rule.body_at)).find_map(|rule| {
        left.push(Term::Not(Box::new(rule.hits())));
        let reason =
            || format!("{:?} leaves no node: rules before it exclude all that it does not", rule.name);
        is_never(&Term::And(left.clone())).then(|| (rule.body_at, reason()))
    })
}

/// What is wrong with a rule by itself.
fn alone(rule: &Rule, hits: Option<&[Conjunction]>) -> Option<String> {
    let name = &rule.name;
    if rule.when.as_ref().is_some_and(is_never) {
        return Some(format!("{name:?} is never in force: its `when` is never true"));
    }
    let among = |body: &Term| {
        let parts = rule.when.iter().chain([body]).cloned().collect();
        is_never(&Term::And(parts))
    };
    let wants = matches!(rule.kind, Kind::Require | Kind::Prefer(_));
    let kind = rule.kind.name();
    if wants && among(&rule.body) {
        return Some(format!("{name:?} leaves no node: nothing is ever what it {kind}s"));
    }
    if hits.is_some_and(<[_]>::is_empty) {
        let why = if wants { "every node is always" } else { "no node is ever" };
        return Some(format!("{name:?} can never match: {why} what it {kind}s"));
    }
    if rule.kind == Kind::Exclude && rule.when.is_none() && is_never(&Term::Not(Box::new(rule.body.clone())))
    {
        return Some(format!("{name:?} leaves no node: every node is what it excludes"));
    }
    if let Kind::Prefer(cost) | Kind::Avoid(cost) = rule.kind
        && cost.0 == 0
    {
        return Some(format!("{name:?} does nothing: its cost is 0"));
    }
    let otherwise = rule.otherwise.clone()?;
    is_never(&Term::And(vec![rule.hits(), otherwise]))
        .then(|| format!("the `otherwise` of {name:?} lets no node in that the rule excludes"))
}

/// What is wrong with a rule about services.
fn of_services(policy: &Policy, at: usize, upgrade: &Upgrade) -> Option<String> {
    let Upgrade { name, when, services, otherwise, .. } = upgrade;
    if when.as_ref().is_some_and(is_never) {
        return Some(format!("{name:?} is never in force: its `when` is never true"));
    }
    if !otherwise.is_empty() && are_within(otherwise, services) {
        return Some(format!(
            "the `otherwise` of {name:?} lets orders go by no service that the rule does not name"
        ));
    }
    let always = Term::Value(Constant::Bool(true));
    let in_force = |of: &Upgrade| conjunctions(of.when.as_ref().unwrap_or(&always));
    let own = in_force(upgrade)?;
    // A rule that gives way takes no service away for certain.
    let firm = policy.upgrades.iter().enumerate().filter(|(_, other)| other.otherwise.is_empty());
    for (other_at, other) in firm.filter(|(other_at, _)| *other_at != at) {
        let Some(others) = in_force(other).filter(|others| implies(&own, others)) else { continue };
        let is_same = implies(&others, &own) && are_within(services, &other.services) && otherwise.is_empty();
        if are_within(&other.services, services) && !(is_same && at < other_at) {
            return Some(format!(
                "{name:?} does nothing: rule {:?} lets orders go by no other service",
                other.name
            ));
        }
        if otherwise.is_empty() && are_apart(services, &other.services) {
            return Some(format!("{name:?} leaves no service: rule {:?} names none of its own", other.name));
        }
    }
    None
}

fn is_never(term: &Term) -> bool {
    conjunctions(term).is_some_and(|found| found.is_empty())
}

/// Whether whatever one of the first is true of, one of the second is true of.
fn implies(first: &[Conjunction], second: &[Conjunction]) -> bool {
    first.iter().all(|one| second.iter().any(|other| one.implies(other)))
}

/// Values of one field that can be compared.
#[derive(Clone, Debug, PartialEq)]
enum Point {
    Number(f64),
    Text(String),
}

impl Point {
    fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }
}

/// Which values a field may have.
#[derive(Clone, Debug, Default, PartialEq)]
struct Domain {
    /// The bound, and whether it belongs.
    low: Option<(Point, bool)>,
    high: Option<(Point, bool)>,
    /// These alone.
    among: Option<Vec<Point>>,
    /// None of these.
    without: Vec<Point>,
    is_whole: bool,
}

impl Domain {
    fn of(field: Field) -> Self {
        let spec = field.spec();
        let number = |number: i64| Some((Point::Number(number as f64), true));
        match spec.kind {
            Type::Bool => {
                Self { among: Some(vec![Point::Number(0.0), Point::Number(1.0)]), ..Self::default() }
            }
            Type::Text if spec.values.is_empty() => Self::default(),
            Type::Text => {
                let values = spec.values.iter().map(|value| Point::Text((*value).to_owned()));
                Self { among: Some(values.collect()), ..Self::default() }
            }
            Type::Int | Type::Double => Self {
                low: number(spec.bounds.0).filter(|_| spec.bounds.0 > i64::MIN),
                high: number(spec.bounds.1).filter(|_| spec.bounds.1 < i64::MAX),
                is_whole: spec.kind == Type::Int,
                ..Self::default()
            },
        }
    }

    fn restrict(&mut self, comparison: Comparison, point: Point) {
        let tighter = |bound: &Option<(Point, bool)>, order: Ordering, belongs: bool| match bound {
            None => true,
            Some((old, old_belongs)) => match point.compare(old) {
                Some(Ordering::Equal) => *old_belongs && !belongs,
                Some(found) => found == order,
                None => false,
            },
        };
        match comparison {
            Comparison::Equal => self.keep(std::slice::from_ref(&point)),
            Comparison::Unequal => self.without.push(point),
            Comparison::Less | Comparison::AtMost => {
                let belongs = comparison == Comparison::AtMost;
                if tighter(&self.high, Ordering::Less, belongs) {
                    self.high = Some((point, belongs));
                }
            }
            Comparison::More | Comparison::AtLeast => {
                let belongs = comparison == Comparison::AtLeast;
                if tighter(&self.low, Ordering::Greater, belongs) {
                    self.low = Some((point, belongs));
                }
            }
        }
    }

    fn keep(&mut self, points: &[Point]) {
        self.among = Some(match self.among.take() {
            Some(among) => among.into_iter().filter(|point| points.contains(point)).collect(),
            None => points.to_vec(),
        });
    }

    fn contains(&self, point: &Point) -> bool {
        let above = self.low.as_ref().is_none_or(|(low, belongs)| match point.compare(low) {
            Some(order) => order.is_gt() || *belongs && order.is_eq(),
            None => false,
        });
        let below = self.high.as_ref().is_none_or(|(high, belongs)| match point.compare(high) {
            Some(order) => order.is_lt() || *belongs && order.is_eq(),
            None => false,
        });
        let is_whole = !self.is_whole || matches!(point, Point::Number(number) if number.fract() == 0.0);
        let listed = self.among.as_ref().is_none_or(|among| among.contains(point));
        above && below && is_whole && listed && !self.without.contains(point)
    }

    /// All its values, where they are few.
    fn points(&self) -> Option<Vec<Point>> {
        let all = match (&self.among, &self.low, &self.high) {
            (Some(among), ..) => among.clone(),
            (None, Some((Point::Number(low), _)), Some((Point::Number(high), _)))
                if self.is_whole && high - low <= POINTS_MAX =>
            {
                let (low, high) = (low.ceil(), high.floor());
                let count = if high < low { 0 } else { (high - low) as usize + 1 };
                (0..count).map(|step| Point::Number(low + step as f64)).collect()
            }
            _ => return None,
        };
        Some(all.into_iter().filter(|point| self.contains(point)).collect())
    }

    fn is_empty(&self) -> bool {
        if let Some(points) = self.points() {
            return points.is_empty();
        }
        match (&self.low, &self.high) {
            (Some((low, low_belongs)), Some((high, high_belongs))) => match low.compare(high) {
                Some(Ordering::Less) => false,
                Some(Ordering::Equal) => !(*low_belongs && *high_belongs && self.contains(low)),
                _ => true,
            },
            _ => false,
        }
    }

    /// Whether all its values are among the other's.
    fn is_within(&self, other: &Self) -> bool {
        if let Some(points) = self.points() {
            return points.iter().all(|point| other.contains(point));
        }
        let inside = |own: &Option<(Point, bool)>, others: &Option<(Point, bool)>, inwards: Ordering| match (
            own, others,
        ) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some((own, belongs)), Some((bound, bound_belongs))) => match own.compare(bound) {
                Some(Ordering::Equal) => *bound_belongs || !*belongs,
                Some(order) => order == inwards,
                None => false,
            },
        };
        other.among.is_none()
            && inside(&self.low, &other.low, Ordering::Greater)
            && inside(&self.high, &other.high, Ordering::Less)
            && other.without.iter().all(|point| !self.contains(point))
    }
}

/// What must hold together.
#[derive(Clone, Debug, Default)]
struct Conjunction {
    domains: BTreeMap<Field, Domain>,
    /// Conditions as they stand, and whether they must be true.
    opaque: Vec<(Term, bool)>,
}

impl Conjunction {
    fn is_empty(&self) -> bool {
        self.domains.values().any(Domain::is_empty)
            || self.opaque.iter().any(|(term, truth)| self.opaque.contains(&(term.clone(), !truth)))
    }

    fn implies(&self, other: &Self) -> bool {
        let within = |(field, domain): (&Field, &Domain)| match self.domains.get(field) {
            Some(own) => own.is_within(domain),
            // Nothing is known of whether a field that may be missing is there.
            None => !field.spec().optional && Domain::of(*field).is_within(domain),
        };
        other.domains.iter().all(within) && other.opaque.iter().all(|part| self.opaque.contains(part))
    }

    fn restrict(mut self, field: Field, restrict: impl FnOnce(&mut Domain)) -> Self {
        restrict(self.domains.entry(field).or_insert_with(|| Domain::of(field)));
        self
    }
}

/// All conjunctions under which a condition is true, but those that nothing satisfies. `None` where they are too many.
fn conjunctions(term: &Term) -> Option<Vec<Conjunction>> {
    expand(term, true, vec![Conjunction::default()])
}

/// Adds to each of some conjunctions that a condition has this truth.
fn expand(term: &Term, truth: bool, so_far: Vec<Conjunction>) -> Option<Vec<Conjunction>> {
    let one_of = |parts: &[(&Term, bool)], so_far: Vec<Conjunction>| {
        let mut all = Vec::new();
        for (part, truth) in parts {
            all.extend(expand(part, *truth, so_far.clone())?);
        }
        (all.len() <= CONJUNCTIONS_MAX).then_some(all)
    };
    match (term, truth) {
        (Term::Not(inner), truth) => expand(inner, !truth, so_far),
        (Term::And(parts), true) | (Term::Or(parts), false) => {
            parts.iter().try_fold(so_far, |so_far, part| expand(part, truth, so_far))
        }
        (Term::And(parts), false) | (Term::Or(parts), true) => {
            let parts: Vec<_> = parts.iter().map(|part| (part, truth)).collect();
            one_of(&parts, so_far)
        }
        (Term::Choice(parts), truth) => {
            let [condition, then, otherwise] = &**parts;
            let mut chosen = expand(then, truth, expand(condition, true, so_far.clone())?)?;
            chosen.extend(expand(otherwise, truth, expand(condition, false, so_far)?)?);
            (chosen.len() <= CONJUNCTIONS_MAX).then_some(chosen)
        }
        (atom, truth) => {
            let narrowed = so_far.into_iter().flat_map(|conjunction| narrow(atom, truth, conjunction));
            Some(narrowed.filter(|conjunction| !conjunction.is_empty()).collect())
        }
    }
}

/// Adds one plain condition.
fn narrow(atom: &Term, truth: bool, conjunction: Conjunction) -> Option<Conjunction> {
    let as_it_stands = |mut conjunction: Conjunction| {
        conjunction.opaque.push((atom.clone(), truth));
        conjunction
    };
    // A comparison that is false may be so because the field is not given.
    let is_plain = |field: &Field| truth || !field.spec().optional;
    Some(match atom {
        _ if is_constant(atom) => return (holds_always(atom) == truth).then_some(conjunction),
        Term::Field(field) => {
            conjunction.restrict(*field, |domain| domain.keep(&[Point::Number(f64::from(u8::from(truth)))]))
        }
        Term::Given(field) if !field.spec().optional => return truth.then_some(conjunction),
        Term::Compare(comparison, a, b) => {
            let (field, comparison, constant) = match (&**a, &**b) {
                (Term::Field(field), Term::Value(constant)) => (field, *comparison, constant),
                (Term::Value(constant), Term::Field(field)) => (field, mirrored(*comparison), constant),
                _ => return Some(as_it_stands(conjunction)),
            };
            match point(constant).filter(|_| is_plain(field)) {
                Some(point) => {
                    let comparison = if truth { comparison } else { opposite(comparison) };
                    conjunction.restrict(*field, |domain| domain.restrict(comparison, point))
                }
                None => as_it_stands(conjunction),
            }
        }
        Term::In(asked, list) => {
            let points: Option<Vec<_>> = list.iter().map(point).collect();
            match (&**asked, points) {
                (Term::Field(field), Some(points)) if is_plain(field) => {
                    conjunction.restrict(*field, |domain| {
                        if truth { domain.keep(&points) } else { domain.without.extend(points) }
                    })
                }
                _ => as_it_stands(conjunction),
            }
        }
        _ => as_it_stands(conjunction),
    })
}

fn point(constant: &Constant) -> Option<Point> {
    match constant {
        Constant::Bool(value) => Some(Point::Number(f64::from(u8::from(*value)))),
        Constant::Int(number) => {
            Some(*number as f64).filter(|number| number.abs() < EXACT_MAX).map(Point::Number)
        }
        Constant::Double(number) => {
            Some(*number).filter(|number| number.abs() < EXACT_MAX).map(Point::Number)
        }
        Constant::Text(text) => Some(Point::Text(text.clone())),
    }
}

fn mirrored(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::More,
        Comparison::AtMost => Comparison::AtLeast,
        Comparison::More => Comparison::Less,
        Comparison::AtLeast => Comparison::AtMost,
        same => same,
    }
}

fn opposite(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Equal => Comparison::Unequal,
        Comparison::Unequal => Comparison::Equal,
        Comparison::Less => Comparison::AtLeast,
        Comparison::AtMost => Comparison::More,
        Comparison::More => Comparison::AtMost,
        Comparison::AtLeast => Comparison::Less,
    }
}

fn is_constant(term: &Term) -> bool {
    match term {
        Term::Value(_) => true,
        Term::Field(_) | Term::Given(_) => false,
        Term::Not(inner) | Term::Negate(inner) | Term::Size(inner) | Term::In(inner, _) => is_constant(inner),
        Term::And(parts) | Term::Or(parts) => parts.iter().all(is_constant),
        Term::Compare(_, a, b) | Term::Arithmetic(_, a, b) | Term::Test(_, a, b) => {
            is_constant(a) && is_constant(b)
        }
        Term::Choice(parts) => parts.iter().all(is_constant),
    }
}

fn holds_always(constant: &Term) -> bool {
    let (order, line, time) = (OrderFacts::default(), LineFacts::default(), TimeFacts::default());
    eval::holds(constant, &Scene { order: &order, line: &line, time: &time, node: None, miles: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::check::condition;

    fn parts(text: &str) -> Vec<Conjunction> {
        conjunctions(&condition(text).expect(text)).expect("few enough")
    }

    #[test]
    fn what_nothing_satisfies_is_seen() {
        for text in [
            "node.kind == 'dc' && node.kind == 'store'",
            "order.value > 50 && order.value < 50",
            "order.units > 2 && order.units < 3",
            "time.weekday > 7",
            "time.weekday in [6, 7] && time.weekday < 6",
            "order.lines < 1 || order.units == 0",
            "node.hazmat && !node.hazmat",
            "time.date >= '2026-12-01' && time.date < '2026-11-01'",
            "node.code.startsWith('A') && !node.code.startsWith('A')",
            "1 > 2",
            "!(node.kind in ['dc', 'store', '3pl', 'vendor', 'supplier'])",
            "order.cold ? 5 < 4 : time.month == 13",
            "has(order.value) && !has(order.value)",
            "order.units == 2.5",
        ] {
            assert!(parts(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn what_something_satisfies_is_left_alone() {
        for text in [
            "!(order.value > 50) && !(order.value <= 50)",
            "order.value > 2 && order.value < 3",
            "order.units > 2 && order.units < 4",
            "node.kind != 'dc' && node.kind != 'store'",
            "order.lines == order.units && order.lines > 4",
            "node.code.startsWith('A') && node.code.startsWith('B')",
            "time.hour >= 23 && time.minute >= 59",
        ] {
            assert!(!parts(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn one_condition_within_another_is_seen() {
        for (narrow, broad) in [
            ("order.value > 100", "order.value > 50"),
            ("node.kind == 'dc' && order.units > 3", "node.kind == 'dc'"),
            ("node.kind in ['dc', '3pl']", "node.kind != 'store'"),
            ("time.weekday == 6 || time.weekday == 7", "time.weekday >= 6"),
            ("node.code.contains('X') && node.cold", "node.code.contains('X')"),
            ("order.value >= 50", "has(order.value) || order.value > 10"),
            ("order.units >= 4", "order.units > 3"),
            ("true", "order.lines >= 1"),
        ] {
            assert!(implies(&parts(narrow), &parts(broad)), "{narrow} within {broad}");
        }
        for (narrow, broad) in [
            ("order.value > 50", "order.value > 100"),
            ("true", "order.value >= 0"),
            ("node.kind != 'dc'", "node.kind == 'store'"),
            ("order.units >= 3", "order.units > 3"),
            ("order.value < 10", "order.value != 9"),
            ("node.cold", "node.code.contains('X')"),
        ] {
            assert!(!implies(&parts(narrow), &parts(broad)), "{narrow} not within {broad}");
        }
    }
}
