//! How the daemon is reached: the same options and variables as those of `earmark`, and the transport's settings.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use earmark_protocol::client::credentials::{self, CredentialsError};
use earmark_protocol::client::{Client, ClientConfig, Credentials, TransportSettings};

use crate::error::Trouble;

/// Where the daemon is and who asks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct Connect {
    /// The daemon's address
    #[arg(
        long,
        visible_alias = "server",
        env = "EARMARK_ADDRESS",
        default_value = "127.0.0.1:7447",
        value_name = "HOST:PORT"
    )]
    address: String,
    /// The daemon's data directory: its certificate and admin token are taken from there
    #[arg(long, env = "EARMARK_DATA_DIR", default_value = "earmark-data", value_name = "DIR")]
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
    /// Put the load on the daemon's unix socket; what it is asked before and after still goes over QUIC
    #[arg(long, value_name = "PATH")]
    pub(crate) unix: Option<PathBuf>,
    /// The largest datagram that MTU discovery tries, in bytes; at least 1,200, which QUIC asks of every path
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u16).range(1_200..))]
    mtu_max: Option<u16>,
    /// Send each datagram with a call of its own, instead of many that the kernel cuts (GSO)
    #[arg(long)]
    no_segmentation_offload: bool,
}

impl Connect {
    /// How long an answer may take.
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    /// For clients and dialers.
    pub(crate) fn config(&self) -> Result<ClientConfig, Trouble> {
        let address = credentials::address(&self.address).map_err(wrong)?;
        let trust = self.credentials().trust().map_err(wrong)?;
        let default = TransportSettings::to(address);
        let transport = TransportSettings {
            mtu_max: self.mtu_max.unwrap_or(default.mtu_max),
            segmentation_offload: !self.no_segmentation_offload,
            ..default
        };
        Ok(ClientConfig {
            deadline: self.deadline(),
            connect_deadline: self.deadline(),
            server_name: self.server_name.clone().unwrap_or_else(|| "localhost".to_owned()),
            transport,
            ..ClientConfig::new(address, trust, self.token()?)
        })
    }

    /// A client for what is asked before and after the load.
    pub(crate) async fn client(&self) -> Result<Client, Trouble> {
        Client::connect(self.config()?).await.map_err(Trouble::daemon("connecting"))
    }

    /// Who asks.
    pub(crate) fn token(&self) -> Result<String, Trouble> {
        self.credentials().token().map_err(wrong)
    }

    fn credentials(&self) -> Credentials {
        Credentials {
            data_dir: self.data_dir.clone(),
            token_file: self.token_file.clone(),
            certificate: self.certificate.clone(),
            roots: self.roots.clone(),
        }
    }
}

fn wrong(error: CredentialsError) -> Trouble {
    Trouble::Usage(error.to_string())
}
