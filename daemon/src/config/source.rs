//! Where settings come from: a TOML file, the environment, flags. Names are checked against the table here;
//! values against each other in the room above.

use std::fmt::Write as _;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::settings::Given;
use super::{Config, Origin, Problem, SECTIONS, SETTINGS};

/// Prefix of the variables that set something.
const VARIABLE_PREFIX: &str = "EARMARK_";

pub(super) fn take_file(config: &mut Config, path: &Path, problems: &mut Vec<Problem>) {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => take_text(config, &file, &text, problems),
        Err(error) => problems.push(Problem {
            origin: Origin::File { file, line: 0 },
            message: format!("the file cannot be read: {error}; name one that can, or leave it out"),
        }),
    }
}

pub(super) fn take_text(config: &mut Config, file: &str, text: &str, problems: &mut Vec<Problem>) {
    let at = |offset: usize| {
        let line =
            text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
        Origin::File { file: file.to_owned(), line }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        problems.extend(errors.iter().map(|error| Problem {
            origin: at(error.span().map_or(0, |span| span.start)),
            message: format!("this is not TOML: {}", error.message()),
        }));
        return;
    }
    for (section, entries) in table.get_ref() {
        let (name, origin) = (section.get_ref().as_ref(), at(section.span().start));
        if !SECTIONS.iter().any(|section| section.name == name) {
            problems.push(Problem { origin, message: unknown(name) });
            continue;
        }
        let DeValue::Table(entries) = entries.get_ref() else {
            let message = format!("{name} is a section; write [{name}] and its settings below");
            problems.push(Problem { origin, message });
            continue;
        };
        for (entry, value) in entries {
            let (key, origin) = (format!("{name}.{}", entry.get_ref()), at(entry.span().start));
            set(config, &key, Given::Toml(value.get_ref()), origin, problems);
        }
    }
}

pub(super) fn take_environment(
    config: &mut Config,
    environment: impl IntoIterator<Item = (String, String)>,
    problems: &mut Vec<Problem>,
) {
    for (variable, value) in environment {
        let Some(name) = variable.strip_prefix(VARIABLE_PREFIX) else { continue };
        // Variables of no section are other programs' (the client's token, …): theirs to check.
        let Some(section) = SECTIONS.iter().find(|section| {
            name.len() > section.name.len()
                && name.as_bytes()[section.name.len()] == b'_'
                && name
                    .get(..section.name.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(section.name))
        }) else {
            continue;
        };
        let key = format!("{}.{}", section.name, name[section.name.len() + 1..].to_lowercase());
        set(config, &key, Given::Text(&value), Origin::Environment(variable.clone()), problems);
    }
}

pub(super) fn take_flags(config: &mut Config, flags: &[(String, String)], problems: &mut Vec<Problem>) {
    for (key, value) in flags {
        set(config, key, Given::Text(value), Origin::Flag(format!("--{key}")), problems);
    }
}

fn set(config: &mut Config, key: &str, given: Given<'_>, origin: Origin, problems: &mut Vec<Problem>) {
    if let Err(message) = config.set(key, given, origin.clone()) {
        let message = if SETTINGS.iter().any(|setting| setting.key == key) {
            format!("{key}: {message}")
        } else {
            message
        };
        problems.push(Problem { origin, message });
    }
}

/// What is said of a name that is none: those that stand nearest.
pub(super) fn unknown(key: &str) -> String {
    let section = key.split('.').next().unwrap_or_default();
    let near: Vec<&str> = SETTINGS
        .iter()
        .map(|setting| setting.key)
        .filter(|known| known.strip_prefix(section).is_some_and(|rest| rest.starts_with('.')))
        .collect();
    if near.is_empty() {
        let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
        format!("{key} is no section; there are {}", names.join(", "))
    } else {
        format!("{key} is no setting; {section} has {}", near.join(", "))
    }
}

/// A file of all settings at their defaults, each with its meaning, commented out: what `earmark serve` runs on
/// where nothing is set.
#[must_use]
pub fn default_file() -> String {
    let mut text =
        String::from("# Earmark's settings at their defaults. Take the # away from what you change.\n");
    for section in SECTIONS {
        let _ = write!(text, "\n# {}\n[{}]\n", section.about, section.name);
        for setting in SETTINGS {
            let Some(name) = setting.key.strip_prefix(section.name).and_then(|rest| rest.strip_prefix('.'))
            else {
                continue;
            };
            let bounds = setting.range.map_or_else(String::new, |(low, high)| format!(", {low} to {high}"));
            let _ = writeln!(text, "\n# {}\n# ({}{bounds})", setting.about, setting.unit);
            let _ = writeln!(text, "# {name} = {}", (setting.default)());
        }
    }
    text
}

/// `command` with a flag for every setting: `--server.listen 127.0.0.1:7447`.
#[must_use]
pub fn flags(command: clap::Command) -> clap::Command {
    SETTINGS.iter().fold(command, |command, setting| {
        let help = format!("{} [{}; default {}]", setting.about, setting.unit, (setting.default)());
        let flag = clap::Arg::new(setting.key).long(setting.key).value_name("VALUE");
        command.arg(flag.help(help).help_heading("Settings").hide_short_help(true))
    })
}

/// What the flags of [`flags`] were given, for [`Config::load`].
#[must_use]
pub fn flag_values(matches: &clap::ArgMatches) -> Vec<(String, String)> {
    let given = |key: &str| matches.try_get_one::<String>(key).ok().flatten().cloned();
    SETTINGS.iter().filter_map(|setting| Some((setting.key.to_owned(), given(setting.key)?))).collect()
}
