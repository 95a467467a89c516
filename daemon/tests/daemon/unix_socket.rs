//! Programs of the same machine speak the same frames over a unix socket.

use std::os::unix::fs::PermissionsExt as _;

use earmark_protocol::client::pipe::Pipe;
use earmark_protocol::frame::{FRAME_BYTES_MAX, FrameWriter, Kind};
use earmark_protocol::hold_one::HoldOneReply;
use tokio::net::UnixStream;

use crate::world::{World, config, socket_path};

#[tokio::test]
async fn a_hold_over_the_unix_socket_is_the_same_hold() {
    let (_directory, path) = socket_path();
    let mut config = config();
    config.server.unix_socket = Some(path.clone());
    let world = World::start(config).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let (read, write) = UnixStream::connect(&path).await.unwrap().into_split();
    let mut pipe = Pipe::open(read, write, world.daemon.admin_token().unwrap()).await.unwrap();
    let mut frames = FrameWriter::new(FRAME_BYTES_MAX);
    let hold = world.hold_one();
    frames.push_body(Kind::HoldOne, 7, &hold.to_bytes()).unwrap();
    pipe.sender.send(&mut frames).await.unwrap();
    let frame = pipe.receiver.receive().await.unwrap();
    let message = frame.messages().next().unwrap().unwrap();
    assert_eq!((message.kind, message.correlation), (Kind::HoldOneReply, 7));
    let reply = HoldOneReply::read(message.body).unwrap();
    // A retry over QUIC finds what came over the socket.
    assert_eq!(world.client.hold_one(hold).await.unwrap(), reply);
    world.stop().await;
    assert!(!path.exists(), "the socket's file goes with the daemon");
}

#[tokio::test]
async fn a_socket_left_behind_is_taken_over_and_another_file_is_not() {
    let (_directory, path) = socket_path();
    let mut config = config();
    config.server.unix_socket = Some(path.clone());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let world = World::start(config.clone()).await;
    world.stop().await;
    std::fs::write(&path, "notes").unwrap();
    let refused = earmark::serve::Daemon::start(config).err().expect("a file is in the way").to_string();
    assert!(refused.contains("set server.unix_socket"), "{refused}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "notes");
}
