//! The QUIC settings both ends share: datagram sizes, timeouts, socket buffers. It dials nothing.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// The datagram size the open internet carries.
const MTU_INTERNET: u16 = 1_452;
/// Loopback carries more, but see [`MTU_OFFLOAD_MAX`].
const MTU_LOOPBACK: u16 = 6_500;
/// With segmentation offload quinn hands the kernel up to ten datagrams at once, and the kernel takes at most 65,507
/// bytes: sends above that vanish silently, the path looks broken and falls back to datagrams of 1,200 bytes.
const MTU_OFFLOAD_MAX: u16 = 65_507 / 10;
/// Bytes asked of the kernel for each direction of a socket: bursts of a whole send window fit.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;

/// Datagrams and timeouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportSettings {
    /// The largest datagram tried by MTU discovery, in bytes. Handshakes always begin at 1,200: an initial size
    /// above the initial congestion window would never be sent. At most 6,550 with segmentation offload.
    pub mtu_max: u16,
    /// Let the kernel cut large sends into datagrams (GSO).
    pub segmentation_offload: bool,
    /// A connection is lost after this silence.
    pub idle_timeout: Duration,
    /// Break the silence after this long.
    pub keep_alive: Duration,
    /// Most pipes the peer may open.
    pub pipes_max: u32,
}

impl TransportSettings {
    /// Settings that suit a peer at this address.
    #[must_use]
    pub fn to(address: SocketAddr) -> Self {
        let loopback = match address.ip() {
            IpAddr::V4(ip) => ip.is_loopback(),
            IpAddr::V6(ip) => ip.is_loopback(),
        };
        Self {
            mtu_max: if loopback { MTU_LOOPBACK } else { MTU_INTERNET },
            segmentation_offload: true,
            idle_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(1),
            pipes_max: 0,
        }
    }

    /// For connections.
    #[must_use]
    pub fn transport(&self) -> Arc<quinn::TransportConfig> {
        let mut transport = quinn::TransportConfig::default();
        let mut discovery = quinn::MtuDiscoveryConfig::default();
        discovery.upper_bound(self.datagram_max());
        let idle_ms = u32::try_from(self.idle_timeout.as_millis()).unwrap_or(u32::MAX);
        transport
            .mtu_discovery_config(Some(discovery))
            .enable_segmentation_offload(self.segmentation_offload)
            .max_idle_timeout(Some(quinn::VarInt::from_u32(idle_ms).into()))
            .keep_alive_interval(Some(self.keep_alive))
            .max_concurrent_bidi_streams(self.pipes_max.into())
            .max_concurrent_uni_streams(0_u32.into())
            .datagram_receive_buffer_size(None);
        Arc::new(transport)
    }

    /// For endpoints.
    #[must_use]
    pub fn endpoint(&self) -> quinn::EndpointConfig {
        let mut endpoint = quinn::EndpointConfig::default();
        let bytes = self.datagram_max().max(MTU_INTERNET);
        endpoint.max_udp_payload_size(bytes).expect("sizes from 1,200 to 65,527 bytes are legal");
        endpoint
    }

    fn datagram_max(&self) -> u16 {
        self.mtu_max.min(if self.segmentation_offload { MTU_OFFLOAD_MAX } else { 65_507 })
    }
}

/// A socket for an endpoint, with room for bursts.
pub fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    // Best effort: the kernel caps what it grants, and less only costs throughput.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_at_once_is_never_more_than_the_kernel_takes() {
        let loopback = TransportSettings::to(([127, 0, 0, 1], 1).into());
        let large = TransportSettings { mtu_max: 9_000, ..loopback };
        for settings in [loopback, large] {
            assert!(u32::from(settings.datagram_max()) * 10 <= 65_507);
        }
        let single = TransportSettings { segmentation_offload: false, ..large };
        assert_eq!(single.datagram_max(), 9_000);
    }
}
