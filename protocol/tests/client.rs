//! The client against a daemon that is scripted to make trouble: every call ends, with its own answer or with an
//! error that says what stood in the way, and no command is lost or sent under two ids.

mod daemon;

use std::time::Duration;

use daemon::{Act, Daemon, TIME, TOKEN};
use earmark_protocol::client::pipe::Pipe;
use earmark_protocol::client::{Client, ClientConfig, ClientError, Dialer, Trust};
use earmark_protocol::command::CommandBody;
use earmark_protocol::frame::{FrameWriter, Kind};
use earmark_protocol::hello::{Hello, LimitName, PipeError};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::SkuIx;
use earmark_protocol::query::Query;
use earmark_protocol::receive::ReceiveBuffer;
use earmark_protocol::reply::Reply;
use earmark_protocol::wire_error::WireError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const AMPLE: u32 = 4_096;

fn hold(client: &Client) -> HoldOne {
    HoldOne { id: client.new_id(), quantity: 1, ..HoldOne::default() }
}

fn retire(sku: u32) -> CommandBody {
    CommandBody::RetireSkus(vec![SkuIx(sku)])
}

#[tokio::test]
async fn many_callers_at_once_each_get_their_own_answer() {
    let daemon = Daemon::start(AMPLE, |_, _| Act::Answer);
    let client = daemon.client(3).await;
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let client = client.clone();
        callers.spawn(async move {
            let hold = hold(&client);
            let first = client.hold_one(hold).await.unwrap();
            let again = client.hold_one(hold).await.unwrap();
            assert_eq!(first, again, "the same id is decided once");
            let Reply::Done(done) = client.command(retire(1)).await.unwrap() else { panic!("no Done") };
            assert!(matches!(client.query(Query::Stats).await.unwrap(), Reply::Stats(_)));
            [first.lsn(), done.lsn]
        });
    }
    let mut lsns: Vec<_> = callers.join_all().await.into_iter().flatten().collect();
    lsns.sort_unstable();
    lsns.dedup();
    assert_eq!(lsns.len(), 1_000, "no answer went to two callers");
}

#[tokio::test]
async fn calls_of_one_turn_leave_as_one_frame() {
    let daemon = Daemon::start(AMPLE, |_, _| Act::Answer);
    let client = daemon.client(1).await;
    let holds: Vec<_> = (0..64).map(|_| hold(&client)).collect();
    assert!(client.hold_many(&holds).await.iter().all(Result::is_ok));
    assert_eq!(*daemon.seen.frames.lock().unwrap(), [64]);

    let mut callers = tokio::task::JoinSet::new();
    for hold in holds {
        let client = client.clone();
        callers.spawn(async move { client.hold_one(hold).await.unwrap() });
    }
    callers.join_all().await;
    assert_eq!(*daemon.seen.frames.lock().unwrap(), [64, 64]);
}

