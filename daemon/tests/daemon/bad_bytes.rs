//! Any bytes on any pipe: that pipe is told and closed, the others go on.

use earmark_protocol::frame::{FRAME_BYTES_MAX, FrameWriter, Kind};
use earmark_protocol::hello::PipeError;
use earmark_protocol::query::Query;
use earmark_protocol::wire_error::{WireError, WireFault};

use crate::raw::{self, connect, greeted};
use crate::world::{World, config};

fn query(correlation: u32) -> Vec<u8> {
    let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
    writer.push(Kind::Query, correlation, &Query::Stats).unwrap();
    writer.take()
}

#[tokio::test]
async fn garbage_closes_its_own_pipe_and_no_other() {
    let world = World::start(config()).await;
    let connection = connect(&world).await;
    let mut good = greeted(&world, &connection).await;
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..60 {
        let mut bad =
            if round % 2 == 0 { raw::open(&connection).await } else { greeted(&world, &connection).await };
        // Lengths that claim more than comes would wait for it, rightly: these claim little.
        let mut garbage: Vec<u8> = (0..random.usize(16..400)).map(|_| random.u8(..)).collect();
        garbage[..4].copy_from_slice(&random.u32(0..12).to_le_bytes());
        bad.send.write_all(&garbage).await.unwrap();
        bad.last_word().await;
        good.send.write_all(&query(round)).await.unwrap();
        assert_eq!(good.frame().await[0].0, Kind::Reply);
    }
    assert!(world.stat("pipe_errors").await >= 60);
    world.stop().await;
}

#[tokio::test]
async fn each_flipped_byte_of_a_good_frame_is_answered_or_named_and_never_more() {
    let world = World::start(config()).await;
    let connection = connect(&world).await;
    let whole = query(5);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        let mut pipe = greeted(&world, &connection).await;
        pipe.send.write_all(&bytes).await.unwrap();
        // Half a frame and no more: the daemon has nothing to answer, and ends the pipe with the peer.
        pipe.send.finish().unwrap();
        let answer = raw::messages(&pipe.receive.read_to_end(1 << 20).await.unwrap());
        let kinds: Vec<Kind> = answer.into_iter().map(|(kind, _)| kind).collect();
        // A count that is too high is seen after the message that is there.
        let known = [&[][..], &[Kind::Reply], &[Kind::PipeError], &[Kind::Reply, Kind::PipeError]];
        assert!(known.contains(&&*kinds), "byte {at}: {kinds:?}");
    }
    assert_eq!(world.available(world.skus[0]).await, 300);
    world.stop().await;
}

#[tokio::test]
async fn a_wire_error_says_offset_need_and_have() {
    let world = World::start(config()).await;
    let connection = connect(&world).await;
    let hello = raw::hello(world.daemon.admin_token().unwrap()).len() as u64;
    let mut frame = query(1);
    frame.extend(query(2));
    let second = frame.len() as u64 / 2;
    // The body of the second question is an enum of four bytes; no variant has this number.
    let at = frame.len() - 4;
    frame[at] = 200;
    let mut pipe = greeted(&world, &connection).await;
    pipe.send.write_all(&frame).await.unwrap();
    let what = WireFault::BadValue;
    let expected = WireError { offset: hello + second + 20, need: 0, have: 200, what };
    assert_eq!(pipe.last_word_of().await, (2, PipeError::Wire(expected)));
    world.stop().await;
}

#[tokio::test]
async fn what_was_asked_before_the_bad_byte_is_still_answered() {
    let world = World::start(config()).await;
    let connection = connect(&world).await;
    let mut pipe = greeted(&world, &connection).await;
    let mut writer = FrameWriter::new(FRAME_BYTES_MAX);
    let holds: Vec<_> = (0..20).map(|_| world.hold_one()).collect();
    for (correlation, hold) in (0..).zip(&holds) {
        writer.push_body(Kind::HoldOne, correlation, &hold.to_bytes()).unwrap();
    }
    writer.push_body(Kind::HoldOne, 99, &[0; 39]).unwrap();
    pipe.send.write_all(writer.finish()).await.unwrap();
    let all = pipe.receive.read_to_end(1 << 20).await.unwrap();
    let kinds: Vec<Kind> = raw::messages(&all).into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds.len(), 21);
    assert!(kinds[..20].iter().all(|kind| *kind == Kind::HoldOneReply));
    assert_eq!(kinds[20], Kind::PipeError);
    assert_eq!(world.available(world.skus[0]).await, 280);
    world.stop().await;
}

#[tokio::test]
async fn a_frame_that_is_cut_off_is_told_from_an_end() {
    let world = World::start(config()).await;
    let connection = connect(&world).await;
    let hello = raw::hello(world.daemon.admin_token().unwrap()).len() as u64;
    let frame = query(1);
    let mut pipe = greeted(&world, &connection).await;
    pipe.send.write_all(&frame[..frame.len() - 1]).await.unwrap();
    pipe.send.finish().unwrap();
    let have = frame.len() as u64 - 1;
    let expected = WireError { offset: hello, need: have + 1, have, what: WireFault::Truncated };
    assert_eq!(pipe.last_word().await, PipeError::Wire(expected));
    world.stop().await;
}
