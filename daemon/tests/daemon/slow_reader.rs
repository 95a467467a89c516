//! A client that stops reading holds back nobody but itself, and loses nothing.

use earmark_protocol::frame::{FRAME_BYTES_MAX, FrameWriter, Kind};
use earmark_protocol::hold_one::HoldOneReply;
use earmark_protocol::query::Query;

use crate::raw::{connect, greeted};
use crate::world::{World, config};

#[tokio::test]
async fn a_client_that_does_not_read_holds_back_only_itself() {
    const ASKED: usize = 8_000;
    let mut config = config();
    config.server.outbound_bytes_max = 65_536;
    let world = World::start(config).await;
    let connection = connect(&world).await;
    let mut lazy = greeted(&world, &connection).await;
    let mut neighbour = greeted(&world, &connection).await;

    // Each page of skus is some hundred times as long as its question: the answers fill every buffer there is.
    let mut send = lazy.send;
    let asking = tokio::spawn(async move {
        for correlation in 0..ASKED as u32 {
            let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
            let from = earmark_protocol::ids::SkuIx(0);
            writer.push(Kind::Query, correlation, &Query::Skus { from }).unwrap();
            send.write_all(writer.finish()).await.unwrap();
        }
        send.finish().unwrap();
    });

    // Meanwhile others, and even another pipe of the same connection, are served.
    for round in 0..200 {
        let reply = world.client.hold_one(world.hold_one()).await.unwrap();
        assert_eq!(matches!(reply, HoldOneReply::Held { .. }), round < 100, "100 units are there");
        let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
        writer.push(Kind::Query, round, &Query::Stats).unwrap();
        neighbour.send.write_all(writer.finish()).await.unwrap();
        assert_eq!(neighbour.frame().await[0].0, Kind::Reply);
    }

    // When it reads again, every answer is there.
    let mut answered = 0;
    while answered < ASKED {
        let bytes = {
            let mut length = [0; 4];
            lazy.receive.read_exact(&mut length).await.unwrap();
            let mut bytes = length.to_vec();
            bytes.resize(4 + u32::from_le_bytes(length) as usize, 0);
            lazy.receive.read_exact(&mut bytes[4..]).await.unwrap();
            bytes
        };
        answered += crate::raw::messages(&bytes).len();
    }
    asking.await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn the_answers_of_one_frame_wait_for_their_reader_too() {
    const ASKED: u32 = 8_000;
    let mut config = config();
    config.server.outbound_bytes_max = 65_536;
    let world = World::start(config).await;
    let connection = connect(&world).await;
    let mut lazy = greeted(&world, &connection).await;
    let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
    for correlation in 1..=ASKED {
        let from = earmark_protocol::ids::SkuIx(0);
        writer.push(Kind::Query, correlation, &Query::Skus { from }).unwrap();
    }
    lazy.send.write_all(writer.finish()).await.unwrap();
    // Until the daemon has begun to answer, and the transport has taken what it takes.
    while world.stat("outbound_bytes").await < 65_536 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        let waiting = world.stat("outbound_bytes").await;
        assert!(waiting < 4 * 65_536, "{waiting} bytes wait for a pipe that does not read");
    }
    let mut answered = 0;
    while answered < ASKED as usize {
        answered += lazy.frame().await.len();
    }
    world.stop().await;
}

#[tokio::test]
async fn many_clients_that_do_not_read_share_what_may_wait() {
    const LAZY: usize = 32;
    const ASKED: u32 = 4_000;
    const TOTAL: u64 = 4 << 20;
    let mut config = config();
    config.server.outbound_total_bytes_max = TOTAL as u32;
    let world = World::start(config).await;
    // What the transport takes for one connection comes on top, so they are all of one.
    let connection = connect(&world).await;
    let mut lazy = Vec::new();
    for _ in 0..LAZY {
        lazy.push(greeted(&world, &connection).await);
    }
    let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
    for correlation in 1..=ASKED {
        let from = earmark_protocol::ids::SkuIx(0);
        writer.push(Kind::Query, correlation, &Query::Skus { from }).unwrap();
    }
    let questions = writer.finish().to_vec();
    let mut asking = Vec::new();
    for mut pipe in lazy {
        let questions = questions.clone();
        asking.push(tokio::spawn(async move {
            pipe.send.write_all(&questions).await.unwrap();
            pipe
        }));
    }
    // Each alone could have 4 MiB wait for it.
    while world.stat("outbound_bytes").await < TOTAL / 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        let waiting = world.stat("outbound_bytes").await;
        assert!(waiting < 2 * TOTAL, "{waiting} bytes wait for pipes that do not read");
    }
    // When they read again, every answer is there: a share that grew wakes who waited for it.
    for task in asking {
        let mut pipe = task.await.unwrap();
        let mut answered = 0;
        while answered < ASKED as usize {
            answered += pipe.frame().await.len();
        }
    }
    world.stop().await;
}
