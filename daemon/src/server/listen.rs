//! Sockets: the QUIC endpoint of each I/O core, the unix socket, and who may connect. What is said on a connection
//! is not its business.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use earmark_protocol::client::TransportSettings;
use earmark_protocol::hello::ALPN;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, Incoming, ServerConfig, VarInt};
use tokio::net::{UnixListener, UnixStream};

use super::core::Core;
use super::streams::{self, Sink, Source};
use crate::config::Config;
use crate::security::Certificate;

/// What the kernel is asked to buffer for a socket, each way. It may give less.
const SOCKET_BUFFER_BYTES: usize = 8 << 20;
/// Streams allowed beyond the limit of pipes, so that a peer that passes it is told so on the stream itself.
const PIPES_TO_REFUSE: u32 = 8;
/// Why a connection is turned away.
const NO_ROOM: &str = "server.connections_max is reached, or the daemon is stopping";
/// Why one of the unix socket is, besides.
const NO_DESCRIPTOR: &str = "the log and the images need the file descriptors that are left";

/// The UDP sockets of all I/O cores, on one port. What comes before they are served waits in them.
pub(crate) fn bind(listen: SocketAddr, cores: usize) -> anyhow::Result<Vec<UdpSocket>> {
    let told = |address| format!("listening on {address}; is another program there? Set server.listen");
    // A shared port can be shared with another daemon, too, and the kernel would part the clients between them: whether
    // somebody is there shows on a socket that shares nothing.
    let alone = udp(listen, false).with_context(|| told(listen))?;
    // The first socket chooses where port 0 was asked for.
    let address = alone.local_addr().context("asking for the address listened on")?;
    if cores == 1 {
        return Ok(vec![alone]);
    }
    drop(alone);
    let mut sockets = Vec::with_capacity(cores);
    for _ in 0..cores {
        let socket = udp(address, true).with_context(|| told(address))?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn udp(address: SocketAddr, shared_port: bool) -> std::io::Result<UdpSocket> {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
    if shared_port {
        socket.set_reuse_port(true)?;
    }
    for refused in [
        socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES).err(),
        socket.set_send_buffer_size(SOCKET_BUFFER_BYTES).err(),
    ]
    .into_iter()
    .flatten()
    {
        tracing::debug!("the kernel keeps its own socket buffers: {refused}");
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The endpoint of one core. Call it on the core's runtime.
pub(super) fn endpoint(socket: UdpSocket, server: ServerConfig) -> anyhow::Result<Endpoint> {
    let settings = TransportSettings::to(socket.local_addr().context("asking for the address listened on")?);
    let runtime = Arc::new(quinn::TokioRuntime);
    Endpoint::new(settings.endpoint(), Some(server), socket, runtime).context("starting the QUIC endpoint")
}

/// What QUIC is served with.
pub(super) fn quic(config: &Config, certificate: &Certificate, cores: usize) -> anyhow::Result<ServerConfig> {
    let server = &config.server;
    let idle_timeout = Duration::from_millis(u64::from(server.idle_ms));
    let settings = TransportSettings {
        idle_timeout,
        keep_alive: idle_timeout / 3,
        pipes_max: server.pipes_max + PIPES_TO_REFUSE,
        ..TransportSettings::to(server.listen)
    };
    let mut transport =
        Arc::into_inner(settings.transport()).context("the settings of QUIC are shared already")?;
    transport
        .receive_window(VarInt::from_u32(server.connection_window_bytes))
        .stream_receive_window(VarInt::from_u32(
            server.connection_window_bytes.min(2 * server.frame_bytes_max),
        ))
        .send_window(u64::from(server.connection_window_bytes));
    let tls = QuicServerConfig::try_from(certificate.tls(ALPN)?).context("setting up TLS for QUIC")?;
    let mut quic = ServerConfig::with_crypto(Arc::new(tls));
    quic.transport_config(Arc::new(transport));
    // With several endpoints on one port a client's new address may belong to another endpoint, which does not
    // know it: it must connect again instead.
    quic.migration(cores == 1);
    Ok(quic)
}

/// Takes connections until the endpoint closes.
pub(super) async fn accept(core: Arc<Core>, endpoint: Endpoint) {
    while let Some(incoming) = endpoint.accept().await {
        let Some(connected) = core.shared().connect() else {
            core.shared().refuse_connection(&incoming.remote_address().to_string(), NO_ROOM);
            incoming.refuse();
            continue;
        };
        // Once half the places are taken, an address that may be forged has to prove itself before it gets one.
        if core.shared().is_half_full() && incoming.may_retry() {
            if incoming.retry().is_err() {
                tracing::debug!("a peer could not be asked to prove its address");
            }
            continue;
        }
        let core = Arc::clone(&core);
        tokio::spawn(async move {
            let _connected = connected;
            serve_incoming(core, incoming).await;
        });
    }
}

async fn serve_incoming(core: Arc<Core>, incoming: Incoming) {
    let peer = incoming.remote_address();
    match incoming.await {
        Ok(connection) => serve_connection(&core, &connection).await,
        Err(error) => tracing::debug!(%peer, "a connection did not come about: {error}"),
    }
}

async fn serve_connection(core: &Arc<Core>, connection: &Connection) {
    let peer = connection.remote_address();
    tracing::debug!(%peer, "connected");
    // Set once a pipe has said Hello. Each pipe holds it, so its references count them; one is this loop's own.
    let greeted = Arc::new(AtomicBool::new(false));
    let mut hello_due = std::pin::pin!(tokio::time::sleep(core.shared().hello_time));
    let mut is_due = false;
    let closed = loop {
        let accepted = tokio::select! {
            accepted = connection.accept_bi() => accepted,
            () = &mut hello_due, if !is_due => {
                is_due = true;
                if !greeted.load(Ordering::Relaxed) {
                    connection.close(VarInt::from_u32(0), b"no Hello in time");
                }
                continue;
            }
        };
        let (sink, source) = match accepted {
            Ok((send, receive)) => (Sink::Quic(send), Source::Quic(receive)),
            Err(closed) => break closed,
        };
        let (core, pipe) = (Arc::clone(core), Arc::clone(&greeted));
        let open = Arc::strong_count(&greeted) - 1;
        if open > core.shared().limits.pipes_max as usize {
            tokio::spawn(async move {
                streams::refuse(sink, core.shared().too_many_pipes()).await;
                drop(pipe);
            });
        } else {
            tokio::spawn(streams::serve(core, source, sink, peer.to_string(), pipe));
        }
    };
    tracing::debug!(%peer, "disconnected: {closed}");
}

/// A unix socket at a path, for its owner alone. The file goes when this does.
pub(super) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    connections_max: usize,
    /// Held by each open connection.
    open: Arc<()>,
}

impl UnixSocket {
    /// Call it on a runtime. A socket file that nobody listens on is taken over. It takes so many connections at once.
    pub(super) fn bind(path: &Path, connections_max: usize) -> anyhow::Result<Self> {
        if std::os::unix::net::UnixStream::connect(path).is_err() {
            // A file that is no socket stays, and bind says that it is in the way.
            use std::os::unix::fs::FileTypeExt as _;
            if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
                std::fs::remove_file(path)
                    .with_context(|| format!("removing the old socket {}", path.display()))?;
            }
        }
        let listener = UnixListener::bind(path).with_context(|| {
            format!("listening on {}; set server.unix_socket to a free path", path.display())
        })?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .with_context(|| format!("keeping {} for its owner alone", path.display()))?;
        Ok(Self { listener, path: path.to_owned(), connections_max, open: Arc::default() })
    }

    /// Takes connections for ever; each is one pipe.
    pub(super) async fn accept(self, core: Arc<Core>) {
        loop {
            match self.listener.accept().await {
                Ok(_) if Arc::strong_count(&self.open) > self.connections_max => {
                    core.shared().refuse_connection("unix socket", NO_DESCRIPTOR);
                }
                Ok((stream, _)) => serve_unix(&core, stream, Arc::clone(&self.open)),
                Err(error) => {
                    // The system is out of file descriptors, most likely: some that are open must end first.
                    core.shared().tell_turned_away("unix socket", &error.to_string());
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!("removing {}: {error}", self.path.display());
        }
    }
}

fn serve_unix(core: &Arc<Core>, stream: UnixStream, open: Arc<()>) {
    let Some(connected) = core.shared().connect() else {
        core.shared().refuse_connection("unix socket", NO_ROOM);
        return;
    };
    let core = Arc::clone(core);
    let (source, sink) = stream.into_split();
    tokio::spawn(async move {
        let _held = (connected, open);
        let (source, sink) = (Source::Unix(source), Sink::Unix(sink));
        streams::serve(core, source, sink, "unix socket".to_owned(), Arc::default()).await;
    });
}
