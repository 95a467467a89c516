//! `serve`: the daemon in the foreground. Settings come from a file, the environment and flags; the daemon itself
//! is elsewhere.

use std::path::PathBuf;

use clap::{ArgMatches, Args};
use serde_json::json;

use super::connect::DATA_DIR;
use super::outcome::{Answer, Failure, Outcome};
use crate::config::{self, Config};

/// `earmark serve`.
#[derive(Clone, Debug, Args)]
pub(super) struct ServeArgs {
    /// A TOML file of settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where certificate, key and tokens are kept, unless the setting durability.directory says otherwise
    #[arg(long, env = "EARMARK_DATA_DIR", default_value = DATA_DIR, value_name = "DIR")]
    data_dir: PathBuf,
    /// Print all settings at their defaults, as such a file, and stop
    #[arg(long)]
    print_config: bool,
}

/// Runs the daemon until SIGTERM or SIGINT, then lets it finish what it has taken.
pub(super) fn serve(args: &ServeArgs, matches: Option<&ArgMatches>) -> Outcome {
    if args.print_config {
        let text = config::default_file();
        return Ok(Answer { json: json!({ "config": text }), text });
    }
    let flags = matches.map(config::flag_values).unwrap_or_default();
    let mut config = Config::load(args.config.as_deref(), std::env::vars_os(), &flags)
        .map_err(|error| Failure::usage(error.to_string()))?;
    // The other commands look for certificate and token there.
    config.durability.directory.get_or_insert_with(|| args.data_dir.clone());
    crate::serve::install_logging(&config.log)
        .and_then(|()| {
            warn_of_misspelt();
            crate::serve::run(config)
        })
        .map_err(|error| Failure::unreachable(format!("serving: {error:#}")))?;
    Ok(Answer { text: "stopped".to_owned(), json: json!({ "stopped": true }) })
}

fn warn_of_misspelt() {
    for (variable, likely) in config::misspelt(std::env::vars_os().map(|(name, _)| name)) {
        tracing::warn!(variable, likely, "an environment variable sets nothing, and is nearly one that does");
    }
}
