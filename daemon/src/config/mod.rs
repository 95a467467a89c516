//! Configuration: what can be set ([`settings`]), where it comes from (file, environment, flags, in that order of
//! growing strength), and the refusal of what is unknown or impossible, by file and line. It never reads a file
//! other than the one it is given.

mod settings;
mod source;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

pub use settings::{
    Capacity, Commit, Config, Durability, Logging, Overload, Routing, Rules, SECTIONS, SETTINGS, Section,
    Security, Server, Setting, Tariff,
};
pub use source::{default_file, flag_values, flags, misspelt};
pub use value::{CommitMode, DurabilityMode, HoldClassSetting, LogFormat, PriceMode, SalesChannel, Value};

/// Where a value was given; in messages it stands before what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    File {
        /// The file as it was named.
        file: String,
        /// Counted from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(String),
    /// Nowhere: it is the default, or was set by the program.
    Program,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line: 0 } => f.write_str(file),
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
            Self::Program => write!(f, "default"),
        }
    }
}

/// Where each setting that is not at its default was given.
pub type Origins = BTreeMap<&'static str, Origin>;

/// One thing wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub origin: Origin,
    /// What, and what to do.
    pub message: String,
}

/// The configuration is refused; every problem is listed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reading the configuration: {} problem(s)", self.problems.len())?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {}: {}", problem.origin, problem.message))
    }
}

/// What could not be read.
#[derive(Debug, Default)]
struct Misread {
    problems: Vec<Problem>,
    /// The sections of which something may not have been read.
    sections: BTreeSet<&'static str>,
}

impl Misread {
    /// Notes a problem with something in a section; with one that is none, it may have been meant for any.
    fn note(&mut self, section: &str, origin: Origin, message: String) {
        self.problems.push(Problem { origin, message });
        let named = SECTIONS.iter().map(|known| known.name).filter(|name| *name == section);
        self.sections.extend(named);
        if !SECTIONS.iter().any(|known| known.name == section) {
            self.sections.extend(SECTIONS.iter().map(|known| known.name));
        }
    }
}

impl Config {
    /// The configuration of a file (where one is given), the environment and flags, each stronger than the one
    /// before. `environment` is usually `std::env::vars_os()`, `flags` what [`flag_values`] found.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        flags: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        let mut misread = Misread::default();
        if let Some(path) = file {
            source::take_file(&mut config, path, &mut misread);
        }
        source::take_environment(&mut config, environment, &mut misread);
        source::take_flags(&mut config, flags, &mut misread);
        config.checked(misread)
    }

    /// The configuration, where nothing was misread and nothing is impossible; else all that is wrong at once.
    fn checked(self, misread: Misread) -> Result<Self, ConfigError> {
        let impossible = self.problems(&misread);
        let problems: Vec<_> = misread.problems.into_iter().chain(impossible).collect();
        if problems.is_empty() { Ok(self) } else { Err(ConfigError { problems }) }
    }

    /// Refuse settings that are impossible, each alone or together.
    pub fn check(&self) -> Result<(), ConfigError> {
        let problems = self.problems(&Misread::default());
        if problems.is_empty() { Ok(()) } else { Err(ConfigError { problems }) }
    }

    /// What is impossible. Settings of a section that was misread are not compared with each other: what is missed there may
    /// have been given, and could not be read.
    fn problems(&self, misread: &Misread) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut wrong = |key: &str, message: String| {
            let origin = self.origins.get(key).cloned().unwrap_or(Origin::Program);
            problems.push(Problem { origin, message: format!("{key}: {message}") });
        };
        for setting in SETTINGS {
            if let (Some((low, high)), Some(number)) = (setting.range, self.number(setting.key))
                && !(low..=high).contains(&number)
            {
                wrong(
                    setting.key,
                    format!("{number} is out of bounds; give {low} to {high} {}", setting.unit),
                );
            }
        }
        let security = &self.security;
        let own = [&security.certificate_file, &security.key_file, &security.tokens_file];
        let given = own.iter().filter(|file| file.is_some()).count();
        let is_read = |section: &str| !misread.sections.contains(section);
        if is_read("security") && security.certificate_file.is_some() != security.key_file.is_some() {
            let key = "security.certificate_file";
            wrong(
                key,
                "certificate and key belong together; give security.key_file too, or neither".to_owned(),
            );
        }
        if is_read("security") && !self.server.listen.ip().is_loopback() && given < own.len() {
            wrong(
                "server.listen",
                format!(
                    "{} can be reached from outside, and the daemon's own certificate and token are for this \
                     machine alone; set security.certificate_file, security.key_file and security.tokens_file, \
                     or listen on 127.0.0.1",
                    self.server.listen
                ),
            );
        }
        if !self.durability.segment_bytes.is_multiple_of(4096) {
            let bytes = self.durability.segment_bytes;
            wrong("durability.segment_bytes", format!("{bytes} is no multiple of 4096; give one"));
        }
        let shed = &self.overload;
        let grows = shed.quote_ms <= shed.reserve_ms
            && shed.reserve_ms <= shed.other_ms
            && shed.other_ms <= shed.finish_ms;
        if is_read("overload") && !grows {
            let message = "quotes are shed first, then reserves, then the rest, finishing steps last; \
                           give quote_ms ≤ reserve_ms ≤ other_ms ≤ finish_ms";
            wrong("overload.quote_ms", message.to_owned());
        }
        if let Err(error) = self.log.level.parse::<tracing_subscriber::EnvFilter>() {
            let message = format!("{:?} is no level: {error}; give one like \"info\"", self.log.level);
            wrong("log.level", message);
        }
        for class in &self.rules.classes {
            if class.name.is_empty() || class.lifetime_ms == 0 || class.lifetime_ms > class.lifetime_ms_max {
                let message =
                    format!("the class {:?} needs a name and 1 ≤ lifetime_ms ≤ lifetime_ms_max", class.name);
                wrong("rules.classes", message);
            }
        }
        if !(1..=256).contains(&self.rules.classes.len()) {
            wrong("rules.classes", format!("{} classes; give 1 to 256", self.rules.classes.len()));
        }
        let mut names: Vec<&str> = self.rules.classes.iter().map(|class| class.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            wrong(
                "rules.classes",
                format!("the class {:?} stands twice; give each a name of its own", pair[0]),
            );
        }
        if !(1..=65_536).contains(&self.rules.channels.len()) {
            wrong("rules.channels", format!("{} channels; give 1 to 65536", self.rules.channels.len()));
        }
        for channel in &self.rules.channels {
            let limit = earmark_protocol::ids::Segment::LIMIT;
            if channel.segments.is_empty() || channel.segments.iter().any(|segment| *segment >= limit) {
                let message =
                    format!("the channel {:?} needs at least one segment, each below {limit}", channel.name);
                wrong("rules.channels", message);
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests;
