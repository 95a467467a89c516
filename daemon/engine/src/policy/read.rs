//! A policy's text as a model: TOML settings, and rules whose conditions are checked.
//!
//! Everything wrong is found at once, each with line and column of the file, conditions included. It says nothing of
//! what rules do to each other; `analysis` does.

use std::fmt;
use std::ops::Range;

use serde::Serialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::Term;
use super::model::{Bond, BondKind, Buffer, Kind, Policy, Rule, Unfillable, Upgrade};
use super::schema::{Needs, nearest};
use super::services::{self, ServiceName};
use crate::promise::{MILES_PER_DAY, time_zone};

/// Longest policy, in bytes.
pub const TEXT_LEN_MAX: usize = 64 << 10;
/// Most rules of a policy.
pub const RULES_MAX: usize = 256;
/// Most rules with an `otherwise`: each may cost an order that finds no stock another plan.
pub const FALLBACKS_MAX: usize = 16;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The policy cannot be taken.
    Mistake,
    /// It can, but surely does not do what was meant.
    Warning,
}

/// Something found in a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Line of the text, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// How bad it is.
    pub severity: Severity,
    /// What stood in the way and what to do.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Mistake => "",
            Severity::Warning => "warning: ",
        };
        write!(f, "{}:{}: {severity}{}", self.line, self.column, self.reason)
    }
}

/// Reads a policy.
///
/// # Errors
/// All mistakes, in the order of the text.
pub(crate) fn read(text: &str) -> Result<Policy, Vec<Finding>> {
    let mut reader = Reader { text, findings: Vec::new() };
    if text.len() > TEXT_LEN_MAX {
        reader.mistake(0, format!("the policy is longer than {TEXT_LEN_MAX} bytes; shorten it"));
        return Err(reader.findings);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        reader.mistake(at, format!("this is not TOML: {}", error.message()));
    }
    if !errors.is_empty() {
        return Err(reader.findings);
    }
    let policy = reader.policy(table.get_ref());
    let mut findings = reader.findings;
    findings.sort_by_key(|finding| (finding.line, finding.column));
    if findings.is_empty() { Ok(policy) } else { Err(findings) }
}

/// A finding at a place of the text.
pub(crate) fn finding(text: &str, at: usize, severity: Severity, reason: String) -> Finding {
    let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before[before.rfind('\n').map_or(0, |end| end + 1)..].chars().count() + 1;
    Finding { line, column, severity, reason }
}

pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    findings: Vec<Finding>,
}

pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// A rule as it is read.
struct Said {
    name: String,
    what: What,
}

/// What kind of rule it is; its name is still left out.
enum What {
    Of(Rule),
    Bond(Bond),
    Buffer(Buffer),
    Upgrade(Upgrade),
}

