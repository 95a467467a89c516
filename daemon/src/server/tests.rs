//! Replies and the gate: what is decided is answered when it is durable, and not before.

use std::time::Duration;

use earmark_engine::{Capacity, Rules, State};
use earmark_protocol::catalogue::{NodeSpec, SkuSpec, capabilities};
use earmark_protocol::client::{Client, ClientConfig, Trust};
use earmark_protocol::command::{CommandBody, SetStock, StockCount};
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::ids::{NodeIx, Segment, SkuIx};
use earmark_protocol::query::{Atp, Query, Scope};
use earmark_protocol::reply::Reply;
use earmark_snapshot::{Acknowledger, Gate, Log};

use super::*;
use crate::commit::Pace;

/// A server whose records must reach a follower, too; the test is the follower.
struct Followed {
    server: Server,
    client: Client,
    committer: Arc<Committer>,
    follower: Acknowledger,
}

impl Followed {
    async fn start(mode: Mode) -> Self {
        let capacity = Capacity { reservations: 1_000, commands: 1_000, cells: 1_000, ..Capacity::default() };
        let mut config = Config::default();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        let security = Security::open(&config).unwrap();
        let trust = Trust::Certificate(security.certificate.der().to_vec());
        let token = security.admin_token.clone().unwrap().0;
        let clock = Arc::new(Clock::start());
        let (gate, mut hands) = Gate::new(2);
        let (follower, disk) = (hands.pop().unwrap(), hands.pop().unwrap());
        let log = (Log::in_memory(7, disk), gate, 7);
        let pace = Pace { commands_max: 100, expiries_max: 100 };
        let state = State::new(&capacity, Rules::default()).unwrap();
        let committer = Arc::new(Committer::new(mode, 100, pace, state, log, Arc::clone(&clock)));
        let processors = Arc::new(Processors::of(&config).unwrap());
        let sockets = listen::bind(config.server.listen, 1).unwrap();
        let server =
            Server::start(&config, &processors, sockets, security, Arc::clone(&committer), None, clock)
                .unwrap();
        let client = Client::connect(ClientConfig::new(server.address(), trust, token)).await.unwrap();
        let followed = Self { server, client, committer, follower };
        let node = NodeSpec {
            code: "n".to_owned(),
            time_zone: "UTC".to_owned(),
            capabilities: capabilities::SHIP,
            ..NodeSpec::default()
        };
        let (sku, node_ix, segment) = (SkuIx(0), NodeIx(0), Segment(0));
        let counts = vec![StockCount { sku, node: node_ix, segment, on_hand: 50, safety: None }];
        for body in [
            CommandBody::PutNodes(vec![node]),
            CommandBody::PutSkus(vec![SkuSpec { code: "s".to_owned(), ..SkuSpec::default() }]),
            CommandBody::SetStock(SetStock { source: 0, as_of: None, counts }),
        ] {
            let lsn = followed.committer.reader().lsn().0;
            let answer = tokio::spawn({
                let client = followed.client.clone();
                async move { client.command(body).await.unwrap() }
            });
            followed.until_applied(lsn + 1).await;
            followed.follower.reached(lsn + 1);
            assert!(matches!(answer.await.unwrap(), Reply::Done(_)));
        }
        followed
    }

    async fn until_applied(&self, lsn: u64) {
        while self.committer.reader().lsn().0 < lsn {
            tokio::task::yield_now().await;
        }
    }

    async fn available(&self) -> u64 {
        let atp =
            Atp { skus: vec![SkuIx(0)], scope: Scope::All, segment: None, per_node: false, by_day: None };
        match self.client.query(Query::Atp(atp)).await.unwrap() {
            Reply::Atp(reply) => reply.skus[0].available,
            other => panic!("{other:?}"),
        }
    }

    async fn stop(self) {
        self.client.close().await;
        tokio::task::spawn_blocking(move || self.server.stop()).await.unwrap();
    }
}

async fn a_reply_waits(mode: Mode) {
    let followed = Followed::start(mode).await;
    let hold = HoldOne { id: followed.client.new_id(), quantity: 3, ..HoldOne::default() };
    let before = followed.committer.reader().lsn().0;
    let client = followed.client.clone();
    let mut held = tokio::spawn(async move { client.hold_one(hold).await.unwrap() });
    followed.until_applied(before + 1).await;
    let client = followed.client.clone();
    let mut shown = tokio::spawn(async move { client.query(Query::Show(hold.id)).await.unwrap() });
    // What can be promised is told at once, with the hold in it; many answers later the hold's own is not there.
    for _ in 0..100 {
        assert_eq!(followed.available().await, 47);
    }
    for waiting in [held.is_finished(), shown.is_finished()] {
        assert!(!waiting, "answered before the follower had it");
    }
    followed.follower.reached(before + 1);
    let patience = Duration::from_secs(10);
    let held = tokio::time::timeout(patience, &mut held).await.expect("the gate has passed").unwrap();
    assert!(matches!(held, HoldOneReply::Held { lsn, .. } if lsn.0 == before + 1), "{held:?}");
    let shown = tokio::time::timeout(patience, &mut shown).await.expect("the gate has passed").unwrap();
    assert!(matches!(shown, Reply::Shown(view) if view.rows[0].held == 3));
    followed.stop().await;
}

#[tokio::test]
async fn a_reply_and_a_show_wait_for_the_gate_and_atp_does_not() {
    a_reply_waits(Mode::Inline).await;
}

#[tokio::test]
async fn it_is_the_same_with_the_committer_on_a_thread() {
    a_reply_waits(Mode::Thread).await;
}

#[tokio::test]
async fn replies_leave_as_far_as_the_gate_has_passed() {
    let followed = Followed::start(Mode::Inline).await;
    let before = followed.committer.reader().lsn().0;
    let mut waiting = Vec::new();
    for number in 1..=5 {
        let hold = HoldOne { id: followed.client.new_id(), quantity: 1, ..HoldOne::default() };
        let client = followed.client.clone();
        waiting.push(tokio::spawn(async move { client.hold_one(hold).await.unwrap() }));
        followed.until_applied(before + number).await;
    }
    for (number, reply) in (1..).zip(waiting.iter_mut()) {
        followed.follower.reached(before + number);
        let reply =
            tokio::time::timeout(Duration::from_secs(10), reply).await.expect("it may leave").unwrap();
        assert_eq!(reply.lsn().0, before + number);
    }
    followed.stop().await;
}
