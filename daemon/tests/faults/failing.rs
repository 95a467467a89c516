//! An error from the disk: nothing is answered any more, the daemon ends and says what failed and where, and the next start
//! recovers all that was answered.

use earmark_protocol::query::Query;

use super::*;

/// A daemon whose disk begins to fail under load: what it says at its end, and whether what it answered is there afterwards.
fn fails_under_load(call: &str, part: &str) -> String {
    let (scratch, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = Disk::new(scratch.path());
    runtime().block_on(async {
        let process = Process::start_with(data.path(), |program| disk.under(program));
        let client = process.connect().await;
        shop::stock(&client, 1).await;
        let mut answered = shop::holds(&client, 5).await;
        let load: Vec<_> = (0..16)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move {
                    let mut ids = Vec::new();
                    while let Ok(Ok(id)) = shop::hold(&client).await {
                        ids.push(id);
                    }
                    ids
                })
            })
            .collect();
        disk.fail(call, part, EIO);
        // An image is made of what is durable: it needs the disk in all ways.
        let _ = client.query(Query::Snapshot).await;
        for one in load {
            let ids = tokio::time::timeout(Duration::from_secs(60), one).await;
            answered.extend(ids.expect("answers end").expect("a client ends well"));
        }
        let said = process.ended();
        disk.heal();
        let process = Process::start(data.path());
        let client = process.connect().await;
        assert!(shop::are_held(&client, &answered).await, "what was answered is there");
        said
    })
}

#[test]
fn of_the_log() {
    for (call, doing) in [("write", "writing"), ("sync", "syncing")] {
        let said = fails_under_load(call, ".log");
        assert!(said.contains(&format!("{doing} /")) && said.contains("0000000001.log"), "{said}");
        assert!(said.contains("Input/output error") && said.contains("start again to recover"), "{said}");
    }
}

#[test]
fn of_an_image() {
    for (call, doing, file) in [
        ("write", "writing", "image.tmp"),
        ("sync", "syncing", "image.tmp"),
        ("rename", "renaming", "image.tmp"),
        ("open", "opening", "0000000001.log"),
        ("read", "reading", "0000000001.log"),
    ] {
        let said = fails_under_load(call, file);
        assert!(said.contains(&format!("{doing} /")) && said.contains(file), "{call}: {said}");
        assert!(said.contains("Input/output error"), "{call}: {said}");
    }
}

#[test]
fn at_a_start() {
    let (scratch, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let disk = Disk::new(scratch.path());
    let answered = runtime().block_on(async {
        let mut process = Process::start(data.path());
        let client = process.connect().await;
        shop::stock(&client, 1).await;
        let answered = shop::holds(&client, 5).await;
        process.kill();
        answered
    });
    for (call, doing) in [("open", "opening"), ("read", "reading"), ("write", "writing"), ("sync", "syncing")]
    {
        disk.fail(call, "0000000001.log", EIO);
        let process = Process::start_with(data.path(), |program| disk.under(program));
        let said = process.ended();
        assert!(said.contains(&format!("{doing} /")) && said.contains("0000000001.log"), "{call}: {said}");
    }
    disk.heal();
    runtime().block_on(async {
        let process = Process::start(data.path());
        assert!(shop::are_held(&process.connect().await, &answered).await);
    });
}
