//! A daemon that stops finishes what it has in hand, says so to those who come after, and ends in time.

use std::time::Duration;

use earmark_protocol::frame::{FRAME_BYTES_MAX, FrameWriter, Kind};
use earmark_protocol::hello::PipeError;
use earmark_protocol::hold_one::HoldOneReply;
use earmark_protocol::refusal::RefusalCode;

use crate::raw::{self, connect, greeted};
use crate::world::{World, config, stop};

#[tokio::test]
async fn everything_sent_before_the_stop_is_answered() {
    let world = World::start(config()).await;
    let connection = connect(&world).await;
    let mut pipe = greeted(&world, &connection).await;
    let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
    for correlation in 0..500 {
        writer.push_body(Kind::HoldOne, correlation, &world.hold_one().to_bytes()).unwrap();
    }
    pipe.send.write_all(writer.finish()).await.unwrap();
    // The first answers are here: the frame was read, all of it must be answered.
    let first = pipe.frame().await;
    let stopping = tokio::spawn(stop(world.daemon));
    let rest = pipe.receive.read_to_end(1 << 20).await.unwrap();
    let mut answers = first;
    answers.extend(raw::messages(&rest));
    let (kind, word) = answers.pop().unwrap();
    assert_eq!(kind, Kind::PipeError);
    assert_eq!(earmark_protocol::codec::decode(&word), Ok(PipeError::Draining));
    assert_eq!(answers.len(), 500);
    for (kind, body) in answers {
        assert_eq!(kind, Kind::HoldOneReply);
        match HoldOneReply::read(&body).unwrap() {
            HoldOneReply::Held { .. } => {}
            HoldOneReply::Refused(why) => {
                assert!(
                    [RefusalCode::OutOfStock, RefusalCode::Draining].contains(&why.refusal.code),
                    "{why:?}"
                );
            }
        }
    }
    tokio::time::timeout(Duration::from_secs(20), stopping).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn a_peer_that_never_reads_cannot_keep_the_daemon_from_ending() {
    let mut config = config();
    (config.server.drain_ms, config.server.outbound_bytes_max) = (100, 65_536);
    let world = World::start(config).await;
    let connection = connect(&world).await;
    let mut lazy = greeted(&world, &connection).await;
    let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
    for correlation in 0..4_000 {
        let from = earmark_protocol::ids::SkuIx(0);
        writer.push(Kind::Query, correlation, &earmark_protocol::query::Query::Skus { from }).unwrap();
    }
    let sending =
        tokio::spawn(async move { lazy.send.write_all(writer.finish()).await.map(|()| lazy.receive) });
    while world.stat("pipes").await < 5 {
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(Duration::from_secs(20), stop(world.daemon)).await.expect("it ends");
    sending.abort();
}
