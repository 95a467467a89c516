//! Limits are stated in Hello, and a peer that passes one is told which; its other pipes live on.

use earmark_protocol::frame::{FRAME_BYTES_MAX, FrameWriter, Kind};
use earmark_protocol::hello::{LimitName, PipeError};
use earmark_protocol::query::Query;
use earmark_protocol::wire_error::WireFault;

use crate::raw::{self, connect, greeted};
use crate::world::{World, client_config, config};
use earmark_protocol::client::{Client, ClientConfig};

#[tokio::test]
async fn the_limits_in_force_are_those_in_hello() {
    let mut config = config();
    (config.server.frame_bytes_max, config.server.in_flight_max, config.server.pipes_max) = (8_192, 77, 9);
    config.rules.lines_max = 123;
    let world = World::start(config).await;
    let limits = world.client.hello().limits;
    assert_eq!((limits.frame_bytes_max, limits.messages_in_flight_max), (8_192, 77));
    assert_eq!((limits.pipes_max, limits.lines_max), (9, 123));
    world.stop().await;
}

#[tokio::test]
async fn too_many_messages_in_flight_close_the_pipe_that_sent_them() {
    let mut config = config();
    config.server.in_flight_max = 8;
    let world = World::start(config).await;
    let connection = connect(&world).await;
    let (mut greedy, mut modest) = (greeted(&world, &connection).await, greeted(&world, &connection).await);
    let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
    for correlation in 0..9 {
        writer.push_body(Kind::HoldOne, correlation, &world.hold_one().to_bytes()).unwrap();
    }
    greedy.send.write_all(writer.finish()).await.unwrap();
    let expected = PipeError::LimitPassed { limit: LimitName::MessagesInFlight, most: 8, have: 9 };
    assert_eq!(greedy.last_word().await, expected);
    // Eight at a time, again and again, is what the limit allows.
    for _ in 0..50 {
        writer.clear();
        for correlation in 0..8 {
            writer.push(Kind::Query, correlation, &Query::Stats).unwrap();
        }
        modest.send.write_all(writer.finish()).await.unwrap();
        let mut answered = 0;
        while answered < 8 {
            answered += modest.frame().await.len();
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_pipe_beyond_the_limit_is_told_so() {
    let mut config = config();
    config.server.pipes_max = 6;
    let world = World::start(config).await;
    let connection = connect(&world).await;
    let mut open = Vec::new();
    for _ in 0..6 {
        open.push(greeted(&world, &connection).await);
    }
    let mut beyond = raw::open(&connection).await;
    beyond.send.write_all(&raw::hello("any")).await.unwrap();
    assert_eq!(
        beyond.last_word().await,
        PipeError::LimitPassed { limit: LimitName::Pipes, most: 6, have: 7 }
    );
    drop(open.pop());
    // The place is free once the daemon has seen the pipe end.
    loop {
        let mut next = raw::open(&connection).await;
        next.send.write_all(&raw::hello(world.daemon.admin_token().unwrap())).await.unwrap();
        if next.frame().await[0].0 == Kind::HelloReply {
            break;
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn a_frame_over_the_limit_is_refused_by_its_first_bytes() {
    let world = World::start(config()).await;
    let connection = connect(&world).await;
    let mut pipe = greeted(&world, &connection).await;
    pipe.send.write_all(&(FRAME_BYTES_MAX + 1).to_le_bytes()).await.unwrap();
    let PipeError::Wire(error) = pipe.last_word().await else { panic!("a wire error") };
    assert_eq!((error.what, error.need), (WireFault::FrameTooLong, u64::from(FRAME_BYTES_MAX) + 1));
    world.stop().await;
}

#[tokio::test]
async fn hello_comes_first_and_once_with_a_known_token_and_in_time() {
    let mut config = config();
    config.server.hello_ms = 200;
    let world = World::start(config).await;
    let connection = connect(&world).await;

    let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
    writer.push(Kind::Query, 1, &Query::Stats).unwrap();
    let mut eager = raw::open(&connection).await;
    eager.send.write_all(writer.finish()).await.unwrap();
    assert_eq!(eager.last_word().await, PipeError::HelloOutOfPlace);

    let mut twice = greeted(&world, &connection).await;
    twice.send.write_all(&raw::hello(world.daemon.admin_token().unwrap())).await.unwrap();
    assert_eq!(twice.last_word().await, PipeError::HelloOutOfPlace);

    let mut stranger = raw::open(&connection).await;
    stranger.send.write_all(&raw::hello("guess")).await.unwrap();
    assert_eq!(stranger.last_word().await, PipeError::TokenUnknown);

    let mut long = raw::open(&connection).await;
    long.send.write_all(&raw::hello(&"x".repeat(257))).await.unwrap();
    let expected = PipeError::LimitPassed { limit: LimitName::TokenBytes, most: 256, have: 257 };
    assert_eq!(long.last_word().await, expected);

    let mut silent = raw::open(&connection).await;
    silent.send.write_all(&[9]).await.unwrap();
    assert_eq!(silent.last_word().await, PipeError::HelloOutOfPlace);
    world.stop().await;
}

#[tokio::test]
async fn a_connection_that_never_says_hello_makes_room_for_others() {
    let mut config = config();
    config.server.hello_ms = 100;
    let world = World::start(config).await;
    let silent = connect(&world).await;
    let closed = tokio::time::timeout(std::time::Duration::from_secs(10), silent.closed()).await.unwrap();
    assert!(closed.to_string().contains("no Hello in time"), "{closed}");
    // One that has said it stays, however quiet it is.
    assert_eq!(world.stat("connections").await, 1);
    world.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away() {
    let mut config = config();
    config.server.connections_max = 1;
    let world = World::start(config).await;
    let second = ClientConfig {
        connect_deadline: std::time::Duration::from_millis(500),
        ..client_config(&world.daemon)
    };
    assert!(Client::connect(second).await.is_err());
    assert_eq!(world.stat("connections").await, 1);
    assert!(world.stat("connections_refused").await > 0);
    world.stop().await;
}

#[tokio::test]
async fn a_second_daemon_gets_no_part_of_a_port_that_many_cores_share() {
    let mut two_cores = config();
    two_cores.server.io_cores = 2;
    let world = World::start(two_cores.clone()).await;
    two_cores.server.listen = world.daemon.address();
    let error = earmark::serve::Daemon::start(two_cores).err().expect("the port is taken");
    assert!(format!("{error:#}").contains("is another program there?"), "{error:#}");
    world.stop().await;
}
