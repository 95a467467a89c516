//! A daemon that holds no stock: it speaks the frames over QUIC and answers as its script says, so that the client
//! can be shown every kind of trouble.

#![expect(clippy::unwrap_used, reason = "a daemon of tests fails its test by panicking")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use earmark_protocol::client::{Client, ClientConfig, TransportSettings, Trust, transport};
use earmark_protocol::command::Command;
use earmark_protocol::frame::{FrameWriter, Kind, Message};
use earmark_protocol::hello::{ALPN, Hello, HelloReply, Limits, PipeError, Role};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{CommandId, Lsn, Tenant, TimestampMs};
use earmark_protocol::query::Query;
use earmark_protocol::receive::ReceiveBuffer;
use earmark_protocol::reply::{Done, Reply, Status};
use quinn::crypto::rustls::QuicServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;

pub(crate) const TOKEN: &str = "open sesame";
pub(crate) const TIME: TimestampMs = TimestampMs(1_800_000_000_000);

/// What to do with a message.
pub(crate) enum Act {
    /// Answer it.
    Answer,
    /// Never answer it.
    Silence,
    /// Answer it in front of the next answer.
    AnswerLater,
    /// Decide it, and lose the connection before the answer leaves.
    LoseConnection,
    /// Send these bytes instead.
    Send(Vec<u8>),
    /// Close the pipe over it.
    Close(PipeError),
}

type Script = dyn Fn(usize, &Message<'_>) -> Act + Send + Sync;

pub(crate) struct Daemon {
    pub(crate) address: SocketAddr,
    certificate: Vec<u8>,
    endpoint: quinn::Endpoint,
    pub(crate) seen: Arc<Seen>,
}

/// What the daemon saw and decided.
pub(crate) struct Seen {
    script: Box<Script>,
    pub(crate) epoch: AtomicU64,
    pub(crate) in_flight_max: u32,
    /// Messages per frame, Hellos left out.
    pub(crate) frames: Mutex<Vec<u16>>,
    /// Ids of commands as they came, retries included.
    pub(crate) ids: Mutex<Vec<CommandId>>,
    /// Where each id was decided.
    decided: Mutex<HashMap<CommandId, Lsn>>,
    pub(crate) lie_about_kind: AtomicBool,
}

impl Daemon {
    /// Starts one whose script gets each message but Hellos, with its number since the start.
    pub(crate) fn start(
        in_flight_max: u32,
        script: impl Fn(usize, &Message<'_>) -> Act + Send + Sync + 'static,
    ) -> Self {
        let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let certificate = key.cert.der().to_vec();
        let private = PrivatePkcs8KeyDer::from(key.signing_key.serialize_der());
        let mut tls =
            rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_protocol_versions(&[&rustls::version::TLS13])
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![key.cert.into()], private.into())
                .unwrap();
        tls.alpn_protocols = vec![ALPN.to_vec()];
        let socket = transport::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let settings = TransportSettings { pipes_max: 64, ..TransportSettings::to(address) };
        let crypto = QuicServerConfig::try_from(tls).unwrap();
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        config.transport_config(settings.transport());
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = quinn::Endpoint::new(settings.endpoint(), Some(config), socket, runtime).unwrap();
        let seen = Arc::new(Seen {
            script: Box::new(script),
            epoch: AtomicU64::new(1),
            in_flight_max,
            frames: Mutex::default(),
            ids: Mutex::default(),
            decided: Mutex::default(),
            lie_about_kind: AtomicBool::new(false),
        });
        tokio::spawn(accept(endpoint.clone(), Arc::clone(&seen)));
        Self { address, certificate, endpoint, seen }
    }

    pub(crate) fn config(&self) -> ClientConfig {
        ClientConfig::new(self.address, Trust::Certificate(self.certificate.clone()), TOKEN)
    }

    pub(crate) async fn client(&self, pipes: usize) -> Client {
        Client::connect(ClientConfig { pipes, ..self.config() }).await.unwrap()
    }

    pub(crate) fn stop(&self) {
        self.endpoint.close(1_u32.into(), b"stopped");
    }
}

async fn accept(endpoint: quinn::Endpoint, seen: Arc<Seen>) {
    while let Some(incoming) = endpoint.accept().await {
        let Ok(connection) = incoming.await else { continue };
        let seen = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((write, read)) = connection.accept_bi().await {
                tokio::spawn(serve(connection.clone(), write, read, Arc::clone(&seen)));
            }
        });
    }
}

