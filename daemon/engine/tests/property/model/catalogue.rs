//! Skus and nodes by handle. Handles are given in the order in which codes are first put.

use std::collections::{BTreeMap, BTreeSet};

use earmark_protocol::catalogue::{
    CODE_LEN_MAX, CalendarSpec, DateHours, DayHours, DayLoad, NodeSpec, NodeState, SkuSpec, capabilities,
    sku_flags,
};
use earmark_protocol::command::{SetNodeState, SetPolicy};
use earmark_protocol::ids::{NodeIx, SkuIx, Tenant};
use earmark_protocol::kit::Component;
use earmark_protocol::refusal::{Field, Refusal, RefusalCode};

use super::{Model, Noes, Yes};

/// The largest cost of a node, in micros.
const COST_MAX: i64 = 1_000_000_000_000;

/// Policies, and how many rules each has; `None` for one with a mistake: [`UNSERVED`], or in line 2, column 13.
pub(crate) const POLICIES: [(&str, Option<usize>); 8] = [
    (UNSERVED, None),
    ("name = 'plain'\n", Some(0)),
    ("name = 'one'\n[[rule]]\nname = 'nobody'\nexclude = 'node.code == \"no such node\"'\n", Some(1)),
    (CAREFUL, Some(0)),
    (SUBSTITUTING, Some(0)),
    (SUBSTITUTING, Some(0)),
    (PATIENT, Some(0)),
    ("name = 'bad'\ntime_zone = 'Mars'\n", None),
];

/// A policy that names a service which nobody has, in line 4, column 13.
const UNSERVED: &str = "name = 'fast'\n[[rule]]\nname = 'all'\nservices = ['no such']\n";

/// A policy by which orders of more than [`REVIEWED_OVER`] units are looked at.
const CAREFUL: &str = "name = 'careful'\nreview_when = 'order.units > 3'\n";
pub(super) const REVIEWED_OVER: i64 = 3;

/// A policy by which substitutes are sent.
pub(crate) const SUBSTITUTING: &str = "name = 'instead'\nunfillable = 'substitute'\n";

/// A policy by which orders wait until tomorrow.
const PATIENT: &str = "name = 'patient'\nunfillable = 'backorder'\nbackorder_days = 1\n";

/// The policy of a tenant.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) version: u32,
    pub(crate) is_careful: bool,
    pub(crate) substitutes: bool,
    pub(crate) is_patient: bool,
}

/// Codes of calendars: two that are put now and then, and one that never is.
pub(crate) const CALENDARS: [&str; 3] = ["weekdays", "daily", "never put"];

/// Calendars, and the detail that the refusal of each one has; `None` for a sound one.
pub(crate) fn calendar_kinds() -> Vec<(CalendarSpec, Option<i64>)> {
    let hours = |opens: u16, closes: u16, cut_off: u16| {
        Some(DayHours { opens_min: opens, closes_min: closes, cut_off_min: cut_off })
    };
    let of = |week, dates: &[(u32, Option<DayHours>)]| CalendarSpec {
        week,
        dates: dates.iter().map(|(date, hours)| DateHours { date: *date, hours: *hours }).collect(),
        handling_min: if week[0] == hours(0, 1_440, 1_440) { 0 } else { 90 },
        ..CalendarSpec::default()
    };
    let (day, shut) = (hours(480, 1_080, 840), None);
    vec![
        (of([day, day, day, day, day, shut, shut], &[(20_261_225, None)]), None),
        (of([hours(0, 1_440, 1_440); 7], &[]), None),
        (of([day, day, hours(600, 480, 500), day, day, shut, shut], &[]), Some(3)),
        (of([day; 7], &[(20_260_230, None)]), Some(20_260_230)),
        (of([shut; 7], &[(20_261_225, None)]), Some(0)),
    ]
}

/// A sku.
#[derive(Clone, Debug)]
pub(crate) struct Sku {
    pub(crate) tenant: Tenant,
    pub(crate) spec: SkuSpec,
    pub(crate) retired: bool,
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) tenant: Tenant,
    pub(crate) spec: NodeSpec,
    pub(crate) state: NodeState,
}

/// All skus and nodes of all tenants; their place is their handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalogue {
    pub(crate) skus: Vec<Sku>,
    pub(crate) nodes: Vec<Node>,
    /// By code.
    pub(crate) calendars: BTreeMap<(Tenant, String), CalendarSpec>,
    pub(crate) kits: BTreeMap<SkuIx, Vec<Component>>,
    pub(crate) substitutes: BTreeMap<SkuIx, Vec<SkuIx>>,
}

