//! A peer that sends whatever bytes a test likes, over QUIC.

use std::sync::Arc;
use std::time::Duration;

use earmark_protocol::frame::{FRAME_BYTES_MAX, Frame, FrameWriter, Kind};
use earmark_protocol::hello::{ALPN, Hello, HelloReply, PipeError};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream};

use crate::world::World;

/// Within this the daemon has answered, or the test has failed.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct RawPipe {
    pub(crate) send: SendStream,
    pub(crate) receive: RecvStream,
}

/// A connection that trusts the daemon's certificate and says nothing by itself.
pub(crate) async fn connect(world: &World) -> Connection {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(world.daemon.certificate_der().to_vec().into()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let quic = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.connect_with(quic, world.daemon.address(), "localhost").unwrap().await.unwrap()
}

/// A pipe that has said nothing.
pub(crate) async fn open(connection: &Connection) -> RawPipe {
    let (send, receive) = connection.open_bi().await.unwrap();
    RawPipe { send, receive }
}

/// A pipe that has said Hello as the admin, and was answered.
pub(crate) async fn greeted(world: &World, connection: &Connection) -> RawPipe {
    let mut pipe = open(connection).await;
    pipe.send.write_all(&hello(world.daemon.admin_token().unwrap())).await.unwrap();
    let reply = pipe.frame().await;
    let (kind, body) = &reply[0];
    assert_eq!(*kind, Kind::HelloReply);
    earmark_protocol::codec::decode::<HelloReply>(body).unwrap();
    pipe
}

/// The bytes of a Hello.
pub(crate) fn hello(token: &str) -> Vec<u8> {
    let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
    writer.push(Kind::Hello, 0, &Hello::new(token)).unwrap();
    writer.take()
}

impl RawPipe {
    /// The messages of the next frame.
    pub(crate) async fn frame(&mut self) -> Vec<(Kind, Vec<u8>)> {
        let read = async {
            let mut bytes = vec![0; 4];
            self.receive.read_exact(&mut bytes).await.unwrap();
            let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
            bytes.resize(4 + length, 0);
            self.receive.read_exact(&mut bytes[4..]).await.unwrap();
            bytes
        };
        let bytes = tokio::time::timeout(PATIENCE, read).await.expect("the daemon answers");
        messages(&bytes)
    }

    /// Reads to the end of the pipe, and gives the daemon's last word.
    pub(crate) async fn last_word(&mut self) -> PipeError {
        self.last_word_of().await.1
    }

    /// The same, with the correlation it carries.
    pub(crate) async fn last_word_of(&mut self) -> (u32, PipeError) {
        let all = self.receive.read_to_end(64 << 20);
        let all = tokio::time::timeout(PATIENCE, all).await.expect("the daemon ends the pipe").unwrap();
        let mut rest: &[u8] = &all;
        let mut last = None;
        while let Some((frame, whole)) = Frame::parse(rest, FRAME_BYTES_MAX, 0).unwrap() {
            last = frame.messages().map(Result::unwrap).last().or(last);
            rest = &rest[whole..];
        }
        let last = last.expect("a last word");
        assert_eq!(last.kind, Kind::PipeError);
        (last.correlation, last.decode().unwrap())
    }
}

/// All messages of these whole frames.
pub(crate) fn messages(mut bytes: &[u8]) -> Vec<(Kind, Vec<u8>)> {
    let mut all = Vec::new();
    while let Some((frame, whole)) = Frame::parse(bytes, FRAME_BYTES_MAX, 0).unwrap() {
        all.extend(frame.messages().map(Result::unwrap).map(|message| (message.kind, message.body.to_vec())));
        bytes = &bytes[whole..];
    }
    assert!(bytes.is_empty(), "the daemon sends whole frames");
    all
}