impl Reader<'_> {
    pub(super) fn mistake(&mut self, at: usize, reason: impl Into<String>) {
        self.findings.push(finding(self.text, at, Severity::Mistake, reason.into()));
    }

    fn policy(&mut self, table: &DeTable<'_>) -> Policy {
        const KEYS: [&str; 21] = [
            "name",
            "active_from",
            "share",
            "only_when",
            "time_zone",
            "shipments_max",
            "split_lines",
            "split_when",
            "unfillable",
            "backorder_days",
            "refuse_when",
            "partial_when",
            "review_when",
            "late",
            "full_day",
            "transit_miles_per_day",
            "transit_weekends",
            "replan_minutes",
            "replan_saves",
            "weights",
            "rule",
        ];
        let mut policy = Policy::default();
        let (mut unfillable, mut backorder_days) = (None, None);
        for (key, value) in table {
            let at = value.span().start;
            policy
                .said_at
                .extend(KEYS.iter().find(|known| *known == key.get_ref()).map(|known| (*known, at)));
            match key.get_ref().as_ref() {
                "name" => policy.name = self.name(value).unwrap_or_default(),
                "time_zone" => {
                    if let Some(name) = self.text_of(value) {
                        match time_zone(&name) {
                            Some(zone) => policy.zone = zone,
                            None => self.mistake(
                                at,
                                format!("{name:?} is no time zone; write an IANA name like America/Chicago"),
                            ),
                        }
                    }
                }
                "shipments_max" => policy.shipments_max = self.number_of(value),
                "split_lines" => policy.split_lines = self.truth(value),
                "split_when" => policy.split_when = self.scalar_condition(value, "split_when"),
                "active_from" => policy.reach.active_from = self.moment_of(value),
                "share" => policy.reach.share = self.share_of(value),
                "only_when" => policy.reach.only_when = self.scalar_condition(value, "only_when"),
                "unfillable" => {
                    const WORDS: [(&str, Unfillable); 4] = [
                        ("reject", Unfillable::Reject),
                        ("partial", Unfillable::Partial),
                        ("substitute", Unfillable::Substitute),
                        ("backorder", Unfillable::Backorder(0)),
                    ];
                    let place = self.one_of(value, &WORDS.map(|(word, _)| word));
                    policy.unfillable = place.map_or_else(Unfillable::default, |place| WORDS[place].1);
                    unfillable = Some(at);
                }
                "backorder_days" => {
                    backorder_days = Some((key.span().start, self.backorder_days(value)));
                }
                "refuse_when" => policy.refuse_when = self.scalar_condition(value, "refuse_when"),
                "partial_when" => policy.partial_when = self.scalar_condition(value, "partial_when"),
                "review_when" => policy.review_when = self.scalar_condition(value, "review_when"),
                "late" => policy.refuses_late = self.either(value, ["allow", "refuse"]).unwrap_or(false),
                "full_day" => {
                    policy.waits_for_days = !self.either(value, ["wait", "exclude"]).unwrap_or(false);
                }
                "transit_miles_per_day" => {
                    policy.transit_miles_per_day = self.number_of(value);
                    if policy.transit_miles_per_day.is_some_and(|miles| !MILES_PER_DAY.contains(&miles)) {
                        let (least, most) = (MILES_PER_DAY.start(), MILES_PER_DAY.end());
                        self.mistake(at, format!("expected a whole number from {least} to {most}"));
                    }
                }
                "transit_weekends" => policy.transit_weekends = self.truth(value).unwrap_or_default(),
                "replan_minutes" => {
                    policy.replan_ms = self.number_of(value).map(|minutes| u64::from(minutes) * 60_000);
                }
                "replan_saves" => policy.replan_saves = self.money(value).unwrap_or_default(),
                "weights" => self.weights(value, &mut policy),
                "rule" => self.rules(value, &mut policy),
                unknown => self.unknown(unknown, key.span(), &KEYS, "a policy has"),
            }
        }
        match (&mut policy.unfillable, backorder_days) {
            (Unfillable::Backorder(days), Some((_, said))) => *days = said,
            (Unfillable::Backorder(_), None) => self.mistake(
                unfillable.unwrap_or_default(),
                "nothing says how long orders wait; add backorder_days, a whole number of days",
            ),
            (_, Some((at, _))) => self.mistake(
                at,
                "backorder_days is for orders that wait; set unfillable = \"backorder\", or leave it away",
            ),
            (_, None) => {}
        }
        if policy.name.is_empty() && self.findings.is_empty() {
            self.mistake(0, "the policy has no name; begin with name = \"…\"");
        }
        policy
    }

    fn unknown(&mut self, key: &str, span: Range<usize>, known: &[&str], whose: &str) {
        let hint = match nearest(key, known.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("{whose} {}", known.join(", ")),
        };
        self.mistake(span.start, format!("there is no setting {key}; {hint}"));
    }

    fn weights(&mut self, value: &Value<'_>, policy: &mut Policy) {
        let Some(table) = value.get_ref().as_table() else {
            return self
                .mistake(value.span().start, "expected a section: write [weights] and its settings below");
        };
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "shipment" => policy.shipment_cost = self.money(value).unwrap_or_default(),
                "mile" => policy.mile_cost = self.money(value).unwrap_or_default(),
                "late_day" => {
                    policy.late_day_cost = self.money(value).unwrap_or_default();
                    policy.said_at.insert("late_day", value.span().start);
                }
                unknown => {
                    self.unknown(unknown, key.span(), &["shipment", "mile", "late_day"], "weights are");
                }
            }
        }
    }

    fn rules(&mut self, value: &Value<'_>, policy: &mut Policy) {
        let at = value.span().start;
        let Some(rules) = value.get_ref().as_array() else {
            return self.mistake(at, "expected a list of rules: begin each with [[rule]]");
        };
        for rule in rules {
            let Some(table) = rule.get_ref().as_table() else {
                self.mistake(rule.span().start, "expected a rule: begin each with [[rule]]");
                continue;
            };
            let at = rule.span().start;
            let before = self.findings.len();
            let Some(Said { name, what }) = self.rule(table, at).filter(|_| self.findings.len() == before)
            else {
                continue;
            };
            if policy.names().any(|other| other == name) {
                self.mistake(at, format!("there is a rule {name:?} already; give each its own name"));
            }
            match what {
                What::Of(rule) => policy.rules.push(Rule { name, ..rule }),
                What::Bond(bond) => policy.bonds.push(Bond { name, ..bond }),
                What::Buffer(buffer) => policy.buffers.push(Buffer { name, ..buffer }),
                What::Upgrade(upgrade) => policy.upgrades.push(Upgrade { name, ..upgrade }),
            }
        }
        if policy.rules() > RULES_MAX {
            self.mistake(at, format!("the policy has more than {RULES_MAX} rules; join some"));
        }
        let of_nodes = policy.rules.iter().filter(|rule| rule.otherwise.is_some()).count();
        let of_services = policy.upgrades.iter().filter(|upgrade| !upgrade.otherwise.is_empty()).count();
        if of_nodes + of_services > FALLBACKS_MAX {
            self.mistake(at, format!("more than {FALLBACKS_MAX} rules have an `otherwise`; join some"));
        }
    }

    fn rule(&mut self, table: &DeTable<'_>, at: usize) -> Option<Said> {
        const KEYS: [&str; 14] = [
            "name",
            "when",
            "require",
            "exclude",
            "prefer",
            "avoid",
            "together",
            "apart",
            "keep",
            "services",
            "cost",
            "otherwise",
            "from",
            "units",
        ];
        let before = self.findings.len();
        if table.keys().any(|key| key.get_ref() == "services") {
            return self.upgrade(table, at);
        }
        let mut name = None;
        let mut when = None;
        let mut beside: Vec<(&str, usize)> = Vec::new();
        let (mut otherwise, mut from, mut cost, mut units) = (None, None, None, None);
        let mut bodies: Vec<(&str, usize, Term)> = Vec::new();
        for (key, value) in table {
            let place = value.span().start;
            let known = KEYS.into_iter().find(|known| *known == key.get_ref().as_ref());
            match known {
                Some("name") => name = self.name(value),
                Some("when") => when = self.scalar_condition(value, "when"),
                Some(kind @ ("require" | "exclude" | "prefer" | "avoid" | "together" | "apart" | "keep")) => {
                    bodies.extend(self.condition(value).map(|term| (kind, place, term)));
                }
                Some(other) => {
                    beside.push((other, key.span().start));
                    match other {
                        "otherwise" => otherwise = self.condition(value),
                        "from" => from = self.condition(value),
                        "cost" => cost = self.money(value),
                        _ => units = self.number_of(value),
                    }
                }
                None => self.unknown(key.get_ref(), key.span(), &KEYS, "a rule has"),
            }
        }
        if self.findings.len() > before {
            return None;
        }
        let name = self.named(name, at)?;
        let [(kind, body_at, body)] = <[_; 1]>::try_from(bodies)
            .map_err(|bodies| {
                let what = if bodies.is_empty() { "none" } else { "more than one" };
                let reason = format!(
                    "a rule has one of require, exclude, prefer, avoid, together, apart, keep and services; {name:?} has {what}"
                );
                self.mistake(at, reason);
            })
            .ok()?;
        let takes = match kind {
            "require" | "exclude" => "otherwise",
            "prefer" | "avoid" => "cost",
            "apart" => "from",
            "keep" => "units",
            _ => "nothing",
        };
        if let Some((other, place)) = beside.iter().find(|(other, _)| *other != takes) {
            let belongs = match *other {
                "otherwise" => {
                    "only a rule that requires, excludes or names services can have an `otherwise`"
                }
                "cost" => "only a rule that prefers or avoids has a cost",
                "from" => "only a rule that says what is `apart` says `from` what",
                _ => "only a rule that says who keeps something says how many `units`",
            };
            self.mistake(*place, belongs);
            return None;
        }
        let bond = |when, kind| What::Bond(Bond { name: String::new(), body_at, when, kind });
        let rule =
            |kind, when, body, otherwise| Rule { name: String::new(), body_at, kind, when, body, otherwise };
        let what = match (kind, cost, units) {
            ("together" | "apart", ..) => {
                let others = from.unwrap_or_else(|| body.clone());
                if [&body, &others].iter().any(|lines| !lines.needs().is_scalar()) {
                    let reason = "which lines it is about cannot depend on a node; ask order, line and time";
                    self.mistake(body_at, reason);
                    return None;
                }
                if when.as_ref().is_some_and(|when| when.needs().has(Needs::LINE)) {
                    let reason = "`when` of a rule about lines may ask about order and time alone";
                    self.mistake(at, reason);
                    return None;
                }
                let is_together = kind == "together";
                bond(when, if is_together { BondKind::Together(body) } else { BondKind::Apart(body, others) })
            }
            ("keep", _, Some(units)) => {
                What::Buffer(Buffer { name: String::new(), body_at, when, body, units })
            }
            ("keep", ..) => {
                self.mistake(at, format!("{name:?} says not how much is kept; add units = 2"));
                return None;
            }
            ("require", ..) => What::Of(rule(Kind::Require, when, body, otherwise)),
            ("exclude", ..) => What::Of(rule(Kind::Exclude, when, body, otherwise)),
            (_, None, _) => {
                self.mistake(at, format!("{name:?} says not what it costs; add cost = \"2.50\""));
                return None;
            }
            (_, Some(cost), _) => {
                let kind = if kind == "prefer" { Kind::Prefer(cost) } else { Kind::Avoid(cost) };
                let rule = rule(kind, when, body, None);
                if rule.needs().has(Needs::LINE) {
                    let reason = "a preference is about whole orders and cannot ask about a line; ask order.hazmat, \
                         order.cold, order.units, …";
                    self.mistake(body_at, reason);
                    return None;
                }
                What::Of(rule)
            }
        };
        Some(Said { name, what })
    }

    /// A rule about services.
    fn upgrade(&mut self, table: &DeTable<'_>, at: usize) -> Option<Said> {
        let before = self.findings.len();
        let (mut name, mut when, mut body_at) = (None, None, at);
        let (mut services, mut otherwise) = (Vec::new(), Vec::new());
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "name" => name = self.name(value),
                "when" => {
                    let condition = self.scalar_condition(value, "when");
                    when = condition.map(|condition| (condition, value.span().start));
                }
                "services" => (services, body_at) = (self.services(value), value.span().start),
                "otherwise" => otherwise = self.services(value),
                other => {
                    let reason = format!(
                        "a rule that names services has a name, `when` and `otherwise` beside them, not {other}; make it a \
                         rule of its own"
                    );
                    self.mistake(key.span().start, reason);
                }
            }
        }
        if let Some((_, at)) =
            when.as_ref().filter(|(when, _): &&(Term, usize)| when.needs().has(Needs::LINE))
        {
            let reason = "a rule that names services is about whole orders, so its `when` cannot ask about a line; ask \
                          order.hazmat, order.cold, order.units, …";
            self.mistake(*at, reason);
        }
        let name = self.named(name, at)?;
        let when = when.map(|(when, _)| when);
        let upgrade = Upgrade { name: String::new(), body_at, when, services, otherwise };
        (self.findings.len() == before).then_some(Said { name, what: What::Upgrade(upgrade) })
    }

    fn services(&mut self, value: &Value<'_>) -> Vec<ServiceName> {
        services::read(value).unwrap_or_else(|(at, reason)| {
            self.mistake(at, reason);
            Vec::new()
        })
    }

    /// The name of a rule, which it must have.
    fn named(&mut self, name: Option<String>, at: usize) -> Option<String> {
        if name.is_none() {
            self.mistake(at, "the rule has no name; give it one: explanations tell it");
        }
        name
    }
}
