//! Single values of a policy's text: words, numbers, amounts, moments, conditions. Each that is not what it should be is a mistake
//! with its place.

use std::ops::Range;

use earmark_protocol::catalogue::COST_MAX;
use earmark_protocol::ids::{Money, TimestampMs};
use toml::de::DeValue;

use super::check::{self, Term};
use super::read::{Reader, Value};
use super::schema::Needs;
use super::tokens::Mistake;

/// Longest name of a policy or rule, in bytes.
const NAME_LEN_MAX: usize = 64;
/// The most days for which a policy has orders wait: calendars of nodes are looked at some more days ahead.
const BACKORDER_DAYS_MAX: u16 = 365;

impl Reader<'_> {
    pub(super) fn backorder_days(&mut self, value: &Value<'_>) -> u16 {
        let days = self.number_of(value).unwrap_or_default();
        if days > BACKORDER_DAYS_MAX {
            self.mistake(
                value.span().start,
                format!("expected a whole number of days from 1 to {BACKORDER_DAYS_MAX}"),
            );
        }
        days
    }

    pub(super) fn text_of(&mut self, value: &Value<'_>) -> Option<String> {
        let text = value.get_ref().as_str().map(str::to_owned);
        if text.is_none() {
            self.mistake(value.span().start, "expected text in quotes");
        }
        text
    }

    /// Which of two words it is: whether it is the second.
    pub(super) fn either(&mut self, value: &Value<'_>, words: [&str; 2]) -> Option<bool> {
        self.one_of(value, &words).map(|place| place == 1)
    }

    /// Which of these words it is.
    pub(super) fn one_of(&mut self, value: &Value<'_>, words: &[&str]) -> Option<usize> {
        let text = self.text_of(value)?;
        let found = words.iter().position(|word| *word == text);
        if found.is_none() {
            let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            let neither = if words.len() == 2 { "neither" } else { "none of" };
            let (last, others) = words.split_last().expect("there are words");
            let joined =
                format!("{} {} {last}", others.join(", "), if words.len() == 2 { "nor" } else { "and" });
            self.mistake(value.span().start, format!("{text:?} is {neither} {joined}"));
        }
        found
    }

    pub(super) fn truth(&mut self, value: &Value<'_>) -> Option<bool> {
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            self.mistake(value.span().start, "expected true or false");
        }
        truth
    }

    pub(super) fn name(&mut self, value: &Value<'_>) -> Option<String> {
        let name = self.text_of(value)?;
        let good =
            !name.trim().is_empty() && name.len() <= NAME_LEN_MAX && !name.chars().any(char::is_control);
        if !good {
            self.mistake(
                value.span().start,
                format!("a name has 1 to {NAME_LEN_MAX} bytes, none of them control characters"),
            );
        }
        good.then_some(name)
    }

    pub(super) fn number_of(&mut self, value: &Value<'_>) -> Option<u16> {
        let integer = value.get_ref().as_integer().filter(|integer| integer.radix() == 10);
        let number = integer.and_then(|integer| integer.as_str().parse().ok()).filter(|number| *number > 0);
        if number.is_none() {
            self.mistake(value.span().start, format!("expected a whole number from 1 to {}", u16::MAX));
        }
        number
    }

    pub(super) fn moment_of(&mut self, value: &Value<'_>) -> Option<TimestampMs> {
        let text = value.get_ref().as_str().map(str::to_owned);
        let text = text.or_else(|| value.get_ref().as_datetime().map(ToString::to_string));
        let moment = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        let moment = moment.and_then(|moment| u64::try_from(moment.as_millisecond()).ok()).map(TimestampMs);
        if moment.is_none() {
            let reason = "expected a moment with its offset from UTC, like 2027-11-26T00:00:00-05:00, from 1970 to \
                          9999-12-30T22:00:00Z";
            self.mistake(value.span().start, reason);
        }
        moment
    }

    /// Per cent, some of which are left for the version before.
    pub(super) fn share_of(&mut self, value: &Value<'_>) -> Option<u8> {
        let integer = value.get_ref().as_integer().filter(|integer| integer.radix() == 10);
        let share = integer
            .and_then(|integer| integer.as_str().parse().ok())
            .filter(|share| (1..100).contains(share));
        if share.is_none() {
            let reason = "expected a whole number of per cent from 1 to 99; without it the policy is for all";
            self.mistake(value.span().start, reason);
        }
        share
    }

    /// An amount of money: text, or a number as it is written.
    pub(super) fn money(&mut self, value: &Value<'_>) -> Option<Money> {
        let written = match value.get_ref() {
            DeValue::String(text) => text.as_ref(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
            DeValue::Float(number) => number.as_str(),
            _ => "",
        };
        let money = written.parse().ok().filter(|cost: &Money| *cost <= COST_MAX);
        if money.is_none() {
            let reason = "expected an amount from 0 to 1000000, with at most six decimals, like \"2.50\"";
            self.mistake(value.span().start, reason);
        }
        money
    }

    pub(super) fn condition(&mut self, value: &Value<'_>) -> Option<Term> {
        let text = self.text_of(value)?;
        match check::condition(&text) {
            Ok(term) => Some(term),
            Err(Mistake { at, reason }) => {
                let at = place_in(self.text, value.span(), &text, at);
                self.mistake(at, reason);
                None
            }
        }
    }

    pub(super) fn scalar_condition(&mut self, value: &Value<'_>, what: &str) -> Option<Term> {
        let term = self.condition(value)?;
        let needs = term.needs();
        let not_of_lines = what != "when" && needs.has(Needs::LINE);
        if needs.is_scalar() && !not_of_lines {
            return Some(term);
        }
        let may = if what == "when" { "order, line and time" } else { "order and time" };
        self.mistake(value.span().start, format!("`{what}` may ask about {may} alone"));
        None
    }
}

/// Where a place of a text value stands in the file. Exact where the value stands there as it is, without escapes.
fn place_in(file: &str, span: Range<usize>, value: &str, at: usize) -> usize {
    let begins = span.start;
    file.get(span).and_then(|written| written.find(value)).map_or(begins, |skipped| begins + skipped + at)
}