impl Catalogue {
    /// The tenant's sku of this handle.
    pub(crate) fn sku(&self, tenant: Tenant, sku: SkuIx) -> Option<&Sku> {
        self.skus.get(sku.0 as usize).filter(|sku| sku.tenant == tenant)
    }

    /// The tenant's node of this handle.
    pub(crate) fn node(&self, tenant: Tenant, node: NodeIx) -> Option<&Node> {
        self.nodes.get(node.0 as usize).filter(|node| node.tenant == tenant)
    }

    /// Whether the tenant's node takes new holds.
    pub(crate) fn is_active(&self, tenant: Tenant, node: NodeIx) -> bool {
        self.node(tenant, node).is_some_and(|node| node.state == NodeState::Active)
    }

    fn sku_place(&self, tenant: Tenant, code: &str) -> Option<usize> {
        self.skus.iter().position(|sku| sku.tenant == tenant && sku.spec.code == code)
    }

    fn node_place(&self, tenant: Tenant, code: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.tenant == tenant && node.spec.code == code)
    }
}

impl Model {
    pub(super) fn put_skus(&mut self, tenant: Tenant, specs: &[SkuSpec]) -> Result<Yes, Refusal> {
        let mut noes = Noes::default();
        noes.list(Field::Line, specs.len(), false, self.rules.lines_max);
        let mut codes = BTreeSet::new();
        for (index, spec) in specs.iter().enumerate() {
            judge_text(&mut noes, Field::Code, index, &spec.code, false, CODE_LEN_MAX);
            judge_text(&mut noes, Field::Group, index, &spec.group, true, CODE_LEN_MAX);
            if spec.flags & !sku_flags::ALL != 0 {
                noes.push(
                    Refusal::of(RefusalCode::UnknownFlag, Field::Flags)
                        .at(index)
                        .detail(i64::from(sku_flags::ALL)),
                );
            }
            if !codes.insert(&spec.code) {
                noes.at(RefusalCode::LineTwice, Field::Code, index);
            }
        }
        if let Some(refusal) = noes.first() {
            return Err(refusal);
        }
        for spec in specs {
            match self.catalogue.sku_place(tenant, &spec.code) {
                Some(place) => self.catalogue.skus[place].spec = spec.clone(),
                None => self.catalogue.skus.push(Sku { tenant, spec: spec.clone(), retired: false }),
            }
        }
        Ok(listed(specs.len()))
    }

    pub(super) fn retire_skus(&mut self, tenant: Tenant, skus: &[SkuIx]) -> Result<Yes, Refusal> {
        let mut noes = Noes::default();
        noes.list(Field::Line, skus.len(), false, self.rules.lines_max);
        for (index, &sku) in skus.iter().enumerate() {
            if self.catalogue.sku(tenant, sku).is_none() {
                noes.at(RefusalCode::UnknownSku, Field::Sku, index);
            }
        }
        if let Some(refusal) = noes.first() {
            return Err(refusal);
        }
        for sku in skus {
            self.catalogue.skus[sku.0 as usize].retired = true;
        }
        Ok(listed(skus.len()))
    }

    pub(super) fn put_nodes(&mut self, tenant: Tenant, specs: &[NodeSpec]) -> Result<Yes, Refusal> {
        let mut noes = Noes::default();
        noes.list(Field::Line, specs.len(), false, self.rules.lines_max);
        let mut codes = BTreeSet::new();
        for (index, spec) in specs.iter().enumerate() {
            judge_text(&mut noes, Field::Code, index, &spec.code, false, CODE_LEN_MAX);
            judge_text(&mut noes, Field::Group, index, &spec.group, true, CODE_LEN_MAX);
            judge_text(&mut noes, Field::Seller, index, &spec.seller, true, CODE_LEN_MAX);
            judge_text(&mut noes, Field::TimeZone, index, &spec.time_zone, false, CODE_LEN_MAX);
            if spec.calendar.is_empty() && spec.day_limit != DayLoad::default() {
                noes.at(RefusalCode::UnknownCalendar, Field::Calendar, index);
            }
            if !spec.calendar.is_empty()
                && !self.catalogue.calendars.contains_key(&(tenant, spec.calendar.clone()))
            {
                noes.at(RefusalCode::UnknownCalendar, Field::Calendar, index);
            }
            if spec.time_zone == "Mars/Base" {
                noes.at(RefusalCode::UnknownTimeZone, Field::TimeZone, index);
            }
            if spec.capabilities & !capabilities::ALL != 0 {
                noes.push(
                    Refusal::of(RefusalCode::UnknownFlag, Field::Flags)
                        .at(index)
                        .detail(i64::from(capabilities::ALL)),
                );
            }
            let costs = [spec.cost_per_order, spec.cost_per_line, spec.cost_per_unit];
            if costs.iter().any(|cost| !(0..=COST_MAX).contains(&cost.0)) {
                noes.push(Refusal::of(RefusalCode::QuantityTooLarge, Field::Cost).at(index).detail(COST_MAX));
            }
            if !spec.position.is_valid() {
                noes.at(RefusalCode::PositionInvalid, Field::Position, index);
            }
            if !codes.insert(&spec.code) {
                noes.at(RefusalCode::LineTwice, Field::Code, index);
            }
        }
        if let Some(refusal) = noes.first() {
            return Err(refusal);
        }
        for spec in specs {
            match self.catalogue.node_place(tenant, &spec.code) {
                Some(place) => self.catalogue.nodes[place].spec = spec.clone(),
                None => {
                    self.catalogue.nodes.push(Node { tenant, spec: spec.clone(), state: NodeState::Active });
                }
            }
        }
        Ok(listed(specs.len()))
    }

