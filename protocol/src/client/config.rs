//! What a client is told before it connects.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::transport::TransportSettings;

/// How to reach a daemon.
#[derive(Clone)]
pub struct ClientConfig {
    /// Its address.
    pub address: SocketAddr,
    /// The name its certificate is for; checked where [`Trust::Roots`] are trusted.
    pub server_name: String,
    /// Which certificate is trusted.
    pub trust: Trust,
    /// The token.
    pub token: String,
    /// How many pipes calls are spread over.
    pub pipes: usize,
    /// How long a call waits for its answer, connecting again included.
    pub deadline: Duration,
    /// How long calls wait for a connection that was lost, where that is less than they have left. `None` to wait as long as each
    /// may.
    pub reconnect_deadline: Option<Duration>,
    /// How long the first connection may take.
    pub connect_deadline: Duration,
    /// Most unanswered messages on one pipe, where the daemon allows more.
    pub in_flight_max: u32,
    /// The shortest pause before connecting again; it doubles with each failure.
    pub backoff_min: Duration,
    /// The longest pause before connecting again.
    pub backoff_max: Duration,
    /// Datagrams and timeouts.
    pub transport: TransportSettings,
}

/// Which certificate of a daemon is trusted.
#[derive(Clone, Debug)]
pub enum Trust {
    /// This one, in DER, whatever name it is for: the self-signed certificate of a daemon's first start.
    Certificate(Vec<u8>),
    /// Any that these roots (PEM) vouch for, for the configured name.
    Roots(Vec<u8>),
}

impl ClientConfig {
    /// A configuration with four pipes and ten seconds for a call.
    #[must_use]
    pub fn new(address: SocketAddr, trust: Trust, token: impl Into<String>) -> Self {
        Self {
            address,
            server_name: "localhost".to_owned(),
            trust,
            token: token.into(),
            pipes: 4,
            deadline: Duration::from_secs(10),
            reconnect_deadline: None,
            connect_deadline: Duration::from_secs(5),
            in_flight_max: u32::MAX,
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_secs(1),
            transport: TransportSettings::to(address),
        }
    }
}

/// Tokens never reach logs.
impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("address", &self.address)
            .field("server_name", &self.server_name)
            .field("pipes", &self.pipes)
            .field("deadline", &self.deadline)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}
