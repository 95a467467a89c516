//! Where settings come from: a TOML file, the environment, flags. Names are checked against the table here;
//! values against each other in the room above.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::settings::Given;
use super::{Config, Misread, Origin, SECTIONS, SETTINGS, Setting};

/// Prefix of the variables that set something.
const VARIABLE_PREFIX: &str = "EARMARK_";
/// So many letters wrong, missing, too many or changed about make a name that is likely meant for another.
const MISSPELT: usize = 3;
/// Stands for the section of what may be of any.
const ANY: &str = "";

pub(super) fn take_file(config: &mut Config, path: &Path, misread: &mut Misread) {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => take_text(config, &file, &text, misread),
        Err(error) => {
            let message = format!("the file cannot be read: {error}; name one that can, or leave it out");
            misread.note(ANY, Origin::File { file, line: 0 }, message);
        }
    }
}

pub(super) fn take_text(config: &mut Config, file: &str, text: &str, misread: &mut Misread) {
    let at = |offset: usize| {
        let line =
            text.as_bytes()[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1;
        Origin::File { file: file.to_owned(), line }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let origin = at(error.span().map_or(0, |span| span.start));
            misread.note(ANY, origin, format!("this is not TOML: {}", error.message()));
        }
        return;
    }
    for (section, entries) in table.get_ref() {
        let (name, origin) = (section.get_ref().as_ref(), at(section.span().start));
        if !SECTIONS.iter().any(|section| section.name == name) {
            misread.note(name, origin, unknown(name));
            continue;
        }
        let DeValue::Table(entries) = entries.get_ref() else {
            let message = format!("{name} is a section; write [{name}] and its settings below");
            misread.note(name, origin, message);
            continue;
        };
        for (entry, value) in entries {
            let (key, origin) = (format!("{name}.{}", entry.get_ref()), at(entry.span().start));
            set(config, &key, Given::Toml(value.get_ref()), origin, misread);
        }
    }
}

pub(super) fn take_environment(
    config: &mut Config,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    misread: &mut Misread,
) {
    for (variable, value) in environment {
        let Some(variable) = variable.to_str() else { continue };
        // Variables of no section are other programs' (the client's token, …): theirs to check.
        let Some(key) = key_of(variable) else { continue };
        let origin = Origin::Environment(variable.to_owned());
        match value.to_str() {
            Some(value) => set(config, &key, Given::Text(value), origin, misread),
            None => misread.note(
                section_of(&key),
                origin,
                format!("{key}: {value:?} is no text; give it as UTF-8"),
            ),
        }
    }
}

/// The setting that a variable names, by its section; whether there is one of that name is not looked at.
fn key_of(variable: &str) -> Option<String> {
    let name = variable.strip_prefix(VARIABLE_PREFIX)?.to_lowercase();
    SECTIONS.iter().find_map(|section| {
        let rest = name.strip_prefix(section.name)?.strip_prefix('_')?;
        Some(format!("{}.{rest}", section.name))
    })
}

/// Variables that set nothing and look as if they were to set something, each with the one that is likely meant. Others that
/// begin alike are left alone: `EARMARK_TOKEN` is the command line's, and where containers run, a service of that name gives
/// each of them some (`EARMARK_PORT`, …).
pub fn misspelt(variables: impl IntoIterator<Item = OsString>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for variable in variables {
        let Some(variable) = variable.to_str().filter(|name| name.starts_with(VARIABLE_PREFIX)) else {
            continue;
        };
        if key_of(variable).is_some() {
            continue;
        }
        let upper = variable.to_uppercase();
        let known = SETTINGS.iter().map(Setting::variable);
        let nearest = known.map(|known| (strsim::osa_distance(&upper, &known), known)).min();
        if let Some((distance, known)) = nearest
            && distance <= MISSPELT
        {
            found.push((variable.to_owned(), known));
        }
    }
    found
}

pub(super) fn take_flags(config: &mut Config, flags: &[(String, String)], misread: &mut Misread) {
    for (key, value) in flags {
        set(config, key, Given::Text(value), Origin::Flag(format!("--{key}")), misread);
    }
}

fn set(config: &mut Config, key: &str, given: Given<'_>, origin: Origin, misread: &mut Misread) {
    if let Err(message) = config.set(key, given, origin.clone()) {
        let message = if SETTINGS.iter().any(|setting| setting.key == key) {
            format!("{key}: {message}")
        } else {
            message
        };
        misread.note(section_of(key), origin, message);
    }
}

fn section_of(key: &str) -> &str {
    key.split('.').next().unwrap_or_default()
}

/// What is said of a name that is none: those that stand nearest.
pub(super) fn unknown(key: &str) -> String {
    let section = section_of(key);
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