    /// What a calendar may be is judged elsewhere: here one is of [`calendar_kinds`].
    pub(super) fn put_calendars(&mut self, tenant: Tenant, specs: &[CalendarSpec]) -> Result<Yes, Refusal> {
        let mut noes = Noes::default();
        noes.list(Field::Line, specs.len(), false, self.rules.lines_max);
        let mut codes = BTreeSet::new();
        let kinds = calendar_kinds();
        for (index, spec) in specs.iter().enumerate() {
            judge_text(&mut noes, Field::Code, index, &spec.code, false, CODE_LEN_MAX);
            let same = |kind: &CalendarSpec| kind.week == spec.week && kind.dates == spec.dates;
            let (_, wrong) = kinds.iter().find(|(kind, _)| same(kind)).expect("it is one of these");
            if let Some(detail) = wrong {
                let refusal = Refusal::of(RefusalCode::CalendarInvalid, Field::Calendar);
                noes.push(refusal.at(index).detail(*detail));
            }
            if !codes.insert(&spec.code) {
                noes.at(RefusalCode::LineTwice, Field::Code, index);
            }
        }
        if let Some(refusal) = noes.first() {
            return Err(refusal);
        }
        let calendars = specs.iter().map(|spec| ((tenant, spec.code.clone()), spec.clone()));
        self.catalogue.calendars.extend(calendars);
        Ok(listed(specs.len()))
    }

    pub(super) fn set_node_state(&mut self, tenant: Tenant, set: &SetNodeState) -> Result<Yes, Refusal> {
        let Some(node) = self.catalogue.node(tenant, set.node) else {
            return Err(Refusal::of(RefusalCode::UnknownNode, Field::Node));
        };
        if node.state == NodeState::Retired && set.state != NodeState::Retired {
            return Err(Refusal::of(RefusalCode::NodeRetired, Field::Node));
        }
        self.catalogue.nodes[set.node.0 as usize].state = set.state;
        Ok(listed(1))
    }

    /// A policy's language is judged elsewhere: here a policy is one of [`POLICIES`], none of which changes a plan.
    pub(super) fn set_policy(&mut self, tenant: Tenant, set: &SetPolicy) -> Result<Yes, Refusal> {
        let (_, rules) = POLICIES.iter().find(|(text, _)| *text == set.text).expect("it is one of these");
        if set.text == UNSERVED {
            return Err(Refusal::of(RefusalCode::UnknownService, Field::Policy).at(4).detail(13));
        }
        let Some(rules) = rules else {
            return Err(Refusal::of(RefusalCode::PolicyInvalid, Field::Policy).at(2).detail(13));
        };
        let policy = self.policies.entry(tenant).or_default();
        *policy = Policy {
            version: policy.version + 1,
            is_careful: set.text == CAREFUL,
            substitutes: set.text == SUBSTITUTING,
            is_patient: set.text == PATIENT,
        };
        Ok(listed(*rules))
    }
}

/// What is answered to a list of this many entries.
pub(super) fn listed(entries: usize) -> Yes {
    Yes { moved: entries as u64, ..Yes::default() }
}

/// Judges a text: empty where it must not be, too long, or with control characters in it.
pub(super) fn judge_text(
    noes: &mut Noes,
    field: Field,
    index: usize,
    text: &str,
    may_be_empty: bool,
    limit: usize,
) {
    if text_is_bad(text, may_be_empty, limit) {
        noes.push(Refusal::of(RefusalCode::TextTooLong, field).at(index).detail(limit as i64));
    }
}

/// Whether a text is empty where it must not be, too long, or has control characters in it.
pub(super) fn text_is_bad(text: &str, may_be_empty: bool, limit: usize) -> bool {
    (text.is_empty() && !may_be_empty) || text.len() > limit || text.chars().any(char::is_control)
}
