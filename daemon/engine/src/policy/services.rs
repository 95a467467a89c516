//! Carrier services as rules name them: read, told apart, and found among those that a tenant has.

use earmark_protocol::tariff::ServiceSpec;
use toml::Spanned;
use toml::de::DeValue;

use super::model::{Policy, Upgrade};
use super::read::{Finding, Severity, finding};
use super::schema::nearest;
use crate::tariff::Services;

/// A service by name: its code, whichever carrier's, or CARRIER/SERVICE.
#[derive(Clone, Debug)]
pub(crate) struct ServiceName {
    name: String,
    /// Where it stands in the text.
    at: usize,
}

impl ServiceName {
    fn is_of(&self, spec: &ServiceSpec) -> bool {
        let of_carrier = || self.name.strip_prefix(&spec.carrier)?.strip_prefix('/');
        self.name == spec.code || of_carrier() == Some(&spec.code)
    }

    /// Whether whatever it names the other one names, too.
    fn is_within(&self, other: &Self) -> bool {
        let by_code = || self.name.strip_suffix(&other.name).is_some_and(|rest| rest.ends_with('/'));
        self.name == other.name || by_code()
    }
}

/// Whether each of some names is within one of the others.
pub(super) fn are_within(names: &[ServiceName], others: &[ServiceName]) -> bool {
    names.iter().all(|name| others.iter().any(|other| name.is_within(other)))
}

/// Whether no service can be of both.
pub(super) fn are_apart(names: &[ServiceName], others: &[ServiceName]) -> bool {
    let meet = |a: &ServiceName, b: &ServiceName| a.is_within(b) || b.is_within(a);
    !names.iter().any(|name| others.iter().any(|other| meet(name, other)))
}

/// Reads a list of services.
///
/// # Errors
/// The first mistake and its place.
pub(super) fn read(value: &Spanned<DeValue<'_>>) -> Result<Vec<ServiceName>, (usize, String)> {
    let at = value.span().start;
    let list = value.get_ref().as_array().filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| {
        (at, "expected a list of services, like [\"EXPRESS\", \"UPS/NEXT_DAY\"]".to_owned())
    })?;
    let mut names: Vec<ServiceName> = Vec::with_capacity(list.len());
    for element in list {
        let at = element.span().start;
        let name = element.get_ref().as_str().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| {
            (
                at,
                "expected a service in quotes: its code, or its carrier and code like \"UPS/NEXT_DAY\""
                    .to_owned(),
            )
        })?;
        if names.iter().any(|known| known.name == name) {
            return Err((at, format!("service {name:?} stands in the list already; name it once")));
        }
        names.push(ServiceName { name: name.to_owned(), at });
    }
    Ok(names)
}

impl Upgrade {
    /// The services of a tenant that it lets orders go by; those of its `otherwise` too where it gives way.
    pub(crate) fn allowed<'a>(
        &self,
        specs: impl IntoIterator<Item = &'a ServiceSpec>,
        gives_way: bool,
    ) -> Services {
        let otherwise = if gives_way { &self.otherwise[..] } else { &[] };
        let is_named =
            |spec: &ServiceSpec| self.services.iter().chain(otherwise).any(|name| name.is_of(spec));
        Services::of(specs.into_iter().map(is_named))
    }
}

impl Policy {
    /// Whether some rule names services.
    #[must_use]
    pub fn names_services(&self) -> bool {
        !self.upgrades.is_empty()
    }

    /// What is to be said of the services that its rules name where these are the ones there are: a mistake where there is
    /// none of a name, a warning where all of a name are withdrawn. `text` is what the policy was read from.
    #[must_use]
    pub fn check_services(&self, text: &str, specs: &[&ServiceSpec]) -> Vec<Finding> {
        let names =
            self.upgrades.iter().flat_map(|upgrade| upgrade.services.iter().chain(&upgrade.otherwise));
        let mut found: Vec<Finding> = names.filter_map(|name| name.check(text, specs)).collect();
        found.sort_by_key(|finding| (finding.line, finding.column));
        found
    }
}

impl ServiceName {
    fn check(&self, text: &str, specs: &[&ServiceSpec]) -> Option<Finding> {
        let Self { name, at } = self;
        let mut meant = specs.iter().filter(|spec| self.is_of(spec)).peekable();
        if meant.peek().is_none() {
            let offered = specs.iter().filter(|spec| spec.offered);
            let known: Vec<_> = offered
                .flat_map(|spec| [spec.code.clone(), format!("{}/{}", spec.carrier, spec.code)])
                .collect();
            let hint = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near:?}?"),
                None if specs.is_empty() => "there are no services; put them first".to_owned(),
                None => "earmark tariff shows those there are".to_owned(),
            };
            let reason = format!("no carrier has a service {name:?}; {hint}");
            return Some(finding(text, *at, Severity::Mistake, reason));
        }
        let reason =
            || format!("service {name:?} is withdrawn: nothing goes by it until it is offered again");
        meant.all(|spec| !spec.offered).then(|| finding(text, *at, Severity::Warning, reason()))
    }
}
