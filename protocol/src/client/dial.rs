//! From an address to a connection, and from a connection to pipes. Whoever dials decides what to do when it fails.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::config::ClientConfig;
use super::error::ClientError;
use super::pipe::{Pipe, QuicPipe};
use super::tls;
use super::transport;

/// How long a goodbye takes at most. It leaves in the first moment of it; the rest is for the system to send it.
const GOODBYE: Duration = Duration::from_millis(10);

/// The QUIC error code of a client that is done.
const DONE: quinn::VarInt = quinn::VarInt::from_u32(0);

/// A socket that can dial one daemon again and again.
#[derive(Clone, Debug)]
pub struct Dialer {
    endpoint: quinn::Endpoint,
    address: SocketAddr,
    server_name: Arc<str>,
    token: Arc<str>,
}

impl Dialer {
    /// Binds a socket; must be called on a tokio runtime, which drives it from then on.
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let mut quic = quinn::ClientConfig::new(Arc::new(tls::crypto(&config.trust)?));
        quic.transport_config(config.transport.transport());
        let any = match config.address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = transport::bind(any)
            .and_then(|socket| quinn::Endpoint::new(config.transport.endpoint(), None, socket, runtime));
        let mut endpoint = endpoint.map_err(|error| ClientError::Configuration {
            what: "a UDP socket",
            cause: error.to_string().into(),
        })?;
        endpoint.set_default_client_config(quic);
        let (server_name, token) = (config.server_name.as_str().into(), config.token.as_str().into());
        Ok(Self { endpoint, address: config.address, server_name, token })
    }

    /// Connects, within this time.
    pub async fn dial(&self, within: Duration) -> Result<Connection, ClientError> {
        let unreachable =
            |cause: String| ClientError::Unreachable { address: self.address, cause: cause.into() };
        let connecting = self.endpoint.connect(self.address, &self.server_name);
        let connecting = connecting.map_err(|error| unreachable(error.to_string()))?;
        match tokio::time::timeout(within, connecting).await {
            Ok(Ok(connection)) => Ok(Connection { connection, token: Arc::clone(&self.token) }),
            Ok(Err(error)) => Err(unreachable(error.to_string())),
            Err(_) => Err(unreachable(format!("no answer within {} ms", within.as_millis()))),
        }
    }

    /// Lets the connections that were closed tell the peer so. It does not wait until the peer has heard it, which is
    /// some times the longest round trip there was: one that does not hear it finds the silence out by itself.
    pub async fn goodbye(&self) {
        let _ = tokio::time::timeout(GOODBYE, self.endpoint.wait_idle()).await;
    }
}

/// A connection. It closes when it and its pipes are dropped.
#[derive(Clone, Debug)]
pub struct Connection {
    connection: quinn::Connection,
    token: Arc<str>,
}

impl Connection {
    /// Opens a pipe and says Hello on it.
    pub async fn open_pipe(&self) -> Result<QuicPipe, ClientError> {
        let opened = self.connection.open_bi().await;
        let (write, read) = opened.map_err(|error| super::pipe::lost(error.into()))?;
        Pipe::open(read, write, &self.token).await
    }

    /// Waits until the connection is gone, and says why.
    pub async fn closed(&self) -> String {
        self.connection.closed().await.to_string()
    }

    /// Closes it with all its pipes.
    pub fn close(&self) {
        self.connection.close(DONE, b"done");
    }

    /// What the transport counted.
    #[must_use]
    pub fn stats(&self) -> quinn::ConnectionStats {
        self.connection.stats()
    }
}
