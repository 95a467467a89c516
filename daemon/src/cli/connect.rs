//! How the command line reaches a daemon: address, certificate and token, by default those that a daemon's first
//! start left in its data directory.

use std::cell::OnceCell;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use earmark_protocol::client::credentials::{self, CredentialsError};
use earmark_protocol::client::{Client, ClientConfig, Credentials};

use super::outcome::Failure;

/// Where `serve` keeps its data and the other commands look for it, if nobody says otherwise.
pub(super) const DATA_DIR: &str = "earmark-data";

/// Where the daemon is and who asks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(super) struct Connection {
    /// The daemon's address
    #[arg(long, env = "EARMARK_ADDRESS", default_value = "127.0.0.1:7447", value_name = "HOST:PORT")]
    address: String,
    /// The daemon's data directory: its certificate and admin token are taken from there
    #[arg(long, env = "EARMARK_DATA_DIR", default_value = DATA_DIR, value_name = "DIR")]
    data_dir: PathBuf,
    /// A file that holds the token; without it, the variable EARMARK_TOKEN, then the data directory's
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The daemon's own certificate in PEM, instead of the data directory's
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Roots in PEM that vouch for the daemon's certificate, instead of one certificate
    #[arg(long, value_name = "FILE", conflicts_with = "certificate", requires = "server_name")]
    roots: Option<PathBuf>,
    /// The name that the daemon's certificate is for
    #[arg(long, value_name = "NAME", requires = "roots")]
    server_name: Option<String>,
    /// How long to wait for an answer
    #[arg(long, default_value_t = 10_000, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    deadline_ms: u64,
    /// Answers may take so long in any case.
    #[arg(skip)]
    patience: Duration,
}

/// The connection of this process, if it made one.
#[derive(Debug, Default)]
pub(super) struct Session {
    client: OnceCell<Client>,
}

impl Session {
    /// Connects.
    pub(super) async fn connect(&self, connection: &Connection) -> Result<Client, Failure> {
        let client = connection.client().await?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    /// Takes leave, so that the daemon need not wait for one who is gone.
    pub(super) async fn close(&self) {
        if let Some(client) = self.client.get() {
            client.close().await;
        }
    }
}

impl Connection {
    /// The same, waiting at least so long for an answer once it is connected.
    #[must_use]
    pub(super) fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    async fn client(&self) -> Result<Client, Failure> {
        let credentials = Credentials {
            data_dir: self.data_dir.clone(),
            token_file: self.token_file.clone(),
            certificate: self.certificate.clone(),
            roots: self.roots.clone(),
        };
        let wrong = |error: CredentialsError| Failure::usage(error.to_string());
        let address = credentials::address(&self.address).map_err(wrong)?;
        let (trust, token) = (credentials.trust().map_err(wrong)?, credentials.token().map_err(wrong)?);
        let deadline = Duration::from_millis(self.deadline_ms);
        let config = ClientConfig {
            pipes: 1,
            deadline: deadline.max(self.patience),
            // Who waits long for the daemon does not wait as long for one that is gone.
            reconnect_deadline: (self.patience > deadline).then_some(deadline),
            connect_deadline: deadline,
            server_name: self.server_name.clone().unwrap_or_else(|| "localhost".to_owned()),
            ..ClientConfig::new(address, trust, token)
        };
        Client::connect(config).await.map_err(|error| Failure::client("asking the daemon", &error))
    }
}