#[tokio::test]
async fn no_more_is_in_flight_than_the_daemon_allows() {
    let daemon = Daemon::start(4, |_, _| Act::Answer);
    let client = daemon.client(1).await;
    let holds: Vec<_> = (0..30).map(|_| hold(&client)).collect();
    assert!(client.hold_many(&holds).await.iter().all(Result::is_ok));
    let frames = daemon.seen.frames.lock().unwrap().clone();
    assert!(frames.iter().all(|count| *count <= 4), "{frames:?}");
    assert_eq!(frames.iter().sum::<u16>(), 30);
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_the_command_acts_once() {
    let daemon =
        Daemon::start(AMPLE, |number, _| if number <= 2 { Act::LoseConnection } else { Act::Answer });
    let client = daemon.client(1).await;
    let first = hold(&client);
    let held = client.hold_one(first).await.unwrap();
    assert_eq!(held.lsn().0, 1, "the answer is that of the first time it was sent");
    assert_eq!(*daemon.seen.ids.lock().unwrap(), [first.id; 3]);
}

#[tokio::test]
async fn calls_are_sent_again_in_their_order() {
    let daemon = Daemon::start(AMPLE, |number, _| match number {
        1..=7 => Act::Silence,
        8 => Act::LoseConnection,
        _ => Act::Answer,
    });
    let client = daemon.client(1).await;
    let holds: Vec<_> = (0..8).map(|_| hold(&client)).collect();
    assert!(client.hold_many(&holds).await.iter().all(Result::is_ok));
    let order: Vec<_> = holds.iter().chain(&holds).map(|hold| hold.id).collect();
    assert_eq!(*daemon.seen.ids.lock().unwrap(), order);
}

#[tokio::test]
async fn a_deadline_that_passes_names_the_command_and_the_late_answer_meets_nobody() {
    let daemon = Daemon::start(AMPLE, |number, _| if number == 1 { Act::AnswerLater } else { Act::Answer });
    let client = daemon.client(1).await;
    let late = hold(&client);
    let error = client.with_deadline(Duration::from_millis(30)).hold_one(late).await.unwrap_err();
    let expected = ClientError::Deadline { deadline_ms: 30, id: Some(late.id), sent: true, trouble: None };
    assert_eq!(error, expected);
    assert!(error.to_string().contains(&late.id.to_string()), "{error}");
    // The late answer arrives in front of this one.
    assert_eq!(client.hold_one(hold(&client)).await.unwrap().lsn().0, 2);
    assert_eq!(client.hold_one(late).await.unwrap().lsn().0, 1, "asking again tells the outcome");
}

#[tokio::test]
async fn a_call_that_is_dropped_leaves_room_for_others() {
    let daemon = Daemon::start(1, |number, _| if number == 1 { Act::AnswerLater } else { Act::Answer });
    let client = daemon.client(1).await;
    // Both are dropped: the first while it waits for its answer, the second while it waits for its turn.
    let (first, second) = (hold(&client), hold(&client));
    for hold in [first, second] {
        let short = client.with_deadline(Duration::from_secs(60));
        let call = tokio::spawn(async move { short.hold_one(hold).await });
        until(|| daemon.seen.ids.lock().unwrap().len() == 1).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    }
    // The one place in flight is still the first's: only its answer frees it.
    let waiting = client.with_deadline(Duration::from_millis(30)).hold_one(hold(&client)).await;
    assert!(matches!(waiting, Err(ClientError::Deadline { sent: false, .. })), "{waiting:?}");
    assert_eq!(*daemon.seen.ids.lock().unwrap(), [first.id]);
}

#[tokio::test]
async fn garbage_from_the_daemon_fails_the_calls_of_that_pipe_and_the_next_go_on() {
    let garbage = b"\x04\x00\x00\x00\x01\x00\x00\x00".to_vec();
    let daemon = Daemon::start(
        AMPLE,
        move |number, _| {
            if number == 1 { Act::Send(garbage.clone()) } else { Act::Answer }
        },
    );
    let client = daemon.client(1).await;
    let hello_reply_bytes = 8 + 12 + 56;
    let expected = ClientError::Wire(WireError::truncated(8, 12, 0).after(hello_reply_bytes));
    assert_eq!(client.hold_one(hold(&client)).await, Err(expected));
    assert!(client.hold_one(hold(&client)).await.is_ok());
}

#[tokio::test]
async fn an_answer_of_another_kind_or_to_nobody_is_not_taken() {
    let daemon = Daemon::start(AMPLE, |_, _| Act::Answer);
    let client = daemon.client(1).await;
    daemon.seen.lie_about_kind.store(true, std::sync::atomic::Ordering::SeqCst);
    let error = client.hold_one(hold(&client)).await.unwrap_err();
    assert!(matches!(error, ClientError::Unasked { .. }), "{error}");
    daemon.seen.lie_about_kind.store(false, std::sync::atomic::Ordering::SeqCst);
    assert!(client.hold_one(hold(&client)).await.is_ok());
}

#[tokio::test]
async fn a_pipe_closed_over_one_call_fails_that_call_and_sends_the_others_again() {
    let passed = PipeError::LimitPassed { limit: LimitName::MessagesInFlight, most: 4, have: 5 };
    let daemon = Daemon::start(AMPLE, move |number, _| match number {
        1 => Act::Silence,
        2 => Act::Close(passed),
        _ => Act::Answer,
    });
    let client = daemon.client(1).await;
    let holds = [hold(&client), hold(&client), hold(&client)];
    let replies = client.hold_many(&holds).await;
    assert!(replies[0].is_ok() && replies[2].is_ok(), "{replies:?}");
    assert_eq!(replies[1], Err(ClientError::Pipe(passed)));
}

#[tokio::test]
async fn a_draining_daemon_is_left_for_its_successor() {
    let daemon = Daemon::start(AMPLE, |number, _| match number {
        1 => Act::Close(PipeError::Draining),
        _ => Act::Answer,
    });
    let client = daemon.client(1).await;
    assert!(client.hold_one(hold(&client)).await.is_ok());
}

#[tokio::test]
async fn calls_of_another_epoch_fail_until_the_new_one_is_accepted() {
    let daemon =
        Daemon::start(AMPLE, |number, _| if number == 1 { Act::LoseConnection } else { Act::Answer });
    let client = daemon.client(1).await;
    daemon.seen.epoch.store(2, std::sync::atomic::Ordering::SeqCst);
    let changed = Err(ClientError::EpochChanged { was: 1, is: 2 });
    assert_eq!(client.hold_one(hold(&client)).await, changed);
    assert_eq!(client.hold_one(hold(&client)).await, changed);
    assert_eq!(client.accept_epoch().log_epoch, 2);
    assert!(client.hold_one(hold(&client)).await.is_ok());
}

#[tokio::test]
async fn while_the_daemon_is_away_calls_end_with_their_deadline_and_say_why() {
    let daemon = Daemon::start(AMPLE, |_, _| Act::Answer);
    let client = daemon.client(2).await.with_deadline(Duration::from_millis(200));
    daemon.stop();
    let error = client.query(Query::Stats).await.unwrap_err();
    let ClientError::Deadline { deadline_ms: 200, id: None, sent: _, trouble: Some(_) } = &error else {
        panic!("{error}");
    };
    let error = client.query(Query::Stats).await.unwrap_err();
    assert!(error.to_string().contains("it was not sent"), "{error}");
}

#[tokio::test]
async fn a_token_or_certificate_that_is_not_known_is_said_at_once() {
    let daemon = Daemon::start(AMPLE, |_, _| Act::Answer);
    let config = ClientConfig { token: "wrong".into(), ..daemon.config() };
    let refused = Client::connect(config).await.map(drop);
    assert_eq!(refused, Err(ClientError::Pipe(PipeError::TokenUnknown)));

    let other = Daemon::start(AMPLE, |_, _| Act::Answer);
    let config = ClientConfig { address: daemon.address, ..other.config() };
    let refused = Client::connect(config).await.map(drop);
    assert!(matches!(refused, Err(ClientError::Unreachable { .. })), "{refused:?}");

    let config = ClientConfig { trust: Trust::Roots(b"no PEM".to_vec()), ..daemon.config() };
    let refused = Client::connect(config).await.map(drop);
    assert!(matches!(refused, Err(ClientError::Configuration { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_message_that_fits_no_frame_is_refused_before_it_is_sent() {
    let daemon = Daemon::start(AMPLE, |_, _| Act::Answer);
    let client = daemon.client(1).await;
    let all = CommandBody::RetireSkus(vec![SkuIx(0); 300_000]);
    let refused = client.command(all).await;
    assert!(matches!(refused, Err(ClientError::TooLong(_))), "{refused:?}");
    assert!(daemon.seen.ids.lock().unwrap().is_empty());
    assert!(client.command(retire(1)).await.is_ok());
}

#[tokio::test]
async fn a_closed_client_fails_the_calls_that_wait_and_those_to_come() {
    let daemon = Daemon::start(AMPLE, |_, _| Act::Silence);
    let client = daemon.client(2).await;
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.query(Query::Stats).await }
    });
    until(|| !daemon.seen.ids.lock().unwrap().is_empty()).await;
    client.close().await;
    assert_eq!(waiting.await.unwrap(), Err(ClientError::Closed));
    assert_eq!(client.query(Query::Stats).await, Err(ClientError::Closed));
}

#[tokio::test]
async fn a_patient_call_does_not_wait_as_long_for_a_daemon_that_is_gone() {
    let daemon = Daemon::start(AMPLE, |_, _| Act::Silence);
    let config = ClientConfig {
        pipes: 1,
        deadline: Duration::from_secs(600),
        reconnect_deadline: Some(Duration::from_millis(50)),
        ..daemon.config()
    };
    let client = Client::connect(config).await.unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.query(Query::Stats).await }
    });
    until(|| !daemon.seen.frames.lock().unwrap().is_empty()).await;
    daemon.stop();
    let ended = tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("it gives up").unwrap();
    assert!(matches!(ended, Err(ClientError::Deadline { sent: true, trouble: Some(_), .. })), "{ended:?}");
}

