//! Policies: rules and weights that routing obeys, written by people, changed without code.
//!
//! The way of a policy: its TOML text is read into a model ([`read`], [`model`]), each condition by a small reader of
//! CEL ([`syntax`]) and a checker of types ([`check`]) against one table of fields ([`schema`]); what surely was not meant
//! is warned of ([`analysis`]). Policies are kept by version ([`table`]), each for the orders that it says ([`reach`]), and compiled to sets
//! of nodes ([`program`]); services that rules name are found by [`services`]; for each order a planner asks who may serve what, at what extra cost ([`ruling`]). Nothing here reads a
//! file or a clock, and nothing here plans.

mod analysis;
mod check;
mod eval;
mod model;
mod program;
mod reach;
mod read;
mod ruling;
mod schema;
mod services;
mod syntax;
mod table;
#[cfg(test)]
mod tests;
mod tokens;
mod values;

pub(crate) use check::Term;
pub(crate) use eval::{LineFacts, OrderFacts, Way};
pub use model::Policy;
pub use read::{FALLBACKS_MAX, Finding, RULES_MAX, Severity, TEXT_LEN_MAX};
pub(crate) use ruling::{Asked, Ruling, tell_gave_way};
pub use schema::{FIELDS, FieldSpec, Type};
pub(crate) use table::{Kept, PolicyTable};

impl Policy {
    /// Reads a policy and warns of what surely was not meant.
    ///
    /// # Errors
    /// All mistakes, in the order of the text.
    pub fn check(text: &str) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let policy = read::read(text)?;
        let warnings = analysis::warnings(text, &policy);
        Ok((policy, warnings))
    }

    /// How many rules it has.
    #[must_use]
    pub fn rules(&self) -> usize {
        self.names().count()
    }

    /// Reads a policy.
    ///
    /// # Errors
    /// All mistakes, in the order of the text.
    pub fn parse(text: &str) -> Result<Self, Vec<Finding>> {
        read::read(text)
    }
}
