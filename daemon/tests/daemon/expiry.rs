//! Holds end at their deadline, whether or not anything else happens.

use std::time::Duration;

use earmark_protocol::command::CommandBody;
use earmark_protocol::hold_one::{HoldOne, HoldOneReply};
use earmark_protocol::query::Query;
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Reply, Status};

use crate::world::{World, config, refusal, step};

#[tokio::test]
async fn stock_is_back_soon_after_the_deadline_of_an_idle_daemon() {
    for mode in [earmark::config::CommitMode::Inline, earmark::config::CommitMode::Thread] {
        let mut config = config();
        config.commit.mode = mode;
        let world = World::start(config).await;
        let hold = HoldOne { lifetime_ms: 120, ..world.hold_one() };
        let HoldOneReply::Held { deadline, .. } = world.client.hold_one(hold).await.unwrap() else {
            panic!("refused")
        };
        assert_eq!(world.available(world.skus[0]).await, 299);
        // Reading state does not make time pass: only the daemon's own timer can give the unit back.
        let back = async {
            while world.available(world.skus[0]).await == 299 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), back).await.expect("the unit comes back");
        let Reply::Shown(view) = world.client.query(Query::Show(hold.id)).await.unwrap() else {
            panic!("gone")
        };
        assert_eq!(view.status, Status::Expired);
        let late = world.client.command(CommandBody::Confirm(step(hold.id))).await.unwrap();
        assert_eq!(refusal(&late), Some(RefusalCode::Expired));
        // The daemon's time at a new Hello says how late that was; generously, for a busy machine.
        let seen = world.dial().await.open_pipe().await.unwrap().hello.time;
        assert!(seen >= deadline && seen.0 - deadline.0 < 2_000, "{} ms late", seen.0 - deadline.0);
        world.stop().await;
    }
}