#[tokio::test]
async fn new_ids_are_on_the_daemons_time() {
    let daemon = Daemon::start(AMPLE, |_, _| Act::Answer);
    let client = daemon.client(1).await;
    let id = client.new_id();
    assert!(id.is_v7());
    assert!((TIME.0..TIME.0 + 60_000).contains(&id.time().0));
    assert_ne!(id, client.new_id());
}

#[tokio::test]
async fn a_load_generator_sends_prepared_frames_and_reads_answers_where_they_lie() {
    let daemon = Daemon::start(AMPLE, |_, _| Act::Answer);
    let connection = Dialer::new(&daemon.config()).unwrap().dial(Duration::from_secs(5)).await.unwrap();
    let mut pipe = connection.open_pipe().await.unwrap();
    let mut writer = FrameWriter::new(pipe.hello.limits.frame_bytes_max);
    for correlation in 0..100 {
        let body = HoldOne { quantity: correlation + 1, ..HoldOne::default() }.to_bytes();
        writer.push_body(Kind::HoldOne, correlation, &body).unwrap();
    }
    pipe.sender.send(&mut writer).await.unwrap();
    assert!(writer.is_empty());
    let mut answered = Vec::new();
    while answered.len() < 100 {
        let frame = pipe.receiver.receive().await.unwrap();
        for message in frame.messages() {
            let message = message.unwrap();
            assert!(matches!(HoldOneReply::read(message.body), Ok(HoldOneReply::Held { .. })));
            answered.push(message.correlation);
        }
    }
    assert_eq!(answered, (0..100).collect::<Vec<_>>());
    connection.close();
}

#[tokio::test]
async fn a_pipe_needs_nothing_of_its_transport_but_an_order_of_bytes() {
    let (near, mut far) = tokio::io::duplex(64);
    let (read, write) = tokio::io::split(near);
    let daemon = tokio::spawn(async move {
        let mut buffer = ReceiveBuffer::new(1 << 20);
        let hello = loop {
            let count = far.read(buffer.space()).await.unwrap();
            buffer.filled(count);
            if let Some(frame) = buffer.next_frame().unwrap() {
                break frame.messages().next().unwrap().unwrap().decode::<Hello>().unwrap();
            }
        };
        let mut writer = FrameWriter::new(1 << 20);
        writer.push(Kind::PipeError, 0, &PipeError::TokenUnknown).unwrap();
        far.write_all(writer.finish()).await.unwrap();
        hello
    });
    let refused = Pipe::open(read, write, TOKEN).await.map(drop);
    assert_eq!(refused, Err(ClientError::Pipe(PipeError::TokenUnknown)));
    assert_eq!(daemon.await.unwrap().token, TOKEN);
}

/// Lets the other tasks run until this is so, or fails after ten seconds.
async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it never came to that");
}
