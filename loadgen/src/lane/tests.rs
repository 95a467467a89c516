//! A lane against a daemon that stalls, on virtual time: what an open loop must show and a closed loop hides.

use std::time::Duration;

use earmark_protocol::hello::{HelloReply, Limits, Role};
use earmark_protocol::hold_one::HoldOneReply;
use earmark_protocol::ids::{Lsn, NodeIx, Segment, SkuIx, Tenant, TimestampMs};
use earmark_protocol::receive::ReceiveBuffer;
use earmark_protocol::reply::Status;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;
use crate::meter::{Answers, Window};
use crate::pace::Step;
use crate::workload::hold::Hold;
use crate::world::Cell;

const BEGIN_MS: u64 = 10;
const RUN: Duration = Duration::from_secs(2);
const STALL_FROM_MS: u64 = 500;
const STALL_TO_MS: u64 = 1_000;

fn ms(ms: u64) -> Moment {
    Moment(ms * 1_000_000)
}

/// Answers what it reads within a millisecond, except that it reads nothing during the stall; stops for good after
/// `until`.
async fn daemon(clock: Clock, mut stream: DuplexStream, until: Moment) {
    let mut buffer = ReceiveBuffer::new(1 << 20);
    let mut frames = FrameWriter::new(1 << 20);
    loop {
        let Ok(count @ 1..) = stream.read(buffer.space()).await else { return };
        buffer.filled(count);
        let now = clock.now();
        if now >= until {
            std::future::pending().await
        }
        if (ms(BEGIN_MS + STALL_FROM_MS)..ms(BEGIN_MS + STALL_TO_MS)).contains(&now) {
            tokio::time::sleep_until(clock.instant(ms(BEGIN_MS + STALL_TO_MS))).await;
        }
        while let Some(frame) = buffer.next_frame().unwrap() {
            for message in frame.messages() {
                let message = message.unwrap();
                if message.kind == Kind::Hello {
                    frames.push(Kind::HelloReply, message.correlation, &hello()).unwrap();
                } else {
                    let held =
                        HoldOneReply::Held { lsn: Lsn(1), status: Status::Held, deadline: TimestampMs(1) };
                    frames.push_body(Kind::HoldOneReply, message.correlation, &held.to_bytes()).unwrap();
                }
            }
        }
        // Virtual time goes on only while everybody waits.
        tokio::time::sleep(Duration::from_millis(1)).await;
        stream.write_all(frames.finish()).await.unwrap();
        frames.clear();
    }
}

fn hello() -> HelloReply {
    HelloReply {
        version: 1,
        tenant: Tenant(0),
        role: Role::Admin,
        log_epoch: 1,
        lsn: Lsn(0),
        time: TimestampMs(1),
        retry_window_ms: 1,
        limits: Limits {
            frame_bytes_max: 1 << 20,
            messages_in_flight_max: 8_192,
            pipes_max: 1,
            lines_max: 1,
        },
    }
}

/// A thousand requests a second for two seconds, or one after the other, of a daemon that lives until then.
async fn load(is_open: bool, lives: Duration) -> Answers {
    let clock = Clock::start();
    let (near, far) = tokio::io::duplex(1 << 20);
    let begin = ms(BEGIN_MS);
    tokio::spawn(daemon(clock, far, begin.plus(lives)));
    let (read, write) = tokio::io::split(near);
    let pipe = Pipe::open(read, write, "token").await.unwrap();

    let window = Window { from: begin, to: begin.plus(RUN), interval: Duration::from_secs(1) };
    let steps = [Step { lasts: RUN, rate: 1_000.0 }];
    let schedule = Arc::new(Schedule::even(begin, 1, &steps));
    let floor = Floor {
        clock,
        beat: Arc::new(Beat::new(1)),
        meter: Arc::new(Mutex::new(Meter::new(window, 1))),
        batch: 1,
    };
    let pace = if is_open {
        Pace::Due { schedule: Arc::clone(&schedule), first: 0, stride: 1 }
    } else {
        Pace::Window { in_flight: 1, until: window.to }
    };
    let cells = vec![Cell { sku: SkuIx(0), node: NodeIx(0), segment: Segment(0) }];
    let ids = Ids::new(&pipe.hello, clock.now());
    let lane = Lane::new(pipe, ids, Hold::new(cells.into(), 1, 1), pace, floor.clone(), 0);
    tokio::time::sleep_until(clock.instant(begin)).await;
    let running = tokio::spawn(lane.run());
    for at_ms in 0..=RUN.as_millis() as u64 + 100 {
        tokio::time::sleep_until(clock.instant(ms(BEGIN_MS + at_ms))).await;
        floor.beat.advance(schedule.due_by(clock.now()));
        floor.beat.wake_all();
    }
    floor.beat.end();
    running.await.unwrap().1.unwrap();
    floor.meter.lock().unwrap().all()
}

#[tokio::test(start_paused = true)]
async fn a_stall_is_in_the_percentiles_of_an_open_loop_with_all_that_was_due_meanwhile() {
    let answers = load(true, RUN * 2).await;
    assert_eq!((answers.sent, answers.answered, answers.unanswered), (2_000, 2_000, 0));
    let ms = |quantile| answers.latency_ns.value_at_quantile(quantile) / 1_000_000;
    // A quarter of all was due in half a second of silence: its waits are spread evenly from 500 ms down to none.
    assert!(ms(0.5) <= 5, "p50 {} ms", ms(0.5));
    assert!((290..=310).contains(&ms(0.9)), "p90 {} ms", ms(0.9));
    assert!((470..=490).contains(&ms(0.99)), "p99 {} ms", ms(0.99));
}

#[tokio::test(start_paused = true)]
async fn a_closed_loop_sends_nothing_while_it_waits() {
    let answers = load(false, RUN * 2).await;
    let slow = answers.latency_ns.count_between(100_000_000, u64::MAX);
    assert_eq!(slow, 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_daemon_never_answers_is_counted_and_has_waited_until_the_end() {
    let answers = load(true, Duration::from_millis(1_500)).await;
    assert_eq!((answers.sent, answers.answered), (2_000, answers.latency_ns.len() - answers.unanswered));
    assert!((495..=505).contains(&answers.unanswered), "{} unanswered", answers.unanswered);
    assert!(answers.latency_ns.max() >= 590_000_000);
}
