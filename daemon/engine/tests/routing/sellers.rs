//! Lines that a seller sells: served by the seller's nodes alone, under a policy too, and as cheaply as if each seller's
//! part were all that its nodes may serve.

use earmark_engine::routing::{Planner, Proposal};
use earmark_protocol::command::{CommandBody, Order, SellerLines, SetPolicy};
use earmark_protocol::ids::{LineId, SkuIx, Tenant};
use earmark_protocol::refusal::Refusal;

use super::world::{World, run};

fn plan(world: &World, policy: &str, order: &Order, best_effort: bool) -> Result<Proposal, Refusal> {
    let mut state = world.state();
    if !policy.is_empty() {
        run(&mut state, CommandBody::SetPolicy(SetPolicy { text: policy.to_owned() }));
    }
    let reader = state.reader();
    Planner::new().plan(&reader, reader.lanes(), Tenant(0), order, best_effort, &[])
}

/// A rule that has a say about each line, and leaves all nodes that it may.
const CHOOSY: &str =
    "name = \"c\"\n[[rule]]\nname = \"no\"\nwhen = 'line.sku == \"S1\"'\nexclude = 'node.priority == 1'\n";

#[test]
fn a_line_of_a_seller_is_planned_as_if_nobody_else_had_its_sku() {
    let mut planned = 0;
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::random(&mut random);
        for node in &mut world.nodes {
            node.seller = ["", "a", "b"][random.usize(..3)].to_owned();
        }
        let order = world.order(&mut random);
        let known = |seller: &str| world.nodes.iter().any(|node| node.seller == seller);
        let bound: Vec<Option<&str>> = (0..4)
            .map(|_| [None, Some("a"), Some("b")][random.usize(..3)].filter(|seller| known(seller)))
            .collect();
        let sellers = ["a", "b"].map(|seller| SellerLines {
            seller: seller.to_owned(),
            lines: order
                .lines
                .iter()
                .filter(|line| bound[line.sku.0 as usize] == Some(seller))
                .map(|line| line.line)
                .collect::<Vec<LineId>>(),
        });
        let of_sellers = Order {
            sellers: sellers.into_iter().filter(|own| !own.lines.is_empty()).collect(),
            ..order.clone()
        };
        let mut alone = World {
            nodes: world.nodes.clone(),
            stock: world.stock.clone(),
            ..World::random(&mut fastrand::Rng::with_seed(seed))
        };
        alone
            .stock
            .retain(|(sku, node, _), _| bound[*sku].is_none_or(|seller| alone.nodes[*node].seller == seller));
        let policy = if random.bool() { CHOOSY } else { "" };
        let best_effort = random.bool();
        let seen = plan(&world, policy, &of_sellers, best_effort);
        let expected = plan(&alone, policy, &order, best_effort);
        match (seen, expected) {
            (Ok(seen), Ok(expected)) => {
                planned += 1;
                assert_eq!(
                    seen.plan.cost, expected.plan.cost,
                    "seed {seed}: {:?} {:?}",
                    seen.plan, expected.plan
                );
                let units =
                    |plan: &Proposal| plan.picks.iter().map(|pick| u64::from(pick.quantity)).sum::<u64>();
                assert_eq!(units(&seen), units(&expected), "seed {seed}");
                for pick in &seen.picks {
                    let SkuIx(sku) = pick.sku;
                    let seller = &world.nodes[pick.node.0 as usize].seller;
                    assert!(bound[sku as usize].is_none_or(|bound| bound == seller), "seed {seed}: {pick:?}");
                }
            }
            (Err(_), Err(_)) => {}
            (seen, expected) => panic!("seed {seed}: {seen:?}, {expected:?}"),
        }
    }
    assert!(planned > 400, "{planned} of the orders could be served");
}
