//! A token's role and tenant decide what it may do and what it sees.

use earmark::config::Config;
use earmark::security::Tokens;
use earmark::serve::Daemon;
use earmark_protocol::catalogue::{NodeState, SkuSpec};
use earmark_protocol::client::{Client, ClientError};
use earmark_protocol::command::{AdjustStock, CommandBody, SetNodeState, StockChange};
use earmark_protocol::hello::{PipeError, Role};
use earmark_protocol::hold_one::HoldOneReply;
use earmark_protocol::ids::{Segment, Tenant};
use earmark_protocol::query::Query;
use earmark_protocol::refusal::RefusalCode;
use earmark_protocol::reply::{Reply, Status};

use crate::world::{World, client_config_of, config, done, refusal, step};

fn with_tokens(rows: &[(&str, &str, u16)]) -> (tempfile::TempDir, Config) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens.toml");
    let row = |(token, role, tenant): &(&str, &str, u16)| {
        let hash = Tokens::hash_text(token);
        format!("[[token]]\nname = \"{token}\"\nsha256 = \"{hash}\"\nrole = \"{role}\"\ntenant = {tenant}\n")
    };
    std::fs::write(&file, rows.iter().map(row).collect::<String>()).unwrap();
    let mut config = config();
    config.security.tokens_file = Some(file);
    (directory, config)
}

async fn world_of(config: Config, admin: &str) -> World {
    let daemon = Daemon::start(config).unwrap();
    assert_eq!(daemon.admin_token(), None);
    let client = Client::connect(client_config_of(&daemon, admin)).await.unwrap();
    World::stock(daemon, client, 2, 10).await
}

#[tokio::test]
async fn each_role_may_do_what_it_is_for_and_no_more() {
    let tokens = [("boss", "admin", 0), ("ops", "oms", 0), ("shop", "checkout", 0), ("board", "read", 0)];
    let (_directory, config) = with_tokens(&tokens);
    let world = world_of(config, "boss").await;
    let connect = |token| Client::connect(client_config_of(&world.daemon, token));
    let (ops, shop, board) =
        (connect("ops").await.unwrap(), connect("shop").await.unwrap(), connect("board").await.unwrap());
    assert_eq!([&ops, &shop, &board].map(|c| c.hello().role), [Role::Oms, Role::Checkout, Role::Read]);

    let hold = world.hold_one();
    let refused = board.hold_one(hold).await.unwrap();
    let HoldOneReply::Refused(why) = refused else { panic!("a read token held stock") };
    assert_eq!((why.refusal.code, why.lsn.0), (RefusalCode::NotAllowed, 0));
    assert!(matches!(board.query(Query::Cells(world.skus[0])).await.unwrap(), Reply::Cells(_)));
    // What was not allowed was not decided either: the id is free.
    assert!(matches!(shop.hold_one(hold).await.unwrap(), HoldOneReply::Held { .. }));
    assert_eq!(done(&shop, CommandBody::Confirm(step(hold.id))).await.status, Some(Status::Confirmed));

    let (sku, node, segment) = (world.skus[0], world.nodes[0], Segment(0));
    let adjust =
        CommandBody::AdjustStock(AdjustStock { changes: vec![StockChange { sku, node, segment, delta: 5 }] });
    let dispatch = CommandBody::Dispatch(step(hold.id));
    for body in [adjust.clone(), dispatch.clone()] {
        assert_eq!(refusal(&shop.command(body).await.unwrap()), Some(RefusalCode::NotAllowed));
    }
    done(&ops, adjust).await;
    done(&ops, dispatch).await;

    let pause = CommandBody::SetNodeState(SetNodeState { node, state: NodeState::Paused });
    assert_eq!(refusal(&ops.command(pause.clone()).await.unwrap()), Some(RefusalCode::NotAllowed));
    assert_eq!(refusal(&ops.query(Query::Digest).await.unwrap()), Some(RefusalCode::NotAllowed));
    done(&world.client, pause).await;
    assert!(matches!(world.client.query(Query::Digest).await.unwrap(), Reply::Digest(_)));
    assert!(world.stat("refused_NotAllowed").await >= 5);

    let stranger = Client::connect(client_config_of(&world.daemon, "nobody")).await;
    assert!(matches!(stranger, Err(ClientError::Pipe(PipeError::TokenUnknown))), "{stranger:?}");
    world.stop().await;
}

#[tokio::test]
async fn tenants_share_codes_and_see_nothing_of_each_other() {
    let (_directory, config) = with_tokens(&[("one", "admin", 1), ("two", "admin", 2)]);
    let world = world_of(config, "one").await;
    let two = Client::connect(client_config_of(&world.daemon, "two")).await.unwrap();
    assert_eq!((world.client.hello().tenant, two.hello().tenant), (Tenant(1), Tenant(2)));
    let hold = world.hold_one();
    world.client.hold_one(hold).await.unwrap();

    assert_eq!(
        refusal(&two.query(Query::Show(hold.id)).await.unwrap()),
        Some(RefusalCode::UnknownReservation)
    );
    assert_eq!(
        refusal(&two.query(Query::Cells(world.skus[0])).await.unwrap()),
        Some(RefusalCode::UnknownSku)
    );
    let HoldOneReply::Refused(why) = two.hold_one(world.hold_one()).await.unwrap() else { panic!("held") };
    assert_eq!(why.refusal.code, RefusalCode::UnknownSku);
    let same_code = SkuSpec { code: "sku-0".to_owned(), weight_g: 1, ..SkuSpec::default() };
    done(&two, CommandBody::PutSkus(vec![same_code])).await;
    let Reply::Skus(theirs) = two.query(Query::Skus { from: 0.into() }).await.unwrap() else {
        panic!("no page")
    };
    assert_eq!(theirs.len(), 1);
    assert_ne!(theirs[0].sku, world.skus[0]);
    world.stop().await;
}
