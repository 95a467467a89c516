//! Where each I/O core has a processor for itself.

use earmark_protocol::hold_one::HoldOneReply;

use crate::world::{World, config};

/// The processors that each thread of this name may use, as the kernel lists them.
fn processors_of(name: &str) -> Vec<String> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let threads = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok());
    let of_name = threads.filter(|status| status.lines().next() == Some(&format!("Name:\t{name}")));
    let list = |status: String| {
        status.lines().find_map(|line| Some(line.strip_prefix("Cpus_allowed_list:\t")?.to_owned()))
    };
    of_name.filter_map(list).collect()
}

#[tokio::test]
async fn an_io_core_has_a_processor_for_itself_where_that_is_wanted() {
    let available = std::thread::available_parallelism().unwrap();
    if available.get() < 2 {
        println!("one processor: nothing can be kept apart");
        return;
    }
    let mut config = config();
    (config.server.pin_io_cores, config.server.io_cores) = (true, 1);
    let world = World::start(config).await;
    let reply = world.client.hold_one(world.hold_one()).await.unwrap();
    assert!(matches!(reply, HoldOneReply::Held { .. }));
    // Daemons of other tests may run beside this one: their I/O cores may use all processors.
    let own = processors_of("io0").into_iter().find(|list| list.parse::<u32>().is_ok());
    let own = own.expect("an I/O core with one processor");
    assert!(processors_of("memory").iter().any(|list| !list.split(['-', ',']).any(|number| number == own)));
    // Whoever started the daemon has all of them again.
    assert_eq!(std::thread::available_parallelism().unwrap(), available);
    world.stop().await;
}
