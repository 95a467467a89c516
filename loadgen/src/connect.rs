//! How the daemon is reached: the same options and variables as those of `earmark`, and the transport's settings.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use earmark_protocol::client::{Client, ClientConfig, TransportSettings, Trust};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::error::Trouble;

/// The files that a daemon's first start leaves in its data directory.
const CERTIFICATE_FILE: &str = "certificate.pem";
const ADMIN_TOKEN_FILE: &str = "admin.token";
/// The variable that holds a token.
const TOKEN_VARIABLE: &str = "EARMARK_TOKEN";

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
    /// The largest datagram that MTU discovery tries, in bytes
    #[arg(long, value_name = "BYTES")]
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
        let address = self.socket_address()?;
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
            ..ClientConfig::new(address, self.trust()?, self.token()?)
        })
    }

    /// A client for what is asked before and after the load.
    pub(crate) async fn client(&self) -> Result<Client, Trouble> {
        Client::connect(self.config()?).await.map_err(Trouble::daemon("connecting"))
    }

    fn socket_address(&self) -> Result<SocketAddr, Trouble> {
        let attempted = || format!("finding the daemon at {}", self.address);
        let mut addresses = self
            .address
            .to_socket_addrs()
            .map_err(|error| Trouble::usage(attempted(), format!("{error}; give --address as HOST:PORT")))?;
        addresses
            .next()
            .ok_or_else(|| Trouble::usage(attempted(), "the name has no address; give another --address"))
    }

    fn trust(&self) -> Result<Trust, Trouble> {
        if let Some(roots) = &self.roots {
            return Ok(Trust::Roots(read("the roots", roots)?));
        }
        let file = self.certificate.clone().unwrap_or_else(|| self.data_dir.join(CERTIFICATE_FILE));
        let pem = read("the daemon's certificate", &file)?;
        let certificate = CertificateDer::from_pem_slice(&pem).map_err(|error| {
            let attempted = format!("reading the daemon's certificate {}", file.display());
            Trouble::usage(attempted, format!("{error}; it must be PEM"))
        })?;
        Ok(Trust::Certificate(certificate.to_vec()))
    }

    /// Who asks.
    pub(crate) fn token(&self) -> Result<String, Trouble> {
        if let (None, Ok(token)) = (&self.token_file, std::env::var(TOKEN_VARIABLE)) {
            return Ok(token);
        }
        let file = self.token_file.clone().unwrap_or_else(|| self.data_dir.join(ADMIN_TOKEN_FILE));
        let token = String::from_utf8(read("the token", &file)?).map_err(|_| {
            let attempted = format!("reading the token {}", file.display());
            Trouble::usage(attempted, "it is not UTF-8; name another file")
        })?;
        Ok(token.trim().to_owned())
    }
}

fn read(what: &str, file: &Path) -> Result<Vec<u8>, Trouble> {
    std::fs::read(file).map_err(|error| {
        let remedy = "start `earmark serve` first, or name its data directory with --data-dir";
        Trouble::usage(format!("reading {what} {}", file.display()), format!("{error}; {remedy}"))
    })
}