async fn serve(
    connection: quinn::Connection,
    mut write: quinn::SendStream,
    mut read: quinn::RecvStream,
    seen: Arc<Seen>,
) {
    let mut buffer = ReceiveBuffer::new(1 << 20);
    let mut writer = FrameWriter::new(1 << 20);
    let mut later = Vec::new();
    while let Ok(Some(count)) = read.read(buffer.space()).await {
        buffer.filled(count);
        while let Some(frame) = buffer.next_frame().unwrap() {
            if frame.messages().next().unwrap().unwrap().kind != Kind::Hello {
                seen.frames.lock().unwrap().push(frame.count());
            }
            for message in frame.messages() {
                let message = message.unwrap();
                if message.kind == Kind::Hello {
                    let reply = seen.hello(&message);
                    match reply {
                        Ok(hello) => writer.push(Kind::HelloReply, message.correlation, &hello).unwrap(),
                        Err(error) => writer.push(Kind::PipeError, message.correlation, &error).unwrap(),
                    }
                    continue;
                }
                let (number, lsn) = seen.decide(&message);
                match (seen.script)(number, &message) {
                    Act::Answer => {
                        for (correlation, kind, lsn) in later.drain(..) {
                            seen.answer(&mut writer, correlation, kind, lsn);
                        }
                        seen.answer(&mut writer, message.correlation, message.kind, lsn);
                    }
                    Act::Silence => {}
                    Act::AnswerLater => later.push((message.correlation, message.kind, lsn)),
                    Act::LoseConnection => {
                        connection.close(2_u32.into(), b"lost");
                        return;
                    }
                    Act::Send(bytes) => {
                        write.write_all(&bytes).await.unwrap();
                    }
                    Act::Close(error) => {
                        writer.push(Kind::PipeError, message.correlation, &error).unwrap();
                        write.write_all(writer.finish()).await.unwrap();
                        write.finish().unwrap();
                        return;
                    }
                }
            }
        }
        if write.write_all(writer.finish()).await.is_err() {
            return;
        }
        writer.clear();
    }
}

impl Seen {
    fn hello(&self, message: &Message<'_>) -> Result<HelloReply, PipeError> {
        let hello: Hello = message.decode().unwrap();
        let version = hello.version()?;
        if hello.token != TOKEN {
            return Err(PipeError::TokenUnknown);
        }
        Ok(HelloReply {
            version,
            tenant: Tenant(0),
            role: Role::Admin,
            log_epoch: self.epoch.load(Ordering::SeqCst),
            lsn: Lsn(0),
            time: TIME,
            retry_window_ms: 600_000,
            limits: Limits {
                frame_bytes_max: 1 << 20,
                messages_in_flight_max: self.in_flight_max,
                pipes_max: 64,
                lines_max: 5_000,
            },
        })
    }

    /// Where a message is decided: at the place of its id, if that was seen before.
    fn decide(&self, message: &Message<'_>) -> (usize, Lsn) {
        let id = match message.kind {
            Kind::HoldOne => HoldOne::read(message.body).unwrap().id,
            Kind::Command => message.decode::<Command>().unwrap().id,
            Kind::Query => {
                message.decode::<Query>().unwrap();
                CommandId::default()
            }
            _ => panic!("{message:?} from a client"),
        };
        let mut ids = self.ids.lock().unwrap();
        ids.push(id);
        let mut decided = self.decided.lock().unwrap();
        let next = Lsn(decided.len() as u64 + 1);
        (ids.len(), *decided.entry(id).or_insert(next))
    }

    fn answer(&self, writer: &mut FrameWriter, correlation: u32, kind: Kind, lsn: Lsn) {
        let hold_one = (kind == Kind::HoldOne) != self.lie_about_kind.load(Ordering::SeqCst);
        if hold_one {
            let held = HoldOneReply::Held { lsn, status: Status::Held, deadline: TIME };
            writer.push_body(Kind::HoldOneReply, correlation, &held.to_bytes()).unwrap();
        } else if kind == Kind::Query {
            writer.push(Kind::Reply, correlation, &Reply::Stats(vec![("answered".into(), 1)])).unwrap();
        } else {
            let done =
                Done { lsn, status: None, deadline: TimestampMs(0), moved: 0, short: 0, plans: Vec::new() };
            writer.push(Kind::Reply, correlation, &Reply::Done(done)).unwrap();
        }
    }
}
